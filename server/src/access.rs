//! May they: permissions, roles, the method table, and the proof that it was asked.

mod grants;
mod methods;
mod origin;
mod permission;
mod role;

use std::sync::Arc;

use burgee_hub::credential::Kind;
use uuid::Uuid;

use crate::error::Error;
use crate::names::{SubjectName, TokenName};

pub use grants::{Grants, Place};
pub use methods::{Level, METHODS, Rule, reach, rule};
pub use origin::Origin;
pub use permission::{Permission, Permissions};
pub use role::BuiltIn;

/// What all methods by which people see to themselves begin with.
const OWN_AFFAIRS: &str = "/burgee.admin.v1.AuthService/";

/// Who is calling, put into a request's extensions by the authentication layer.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The organization that everything the caller names belongs to.
    pub organization: Uuid,
    /// What history calls it, such as `serviceAccounts/admin`.
    pub actor: String,
    /// Whose roles they are. None: the server's own.
    pub subject: Option<SubjectName>,
    /// The session, if it is a person who is signed in.
    pub session: Option<Session>,
    /// The token, if it is one that was shown.
    pub token: Option<ShownToken>,
    /// What it may do, and where.
    pub grants: Grants,
}

/// A token that a call was made with.
#[derive(Debug, Clone)]
pub struct ShownToken {
    /// Its name.
    pub name: TokenName,
    /// What people call it.
    pub display_name: String,
    /// It may be used for less than its owner may do.
    pub narrowed: bool,
}

/// A person who is signed in.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    /// The session's uid.
    pub id: Uuid,
    /// The person's uid, which is the same in each of their organizations.
    pub person: Uuid,
    /// Whether they proved a second factor, as of a second ago.
    pub second_factor: bool,
    /// Whether the organization wants one, and they have none.
    pub lacks_second_factor: bool,
    /// The organization whose identity provider vouches for them, and beyond which it vouches
    /// for nothing. None: they gave their own password.
    pub bound_to: Option<Uuid>,
}

/// The kind and the hash of a credential.
pub type Credential = (Kind, [u8; 32]);

/// What the authentication layer found out about a call.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who, as of a second ago.
    pub principal: Arc<Principal>,
    /// By what they were recognised. None: the server itself calls.
    pub credential: Option<Credential>,
    /// Which method, as `/package.Service/Method`.
    pub method: &'static str,
    /// What it takes, and where that must be held. None: to be known is enough.
    pub needs: Option<(Permission, Level)>,
    /// From where.
    pub origin: Origin,
}

impl Caller {
    /// Whether they may do what the method does: in the organization if that is the method's
    /// level, else anywhere at all, with [`Authorized::demand`] to follow.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`]; [`Error::SecondFactorWanted`] of whoever can see to
    /// themselves alone until they have one.
    pub fn check(&self) -> Result<(), Error> {
        let session = self.principal.session;
        let is_held_up = session.is_some_and(|session| session.lacks_second_factor);
        if is_held_up && !self.method.starts_with(OWN_AFFAIRS) {
            return Err(Error::SecondFactorWanted);
        }
        let grants = &self.principal.grants;
        match self.needs {
            Some((permission, Level::Organization))
                if !grants.allow(permission, Place::Organization) =>
            {
                Err(denied(permission, Some(Place::Organization)))
            }
            Some((permission, _)) if !grants.allow_anywhere(permission) => {
                Err(denied(permission, None))
            }
            _ => Ok(()),
        }
    }
}

/// Proof that the caller may do what the method does, at least somewhere. Only
/// [`authorize`] makes it; reading and changing demand it. Whoever finds the project or
/// environment that a call names asks [`Authorized::demand`] for that place, so that what is
/// absent and what is not allowed are told apart within an organization alone.
#[derive(Debug, Clone)]
pub struct Authorized {
    caller: Caller,
}

impl Authorized {
    /// Who.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.caller.principal
    }

    /// By what the caller was recognised. None: the server itself calls.
    #[must_use]
    pub fn credential(&self) -> Option<Credential> {
        self.caller.credential
    }

    /// The same proof, for what the caller turned out to be meanwhile.
    ///
    /// # Errors
    /// [`Error::CredentialInvalid`] if they are nobody any more, [`Error::PermissionDenied`] if
    /// they may no longer.
    pub fn renewed(self, principal: Option<Principal>) -> Result<Self, Error> {
        let principal = principal.ok_or(Error::CredentialInvalid)?;
        let caller = Caller {
            principal: Arc::new(principal),
            ..self.caller
        };
        caller.check()?;
        Ok(Self { caller })
    }

    /// The session of the person who calls.
    ///
    /// # Errors
    /// [`Error::CredentialInvalid`] for whoever has another credential.
    pub fn session(&self) -> Result<Session, Error> {
        let session = self.caller.principal.session;
        session.ok_or(Error::CredentialInvalid)
    }

    /// The organization that everything the call names belongs to.
    #[must_use]
    pub fn organization(&self) -> Uuid {
        self.caller.principal.organization
    }

    /// How: `/package.Service/Method`.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.caller.method
    }

    /// The same, for whoever calls from there.
    #[must_use]
    pub fn calling_from(mut self, origin: Origin) -> Self {
        self.caller.origin = origin;
        self
    }

    /// From where.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.caller.origin
    }

    /// Whether nothing exists to the caller but where they may do something, and they may do
    /// nothing where an environment is protected: they have a test key.
    #[must_use]
    pub fn is_confined(&self) -> bool {
        self.caller.principal.grants.are_confined()
    }

    /// The permission that the method takes. None: to be known is enough.
    #[must_use]
    pub fn permission(&self) -> Option<Permission> {
        self.caller.needs.map(|(permission, _)| permission)
    }

    /// Whether the caller may do what the method does at a place.
    #[must_use]
    pub fn allows(&self, place: Place<'_>) -> bool {
        let grants = &self.caller.principal.grants;
        let needs = self.caller.needs;
        needs.is_none_or(|(permission, _)| grants.allow(permission, place))
    }

    /// As [`Authorized::allows`].
    ///
    /// # Errors
    /// [`Error::PermissionDenied`].
    pub fn demand(&self, place: Place<'_>) -> Result<(), Error> {
        match self.caller.needs {
            Some((permission, _)) if !self.allows(place) => Err(denied(permission, Some(place))),
            _ => Ok(()),
        }
    }

    /// Refuses to hand out, or to take hold of, more than the caller may do.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], with the first thing that the caller may not do.
    pub fn demand_cover(&self, grants: &Grants) -> Result<(), Error> {
        let missing = self.caller.principal.grants.missing(grants);
        missing.map_or(Ok(()), |permission| Err(denied(permission, None)))
    }

    /// The keys of the projects in which the caller may do what the method does. None: in
    /// every one.
    #[must_use]
    pub fn projects(&self) -> Option<Vec<String>> {
        let (permission, _) = self.caller.needs?;
        self.caller.principal.grants.projects(permission)
    }

    /// The keys of a project's environments in which the caller may do what the method does.
    /// None: in every one.
    #[must_use]
    pub fn environments(&self, project: &str) -> Option<Vec<String>> {
        let (permission, _) = self.caller.needs?;
        let grants = &self.caller.principal.grants;
        grants.environments(permission, project)
    }
}

fn denied(permission: Permission, place: Option<Place<'_>>) -> Error {
    Error::PermissionDenied {
        permission: permission.name(),
        place: place.map(|place| place.to_string()).unwrap_or_default(),
    }
}

/// Asks [`Caller::check`] of whoever sent a request.
///
/// # Errors
/// [`Error::CredentialMissing`] if nobody was recognised,
/// [`Error::PermissionDenied`] if they may not.
pub fn authorize<T>(request: &tonic::Request<T>) -> Result<Authorized, Error> {
    let caller = request.extensions().get::<Caller>();
    let caller = caller.ok_or(Error::CredentialMissing)?;
    caller.check()?;
    Ok(Authorized {
        caller: caller.clone(),
    })
}

/// Proof for what the server itself does in the name of `actor`, who has no credential (yet):
/// at start, and for whoever accepts an invitation.
#[must_use]
pub fn vouch(organization: Uuid, actor: &str, method: &'static str) -> Authorized {
    Authorized {
        caller: Caller {
            principal: Arc::new(Principal {
                organization,
                actor: actor.to_owned(),
                subject: None,
                session: None,
                token: None,
                grants: Grants::everything(),
            }),
            credential: None,
            method,
            needs: None,
            origin: Origin::default(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::PathBuf;

    use super::*;

    /// The permissions, with the roles that every organization has, as a table in Markdown.
    fn table() -> String {
        let roles = BuiltIn::ALL;
        let mut table = String::from("\n| permission | allows to |");
        for role in roles {
            write!(table, " {} |", role.key()).unwrap();
        }
        table.push_str("\n|---|---|");
        table.push_str(&":---:|".repeat(roles.len()));
        for permission in Permission::ALL {
            let (name, description) = (permission.name(), permission.description());
            let description = description.trim_end_matches('.');
            write!(table, "\n| `{name}` | {description} |").unwrap();
            for role in roles {
                let allows = role.permissions().contains(*permission);
                table.push_str(if allows { " ✓ |" } else { " |" });
            }
        }
        table.push_str("\n\n");
        table
    }

    #[test]
    fn the_published_table_is_that_of_the_code() {
        const BEGIN: &str = "server/src/access.rs. -->\n";
        const END: &str = "<!-- End of what it writes. -->";
        let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/access.md");
        let text = std::fs::read_to_string(&page).unwrap();
        let (before, rest) = text.split_once(BEGIN).unwrap();
        let (published, after) = rest.split_once(END).unwrap();
        let table = table();
        if std::env::var_os("BURGEE_WRITE_DOCS").is_some() {
            std::fs::write(&page, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
            return;
        }
        assert_eq!(
            published, table,
            "run this test with BURGEE_WRITE_DOCS=1 in the environment, and commit docs/access.md"
        );
    }
}
