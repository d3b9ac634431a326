//! A relay believes only what fits.

use burgee_hub::credential;
use burgee_proto::sync::v1::ruleset_update::Message;
use burgee_proto::sync::v1::{Delta, Item, ItemKind, ResumeToken, RulesetUpdate, Snapshot};
use burgee_proto::types::v1::{AccessKey, AccessKeyKind, Flag, FlagType, Position};
use burgee_tests::builders::{boolean, serve, variant};
use burgee_tests::relay::TestRelay;
use burgee_tests::scripted_upstream::{ScriptedUpstream, bookmark};
use burgee_tests::watcher::{Ledger, RulesetWatcher};
use bytes::Bytes;
use prost::Message as _;

/// What a [`ScriptedUpstream`] tells the truth about: one flag, one key.
struct Truth {
    environment: String,
    sdk_key: String,
}

impl Truth {
    fn new() -> Self {
        let secret = credential::generate(credential::Kind::Server, rand::random());
        Self {
            environment: uuid::Uuid::now_v7().to_string(),
            sdk_key: secret.expose().to_owned(),
        }
    }

    fn flag(enabled: bool, revision: u64) -> Item {
        let flag = Flag {
            key: "banner".to_owned(),
            r#type: FlagType::Boolean.into(),
            variants: vec![variant("on", boolean(true)), variant("off", boolean(false))],
            enabled,
            off_variant: "off".to_owned(),
            fallthrough: Some(serve("on")),
            ..Flag::default()
        };
        item(ItemKind::Flag, "banner", revision, flag.encode_to_vec())
    }

    fn access_key(&self) -> Item {
        let hash = credential::hash(&self.sdk_key);
        let key: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let body = AccessKey {
            hash: Bytes::copy_from_slice(&hash),
            kind: AccessKeyKind::Server.into(),
            environments: vec![self.environment.clone()],
            ..AccessKey::default()
        };
        item(ItemKind::AccessKey, &key, 1, body.encode_to_vec())
    }

    /// The whole, with hashes that fit.
    fn snapshot(&self, enabled: bool, position: Position) -> RulesetUpdate {
        let items = vec![Self::flag(enabled, position.revision), self.access_key()];
        let message = Snapshot {
            items: items.clone(),
            last_chunk: true,
        };
        self.complete(Message::Snapshot(message), &items, position)
    }

    /// One change, with hashes that fit a receiver of `snapshot`.
    fn delta(&self, enabled: bool, from: Position, position: Position) -> RulesetUpdate {
        let flag = Self::flag(enabled, position.revision);
        let message = Delta {
            from: Some(from),
            upserted: vec![flag.clone()],
            ..Delta::default()
        };
        self.complete(
            Message::Delta(message),
            &[flag, self.access_key()],
            position,
        )
    }

    /// Fills in what belongs beside a message that leaves `items`.
    fn complete(&self, message: Message, items: &[Item], position: Position) -> RulesetUpdate {
        let token = ResumeToken {
            version: 1,
            environment: self.environment.clone(),
            position: Some(position),
            with_access_keys: true,
        };
        let (state_hash, access_hash) = Ledger::hashes(&self.environment, position, items);
        RulesetUpdate {
            environment: self.environment.clone(),
            position: Some(position),
            message: Some(message),
            resume_token: token.encode_to_vec().into(),
            state_hash,
            access_hash,
        }
    }
}

fn item(kind: ItemKind, key: &str, revision: u64, body: Vec<u8>) -> Item {
    Item {
        kind: kind.into(),
        key: key.to_owned(),
        revision,
        level: 1,
        body: body.into(),
    }
}

const fn at(revision: u64) -> Position {
    Position {
        epoch: 1_700_000_000_000,
        revision,
    }
}

#[tokio::test]
async fn an_upstream_that_lies_changes_nothing_that_is_served() {
    let truth = Truth::new();
    let opening = vec![truth.snapshot(true, at(5))];
    let upstream = ScriptedUpstream::start(&truth.environment, opening.clone()).await;
    // A scripted upstream takes any key; the relay wants one that is whole.
    let key = credential::generate(credential::Kind::Relay, [3; 32]);
    let relay = TestRelay::start(&upstream.url(), key.expose()).await;
    let caller = relay.caller(&truth.sdk_key);
    let watcher = RulesetWatcher::follow(&caller);
    watcher.reaches(at(5)).await;

    let mut lies = Vec::new();
    let mut lie = |what: &'static str, update: RulesetUpdate| lies.push((what, update));
    lie("an older snapshot", truth.snapshot(false, at(4)));
    lie(
        "an older epoch",
        truth.snapshot(
            false,
            Position {
                epoch: 1,
                revision: 900,
            },
        ),
    );
    lie("a delta from elsewhere", truth.delta(false, at(3), at(6)));
    lie("another environment", Truth::new().snapshot(false, at(9)));
    let mut wrong = truth.delta(false, at(5), at(6));
    wrong.state_hash = Bytes::from_static(&[7; 16]);
    lie("a delta whose hash is wrong", wrong);
    let mut wrong = truth.snapshot(false, at(6));
    wrong.access_hash = Bytes::from_static(&[7; 16]);
    lie("a snapshot whose access hash is wrong", wrong);
    lie("nothing at all", RulesetUpdate::default());
    let mut wrong = truth.complete(bookmark(), &[], at(7));
    wrong.state_hash = Bytes::from_static(&[7; 16]);
    lie("a bookmark whose hash is wrong", wrong);

    for (what, update) in lies {
        let streams = upstream.streams();
        upstream.say(update);
        upstream.stream_after(streams).await;

        let evaluation = caller.evaluate_for_alice("banner").await.unwrap();
        assert_eq!(evaluation.position, Some(at(5)), "{what}");
        assert_eq!(evaluation.variant, "on", "{what}");
        assert_eq!(watcher.position(), at(5), "{what}");
    }

    // And the truth is believed again.
    let streams = upstream.streams();
    upstream.open_with(vec![truth.snapshot(false, at(8))]);
    upstream.say(RulesetUpdate::default());
    upstream.stream_after(streams).await;
    watcher.flag("banner", |flag| !flag.enabled).await;
    assert_eq!(watcher.position(), at(8));
}
