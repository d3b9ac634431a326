//! Evaluations that are followed: the results of one context, whole and then as
//! they change.

use std::sync::atomic::Ordering;
use std::time::Duration;

use burgee_hub::HubConfig;
use burgee_proto::evaluation::v1::{EvaluationsResumeToken, WatchEvaluationsRequest};
use burgee_proto::sync::v1::GoodbyeReason;
use burgee_proto::types::v1::{AccessKey, ErrorCode, Flag, Position, Reason};
use bytes::Bytes;
use prost::Message as _;
use prost_types::value::Kind;
use tokio::time::{Instant, advance};
use tonic::{Code, Status};

use crate::flags::{
    but_not_in, flag, flag_item, needing, off, owned_by, part_item, segment_item, somebody, valued,
};
use crate::harness::{TestHub, reason, with_key};
use crate::viewer::{Viewer, name};
use crate::world::at;

/// A hub with flags that depend on each other.
fn shop() -> TestHub {
    let mut test = TestHub::new();
    let flags = [
        flag("base", true),
        needing("base", flag("child", true)),
        needing("child", flag("grandchild", true)),
        but_not_in("staff", "not-staff", flag("segmented", true)),
        needing("segmented", flag("after-segmented", true)),
        flag("hidden", false),
        flag("other", true),
    ];
    let items: Vec<_> = flags.iter().map(flag_item).collect();
    test.ship(items);
    test.ship([segment_item("staff"), part_item("staff", &["bob"])]);
    test
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[tokio::test(start_paused = true)]
async fn all_results_come_first_and_then_those_that_change() {
    let mut test = shop();
    let mut watch = test.watch_all(&test.server).await;
    assert_eq!(watch.viewer.position, test.world.position);
    assert_eq!(watch.viewer.held.len(), 27);
    advance(Duration::from_secs(1)).await;
    let start = Instant::now();
    test.ship_flag(&off(flag("base", true)));
    let (updated, removed) = watch.delta().await;
    assert_eq!(updated, ["base", "child", "grandchild"]);
    assert_eq!(removed, nothing());
    // The first change goes at once, those of the next moment together.
    assert_eq!(start.elapsed(), Duration::ZERO);
    for change in [off(flag("other", true)), flag("base", true)] {
        test.ship_flag(&change);
        advance(Duration::from_millis(2)).await;
    }
    let (updated, _) = watch.delta().await;
    assert_eq!(updated, ["base", "child", "grandchild", "other"]);
    assert_eq!(start.elapsed().as_millis(), 10);
    assert_eq!(watch.viewer.position, test.world.position);
    watch.viewer.assert_current(&test).await;
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_segment_changes_the_flags_that_ask_for_the_segment() {
    let mut test = shop();
    let mut watch = test.watch_all(&test.server).await;
    test.ship([part_item("staff", &["alice", "bob"])]);
    let (updated, _) = watch.delta().await;
    assert_eq!(updated, ["after-segmented", "segmented"]);
    assert_eq!(watch.viewer.held["segmented"].rule_id, "not-staff");
    watch.viewer.assert_current(&test).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_that_alters_no_result_is_told_by_the_next_sign_of_life() {
    let mut test = shop();
    let mut watch = test.watch_all(&test.server).await;
    let start = Instant::now();
    test.ship([part_item("staff", &["bob", "carol"])]);
    test.ship_flag(&flag("other", true));
    let response = watch.next().await;
    assert_eq!(name(&response), "bookmark");
    assert!((11..19).contains(&start.elapsed().as_secs()));
    assert_eq!(watch.viewer.position, test.world.position);
    watch.viewer.assert_current(&test).await;
    // And that is where the viewer goes on.
    let mut again = test.resume_as(watch.viewer).await.unwrap();
    assert_eq!(name(&again.next().await), "bookmark");
}

#[tokio::test(start_paused = true)]
async fn a_flag_that_is_gone_is_removed_and_one_that_was_named_is_not_found() {
    let mut test = shop();
    let mut watch = test.watch_all(&test.server).await;
    let naming = Viewer::new(&test.server).naming(&["other", "zebra", "other"]);
    let mut naming = test.watch_as(naming).await;
    let zebra = &naming.viewer.held["zebra"];
    assert_eq!(zebra.error_code(), ErrorCode::FlagNotFound);
    let gone = test.world.remove_flag("other");
    test.publish(gone);
    assert_eq!(watch.delta().await, (nothing(), vec!["other".to_owned()]));
    assert_eq!(naming.delta().await, (vec!["other".to_owned()], nothing()));
    let other = &naming.viewer.held["other"];
    assert_eq!(other.error_code(), ErrorCode::FlagNotFound);
    test.ship_flag(&flag("zebra", false));
    let (updated, _) = naming.delta().await;
    assert_eq!(updated, ["zebra"]);
    assert_eq!(naming.viewer.held["zebra"].variant, "on");
    assert_eq!(watch.delta().await.0, ["zebra"]);
    for viewer in [&watch.viewer, &naming.viewer] {
        viewer.assert_current(&test).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_key_is_shown_visible_flags_and_nothing_about_rules() {
    let mut test = shop();
    test.ship([part_item("staff", &["alice"])]);
    let mut client = test.watch_all(&test.client).await;
    let mut server = test.watch_all(&test.server).await;
    assert!(!client.viewer.held.contains_key("hidden"));
    let segmented = &client.viewer.held["segmented"];
    assert_eq!(
        (segmented.reason(), segmented.variant.as_str()),
        (Reason::Rule, "off")
    );
    for result in client.viewer.held.values() {
        assert_eq!((result.rule_id.as_str(), &result.metadata), ("", &None));
    }
    // Neither a rule's id nor metadata is news to a client key.
    test.ship_flag(&but_not_in("staff", "renamed", flag("segmented", true)));
    assert_eq!(server.delta().await.0, ["segmented"]);
    let documented = Flag {
        metadata: Some(owned_by("another team")),
        ..flag("other", true)
    };
    test.ship_flag(&documented);
    assert_eq!(server.delta().await.0, ["other"]);
    test.ship_flag(&off(flag("hidden", false)));
    assert_eq!(server.delta().await.0, ["hidden"]);
    // Invisible is gone, and the other way round.
    test.ship_flag(&flag("other", false));
    assert_eq!(client.delta().await, (nothing(), vec!["other".to_owned()]));
    test.ship_flag(&flag("hidden", true));
    assert_eq!(client.delta().await, (vec!["hidden".to_owned()], nothing()));
    client.viewer.assert_current(&test).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_key_that_names_a_hidden_flag_is_told_when_it_becomes_visible() {
    let mut test = shop();
    let naming = Viewer::new(&test.client).naming(&["hidden"]);
    let mut watch = test.watch_as(naming).await;
    let hidden = &watch.viewer.held["hidden"];
    assert_eq!(hidden.error_code(), ErrorCode::FlagNotFound);
    test.ship_flag(&flag("hidden", true));
    assert_eq!(watch.delta().await.0, ["hidden"]);
    assert_eq!(watch.viewer.held["hidden"].variant, "on");
}

#[tokio::test(start_paused = true)]
async fn a_context_beyond_a_limit_is_answered_with_errors() {
    let mut test = shop();
    let too_long = Viewer {
        context: somebody(&"x".repeat(2000)),
        ..Viewer::new(&test.client)
    };
    let mut watch = test.watch_as(too_long).await;
    assert_eq!(watch.viewer.held.len(), 6);
    for result in watch.viewer.held.values() {
        assert_eq!(result.error_code(), ErrorCode::InvalidContext);
    }
    test.ship_flag(&off(flag("base", true)));
    test.ship_flag(&flag("hidden", true));
    assert_eq!(watch.delta().await.0, ["hidden"]);
    watch.viewer.assert_current(&test).await;
}

#[tokio::test(start_paused = true)]
async fn many_results_come_in_parts_that_count_together() {
    let mut test = TestHub::new();
    let texts = |letter: &str, bytes: usize| {
        let text = letter.repeat(bytes);
        let flags = (0..10).map(move |number| {
            let value = Kind::StringValue(text.clone());
            flag_item(&valued(&format!("text-{number}"), value))
        });
        flags.collect::<Vec<_>>()
    };
    // Three together stay below 16 KiB; of the larger ones none does.
    for (bytes, parts) in [(5_000, 4), (60_000, 10)] {
        test.ship(texts("a", bytes));
        let mut watch = test.resume_as(Viewer::new(&test.client)).await.unwrap();
        let mut chunks = 0;
        while watch.viewer.held.is_empty() {
            assert_eq!(name(&watch.next().await), "snapshot");
            chunks += 1;
        }
        assert_eq!(chunks, parts);
        watch.viewer.assert_current(&test).await;
        let before = watch.viewer.held.clone();
        test.ship(texts("b", bytes));
        let mut deltas = 0;
        while watch.viewer.held == before {
            assert_eq!(name(&watch.next().await), "delta");
            deltas += 1;
        }
        assert_eq!(deltas, parts);
        watch.viewer.assert_current(&test).await;
    }
}

#[tokio::test(start_paused = true)]
async fn zero_and_minus_zero_are_different_results() {
    let mut test = TestHub::new();
    test.ship_flag(&valued("zero", Kind::NumberValue(0.0)));
    let mut watch = test.watch_all(&test.client).await;
    test.ship_flag(&valued("zero", Kind::NumberValue(-0.0)));
    assert_eq!(watch.delta().await.0, ["zero"]);
    // What the running digest covers is what is held.
    let mut again = test.resume_as(watch.viewer).await.unwrap();
    assert_eq!(name(&again.next().await), "bookmark");
}

#[tokio::test(start_paused = true)]
async fn a_slow_viewer_skips_what_came_and_went() {
    let mut test = shop();
    let mut watch = test.watch_all(&test.server).await;
    for _ in 0..50 {
        test.ship_flag(&off(flag("other", true)));
        advance(Duration::from_millis(11)).await;
        test.ship_flag(&flag("other", true));
        advance(Duration::from_millis(11)).await;
    }
    test.ship_flag(&off(flag("base", true)));
    assert_eq!(watch.delta().await.0, ["base", "child", "grandchild"]);
    watch.viewer.assert_current(&test).await;
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_to_the_same_results_gets_one_bookmark() {
    let mut test = shop();
    let mut watch = test.watch_all(&test.server).await;
    test.ship_flag(&off(flag("other", true)));
    watch.delta().await;
    // Another position, but nothing that this viewer would see.
    test.ship([part_item("staff", &["bob", "carol"])]);
    let mut again = test.resume_as(watch.viewer).await.unwrap();
    let start = Instant::now();
    assert_eq!(name(&again.next().await), "bookmark");
    assert!(start.elapsed() < Duration::from_millis(1));
    assert_eq!(again.viewer.position, test.world.position);
    // The stream goes on from there.
    test.ship_flag(&flag("other", true));
    assert_eq!(again.delta().await.0, ["other"]);
    again.viewer.assert_current(&test).await;
}

#[tokio::test(start_paused = true)]
async fn who_asked_for_all_results_can_follow_them() {
    let mut test = shop();
    let mut viewer = Viewer::new(&test.client).naming(&["base", "hidden"]);
    let all = viewer.evaluate_all(&test).await;
    viewer.resume_token = all.resume_token;
    let mut watch = test.resume_as(viewer).await.unwrap();
    assert_eq!(name(&watch.next().await), "bookmark");
    test.ship_flag(&off(flag("base", true)));
    assert_eq!(watch.delta().await.0, ["base"]);
}

#[tokio::test(start_paused = true)]
async fn tokens_of_other_results_deserve_a_snapshot() {
    let mut test = shop();
    let seen = test.watch_all(&test.server).await.viewer;
    let others = [
        // Other flags, though the token fits.
        seen.clone().naming(&["base"]),
        // Somebody else, with equal results.
        Viewer {
            context: somebody("carol"),
            ..seen.clone()
        },
        // A key that is shown less.
        Viewer {
            key: test.client.clone(),
            ..seen.clone()
        },
        Viewer {
            resume_token: b"\xff\xff\xff garbage"[..].into(),
            ..seen.clone()
        },
    ];
    for viewer in others {
        test.watch_as(viewer).await;
    }
    // Nothing else than a missed change.
    test.ship_flag(&off(flag("base", true)));
    test.watch_as(seen).await;
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_is_ahead_is_held_until_the_hop_has_caught_up() {
    let mut test = shop();
    let mut ahead = test.watch_all(&test.server).await.viewer;
    test.source.lags.store(true, Ordering::SeqCst);
    // Another replica has delivered a change that this one has not read.
    let behind = test.world.position;
    (test.world).change([flag_item(&flag("other", true))]);
    ahead.resume_token = moved_to(&ahead, test.world.position);
    ahead.position = test.world.position;
    let mut watch = test.resume_as(ahead).await.unwrap();
    let response = watch.next().await;
    assert_eq!(
        (name(&response), response.position),
        ("behind", Some(behind))
    );
    test.source.hold(&test.world);
    test.source.lags.store(false, Ordering::SeqCst);
    assert_eq!(name(&watch.next().await), "bookmark");
    assert_eq!(watch.viewer.position, test.world.position);
    watch.viewer.assert_current(&test).await;
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_is_ahead_for_thirty_seconds_is_sent_elsewhere() {
    let test = shop();
    let mut ahead = test.watch_all(&test.server).await.viewer;
    test.source.lags.store(true, Ordering::SeqCst);
    ahead.resume_token = moved_to(&ahead, at(2, 1));
    let start = Instant::now();
    let mut watch = test.resume_as(ahead).await.unwrap();
    assert_eq!(watch.until_goodbye().await, GoodbyeReason::Behind);
    assert_eq!(start.elapsed().as_secs(), 30);
}

/// The viewer's token, of another position.
fn moved_to(viewer: &Viewer, position: Position) -> Bytes {
    let token = EvaluationsResumeToken::decode(viewer.resume_token.clone()).unwrap();
    let token = EvaluationsResumeToken {
        position: Some(position),
        ..token
    };
    token.encode_to_vec().into()
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_with_its_key_its_environment_its_time_or_the_hub() {
    let mut test = shop();
    let start = Instant::now();
    let mut rotated = test.watch_all(&test.server).await;
    assert_eq!(rotated.until_goodbye().await, GoodbyeReason::Rotate);
    let minutes = start.elapsed().as_secs_f64() / 60.0;
    assert!((33.7..56.3).contains(&minutes), "{minutes}");

    // Both at once: what is revoked is sent nothing more, not even this.
    let mut revoked = test.watch_all(&test.client).await;
    let revocation = test.client.revoked();
    let from = test.world.position;
    test.world.set_key(&revocation);
    test.world.change([flag_item(&off(flag("base", true)))]);
    let start = Instant::now();
    test.publish(test.world.since(from));
    assert_eq!(revoked.until_goodbye().await, GoodbyeReason::KeyRevoked);
    assert!(start.elapsed() < Duration::from_secs(2));

    let mut drained = test.watch_all(&test.server).await;
    let window = Duration::from_secs(1);
    let ((), reason) = tokio::join!(test.hub.drain(window), drained.until_goodbye());
    assert_eq!(reason, GoodbyeReason::Draining);
    let refused = test.resume_as(Viewer::new(&test.server)).await;
    assert_eq!(refused.err().unwrap().code(), Code::Unavailable);

    let test = shop();
    let mut deleted = test.watch_all(&test.server).await;
    test.hub.delete(&test.uid());
    let reason = deleted.until_goodbye().await;
    assert_eq!(reason, GoodbyeReason::EnvironmentDeleted);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_takes_nothing_is_closed() {
    let test = shop();
    let watch = test.watch_all(&test.client).await;
    let start = Instant::now();
    watch.close.cancelled().await;
    assert!((30..=32).contains(&start.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn a_watch_is_refused_as_an_evaluation_is() {
    let mut test = TestHub::with(HubConfig {
        streams_per_key_max: 1,
        ..HubConfig::default()
    });
    test.client.key = AccessKey {
        allowed_origins: vec!["https://shop.example".to_owned()],
        ..test.client.key.clone()
    };
    test.know(&test.client);
    let delta = test.world.set_key(&test.client.key);
    test.publish(delta);
    let denied = |refused: Status| {
        assert_eq!(refused.code(), Code::PermissionDenied);
        assert_eq!(reason(&refused), "PERMISSION_DENIED");
    };
    let relay = test.resume_as(Viewer::new(&test.relay)).await;
    denied(relay.err().unwrap());
    let mut request = with_key(&test.client.secret, WatchEvaluationsRequest::default());
    let origin = "https://evil.example".parse().unwrap();
    request.metadata_mut().insert("origin", origin);
    let elsewhere = test.evaluation().watch_evaluations(request).await;
    denied(elsewhere.err().unwrap());
    let mut many = Viewer::new(&test.client);
    many.flag_keys = (0..5_001).map(|number| number.to_string()).collect();
    let many = test.resume_as(many).await.err().unwrap();
    assert_eq!(
        (many.code(), reason(&many)),
        (Code::InvalidArgument, "INVALID_FIELD".to_owned())
    );
    let _first = test.watch_all(&test.client).await;
    let second = test.resume_as(Viewer::new(&test.client)).await;
    assert_eq!(second.err().unwrap().code(), Code::ResourceExhausted);
}
