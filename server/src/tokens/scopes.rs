//! What a token may be used for, of what its owner may do.

use burgee_proto::admin::v1::TokenScopes;
use uuid::Uuid;

use crate::access::{Grants, Permission, Permissions};
use crate::change::Change;
use crate::error::Error;
use crate::members::{BindingPlace, find_place, parse_permissions};
use crate::texts::Violations;

/// Permissions somewhere.
#[derive(Debug, Clone)]
pub struct Scopes {
    permissions: Permissions,
    place: BindingPlace,
    /// The uid of the project, if they are good in one.
    pub(super) project: Option<Uuid>,
    /// The uid of the environment, if they are good in one.
    pub(super) environment: Option<Uuid>,
}

impl Scopes {
    /// As a row holds them. What a newer server stored and this one does not know opens nothing
    /// here.
    #[must_use]
    pub fn read(
        permissions: &[String],
        place: BindingPlace,
        (project, environment): (Option<Uuid>, Option<Uuid>),
    ) -> Self {
        let permissions = permissions.iter();
        Self {
            permissions: permissions
                .filter_map(|name| Permission::parse(name))
                .collect(),
            place,
            project,
            environment,
        }
    }

    /// As a request gives them.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`] for the place.
    pub async fn find(
        change: &mut Change,
        field: &str,
        given: &TokenScopes,
    ) -> Result<Self, Error> {
        let names = format!("{field}.permissions");
        let mut violations = Violations::default();
        let permissions = parse_permissions(&mut violations, &names, &given.permissions);
        let some = !given.permissions.is_empty();
        violations.require(some, names, "name at least one permission");
        violations.finish()?;
        let place = find_place(change, &format!("{field}.scope"), &given.scope).await?;
        let (place, project, environment) = place;
        Ok(Self {
            permissions,
            place,
            project,
            environment,
        })
    }

    /// As answers show them.
    #[must_use]
    pub fn show(&self) -> TokenScopes {
        TokenScopes {
            permissions: self.names(),
            scope: self.place.name(),
        }
    }

    /// The names of the permissions.
    pub(super) fn names(&self) -> Vec<String> {
        let permissions = self.permissions.iter();
        permissions.map(|it| it.name().to_owned()).collect()
    }

    /// What of an owner's grants they let through.
    #[must_use]
    pub fn narrow(&self, grants: &Grants) -> Grants {
        let mut scopes = Grants::default();
        scopes.add(self.place.place(), self.permissions);
        grants.within(&scopes)
    }
}
