//! Nobody gains by a key: whoever makes one, or makes one open more, may do themselves what it may.

use std::collections::BTreeMap;

use burgee_proto::types::v1::AccessKeyKind;
use uuid::Uuid;

use crate::access::{Authorized, Grants, Permission};
use crate::error::Error;
use crate::names::EnvironmentName;

/// Refuses a key of this kind for these environments to whoever may not do in each what it may:
/// see flags and segments with server, relay and test keys, and set flags with test keys. What a
/// client key shows is public.
///
/// # Errors
/// [`Error::PermissionDenied`].
pub(super) fn demand(
    authorized: &Authorized,
    kind: AccessKeyKind,
    opens: &BTreeMap<Uuid, String>,
) -> Result<(), Error> {
    for name in opens.values() {
        let name = EnvironmentName::parse("environments", name)?;
        let mut given = match kind {
            AccessKeyKind::Test => Grants::of_test_key(&name.project, &name.environment),
            AccessKeyKind::Server | AccessKeyKind::Relay => Grants::default(),
            AccessKeyKind::Client | AccessKeyKind::Unspecified => continue,
        };
        let read = [Permission::FlagRead, Permission::SegmentRead];
        given.add(name.place(), read.into_iter().collect());
        authorized.demand_cover(&given)?;
    }
    Ok(())
}
