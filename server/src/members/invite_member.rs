//! InviteMember.

use burgee_hub::credential::{self, Kind, Secret};
use burgee_proto::admin::v1::{InviteMemberRequest, InviteMemberResponse};
use time::Duration;
use uuid::Uuid;

use super::give_role::{Fields, RoleAt};
use super::{demand_cover, email, invitation, member};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::credentials::conceal_secret;
use crate::error::Error;
use crate::names::{InvitationName, MemberName};
use crate::random;

/// How long an invitation can be accepted.
const LIFETIME: Duration = Duration::days(7);
/// The most invitations of an organization that can be accepted.
const INVITATIONS_MAX: i64 = 1_000;

#[tonic::async_trait]
impl Mutation for InviteMemberRequest {
    mutation_fields!(InviteMemberResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<InviteMemberResponse, Error> {
        const FIELDS: Fields = Fields {
            role: "invitation.role",
            scope: "invitation.scope",
        };
        let given = self.invitation.as_ref();
        let given = given.ok_or_else(|| Error::invalid("invitation", "give the invitation"))?;
        let email = email::parse("invitation.email", &given.email)?;
        let role = RoleAt::find(change, FIELDS, (&given.role, &given.scope)).await?;
        demand_cover(change, role.place.place(), role.permissions)?;
        refuse_member(change, &email).await?;
        let secret = credential::generate(Kind::Link, random::bytes()?);
        let uid = insert(change, &email, &role, &secret).await?;
        let invitation = invitation::read(change, InvitationName { uid }).await?;
        invitation::record(change, None, Some(&invitation))?;
        Ok(InviteMemberResponse {
            invitation: Some(invitation.show()),
            secret: change.shown(&secret),
            ..InviteMemberResponse::default()
        })
    }

    conceal_secret!(InviteMemberResponse);
}

/// Whoever is a member is given roles, or reactivated, and not invited.
async fn refuse_member(change: &mut Change, email: &str) -> Result<(), Error> {
    let organization = change.authorized.organization();
    let member = member::find_by_email(change.connection(), organization, email).await?;
    member.map_or(Ok(()), |member| {
        Err(Error::Exists {
            resource: MemberName { uid: member.id }.to_string(),
        })
    })
}

async fn insert(
    change: &mut Change,
    email: &str,
    role: &RoleAt,
    secret: &Secret,
) -> Result<Uuid, Error> {
    let id = Uuid::now_v7();
    let organization = change.authorized.organization();
    let (now, actor) = (change.now(), change.actor().to_owned());
    let hash = secret.hash();
    let inserted = sqlx::query!(
        "insert into invitations (id, organization_id, email, hash, role, project_id,
                                  environment_id, created_at, created_by, expires_at)
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
         where (select count(*) from invitations
                where organization_id = $2 and accepted_at is null and revoked_at is null
                  and expires_at > $8) < $11",
        id,
        organization,
        email,
        hash.as_slice(),
        role.role.role,
        role.project,
        role.environment,
        now,
        actor,
        now + LIFETIME,
        INVITATIONS_MAX,
    )
    .execute(change.connection())
    .await?;
    if inserted.rows_affected() == 0 {
        let description =
            format!("{INVITATIONS_MAX} invitations wait to be accepted; revoke some first");
        let subject = "invitations";
        return Err(Error::limit(subject, INVITATIONS_MAX, subject, description));
    }
    Ok(id)
}
