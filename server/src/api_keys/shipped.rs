//! What environments ship of an API key, so that every hop can check it by
//! itself. A revoked key goes on being shipped, for a month: its absence would
//! look the same as a key that a hop has not heard of yet.
//!
//! What is shipped names every environment that the key opens, although each
//! vouches for itself alone. A hop that has one of them loaded answers
//! `WatchEnvironments` for all without asking its source, and whoever stands in
//! for a wider hop tells of those that it does not hold: one that it left out
//! would be dropped below. So a key that comes to open one environment more is
//! shipped anew in all.

use burgee_proto::admin::v1::ApiKey;
use burgee_proto::types::v1::AccessKey;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use prost::Message as _;
use uuid::Uuid;

use super::KeyEntry;
use crate::change::Change;
use crate::error::Error;

/// A key as hops are told of it.
#[must_use]
pub fn access_key<'a>(
    key: &ApiKey,
    hash: &[u8; 32],
    environments: impl Iterator<Item = &'a Uuid>,
) -> AccessKey {
    AccessKey {
        hash: Bytes::copy_from_slice(hash),
        kind: key.kind,
        environments: environments.map(Uuid::to_string).collect(),
        expire_time: key.expire_time,
        revoked: key.revoke_time.is_some(),
        allowed_origins: key.allowed_origins.clone(),
    }
}

/// Ships a key in the environments that it opens, and in no other any more. One
/// that was withdrawn stays away.
pub(super) fn ship(change: &mut Change, entry: &KeyEntry) -> Result<(), Error> {
    if entry.withdrawn {
        return Ok(());
    }
    let key = entry.key.after.as_ref();
    let key = key.ok_or_else(|| Error::internal("a key without content"))?;
    let body = access_key(key, &entry.hash, entry.opens.keys()).encode_to_vec();
    let item = HEXLOWER.encode(&entry.hash);
    for environment in entry.environments() {
        let opens = entry.opens.contains_key(&environment);
        change.ship_access_key(environment, &item, opens.then(|| body.clone()));
    }
    Ok(())
}

/// Ships a key no more.
pub(super) fn withdraw(change: &mut Change, entry: &KeyEntry) {
    let item = HEXLOWER.encode(&entry.hash);
    for environment in entry.opens.keys() {
        change.ship_access_key(*environment, &item, None);
    }
}
