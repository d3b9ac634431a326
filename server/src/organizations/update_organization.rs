//! UpdateOrganization.

use burgee_proto::admin::v1::{
    Organization, UpdateOrganizationRequest, UpdateOrganizationResponse,
};
use burgee_proto::types::v1::ErrorReason;
use prost_types::Duration;

use super::{read, show};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::OrganizationName;
use crate::stored::Stored;
use crate::texts::Violations;

const CHANGEABLE: &[&str] = &[
    "display_name",
    "session_idle_timeout",
    "session_lifetime",
    "require_second_factor",
];
/// The shortest time that a session may live, in seconds.
const SESSION_MIN: i32 = 5 * 60;
/// The longest that it may live without being used, in seconds.
const SESSION_IDLE_MAX: i32 = 30 * 24 * 60 * 60;
/// The longest that it may live at all, in seconds.
const SESSION_LIFETIME_MAX: i32 = 90 * 24 * 60 * 60;

#[tonic::async_trait]
impl Mutation for UpdateOrganizationRequest {
    mutation_fields!(UpdateOrganizationResponse, etag in organization);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<UpdateOrganizationResponse, Error> {
        let update = self.organization.clone().unwrap_or_default();
        let name = OrganizationName::parse("organization.name", &update.name)?;
        let organization = change.authorized.organization();
        let stored = read(change.connection(), organization, Some(&name)).await?;
        stored.demand_etag(&name, &change.common.etag)?;
        let mask = self.update_mask.as_ref();
        let descriptors = &change.app.descriptors;
        let merged = descriptors.merge(&stored.message, &update, mask, CHANGEABLE)?;
        let settings = checked(&merged)?;
        if merged.require_second_factor && !stored.message.require_second_factor {
            demand_second_factor(change, &name)?;
        }
        let after = if merged == stored.message {
            stored
        } else {
            let after = stored.next(merged, change.actor(), change.now());
            write(change, &after, settings).await?;
            let told = (Some(&stored.message), Some(&after.message));
            change.record_resource(&name, "organization", told)?;
            after
        };
        Ok(UpdateOrganizationResponse {
            organization: Some(show(&after)),
            ..UpdateOrganizationResponse::default()
        })
    }
}

/// How long sessions live, in seconds.
struct Settings {
    idle: i32,
    lifetime: i32,
}

fn checked(organization: &Organization) -> Result<Settings, Error> {
    let mut violations = Violations::default();
    violations.display_name("organization.display_name", &organization.display_name);
    let idle = seconds(organization.session_idle_timeout, SESSION_IDLE_MAX);
    violations.require(
        idle.is_some(),
        "organization.session_idle_timeout",
        "give 5 minutes to 30 days, in whole seconds",
    );
    let lifetime = seconds(organization.session_lifetime, SESSION_LIFETIME_MAX);
    violations.require(
        lifetime.is_some(),
        "organization.session_lifetime",
        "give 5 minutes to 90 days, in whole seconds",
    );
    violations.finish()?;
    Ok(Settings {
        idle: idle.unwrap_or(SESSION_MIN),
        lifetime: lifetime.unwrap_or(SESSION_MIN),
    })
}

fn seconds(duration: Option<Duration>, maximum: i32) -> Option<i32> {
    let duration = duration.filter(|it| it.nanos == 0)?;
    let seconds = i32::try_from(duration.seconds).ok()?;
    (SESSION_MIN..=maximum)
        .contains(&seconds)
        .then_some(seconds)
}

/// Refuses to ask of others what one lacks oneself, or what nobody could have here.
fn demand_second_factor(change: &Change, name: &OrganizationName) -> Result<(), Error> {
    change.app.sealing.ready()?;
    let session = change.authorized.principal().session;
    if session.is_some_and(|it| !it.second_factor && it.bound_to.is_none()) {
        let description = "sign in with a second factor of your own first";
        let reason = ErrorReason::SecondFactorWanted;
        return Err(Error::precondition(reason, name, description));
    }
    Ok(())
}

async fn write(
    change: &mut Change,
    after: &Stored<Organization>,
    settings: Settings,
) -> Result<(), Error> {
    sqlx::query!(
        "update organizations
         set display_name = $2, session_idle_seconds = $3, session_lifetime_seconds = $4,
             require_second_factor = $5, version = $6, updated_at = $7, changed_by = $8
         where id = $1",
        after.id,
        after.message.display_name,
        settings.idle,
        settings.lifetime,
        after.message.require_second_factor,
        after.version,
        after.updated_at,
        after.changed_by,
    )
    .execute(change.connection())
    .await?;
    Ok(())
}
