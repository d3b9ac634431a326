//! What environments ship of an API key, so that every hop can check it by
//! itself. A revoked key goes on being shipped: its absence would look the same
//! as a key that a hop has not heard of yet.

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

/// Ships a key in the environments that it opens, and in no other any more.
pub(super) fn ship(change: &mut Change, entry: &KeyEntry) -> Result<(), Error> {
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
