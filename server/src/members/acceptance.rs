//! What an accepted invitation changes: the person, the member, the role. The password is
//! hashed, or was found right, before anything is locked.

use burgee_proto::admin::v1::{AcceptInvitationResponse, Member};
use uuid::Uuid;

use super::give_role::{RoleAt, give};
use super::invitation::{self, Row};
use super::role::permissions_of;
use super::{held_by, member};
use crate::access::Grants;
use crate::change::scope::Scope;
use crate::change::{Change, Common, Mutation, Outcome};
use crate::error::Error;
use crate::names::{InvitationName, MemberName, RoleName, SubjectName};
use crate::stored::Stored;

/// What is wrong with a link, whatever it is.
pub const LINK_INVALID: &str = "the link is unknown, was used, was revoked, or has expired";

/// An accepted invitation, as the write path takes it. It is never kept, nor sent.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Acceptance {
    /// The invitation's uid.
    #[prost(string, tag = "1")]
    pub invitation: String,
    /// Whose it is, in lower case.
    #[prost(string, tag = "2")]
    pub email: String,
    /// What people shall call them.
    #[prost(string, tag = "3")]
    pub display_name: String,
    /// The uid of the member, if they become one.
    #[prost(string, tag = "4")]
    pub member: String,
    /// The hash of a new person's password. Empty: the person exists.
    #[prost(string, tag = "5")]
    pub password_hash: String,
}

impl prost::Name for Acceptance {
    const NAME: &'static str = "Acceptance";
    const PACKAGE: &'static str = "burgee.server";
}

#[tonic::async_trait]
impl Mutation for Acceptance {
    type Response = AcceptInvitationResponse;

    fn common(&self) -> Common {
        Common::default()
    }

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<AcceptInvitationResponse, Error> {
        let name = InvitationName::parse("invitation", &self.invitation)?;
        // Another may have been quicker.
        let invitation = invitation::read(change, name).await;
        let invitation = invitation.map_err(|error| match error {
            Error::NotFound { .. } => invalid(),
            other => other,
        })?;
        let role = role_of(change, &invitation).await?;
        self.refuse_managed(change).await?;
        let person = self.person(change).await?;
        let member = self.member(change, person).await?;
        let subject = SubjectName::from(MemberName { uid: member.id });
        give(change, (subject, member.id), role).await?;
        invitation::accept(change, &invitation).await?;
        Ok(AcceptInvitationResponse {
            member: Some(member::show(&member)),
            ..AcceptInvitationResponse::default()
        })
    }

    /// The answer says nothing of environments.
    fn conclude(_response: &mut AcceptInvitationResponse, _outcome: Outcome) {}
}

impl Acceptance {
    /// Whoever an identity provider brought is a member already, by another person of the same
    /// address, and does not become a second one.
    async fn refuse_managed(&self, change: &mut Change) -> Result<(), Error> {
        let organization = change.authorized.organization();
        let member = member::find_by_email(change.connection(), organization, &self.email).await?;
        let managed = member.filter(|member| member.message.managed);
        managed.map_or(Ok(()), |_| Err(invalid()))
    }

    /// The uid of the person, who is made if they are new.
    async fn person(&self, change: &mut Change) -> Result<Uuid, Error> {
        let person = match self.password_hash.as_str() {
            "" => {
                // The lock: they are not deleted meanwhile. Whoever an identity provider brought
                // belongs to that organization alone.
                sqlx::query_scalar!(
                    "select id from people where email = $1 and organization_id is null
                     for key share",
                    self.email,
                )
                .fetch_optional(change.connection())
                .await?
            }
            hash => {
                sqlx::query_scalar!(
                    "insert into people (id, email, password_hash) values ($1, $2, $3)
                     on conflict on constraint people_email do nothing returning id",
                    Uuid::now_v7(),
                    self.email,
                    hash,
                )
                .fetch_optional(change.connection())
                .await?
            }
        };
        // They became one by another invitation, or were deleted, since they were looked up.
        person.ok_or_else(|| Error::Conflict {
            resource: InvitationName::parse("invitation", &self.invitation)
                .map_or_else(|_| String::new(), |name| name.to_string()),
        })
    }

    /// The member, who is made unless they were by another invitation.
    async fn member(&self, change: &mut Change, person: Uuid) -> Result<Stored<Member>, Error> {
        let organization = change.authorized.organization();
        let MemberName { uid } = MemberName::parse("member", &self.member)?;
        let (now, actor) = (change.now(), change.actor().to_owned());
        let made = sqlx::query!(
            "insert into members (id, organization_id, person_id, display_name, created_at,
                                  updated_at, changed_by)
             values ($1, $2, $3, $4, $5, $5, $6)
             on conflict on constraint members_person do nothing",
            uid,
            organization,
            person,
            self.display_name,
            now,
            actor,
        )
        .execute(change.connection())
        .await?;
        let uid = sqlx::query_scalar!(
            "select id from members where organization_id = $1 and person_id = $2",
            organization,
            person,
        )
        .fetch_one(change.connection())
        .await?;
        let member = member::find(change.connection(), organization, MemberName { uid }).await?;
        if made.rows_affected() == 1 {
            member::record(change, None, Some(&member))?;
        }
        Ok(member)
    }
}

/// The role that an invitation gives, if whoever invited may still give it.
pub(super) async fn role_of(change: &mut Change, invitation: &Row) -> Result<RoleAt, Error> {
    let role = RoleName {
        role: invitation.role.clone(),
    };
    let permissions = permissions_of(change, &role)
        .await
        .map_err(|error| match error {
            // It was deleted.
            Error::NotFound { .. } => invalid(),
            other => other,
        })?;
    let role = RoleAt {
        role,
        permissions,
        place: invitation.place(),
        project: invitation.project_id,
        environment: invitation.environment_id,
        mapped_by: None,
    };
    // The program itself invites owners.
    if let Ok(creator) = SubjectName::parse("creator", &invitation.created_by) {
        let organization = change.authorized.organization();
        let held = held_by(change.connection(), organization, &creator).await?;
        let mut given = Grants::default();
        given.add(role.place.place(), role.permissions);
        if held.missing(&given).is_some() {
            return Err(invalid());
        }
    }
    Ok(role)
}

fn invalid() -> Error {
    Error::ProofInvalid {
        description: LINK_INVALID,
    }
}
