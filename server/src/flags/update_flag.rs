//! UpdateFlag.

use burgee_proto::admin::v1::{FlagChange, UpdateFlagRequest, UpdateFlagResponse};

use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::FlagName;

/// What of a definition can be changed.
const CHANGEABLE: &[&str] = &[
    "display_name",
    "description",
    "variants",
    "tags",
    "owner",
    "links",
    "metadata",
    "client_visible",
    "salt",
];

fn name(request: &UpdateFlagRequest) -> Result<FlagName, Error> {
    let name = request.flag.as_ref().map_or("", |flag| &flag.name);
    FlagName::parse("flag.name", name)
}

#[tonic::async_trait]
impl Mutation for UpdateFlagRequest {
    mutation_fields!(UpdateFlagResponse, etag in flag);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Project(name(self)?.project()))
    }

    async fn apply(&self, change: &mut Change) -> Result<UpdateFlagResponse, Error> {
        let name = name(self)?;
        let etag = change.common.etag.clone();
        let entry = change.load_flag(&name.flag, &name).await?;
        let stored = entry
            .definition
            .before
            .as_ref()
            .ok_or_else(|| Error::not_found(&name))?;
        stored.demand_etag(&name, &etag)?;
        let before = stored.message.clone();
        let update = self.flag.clone().unwrap_or_default();
        let mask = self.update_mask.as_ref();
        let mut after = change
            .app
            .descriptors
            .merge(&before, &update, mask, CHANGEABLE)?;
        if after.salt.is_empty() {
            // Making a new one moves users: that is an operation of its own.
            after.salt.clone_from(&before.salt);
        }
        let operation = FlagChange {
            before: Some(before),
            after: Some(after),
        };
        change.apply_to_flag(&name, operation).await?;
        Ok(UpdateFlagResponse {
            flag: Some(change.show_flag(&name)?),
            ..UpdateFlagResponse::default()
        })
    }
}
