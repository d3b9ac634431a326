//! What a sign-in with an identity provider changes: who the provider's subject is here, whether
//! they become a member, and the roles that their groups give. That the provider vouches for
//! them was found out before anything is locked.

use burgee_proto::admin::v1::{Identity, IdentityProvider, Member, RoleMapping};
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use super::acceptance::role_of;
use super::give_role::give;
use super::{invitation, mapped_roles, member};
use crate::change::scope::Scope;
use crate::change::{Change, Common, Mutation, Outcome};
use crate::error::Error;
use crate::identity_providers::{self, Which};
use crate::names::{MemberName, SubjectName};
use crate::stored::{Stored, timestamp};

/// For whoever is neither a member nor invited, where that is needed.
pub const NOT_INVITED: &str =
    "nobody with this e-mail address is a member or invited; ask an owner for an invitation";
/// For whoever was deactivated.
pub const DEACTIVATED: &str = "the member was deactivated; ask an owner";
/// For an e-mail address that the provider gave to somebody else before.
pub const ANOTHER_SUBJECT: &str = "the identity provider knew the member with this e-mail \
                                   address by another subject; an owner must delete that \
                                   identity first";
/// For a provider that was changed meanwhile.
pub const PROVIDER_CHANGED: &str = "the identity provider was changed meanwhile; begin again";

/// Whoever a provider vouches for, as the write path takes them. It is never kept, nor sent.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Arrival {
    /// The uid of the provider.
    #[prost(string, tag = "1")]
    pub provider: String,
    /// As it was when it vouched for them.
    #[prost(string, tag = "2")]
    pub etag: String,
    /// The issuer.
    #[prost(string, tag = "3")]
    pub issuer: String,
    /// What the issuer calls them.
    #[prost(string, tag = "4")]
    pub subject: String,
    /// Their address, in lower case, which the provider's rules let in.
    #[prost(string, tag = "5")]
    pub email: String,
    /// What people shall call them, if they are new.
    #[prost(string, tag = "6")]
    pub display_name: String,
    /// The groups that they are in.
    #[prost(string, repeated, tag = "7")]
    pub groups: Vec<String>,
    /// The name of the member, if they become one.
    #[prost(string, tag = "8")]
    pub member: String,
}

/// Who they are here.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Arrived {
    /// The name of the member.
    #[prost(string, tag = "1")]
    pub member: String,
    /// The uid of the identity.
    #[prost(string, tag = "2")]
    pub identity: String,
}

impl prost::Name for Arrival {
    const NAME: &'static str = "Arrival";
    const PACKAGE: &'static str = "burgee.server";
}

/// A member whom the provider may vouch for.
struct Known {
    member: Stored<Member>,
    identity: Option<Uuid>,
}

#[tonic::async_trait]
impl Mutation for Arrival {
    type Response = Arrived;

    fn common(&self) -> Common {
        Common::default()
    }

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<Arrived, Error> {
        let provider = self.provider(change).await?;
        let known = match self.known(change, provider.id).await? {
            Some(known) if known.member.message.deactivated => return Err(refused(DEACTIVATED)),
            Some(known) => known,
            None => Known {
                member: self.newcomer(change, &provider.message).await?,
                identity: None,
            },
        };
        let uid = known.member.id;
        let identity = match known.identity {
            Some(identity) => self.seen_again(change, (identity, &known.member)).await?,
            None => self.link(change, &provider, uid).await?,
        };
        let mapper = identity_providers::mapper(&provider);
        let mappings: Vec<RoleMapping> = self.mappings(&provider.message).cloned().collect();
        mapped_roles::sync(change, &mapper, MemberName { uid }, &mappings).await?;
        Ok(Arrived {
            member: MemberName { uid }.to_string(),
            identity: identity.to_string(),
        })
    }

    /// The answer says nothing of environments.
    fn conclude(_response: &mut Arrived, _outcome: Outcome) {}
}

impl Arrival {
    /// The provider, as it was when it vouched for them.
    async fn provider(&self, change: &mut Change) -> Result<Stored<IdentityProvider>, Error> {
        let organization = change.authorized.organization();
        let uid = Uuid::parse_str(&self.provider).map_err(Error::internal)?;
        let which = Which::Uid(uid);
        let found = identity_providers::find(change.connection(), organization, which).await?;
        let same = found.filter(|it| it.etag() == self.etag && !it.message.disabled);
        same.ok_or_else(|| refused(PROVIDER_CHANGED))
    }

    fn mappings<'a>(
        &'a self,
        provider: &'a IdentityProvider,
    ) -> impl Iterator<Item = &'a RoleMapping> {
        let mappings = provider.role_mappings.iter();
        mappings.filter(|mapping| self.groups.contains(&mapping.group))
    }

    /// The member whom the provider knows by this subject, or else the one with the address: a
    /// member of this organization, and of no other.
    async fn known(&self, change: &mut Change, provider: Uuid) -> Result<Option<Known>, Error> {
        let organization = change.authorized.organization();
        let found = sqlx::query!(
            r#"select i.id as "identity?", m.id as member,
                      exists (
                          select from identities other
                          where other.member_id = m.id and other.identity_provider_id = $2
                            and other.issuer = $3) as "has_identity!"
               from members m
               join people p on p.id = m.person_id
               left join identities i on i.member_id = m.id and i.identity_provider_id = $2
                   and i.issuer = $3 and i.subject = $4
               where m.organization_id = $1 and (i.id is not null or p.email = $5)
               order by i.id nulls last limit 1"#,
            organization,
            provider,
            self.issuer,
            self.subject,
            self.email,
        )
        .fetch_optional(change.connection())
        .await?;
        let Some(found) = found else {
            return Ok(None);
        };
        if found.identity.is_none() && found.has_identity {
            return Err(refused(ANOTHER_SUBJECT));
        }
        let name = MemberName { uid: found.member };
        Ok(Some(Known {
            member: member::find(change.connection(), organization, name).await?,
            identity: found.identity,
        }))
    }

    /// Whoever is invited becomes a member, or anybody if the provider is set up so.
    async fn newcomer(
        &self,
        change: &mut Change,
        provider: &IdentityProvider,
    ) -> Result<Stored<Member>, Error> {
        let wanted = invitation::Wanted {
            organization: Some(change.authorized.organization()),
            email: Some(&self.email),
            ..invitation::Wanted::default()
        };
        let invitations = invitation::list(change.connection(), wanted).await?;
        let mut given = Vec::new();
        for invitation in invitations {
            match role_of(change, &invitation).await {
                Ok(role) => given.push((invitation, role)),
                // Whoever invited may not any more.
                Err(Error::ProofInvalid { .. }) => {
                    invitation::revoke(change, &invitation).await?;
                }
                Err(other) => return Err(other),
            }
        }
        if given.is_empty() && !provider.just_in_time {
            return Err(refused(NOT_INVITED));
        }
        let member = self.become_member(change).await?;
        for (invitation, role) in given {
            let subject = SubjectName::from(MemberName { uid: member.id });
            give(change, (subject, member.id), role).await?;
            invitation::accept(change, &invitation).await?;
        }
        Ok(member)
    }

    /// Makes a person of this organization alone, who has no password.
    async fn become_member(&self, change: &mut Change) -> Result<Stored<Member>, Error> {
        let organization = change.authorized.organization();
        let name = MemberName::parse("member", &self.member)?;
        let (now, actor) = (change.now(), change.actor().to_owned());
        let person = Uuid::now_v7();
        sqlx::query!(
            "insert into people (id, email, organization_id) values ($1, $2, $3)",
            person,
            self.email,
            organization,
        )
        .execute(change.connection())
        .await?;
        sqlx::query!(
            "insert into members (id, organization_id, person_id, display_name, created_at,
                                  updated_at, changed_by)
             values ($1, $2, $3, $4, $5, $5, $6)",
            name.uid,
            organization,
            person,
            self.display_name,
            now,
            actor,
        )
        .execute(change.connection())
        .await?;
        let member = member::find(change.connection(), organization, name).await?;
        member::record(change, None, Some(&member))?;
        Ok(member)
    }

    /// From now on the subject is this member.
    async fn link(
        &self,
        change: &mut Change,
        provider: &Stored<IdentityProvider>,
        member: Uuid,
    ) -> Result<Uuid, Error> {
        let (id, now): (Uuid, OffsetDateTime) = (Uuid::now_v7(), change.now());
        sqlx::query!(
            "insert into identities (id, identity_provider_id, member_id, issuer, subject,
                                     created_at, last_used_at)
             values ($1, $2, $3, $4, $5, $6, $6)",
            id,
            provider.id,
            member,
            self.issuer,
            self.subject,
            now,
        )
        .execute(change.connection())
        .await?;
        let member = MemberName { uid: member };
        let name = identity_providers::name_of(&provider.message).identity(id);
        let identity = Identity {
            name: name.to_string(),
            uid: id.to_string(),
            member: member.to_string(),
            issuer: self.issuer.clone(),
            subject: self.subject.clone(),
            create_time: Some(timestamp(now)),
            last_used_time: Some(timestamp(now)),
        };
        // Told of the member, so that what the log holds of a person can be blanked.
        change.record_resource(member, "identity", (None, Some(&identity)))?;
        Ok(id)
    }

    /// Whom the provider brought has the address that it says today, unless another member has.
    async fn seen_again(
        &self,
        change: &mut Change,
        (identity, member): (Uuid, &Stored<Member>),
    ) -> Result<Uuid, Error> {
        sqlx::query!(
            "update identities set last_used_at = clock_timestamp() where id = $1",
            identity,
        )
        .execute(change.connection())
        .await?;
        if !member.message.managed || member.message.email == self.email {
            return Ok(identity);
        }
        let moved = sqlx::query!(
            "update people p set email = $2
             from members m
             where m.id = $1 and p.id = m.person_id and not exists (
                 select from members other join people q on q.id = other.person_id
                 where other.organization_id = m.organization_id and q.email = $2)",
            member.id,
            self.email,
        )
        .execute(change.connection())
        .await?;
        if moved.rows_affected() == 1 {
            let message = Member {
                email: self.email.clone(),
                ..member.message.clone()
            };
            member::update(change, member.clone(), message).await?;
        }
        Ok(identity)
    }
}

fn refused(description: &'static str) -> Error {
    Error::ProofInvalid { description }
}
