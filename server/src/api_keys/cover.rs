//! Nobody gains by a key: whoever makes one, or makes one open more, may do themselves what it may.

use std::collections::BTreeMap;

use burgee_proto::admin::v1::ApiKey;
use burgee_proto::types::v1::AccessKeyKind;
use uuid::Uuid;

use super::patterns;
use crate::access::{Authorized, Grants, Permission};
use crate::error::Error;
use crate::names::EnvironmentName;

/// Refuses a key for these environments, and for those that its patterns may ever cover, to
/// whoever may not do in each what it may: see flags and segments with server, relay and test
/// keys, and set flags with test keys. What a client key shows is public.
///
/// # Errors
/// [`Error::PermissionDenied`]; [`Error::Invalid`] for a malformed pattern.
pub(super) fn demand(
    authorized: &Authorized,
    key: &ApiKey,
    opens: &BTreeMap<Uuid, String>,
) -> Result<(), Error> {
    if matches!(
        key.kind(),
        AccessKeyKind::Client | AccessKeyKind::Unspecified
    ) {
        return Ok(());
    }
    let read = || [Permission::FlagRead, Permission::SegmentRead];
    let mut given = Grants::default();
    for name in opens.values() {
        let name = EnvironmentName::parse("environments", name)?;
        if key.kind() == AccessKeyKind::Test {
            let sets = Grants::of_test_key(&name.project, &name.environment);
            given.add(name.place(), sets.at(name.place()));
        }
        given.add(name.place(), read().into_iter().collect());
    }
    for pattern in patterns::parse(key)? {
        given.add(pattern.place(), read().into_iter().collect());
    }
    authorized.demand_cover(&given)
}
