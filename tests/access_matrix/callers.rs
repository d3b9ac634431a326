//! Who calls, and what must come of it.

use burgee_hub::credential::{Kind, generate};
use burgee_proto::types::v1::AccessKeyKind;
use burgee_server::access::{BuiltIn, Level, Permission, Permissions, Rule};
use tonic::{Code, Status};

use crate::requests::Method;
use crate::world::World;

/// The roles that every organization has.
pub(crate) const ROLES: [&str; 5] = ["viewer", "developer", "reviewer", "admin", "owner"];

/// Where a role is held. What is called about is in `production` of `shop`.
pub(crate) const PLACES: [Place; 5] = [
    Place::new("organization", "", [true, true, true]),
    Place::new("project", "projects/shop", [false, true, true]),
    Place::new(
        "environment",
        "projects/shop/environments/production",
        [false, false, true],
    ),
    Place::new(
        "other-environment",
        "projects/shop/environments/staging",
        [false, false, false],
    ),
    Place::new("other-project", "projects/blog", [false, false, false]),
];

/// Where a role is held.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) what: &'static str,
    pub(crate) scope: &'static str,
    /// Whether that is at or above the organization, `shop`, its `production`.
    reaches: [bool; 3],
}

/// How a call must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Nobody is known.
    Unauthenticated,
    /// Somebody is known who may not.
    PermissionDenied,
    /// Whatever comes of it: neither of these, and the thing is found.
    LetIn,
    /// What is named is somebody else's own.
    NotFound,
    /// Nobody is asked for a credential, and what is in the request proves nothing.
    Unproven,
}

/// Whoever has a credential that is good for something.
pub(crate) struct Caller {
    pub(crate) what: String,
    credential: String,
    /// The credential for signing out, if it is another.
    leaving: Option<String>,
    may: May,
}

enum May {
    Role(BuiltIn, Place),
    /// A person who is signed in, with a role that they hold in the organization; and whether the
    /// session and the token that requests name are theirs.
    Session(BuiltIn, bool),
    /// A personal token that is good for this, of somebody who may do more.
    Token(Permissions, Place),
    Key(AccessKeyKind),
}

impl Place {
    const fn new(what: &'static str, scope: &'static str, reaches: [bool; 3]) -> Self {
        Self {
            what,
            scope,
            reaches,
        }
    }
}

impl Expected {
    pub(crate) fn fits(self, status: &Status) -> bool {
        match self {
            Self::Unauthenticated => status.code() == Code::Unauthenticated,
            Self::PermissionDenied => status.code() == Code::PermissionDenied,
            Self::NotFound => status.code() == Code::NotFound,
            Self::Unproven => {
                matches!(status.code(), Code::InvalidArgument | Code::Unauthenticated)
            }
            Self::LetIn => !matches!(
                status.code(),
                Code::Unauthenticated
                    | Code::PermissionDenied
                    | Code::NotFound
                    | Code::Unimplemented
                    | Code::Internal
                    | Code::Unknown
                    | Code::Unavailable
            ),
        }
    }
}

impl Caller {
    pub(crate) fn with_role(role: &str, place: Place, token: String) -> Self {
        let may = May::Role(BuiltIn::parse(role).unwrap(), place);
        Self {
            what: format!("{role} of {}", place.what),
            credential: token,
            leaving: None,
            may,
        }
    }

    pub(crate) fn with_session(
        role: &str,
        is_named: bool,
        [staying, leaving]: [String; 2],
    ) -> Self {
        let whose = if is_named { "the" } else { "another" };
        Self {
            what: format!("a session of {whose} {role}"),
            credential: staying,
            leaving: Some(leaving),
            may: May::Session(BuiltIn::parse(role).unwrap(), is_named),
        }
    }

    pub(crate) fn with_token(
        what: &str,
        permissions: &[&str],
        place: Place,
        token: String,
    ) -> Self {
        let permissions = permissions.iter();
        let permissions = permissions.map(|name| Permission::parse(name).unwrap());
        Self {
            what: what.to_owned(),
            credential: token,
            leaving: None,
            may: May::Token(permissions.collect(), place),
        }
    }

    /// What they show to call a method.
    pub(crate) fn credential(&self, method: &Method) -> &str {
        match &self.leaving {
            Some(leaving) if method.name == "SignOut" => leaving,
            _ => &self.credential,
        }
    }

    pub(crate) fn with_key(what: &str, kind: AccessKeyKind, key: String) -> Self {
        Self {
            what: what.to_owned(),
            credential: key,
            leaving: None,
            may: May::Key(kind),
        }
    }

    /// Whether it is somebody who is known, and not by a session where the method takes one.
    pub(crate) fn lacks_session(&self, method: &Method) -> bool {
        let takes_session = matches!(method.rule(), Rule::Session | Rule::Person);
        takes_session && matches!(self.may, May::Role(..) | May::Token(..))
    }

    pub(crate) fn expected(&self, method: &Method) -> Expected {
        let rule = method.rule();
        let everywhere = PLACES[0];
        let is_let_in = match (&self.may, rule) {
            (_, Rule::Unproven) => return Expected::Unproven,
            (May::Session(_, false), Rule::Session) if method.names_something() => {
                return Expected::NotFound;
            }
            (May::Session(..), Rule::Session | Rule::Person) => true,
            (May::Key(kind), Rule::DataPlane) => opens(*kind, &method.name),
            (May::Role(..) | May::Session(..) | May::Token(..), Rule::Known)
            | (_, Rule::Public) => true,
            (May::Role(role, place), Rule::Permission(permission, level)) => {
                let held = role.permissions().contains(permission);
                held && reaches(*place, permission, level, method)
            }
            (May::Session(role, _), Rule::Permission(permission, level)) => {
                let held = role.permissions().contains(permission);
                held && reaches(everywhere, permission, level, method)
            }
            (May::Key(AccessKeyKind::Test), Rule::Permission(..)) if sets_flags(&method.name) => {
                true
            }
            (May::Token(scopes, place), Rule::Permission(permission, level)) => {
                scopes.contains(permission) && reaches(*place, permission, level, method)
            }
            // Not a credential of this plane at all, or not a session.
            (May::Key(_), Rule::Permission(..) | Rule::Known | Rule::Session | Rule::Person)
            | (May::Role(..) | May::Token(..), Rule::Session | Rule::Person)
            | (May::Role(..) | May::Session(..) | May::Token(..), Rule::DataPlane) => {
                return Expected::Unauthenticated;
            }
        };
        if is_let_in {
            Expected::LetIn
        } else {
            Expected::PermissionDenied
        }
    }
}

/// Whether a role that is held there holds for what the method is called about.
fn reaches(place: Place, permission: Permission, level: Level, method: &Method) -> bool {
    let [organization, project, environment] = place.reaches;
    let in_shop = place.scope.starts_with("projects/shop");
    match level {
        Level::Organization => organization,
        // Whoever may see an environment may see its project's definitions.
        Level::Project => project || (in_shop && permission.name().ends_with(".read")),
        Level::Environment => environment,
        Level::Each => match method.name.as_str() {
            // About a key of one environment.
            "GetApiKey" | "CreateApiKey" | "UpdateApiKey" | "RotateApiKey" | "RevokeApiKey" => {
                environment
            }
            // About a role that is held in the organization.
            "CreateRoleBinding" | "DeleteRoleBinding" => organization,
            // They show what may be seen, wherever that is.
            _ => true,
        },
    }
}

/// What a key of the data plane is for, as the design says.
fn opens(kind: AccessKeyKind, method: &str) -> bool {
    match method {
        "WatchRuleset" | "GetRuleset" => {
            matches!(
                kind,
                AccessKeyKind::Server | AccessKeyKind::Test | AccessKeyKind::Relay
            )
        }
        "WatchEnvironments" | "ReportKeyUses" => kind == AccessKeyKind::Relay,
        "Evaluate" | "EvaluateAll" | "WatchEvaluations" => {
            matches!(
                kind,
                AccessKeyKind::Server | AccessKeyKind::Test | AccessKeyKind::Client
            )
        }
        "Explain" => matches!(kind, AccessKeyKind::Server | AccessKeyKind::Test),
        _ => panic!("who may call {method}?"),
    }
}

/// What a test key may do beside what a server key may, as the design says.
fn sets_flags(method: &str) -> bool {
    matches!(
        method,
        "SetFlagEnabled" | "SetRollout" | "AddTargetKeys" | "RemoveTargetKeys"
    )
}

/// Credentials that are good for nothing.
pub(crate) fn strangers(world: &World) -> Vec<(String, Option<String>)> {
    let mut strangers = vec![
        ("nobody".to_owned(), None),
        ("an empty credential".to_owned(), Some(String::new())),
    ];
    for kind in Kind::ALL {
        let prefix = kind.prefix();
        // Well-formed, and of nobody.
        let unknown = generate(kind, rand::random()).expose().to_owned();
        let malformed = format!("{prefix}tooshort");
        strangers.push((format!("an unknown {prefix}…"), Some(unknown)));
        strangers.push((format!("a malformed {prefix}…"), Some(malformed)));
    }
    let ended = world.ended.iter();
    strangers.extend(ended.map(|(what, secret)| (what.clone(), Some(secret.clone()))));
    strangers
}
