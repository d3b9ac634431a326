//! The world outside the hub: environments as a database would hold them, and a
//! source that reads them, fails, or lags as told.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, SystemTime};

use burgee_evaluator::RulesetState;
use burgee_hub::credential::{self, Kind, Secret};
use burgee_hub::{EnvironmentDelta, EnvironmentLoad, Hub, Source, SourceError, Tombstone};
use burgee_proto::sync::v1::{Item, ItemKind};
use burgee_proto::types::v1::{AccessKey, AccessKeyKind, Flag, Position};
use prost::Message as _;

/// When everything in these tests was committed.
pub(crate) const COMMITTED_AT: SystemTime = SystemTime::UNIX_EPOCH;

/// An environment as a database holds it.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) uid: String,
    pub(crate) position: Position,
    pub(crate) floor: u64,
    items: BTreeMap<(i32, String), Arc<Item>>,
    tombstones: BTreeMap<(i32, String), u64>,
}

impl World {
    /// An environment at (1, 1) without anything.
    pub(crate) fn new(number: u8) -> Self {
        Self {
            uid: format!("00000000-0000-4000-8000-0000000000{number:02x}"),
            position: at(1, 1),
            floor: 0,
            items: BTreeMap::new(),
            tombstones: BTreeMap::new(),
        }
    }

    /// Takes the next revision for some changes; `None` removes.
    pub(crate) fn change(
        &mut self,
        changes: impl IntoIterator<Item = (ItemKind, String, Option<Vec<u8>>)>,
    ) -> EnvironmentDelta {
        let from = self.position;
        self.position.revision += 1;
        for (kind, key, body) in changes {
            let id = (kind as i32, key.clone());
            match body {
                Some(body) => {
                    self.tombstones.remove(&id);
                    let item = Item {
                        kind: kind as i32,
                        key,
                        revision: self.position.revision,
                        level: 1,
                        body: body.into(),
                    };
                    self.items.insert(id, Arc::new(item));
                }
                None => {
                    if self.items.remove(&id).is_some() {
                        self.tombstones.insert(id, self.position.revision);
                    }
                }
            }
        }
        self.since(from)
    }

    /// Everything after a position of this epoch.
    pub(crate) fn since(&self, from: Position) -> EnvironmentDelta {
        let upserted = self
            .items
            .values()
            .filter(|item| item.revision > from.revision);
        EnvironmentDelta {
            environment: self.uid.clone(),
            from,
            position: self.position,
            upserted: upserted.cloned().collect(),
            removed: self.tombstones_since(from.revision),
            committed_at: Some(COMMITTED_AT),
        }
    }

    fn tombstones_since(&self, revision: u64) -> Vec<Tombstone> {
        (self.tombstones.iter())
            .filter(|(_, removed)| **removed > revision)
            .map(|((kind, key), removed)| Tombstone {
                kind: *kind,
                key: key.clone(),
                revision: *removed,
            })
            .collect()
    }

    /// All of it.
    pub(crate) fn whole(&self) -> EnvironmentLoad {
        EnvironmentLoad {
            environment: self.uid.clone(),
            position: self.position,
            floor: self.floor,
            items: self.items.values().cloned().collect(),
            tombstones: self.tombstones_since(self.floor),
            committed_at: Some(COMMITTED_AT),
        }
    }

    /// What a receiver should hold.
    pub(crate) fn state(&self, with_access_keys: bool) -> RulesetState {
        let visible =
            |item: &&Arc<Item>| with_access_keys || item.kind != ItemKind::AccessKey as i32;
        let items: Vec<_> = self.items.values().filter(visible).cloned().collect();
        RulesetState::new(&self.uid, self.position, items)
    }

    /// Changes a flag, or makes it.
    pub(crate) fn set_flag(&mut self, key: &str, note: &str) -> EnvironmentDelta {
        self.change([(ItemKind::Flag, key.to_owned(), Some(flag_body(key, note)))])
    }

    /// Removes a flag.
    pub(crate) fn remove_flag(&mut self, key: &str) -> EnvironmentDelta {
        self.change([(ItemKind::Flag, key.to_owned(), None)])
    }

    /// Changes an access key, or makes it.
    pub(crate) fn set_key(&mut self, key: &AccessKey) -> EnvironmentDelta {
        let name = hex(&key.hash);
        self.change([(ItemKind::AccessKey, name, Some(key.encode_to_vec()))])
    }

    /// Removes an access key.
    pub(crate) fn remove_key(&mut self, key: &AccessKey) -> EnvironmentDelta {
        self.change([(ItemKind::AccessKey, hex(&key.hash), None)])
    }
}

/// A flag's body whose size and content the note decides.
pub(crate) fn flag_body(key: &str, note: &str) -> Vec<u8> {
    let flag = Flag {
        key: key.to_owned(),
        off_variant: note.to_owned(),
        ..Flag::default()
    };
    flag.encode_to_vec()
}

/// A position.
pub(crate) fn at(epoch: u64, revision: u64) -> Position {
    Position { epoch, revision }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A credential with what is stored of it.
#[derive(Clone)]
pub(crate) struct TestKey {
    pub(crate) secret: Secret,
    pub(crate) key: AccessKey,
}

impl TestKey {
    pub(crate) fn new(kind: Kind, number: u8, environments: &[&str]) -> Self {
        let access_kind = match kind {
            Kind::Server => AccessKeyKind::Server,
            Kind::Client => AccessKeyKind::Client,
            Kind::Relay => AccessKeyKind::Relay,
            _ => AccessKeyKind::Test,
        };
        let secret = credential::generate(kind, [number; 32]);
        let key = AccessKey {
            hash: secret.hash().to_vec().into(),
            kind: access_kind.into(),
            environments: environments.iter().map(ToString::to_string).collect(),
            ..AccessKey::default()
        };
        Self { secret, key }
    }

    /// The same key after it was revoked.
    pub(crate) fn revoked(&self) -> AccessKey {
        AccessKey {
            revoked: true,
            ..self.key.clone()
        }
    }

    /// The same key with another end.
    pub(crate) fn ending_in(&self, time: Duration) -> AccessKey {
        AccessKey {
            expire_time: Some((SystemTime::now() + time).into()),
            ..self.key.clone()
        }
    }
}

/// A source that does as it is told.
pub(crate) struct ScriptedSource {
    pub(crate) environments: Mutex<BTreeMap<String, World>>,
    pub(crate) keys: Mutex<HashMap<Vec<u8>, AccessKey>>,
    /// Answers nothing, and is not current.
    pub(crate) is_away: AtomicBool,
    /// Does not see what the world has.
    pub(crate) lags: AtomicBool,
    pub(crate) loads: AtomicUsize,
    pub(crate) lookups: AtomicUsize,
    pub(crate) catch_ups: AtomicUsize,
    hub: Mutex<Option<Hub>>,
}

impl ScriptedSource {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            environments: Mutex::default(),
            keys: Mutex::default(),
            is_away: AtomicBool::new(false),
            lags: AtomicBool::new(false),
            loads: AtomicUsize::new(0),
            lookups: AtomicUsize::new(0),
            catch_ups: AtomicUsize::new(0),
            hub: Mutex::default(),
        })
    }

    /// Feeds a hub.
    pub(crate) fn feed(self: &Arc<Self>, hub: &Hub) {
        *self.hub.lock().unwrap() = Some(hub.clone());
        hub.attach(Arc::new(Feed(Arc::downgrade(self))));
    }

    /// The world is so now; the hub is not told.
    pub(crate) fn hold(&self, world: &World) {
        let mut environments = self.environments.lock().unwrap();
        environments.insert(world.uid.clone(), world.clone());
    }

    fn check(&self) -> Result<(), SourceError> {
        if self.is_away.load(Ordering::SeqCst) {
            Err(SourceError::Unavailable("the test says so".to_owned()))
        } else {
            Ok(())
        }
    }

    fn read(&self, environment: &str) -> Option<World> {
        self.environments.lock().unwrap().get(environment).cloned()
    }
}

/// The hub holds its source, and the source the hub: one of both weakly.
struct Feed(Weak<ScriptedSource>);

impl Feed {
    fn script(&self) -> Result<Arc<ScriptedSource>, SourceError> {
        let gone = || SourceError::Unavailable("the test is over".to_owned());
        let script = self.0.upgrade().ok_or_else(gone)?;
        script.check()?;
        Ok(script)
    }
}

#[tonic::async_trait]
impl Source for Feed {
    async fn load(&self, environment: &str) -> Result<Option<EnvironmentLoad>, SourceError> {
        let script = self.script()?;
        script.loads.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Ok(script.read(environment).map(|world| world.whole()))
    }

    async fn catch_up(&self, environment: &str) -> Result<(), SourceError> {
        let script = self.script()?;
        script.catch_ups.fetch_add(1, Ordering::SeqCst);
        let hub = script.hub.lock().unwrap().clone();
        let (Some(hub), Some(world)) = (hub, script.read(environment)) else {
            return Ok(());
        };
        if let Some(held) = hub.position(environment)
            && !script.lags.load(Ordering::SeqCst)
        {
            if held.epoch == world.position.epoch && held.revision >= world.floor {
                hub.publish(world.since(held));
            } else {
                hub.publish_whole(world.whole());
            }
        }
        Ok(())
    }

    async fn access_key(&self, hash: &[u8; 32]) -> Result<Option<AccessKey>, SourceError> {
        let script = self.script()?;
        script.lookups.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Ok(script.keys.lock().unwrap().get(&hash[..]).cloned())
    }

    fn is_current(&self) -> bool {
        self.script().is_ok()
    }
}
