//! Whatever happens in whatever order: every receiver ends with exactly what
//! was published last, and never held anything that was not published.

use std::collections::BTreeMap;
use std::time::Duration;

use burgee_proto::sync::v1::ItemKind;
use burgee_proto::types::v1::Position;
use proptest::prelude::*;

use crate::harness::{Follower, TestHub, assert_same, is_relay};
use crate::world::{TestKey, World, flag_body};

/// What may happen.
#[derive(Clone, Debug)]
enum Event {
    /// A flag is changed, and the hub hears of it.
    Set(u8, u8),
    /// A flag is removed, and the hub hears of it.
    Remove(u8),
    /// A key that nobody uses changes.
    Key(u8),
    /// Several revisions in one delta.
    Many(Vec<(u8, Option<u8>)>),
    /// A change of which no news comes by itself.
    Lost(u8),
    /// The source hands over everything, with or without its history.
    Whole(bool),
    /// A new epoch.
    Restore,
    /// A stream reads one message, if there is one.
    Read(usize),
    /// A stream is dropped, and goes on with its token.
    Reconnect(usize),
    /// Time passes, in milliseconds.
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..12_u8, any::<u8>()).prop_map(|(flag, note)| Event::Set(flag, note)),
        3 => (0..12_u8).prop_map(Event::Remove),
        1 => any::<u8>().prop_map(Event::Key),
        2 => proptest::collection::vec((0..12_u8, any::<Option<u8>>()), 1..6).prop_map(Event::Many),
        1 => (0..12_u8).prop_map(Event::Lost),
        1 => any::<bool>().prop_map(Event::Whole),
        1 => Just(Event::Restore),
        8 => (0..3_usize).prop_map(Event::Read),
        2 => (0..3_usize).prop_map(Event::Reconnect),
        3 => (0..30_u64).prop_map(Event::Pass),
    ]
}

struct Run {
    test: TestHub,
    /// Every state there ever was.
    published: BTreeMap<Position, World>,
    streams: Vec<(TestKey, Option<Follower>)>,
}

impl Run {
    async fn new() -> Self {
        let test = TestHub::new();
        let mut streams = Vec::new();
        for key in [&test.server, &test.server, &test.relay] {
            streams.push((key.clone(), Some(test.watch(key).await)));
        }
        let published = [(test.world.position, test.world.clone())].into();
        Self {
            test,
            published,
            streams,
        }
    }

    async fn happen(&mut self, event: Event) {
        let world = &mut self.test.world;
        match event {
            Event::Set(flag, note) => {
                let delta = world.set_flag(&name(flag), &format!("note {note}"));
                self.test.publish(delta);
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
            Event::Many(changes) => {
                let from = world.position;
                for (flag, note) in changes {
                    let key = name(flag);
                    let body = note.map(|note| flag_body(&key, &note.to_string()));
                    world.change([(ItemKind::Flag, key, body)]);
                    self.published.insert(world.position, world.clone());
                }
                let delta = world.since(from);
                self.test.publish(delta);
            }
            Event::Lost(flag) => {
                world.set_flag(&name(flag), "lost");
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
    }
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
