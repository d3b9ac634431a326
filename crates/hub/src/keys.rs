//! Which keys open which environments. An environment's own access key items
//! decide who may open it; what no loaded environment vouches for is looked up
//! at the source.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use burgee_evaluator::{Item, LEVEL, RulesetState};
use burgee_proto::sync::v1::ItemKind;
use burgee_proto::types::v1::{AccessKey, AccessKeyKind};
use prost::Message as _;
use tokio::sync::watch;

use crate::credential::HASH_BYTES;
use crate::uses::{KeyUse, LastUse, Unvouched};

/// The SHA-256 of a credential.
pub(crate) type KeyHash = [u8; HASH_BYTES];

/// What one access key item (or a look-up) says.
#[derive(Debug)]
pub(crate) struct Grant {
    kind: AccessKeyKind,
    environments: Vec<Arc<str>>,
    expires_at: Option<SystemTime>,
    revoked: bool,
    allowed_origins: Vec<String>,
}

/// A key, as everybody who knows it describes it. While a change of the key is
/// on its way through its environments they may differ for a moment.
#[derive(Debug)]
pub(crate) struct Key {
    /// By the loaded environment that vouches for it; none: by a look-up.
    grants: Vec<(Option<Arc<str>>, Arc<Grant>)>,
    /// The one environment that it opens, if it is one.
    sole: Option<Arc<str>>,
    /// When it was last used: the same however it is described anew.
    last_use: Arc<LastUse>,
}

/// What a key is to an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It opens it.
    Open,
    /// It is revoked or has expired.
    Ended,
    /// It is a key, but not of this environment.
    Elsewhere,
}

/// The keys that loaded environments vouch for.
pub(crate) struct Keys {
    vouched: ArcSwap<HashMap<KeyHash, Arc<Key>>>,
    unvouched: Unvouched,
    writer: Mutex<()>,
    changes: watch::Sender<()>,
}

impl From<AccessKey> for Grant {
    fn from(key: AccessKey) -> Self {
        let kind = key.kind();
        Self {
            kind,
            environments: key.environments.into_iter().map(Arc::from).collect(),
            // A time that cannot be is long past.
            expires_at: key
                .expire_time
                .map(|time| SystemTime::try_from(time).unwrap_or(SystemTime::UNIX_EPOCH)),
            revoked: key.revoked,
            allowed_origins: key.allowed_origins,
        }
    }
}

impl Grant {
    fn has_expired(&self, now: SystemTime) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    fn lists(&self, environment: &str) -> bool {
        self.environments
            .iter()
            .any(|listed| **listed == *environment)
    }
}

impl Key {
    /// A key that was looked up.
    pub(crate) fn looked_up(grant: Arc<Grant>) -> Self {
        Self::new(vec![(None, grant)], Arc::default())
    }

    fn new(grants: Vec<(Option<Arc<str>>, Arc<Grant>)>, last_use: Arc<LastUse>) -> Self {
        let mut key = Self {
            grants,
            sole: None,
            last_use,
        };
        let environments = key.environments();
        if environments.len() == 1 {
            key.sole = environments.into_iter().next();
        }
        key
    }

    /// What the key may do. Immutable once the key was made.
    pub(crate) fn kind(&self) -> AccessKeyKind {
        self.grants
            .first()
            .map_or(AccessKeyKind::Unspecified, |(_, grant)| grant.kind)
    }

    /// The one environment that it opens, if it is one.
    pub(crate) fn sole_environment(&self) -> Option<&Arc<str>> {
        self.sole.as_ref()
    }

    /// Every environment that it is said to open.
    pub(crate) fn environments(&self) -> BTreeSet<Arc<str>> {
        let listed = (self.grants.iter()).flat_map(|(_, grant)| &grant.environments);
        listed.cloned().collect()
    }

    /// Whether it is revoked, or has expired by everybody's account.
    pub(crate) fn has_ended(&self, now: SystemTime) -> bool {
        self.grants.iter().any(|(_, grant)| grant.revoked)
            || self.grants.iter().all(|(_, grant)| grant.has_expired(now))
    }

    /// What it is to an environment. One that is loaded speaks for itself; of
    /// another, the rest is believed.
    pub(crate) fn standing(&self, environment: &str, loaded: bool, now: SystemTime) -> Standing {
        if self.has_ended(now) {
            return Standing::Ended;
        }
        let own = self.grants.iter().find(|(voucher, _)| {
            voucher
                .as_deref()
                .is_some_and(|voucher| voucher == environment)
        });
        if let Some((_, own)) = own {
            return if own.has_expired(now) {
                Standing::Ended
            } else if own.lists(environment) {
                Standing::Open
            } else {
                Standing::Elsewhere
            };
        }
        let opens = self.grants.iter().any(|(voucher, grant)| {
            let counts = !loaded || voucher.is_none();
            counts && !grant.has_expired(now) && grant.lists(environment)
        });
        if opens {
            Standing::Open
        } else {
            Standing::Elsewhere
        }
    }

    /// Whether it may be used from a web page of this origin.
    pub(crate) fn allows_origin(&self, origin: &str) -> bool {
        self.grants.iter().any(|(_, grant)| {
            let allowed = &grant.allowed_origins;
            allowed.is_empty() || allowed.iter().any(|allowed| allowed == origin)
        })
    }

    /// When it was last used, where a loaded environment vouches for it.
    pub(crate) fn last_use(&self) -> &LastUse {
        &self.last_use
    }

    /// A loaded environment that vouches for it, if one does.
    fn voucher(&self) -> Option<&Arc<str>> {
        self.grants.iter().find_map(|(voucher, _)| voucher.as_ref())
    }

    /// Whether a loaded environment vouches for it itself.
    pub(crate) fn is_vouched_by(&self, environment: &str) -> bool {
        self.grants.iter().any(|(voucher, _)| {
            voucher
                .as_deref()
                .is_some_and(|voucher| voucher == environment)
        })
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            vouched: ArcSwap::default(),
            unvouched: Unvouched::default(),
            writer: Mutex::default(),
            changes: watch::Sender::new(()),
        }
    }
}

impl Keys {
    /// A key that loaded environments vouch for.
    pub(crate) fn get(&self, hash: &KeyHash) -> Option<Arc<Key>> {
        self.vouched.load().get(hash).cloned()
    }

    /// A key that is good was used.
    pub(crate) fn note_use(&self, hash: &KeyHash, key: &Key, now: SystemTime) {
        match key.voucher() {
            Some(_) => key.last_use.note(now),
            None => self.unvouched.note(*hash, now),
        }
    }

    /// Which keys were used since the last time that this was asked.
    pub(crate) fn take_uses(&self) -> Vec<KeyUse> {
        let mut uses = self.unvouched.take();
        let vouched = self.vouched.load();
        uses.extend(vouched.iter().filter_map(|(hash, key)| {
            Some(KeyUse {
                hash: *hash,
                last_used_at: key.last_use.take()?,
                environment: key.voucher().cloned(),
            })
        }));
        uses
    }

    /// Takes uses back that could not be written down, or passed on.
    pub(crate) fn put_back(&self, uses: Vec<KeyUse>) {
        for told in uses {
            match self.get(&told.hash) {
                Some(key) => key.last_use.note(told.last_used_at),
                None => self.unvouched.note(told.hash, told.last_used_at),
            }
        }
    }

    /// Told of each change of any key.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// An environment was loaded, has changed, or was let go.
    pub(crate) fn update(
        &self,
        environment: &Arc<str>,
        before: Option<&RulesetState>,
        after: Option<&RulesetState>,
    ) {
        let changes = changed_keys(before, after);
        if changes.is_empty() {
            return;
        }
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut vouched = HashMap::clone(&self.vouched.load());
        for (hash, grant) in changes {
            let known = vouched.remove(&hash);
            let (mut grants, last_use) = known.map_or_else(Default::default, |key| {
                (key.grants.clone(), key.last_use.clone())
            });
            grants.retain(|(voucher, _)| voucher.as_ref() != Some(environment));
            if let Some(grant) = grant {
                grants.push((Some(environment.clone()), Arc::new(grant)));
            }
            if !grants.is_empty() {
                vouched.insert(hash, Arc::new(Key::new(grants, last_use)));
            } else if let Some(used_at) = last_use.take() {
                self.unvouched.note(hash, used_at);
            }
        }
        self.vouched.store(Arc::new(vouched));
        self.changes.send_replace(());
    }
}

/// Keys whose item is not the same in both states, with what the later says.
fn changed_keys(
    before: Option<&RulesetState>,
    after: Option<&RulesetState>,
) -> Vec<(KeyHash, Option<Grant>)> {
    let kind = ItemKind::AccessKey;
    let same = |state: Option<&RulesetState>, item: &Arc<Item>| {
        let other = state.and_then(|state| state.get(item.kind, &item.key));
        other.is_some_and(|other| Arc::ptr_eq(other, item))
    };
    let mut changes = Vec::new();
    for item in after.iter().flat_map(|state| state.items_of(kind)) {
        if !same(before, item) {
            changes.extend(key_hash(&item.key).map(|hash| (hash, grant(item, &hash))));
        }
    }
    for item in before.iter().flat_map(|state| state.items_of(kind)) {
        let is_gone = after.is_none_or(|after| after.get(item.kind, &item.key).is_none());
        if is_gone {
            changes.extend(key_hash(&item.key).map(|hash| (hash, None)));
        }
    }
    changes
}

/// What an item says. One that is not understood opens nothing: no grant.
fn grant(item: &Item, hash: &KeyHash) -> Option<Grant> {
    if item.level > LEVEL {
        return None;
    }
    let key = AccessKey::decode(item.body.clone()).ok()?;
    (*key.hash == hash[..]).then(|| key.into())
}

/// The item's key is lower-case hex.
fn key_hash(hex: &str) -> Option<KeyHash> {
    let mut hash = KeyHash::default();
    let digits = hex.as_bytes();
    if digits.len() != 2 * HASH_BYTES {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use burgee_proto::types::v1::Position;

    use super::*;

    const HASH: KeyHash = [7; HASH_BYTES];

    fn state(environment: &str, key: Option<AccessKey>) -> RulesetState {
        let position = Position {
            epoch: 1,
            revision: 1,
        };
        let items = key.map(|key| {
            Arc::new(Item {
                kind: ItemKind::AccessKey as i32,
                key: key.hash.iter().map(|byte| format!("{byte:02x}")).collect(),
                revision: 1,
                level: 1,
                body: key.encode_to_vec().into(),
            })
        });
        RulesetState::new(environment, position, items)
    }

    fn key(environments: &[&str]) -> AccessKey {
        AccessKey {
            hash: HASH.to_vec().into(),
            kind: AccessKeyKind::Relay.into(),
            environments: environments.iter().map(ToString::to_string).collect(),
            ..AccessKey::default()
        }
    }

    fn standing(keys: &Keys, environment: &str, loaded: bool) -> Option<Standing> {
        let key = keys.get(&HASH)?;
        Some(key.standing(environment, loaded, SystemTime::now()))
    }

    #[test]
    fn a_loaded_environment_decides_itself_who_opens_it() {
        let (keys, a, b) = (Keys::default(), Arc::from("a"), Arc::from("b"));
        keys.update(&a, None, Some(&state("a", Some(key(&["a", "b"])))));
        assert_eq!(standing(&keys, "a", true), Some(Standing::Open));
        assert_eq!(standing(&keys, "b", false), Some(Standing::Open));
        // b is loaded, and does not know the key (any more).
        assert_eq!(standing(&keys, "b", true), Some(Standing::Elsewhere));
        let b_state = state("b", Some(key(&["a", "b"])));
        keys.update(&b, None, Some(&b_state));
        assert_eq!(standing(&keys, "b", true), Some(Standing::Open));
        keys.update(&b, Some(&b_state), None);
        assert_eq!(standing(&keys, "b", true), Some(Standing::Elsewhere));
    }

    #[test]
    fn one_environment_that_says_revoked_is_enough() {
        let (keys, a, b) = (Keys::default(), Arc::from("a"), Arc::from("b"));
        keys.update(&a, None, Some(&state("a", Some(key(&["a", "b"])))));
        let revoked = AccessKey {
            revoked: true,
            ..key(&["a", "b"])
        };
        keys.update(&b, None, Some(&state("b", Some(revoked))));
        assert_eq!(standing(&keys, "a", true), Some(Standing::Ended));
    }

    #[test]
    fn a_key_ends_at_its_expiry() {
        let (keys, a) = (Keys::default(), Arc::from("a"));
        let now = SystemTime::now();
        let expiring = AccessKey {
            expire_time: Some((now + Duration::from_secs(60)).into()),
            ..key(&["a"])
        };
        keys.update(&a, None, Some(&state("a", Some(expiring))));
        let known = keys.get(&HASH).unwrap();
        let at = |seconds| known.standing("a", true, now + Duration::from_secs(seconds));
        assert_eq!(at(59), Standing::Open);
        assert_eq!(at(61), Standing::Ended);
    }

    #[test]
    fn an_item_that_is_not_what_its_key_says_opens_nothing() {
        let mut forged = key(&["a"]);
        let honest = state("a", Some(forged.clone()));
        forged.hash = vec![8; HASH_BYTES].into();
        let item = honest.items().next().unwrap();
        let item = Arc::new(Item {
            body: forged.encode_to_vec().into(),
            ..(**item).clone()
        });
        let forged = RulesetState::new("a", honest.position(), [item]);
        let keys = Keys::default();
        keys.update(&Arc::from("a"), None, Some(&forged));
        assert_eq!(standing(&keys, "a", true), None);
    }
}
