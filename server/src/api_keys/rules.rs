//! What an API key must keep to.

use burgee_hub::credential::Kind;
use burgee_proto::admin::v1::ApiKey;
use burgee_proto::types::v1::AccessKeyKind;
use burgee_runtime::browsers::is_origin;
use sqlx::types::time::OffsetDateTime;

use crate::error::Error;
use crate::stored::time_of;
use crate::texts::Violations;

/// The most environments that one relay key opens.
pub(super) const ENVIRONMENTS_MAX: usize = 1_000;
/// The most patterns of one relay key.
const PATTERNS_MAX: usize = 100;
/// The most origins of a client key.
const ORIGINS_MAX: usize = 64;
/// The longest origin, in bytes: a scheme, the longest host name, a port.
const ORIGIN_MAX: usize = 270;

/// The form of credential that a kind of key has.
///
/// # Errors
/// [`Error::Invalid`] for a kind that cannot be made.
pub fn credential_kind(kind: AccessKeyKind) -> Result<Kind, Error> {
    match kind {
        AccessKeyKind::Server => Ok(Kind::Server),
        AccessKeyKind::Client => Ok(Kind::Client),
        AccessKeyKind::Relay => Ok(Kind::Relay),
        AccessKeyKind::Test => Ok(Kind::Test),
        AccessKeyKind::Unspecified => Err(Error::invalid(
            "api_key.kind",
            "give one of ACCESS_KEY_KIND_SERVER, _CLIENT, _RELAY and _TEST",
        )),
    }
}

/// Checks what a key says of itself, in fields below `api_key`.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check(key: &ApiKey) -> Result<(), Error> {
    let mut violations = Violations::default();
    violations.display_name("api_key.display_name", &key.display_name);
    let count = key.environments.len();
    let patterns = key.environment_patterns.len();
    violations.require(
        patterns == 0 || key.kind() == AccessKeyKind::Relay,
        "api_key.environment_patterns",
        "only relay keys have patterns",
    );
    violations.require(
        patterns <= PATTERNS_MAX,
        "api_key.environment_patterns",
        format!("at most {PATTERNS_MAX} patterns"),
    );
    match key.kind() {
        // What it opens is worked out.
        AccessKeyKind::Relay if patterns > 0 => {}
        AccessKeyKind::Relay => violations.require(
            (1..=ENVIRONMENTS_MAX).contains(&count),
            "api_key.environments",
            format!("a relay key opens 1 to {ENVIRONMENTS_MAX} environments, or those of patterns"),
        ),
        _ => violations.require(
            count == 1,
            "api_key.environments",
            "a key of this kind opens exactly one environment",
        ),
    }
    violations.require(
        key.allowed_origins.is_empty() || key.kind() == AccessKeyKind::Client,
        "api_key.allowed_origins",
        "only client keys have origins",
    );
    violations.require(
        key.allowed_origins.len() <= ORIGINS_MAX,
        "api_key.allowed_origins",
        format!("at most {ORIGINS_MAX} origins"),
    );
    for (at, origin) in key.allowed_origins.iter().enumerate().take(ORIGINS_MAX) {
        violations.require(
            origin.len() <= ORIGIN_MAX && is_origin(origin),
            format!("api_key.allowed_origins[{at}]"),
            "give an origin as browsers send it, such as https://shop.example or http://localhost:3000",
        );
    }
    violations.finish()
}

/// Checks the end that a caller gives.
///
/// # Errors
/// [`Error::Invalid`] for one that is past or no time at all.
pub fn check_end(key: &ApiKey, now: OffsetDateTime) -> Result<(), Error> {
    const FIELD: &str = "api_key.expire_time";
    match &key.expire_time {
        Some(end) if time_of(FIELD, end)? <= now => Err(Error::invalid(
            FIELD,
            "give a time to come; revoke the key to end it now",
        )),
        _ => Ok(()),
    }
}

/// Whether the environments of a key can be others.
///
/// # Errors
/// [`Error::Invalid`] for any but a relay key: whoever holds an SDK key would
/// be given another environment's flags.
pub fn check_other_environments(key: &ApiKey) -> Result<(), Error> {
    if key.kind() == AccessKeyKind::Relay {
        return Ok(());
    }
    let description = "only a relay key can open other environments; make a new key";
    Err(Error::invalid("api_key.environments", description))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_key_opens_exactly_one_environment() {
        let mut key = ApiKey {
            kind: AccessKeyKind::Server.into(),
            ..ApiKey::default()
        };
        assert!(check(&key).is_err());
        key.environments = vec!["a".to_owned()];
        assert!(check(&key).is_ok());
        key.environments.push("b".to_owned());
        assert!(check(&key).is_err());
        key.kind = AccessKeyKind::Relay.into();
        assert!(check(&key).is_ok());
        key.allowed_origins = vec!["https://shop.example".to_owned()];
        assert!(check(&key).is_err());
    }
}
