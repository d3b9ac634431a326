//! Whatever happens in whatever order: every receiver ends with exactly what
//! was published last, and never held anything that was not published. Every
//! viewer holds exactly the results that a ruleset compiled from nothing gives.

use std::collections::BTreeMap;
use std::time::Duration;

use burgee_evaluator::{Context, Evaluated, Ruleset};
use burgee_proto::sync::v1::ItemKind;
use burgee_proto::types::v1::{ErrorCode, Evaluation, Flag, Position, ValueType};
use proptest::prelude::*;

use crate::flags::{but_not_in, flag, flag_item, needing, part_item, segment_item};
use crate::harness::{Follower, TestHub, assert_same, is_relay};
use crate::viewer::{Viewer, Watch};
use crate::world::{TestKey, World};

/// What may happen.
#[derive(Clone, Debug)]
enum Event {
    /// A flag is changed, and the hub hears of it.
    Set(u8, u8),
    /// A flag is removed, and the hub hears of it.
    Remove(u8),
    /// A key that nobody uses changes.
    Key(u8),
    /// A segment that flags ask for gets a key, or loses it.
    Part(bool),
    /// Several revisions in one delta.
    Many(Vec<(u8, Option<u8>)>),
    /// A change of which no news comes by itself.
    Lost(u8, u8),
    /// The source hands over everything, with or without its history.
    Whole(bool),
    /// A new epoch.
    Restore,
    /// A stream reads one message, if there is one.
    Read(usize),
    /// A stream is dropped, and goes on with its token.
    Reconnect(usize),
    /// A viewer reads one message, if there is one.
    View(usize),
    /// A viewer leaves, and comes back with its token.
    ComeBack(usize),
    /// Time passes, in milliseconds.
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..12_u8, any::<u8>()).prop_map(|(flag, note)| Event::Set(flag, note)),
        3 => (0..12_u8).prop_map(Event::Remove),
        1 => any::<u8>().prop_map(Event::Key),
        2 => any::<bool>().prop_map(Event::Part),
        2 => proptest::collection::vec((0..12_u8, any::<Option<u8>>()), 1..6).prop_map(Event::Many),
        1 => (0..12_u8, any::<u8>()).prop_map(|(flag, note)| Event::Lost(flag, note)),
        1 => any::<bool>().prop_map(Event::Whole),
        1 => Just(Event::Restore),
        8 => (0..3_usize).prop_map(Event::Read),
        8 => (0..3_usize).prop_map(Event::View),
        2 => (0..3_usize).prop_map(Event::Reconnect),
        2 => (0..3_usize).prop_map(Event::ComeBack),
        3 => (0..30_u64).prop_map(Event::Pass),
    ]
}

struct Run {
    test: TestHub,
    /// Every state there ever was.
    published: BTreeMap<Position, World>,
    streams: Vec<(TestKey, Option<Follower>)>,
    watches: Vec<Watch>,
}

impl Run {
    async fn new() -> Self {
        let mut test = TestHub::new();
        test.ship([segment_item(SEGMENT), part_item(SEGMENT, &["bob"])]);
        let mut streams = Vec::new();
        for key in [&test.server, &test.server, &test.relay] {
            streams.push((key.clone(), Some(test.watch(key).await)));
        }
        let viewers = [
            Viewer::new(&test.server),
            Viewer::new(&test.client),
            Viewer::new(&test.client).naming(&["flag-01", "flag-05", "flag-11", "never"]),
        ];
        let mut watches = Vec::new();
        for viewer in viewers {
            watches.push(test.watch_as(viewer).await);
        }
        let published = [(test.world.position, test.world.clone())].into();
        Self {
            test,
            published,
            streams,
            watches,
        }
    }

    async fn happen(&mut self, event: Event) {
        let world = &mut self.test.world;
        match event {
            Event::Set(flag, note) => {
                self.test.ship_flag(&any_flag(flag, note));
            }
            Event::Remove(flag) => {
                let delta = world.remove_flag(&name(flag));
                self.test.publish(delta);
            }
            Event::Key(number) => {
                let other = TestKey::new(burgee_hub::credential::Kind::Server, 100, &["e"]);
                let mut key = other.key;
                key.allowed_origins = vec![number.to_string()];
                let delta = world.set_key(&key);
                self.test.publish(delta);
            }
            Event::Part(with_alice) => {
                let keys = if with_alice { ["alice"] } else { ["bob"] };
                self.test.ship([part_item(SEGMENT, &keys)]);
            }
            Event::Many(changes) => {
                let from = world.position;
                for (flag, note) in changes {
                    let gone = (ItemKind::Flag, name(flag), None);
                    let item = note.map(|note| flag_item(&any_flag(flag, note)));
                    world.change([item.unwrap_or(gone)]);
                    self.published.insert(world.position, world.clone());
                }
                let delta = world.since(from);
                self.test.publish(delta);
            }
            Event::Lost(flag, note) => {
                world.change([flag_item(&any_flag(flag, note))]);
            }
            Event::Whole(with_history) => {
                let mut load = world.whole();
                if !with_history {
                    load.floor = load.position.revision;
                    load.tombstones.clear();
                }
                self.test.hub.publish_whole(load);
            }
            Event::Restore => {
                world.position.epoch += 1;
                world.floor = world.position.revision;
                self.test.hub.publish_whole(self.test.world.whole());
            }
            Event::Read(index) => {
                self.read(index).await;
            }
            Event::Reconnect(index) => {
                let (key, stream) = &mut self.streams[index];
                let follower = stream.take().unwrap();
                *stream = Some(self.test.go_on(key, follower).await);
            }
            Event::View(index) => {
                self.view(index).await;
            }
            Event::ComeBack(index) => {
                let viewer = self.watches[index].viewer.clone();
                self.watches[index] = self.test.resume_as(viewer).await.unwrap();
            }
            Event::Pass(milliseconds) => {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            }
        }
        let world = &self.test.world;
        self.test.source.hold(world);
        self.published.insert(world.position, world.clone());
    }

    /// Reads a message, and compares what is held then.
    async fn read(&mut self, index: usize) {
        let (key, stream) = &mut self.streams[index];
        let stream = stream.as_mut().unwrap();
        let _ = tokio::time::timeout(Duration::from_millis(1), stream.next()).await;
        if let Some(state) = stream.state() {
            let published = self.published.get(&state.position());
            let wanted = published.expect("never published").state(is_relay(key));
            assert_same(state, &wanted);
        }
    }

    /// A viewer reads a message, and what it holds then is compared.
    async fn view(&mut self, index: usize) {
        let watch = &mut self.watches[index];
        let _ = tokio::time::timeout(Duration::from_millis(1), watch.next()).await;
        let published = self.published.get(&watch.viewer.position);
        let wanted = evaluated(published.expect("never published"), &watch.viewer);
        assert_eq!(watch.viewer.held, wanted);
    }

    /// In the end everybody holds what was published last.
    async fn settle(&mut self) {
        let world = &self.test.world;
        self.test.source.hold(world);
        self.test.hub.publish_whole(world.whole());
        for (key, stream) in &mut self.streams {
            let stream = stream.as_mut().unwrap();
            stream.until(world.position).await;
            assert_same(stream.state().unwrap(), &world.state(is_relay(key)));
        }
        for watch in &mut self.watches {
            while watch.viewer.position < world.position {
                watch.next().await;
            }
            assert_eq!(watch.viewer.held, evaluated(world, &watch.viewer));
            watch.viewer.assert_current(&self.test).await;
        }
    }
}

/// What a viewer should hold, without anything that the hub derives.
fn evaluated(world: &World, viewer: &Viewer) -> BTreeMap<String, Evaluation> {
    let ruleset = Ruleset::compile(&world.state(false));
    let is_client = viewer.key.secret.expose().starts_with("burgee_pub_");
    let sees = |key: &str| !is_client || ruleset.is_client_visible(key) == Some(true);
    let context = Context::new(&viewer.context).unwrap();
    let result = |key: &str| {
        let evaluated = if sees(key) {
            ruleset.evaluate(key, &context, ValueType::Unspecified)
        } else {
            Evaluated::error(key, ErrorCode::FlagNotFound)
        };
        let mut result = evaluated.to_message(Position::default());
        result.position = None;
        if is_client {
            result.rule_id.clear();
            result.metadata = None;
        }
        (key.to_owned(), result)
    };
    if viewer.flag_keys.is_empty() {
        ruleset
            .flag_keys()
            .filter(|key| sees(key))
            .map(result)
            .collect()
    } else {
        viewer.flag_keys.iter().map(|key| result(key)).collect()
    }
}

/// A segment that flags ask for.
const SEGMENT: &str = "staff";

/// A flag whose content the note decides: it may be visible, off, ask for the
/// segment, or need another flag, perhaps itself.
fn any_flag(number: u8, note: u8) -> Flag {
    let mut any = flag(&name(number), note & 1 == 0);
    any.enabled = note & 6 != 0;
    if note & 8 == 0 {
        any = but_not_in(SEGMENT, "rule", any);
    }
    let other = note >> 4;
    if other < 12 {
        any = needing(&name(other), any);
    }
    any
}

fn name(flag: u8) -> String {
    format!("flag-{flag:02}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_receiver_holds_what_was_published(
        events in proptest::collection::vec(event(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut run = Run::new().await;
            for event in events {
                run.happen(event).await;
            }
            run.settle().await;
        });
    }
}
