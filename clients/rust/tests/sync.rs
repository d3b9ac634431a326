//! What a follower makes of an upstream that works, fails, says goodbye, and
//! lies.

// A test stops at the first thing that is not as it should be, helpers included.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

// Used by more than one test program, and not all of it by each.
#[allow(dead_code, unreachable_pub)]
#[path = "support/scripted.rs"]
mod scripted;

use burgee::proto::sync::v1::ruleset_update::Message;
use burgee::proto::sync::v1::{
    Bookmark, GoodbyeReason, RulesetUpdate, Snapshot, WatchRulesetResponse,
};
use burgee::sync::{Connections, Event, Follower, Holding, Lost, Origin, Swap, client_info};
use burgee::{Address, Key};
use burgee_evaluator::{Applied, Refusal, RulesetState};
use bytes::Bytes;
use tokio::sync::watch;
use tonic::Status;

use scripted::{
    ENVIRONMENT, OTHER, Scripted, at, bookmark, delta, flag, goodbye, snapshot, soon, state, token,
    update,
};

fn origin(urls: &[String]) -> Origin {
    let addresses = Address::list(&urls.join(",")).unwrap();
    let (_sender, key) = watch::channel(Key::new("burgee_srv_test").unwrap());
    Origin {
        connections: Connections::new(addresses, "test", None),
        key,
        client: client_info("test", "1"),
    }
}

fn follower(upstream: &Scripted) -> Follower {
    Follower::new(&origin(&[upstream.url()]), None, None, false)
}

async fn swap(follower: &mut Follower) -> Swap {
    match soon(follower.next()).await {
        Event::Swapped(swap) => swap,
        other => panic!("not a swap: {other:?}"),
    }
}

async fn live(follower: &mut Follower) {
    let event = soon(follower.next()).await;
    assert!(matches!(event, Event::Live), "{event:?}");
}

async fn lost(follower: &mut Follower) -> Lost {
    match soon(follower.next()).await {
        Event::Lost(lost) => lost,
        other => panic!("not lost: {other:?}"),
    }
}

/// Plays a call while the follower follows.
async fn both<T, U>(one: impl Future<Output = T>, other: impl Future<Output = U>) -> (T, U) {
    tokio::join!(one, other)
}

/// A follower that is live at `held`, and the stream that it is fed by.
async fn live_at(
    upstream: &Scripted,
    held: &RulesetState,
) -> (Follower, scripted::Stream<WatchRulesetResponse>) {
    let mut follower = follower(upstream);
    let (_, stream) = both(
        async {
            swap(&mut follower).await;
            live(&mut follower).await;
        },
        async {
            let stream = upstream.accept().await;
            stream.send_whole(held).await;
            stream
        },
    )
    .await;
    (follower, stream)
}

#[tokio::test]
async fn a_snapshot_and_deltas_arrive_as_they_were_sent() {
    let upstream = Scripted::start().await;
    let first = state(4, &[flag("a", true, 3)]);
    let (mut follower, stream) = live_at(&upstream, &first).await;
    assert!(follower.liveness().is_live());

    let added = flag("b", true, 6);
    let second = state(6, std::slice::from_ref(&added));
    stream
        .send(delta(&first, &second, std::slice::from_ref(&added), &["a"]))
        .await;
    let Swap { held, change } = swap(&mut follower).await;
    assert_eq!(held.state.position(), at(6));
    assert_eq!(held.state.state_hash(), second.state_hash());
    assert_eq!(held.resume_token, token(&second));
    let Applied::Delta {
        upserted, removed, ..
    } = change
    else {
        panic!("a delta");
    };
    assert_eq!(*upserted[0], added);
    assert_eq!(removed[0].key, "a");
}

#[tokio::test]
async fn a_bookmark_that_moves_the_position_is_a_change_too() {
    let upstream = Scripted::start().await;
    let first = state(4, &[]);
    let (mut follower, stream) = live_at(&upstream, &first).await;
    let later = first.at(at(9));
    stream.send(bookmark(&later)).await;
    let Swap { held, change } = swap(&mut follower).await;
    assert_eq!(held.state.position(), at(9));
    assert_eq!(held.resume_token, token(&later));
    assert!(matches!(change, Applied::Delta { upserted, .. } if upserted.is_empty()));
    live(&mut follower).await;
}

#[tokio::test]
async fn the_first_request_says_who_asks_and_shows_the_key() {
    let upstream = Scripted::start().await;
    let mut follower = Follower::new(
        &origin(&[upstream.url()]),
        Some(ENVIRONMENT.into()),
        None,
        false,
    );
    let (_, call) = both(
        async {
            let _ = tokio::time::timeout(scripted::DEADLINE, follower.next()).await;
        },
        async {
            let call = upstream.call().await;
            assert_eq!(call.authorization, "Bearer burgee_srv_test");
            let (request, stream) = call.accept();
            stream.fail(Status::unavailable("enough")).await;
            request
        },
    )
    .await;
    assert_eq!(call.environment, ENVIRONMENT);
    assert!(call.resume_token.is_empty());
    let client = call.client.unwrap();
    assert_eq!((&*client.sdk, &*client.version), ("test", "1"));
    assert_eq!(client.instance_id.len(), 32);
    assert_eq!(client.level, burgee_evaluator::LEVEL);
}

#[tokio::test]
async fn after_a_cut_it_resumes_with_the_token_and_misses_nothing() {
    let upstream = Scripted::start().await;
    let first = state(4, &[flag("a", true, 3)]);
    let (mut follower, stream) = live_at(&upstream, &first).await;
    drop(stream);
    assert!(matches!(lost(&mut follower).await, Lost::Failed(_)));
    assert!(!follower.liveness().is_live());

    let next = flag("a", false, 5);
    let second = state(5, std::slice::from_ref(&next));
    let (swapped, resumed_with) = both(swap(&mut follower), async {
        let (request, stream) = upstream.call().await.accept();
        stream
            .send(delta(&first, &second, std::slice::from_ref(&next), &[]))
            .await;
        request.resume_token
    })
    .await;
    assert_eq!(resumed_with, token(&first));
    assert_eq!(swapped.held.state.position(), at(5));
}

#[tokio::test]
async fn it_goes_on_from_what_was_on_disk() {
    let upstream = Scripted::start().await;
    let saved = state(4, &[flag("a", true, 3)]);
    let held = Holding {
        state: saved.clone(),
        resume_token: token(&saved),
        with_access_keys: false,
    };
    let mut follower = Follower::new(&origin(&[upstream.url()]), None, Some(held), false);
    let ((), shown) = both(live(&mut follower), async {
        let (request, stream) = upstream.call().await.accept();
        stream.send(bookmark(&saved)).await;
        request.resume_token
    })
    .await;
    assert_eq!(shown, token(&saved));
}

#[tokio::test]
async fn half_a_snapshot_is_dropped_with_its_stream() {
    let upstream = Scripted::start().await;
    let whole = state(4, &[flag("a", true, 3)]);
    let mut half = snapshot(&whole);
    if let Some(Message::Snapshot(chunk)) = &mut half.message {
        chunk.last_chunk = false;
    }
    let mut follower = follower(&upstream);
    let (lost, ()) = both(lost(&mut follower), async {
        let stream = upstream.accept().await;
        stream.send(half).await;
    })
    .await;
    assert!(matches!(lost, Lost::Failed(_)));
    // A second stream that sends all of it is not taken for the other half.
    let (swapped, _stream) = both(swap(&mut follower), async {
        let stream = upstream.accept().await;
        stream.send_whole(&whole).await;
        stream
    })
    .await;
    assert_eq!(swapped.held.state.items().len(), 1);
}

/// Every way in which an upstream can be wrong: the follower reports it, drops
/// the connection, holds what it held, and follows the next stream from there.
#[tokio::test]
async fn a_lie_leaves_what_is_held_untouched() {
    let held = state(4, &[flag("a", true, 3)]);
    let other = RulesetState::new(OTHER, at(5), []);
    let older = state(3, &[]);
    let later = state(5, &[flag("a", false, 5)]);
    let elsewhere = state(2, &[]);
    let wrong_hash = |update: RulesetUpdate| RulesetUpdate {
        state_hash: Bytes::from_static(&[7; 16]),
        ..update
    };
    let empty = Message::Snapshot(Snapshot {
        items: Vec::new(),
        last_chunk: true,
    });
    let items = [flag("a", false, 5)];
    let lies = [
        (snapshot(&other), Refusal::OtherEnvironment),
        (snapshot(&older), Refusal::LowerPosition),
        (bookmark(&older), Refusal::LowerPosition),
        (
            delta(&elsewhere, &later, &items, &[]),
            Refusal::FromMismatch,
        ),
        (
            wrong_hash(delta(&held, &later, &items, &[])),
            Refusal::HashMismatch,
        ),
        (delta(&held, &later, &[], &[]), Refusal::HashMismatch),
        (wrong_hash(bookmark(&held)), Refusal::HashMismatch),
        (update(&later, empty), Refusal::HashMismatch),
        (
            RulesetUpdate {
                message: None,
                ..bookmark(&held)
            },
            Refusal::Malformed("no known message is set"),
        ),
    ];
    for (lie, expected) in lies {
        let upstream = Scripted::start().await;
        let (mut follower, stream) = live_at(&upstream, &held).await;
        stream.send(lie).await;
        match lost(&mut follower).await {
            Lost::Lied(refusal) => assert_eq!(refusal, expected),
            other => panic!("{expected:?}: {other:?}"),
        }
        stream.gone().await;

        let dropped = matches!(expected, Refusal::FromMismatch | Refusal::HashMismatch);
        let ((), shown) = both(live(&mut follower), async {
            let (request, stream) = upstream.call().await.accept();
            // It still holds what it held: this delta would be refused otherwise.
            stream.send(bookmark(&held)).await;
            request.resume_token
        })
        .await;
        assert_eq!(shown.is_empty(), dropped, "{expected:?}");
    }
}

#[tokio::test]
async fn garbage_is_no_reason_to_stop() {
    let upstream = Scripted::start().await;
    let held = state(4, &[]);
    let (mut follower, stream) = live_at(&upstream, &held).await;
    stream
        .send_message(WatchRulesetResponse { update: None })
        .await;
    let lost = lost(&mut follower).await;
    assert!(matches!(lost, Lost::Lied(Refusal::Malformed(_))), "{lost}");
    both(live(&mut follower), async {
        upstream.accept().await.send(bookmark(&held)).await;
    })
    .await;
}

#[tokio::test]
async fn a_hop_that_is_behind_changes_nothing_and_is_not_live() {
    let upstream = Scripted::start().await;
    let held = state(4, &[]);
    let (mut follower, stream) = live_at(&upstream, &held).await;
    drop(stream);
    lost(&mut follower).await;
    let behind = RulesetUpdate {
        environment: ENVIRONMENT.into(),
        position: Some(at(2)),
        message: Some(Message::Bookmark(Bookmark {
            behind: true,
            ..Bookmark::default()
        })),
        ..RulesetUpdate::default()
    };
    let liveness = follower.liveness();
    both(live(&mut follower), async {
        let stream = upstream.accept().await;
        stream.send(behind).await;
        assert!(!liveness.is_live());
        stream.send(bookmark(&held)).await;
        stream
    })
    .await;
    assert!(liveness.is_live());
}

#[tokio::test]
async fn a_goodbye_is_followed_by_another_stream() {
    let upstream = Scripted::start().await;
    let held = state(4, &[]);
    let (mut follower, stream) = live_at(&upstream, &held).await;
    stream.send(goodbye(&held, GoodbyeReason::Rotate)).await;
    let parted = lost(&mut follower).await;
    assert!(matches!(parted, Lost::Goodbye(GoodbyeReason::Rotate)));
    assert!(!parted.is_refusal());
    both(live(&mut follower), async {
        let (request, stream) = upstream.call().await.accept();
        assert_eq!(request.resume_token, token(&held));
        stream.send(bookmark(&held)).await;
    })
    .await;
}

#[tokio::test]
async fn a_revoked_key_is_told_from_a_deleted_environment() {
    let upstream = Scripted::start().await;
    let held = state(4, &[]);
    let (mut follower, stream) = live_at(&upstream, &held).await;
    stream.send(goodbye(&held, GoodbyeReason::KeyRevoked)).await;
    assert!(lost(&mut follower).await.is_refusal());
    both(
        async {
            let event = soon(follower.next()).await;
            assert!(matches!(event, Event::EnvironmentDeleted), "{event:?}");
        },
        async {
            let stream = upstream.accept().await;
            stream
                .send(goodbye(&held, GoodbyeReason::EnvironmentDeleted))
                .await;
        },
    )
    .await;
}

#[tokio::test]
async fn the_next_address_is_tried_with_the_same_token() {
    let (first, second) = (Scripted::start().await, Scripted::start().await);
    let held = state(4, &[]);
    let mut follower = Follower::new(&origin(&[first.url(), second.url()]), None, None, false);
    both(
        async {
            swap(&mut follower).await;
            live(&mut follower).await;
        },
        async {
            let stream = first.accept().await;
            stream.send_whole(&held).await;
            // And nothing listens there any more.
            stream.fail(Status::unavailable("gone")).await;
        },
    )
    .await;
    drop(first);
    both(
        async { while !matches!(soon(follower.next()).await, Event::Live) {} },
        async {
            let (request, stream) = second.call().await.accept();
            assert_eq!(request.resume_token, token(&held));
            stream.send(bookmark(&held)).await;
        },
    )
    .await;
    assert_eq!(follower.address(), second.url());
}

#[tokio::test]
async fn a_refused_key_is_kept_and_taken_when_it_opens_again() {
    let upstream = Scripted::start().await;
    let mut follower = follower(&upstream);
    let (refused, ()) = both(lost(&mut follower), async {
        upstream
            .call()
            .await
            .refuse(Status::unauthenticated("unknown key"));
    })
    .await;
    assert!(refused.is_refusal());
    let held = state(1, &[]);
    both(swap(&mut follower), async {
        let stream = upstream.accept().await;
        stream.send_whole(&held).await;
    })
    .await;
}
