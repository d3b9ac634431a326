//! A stream that is followed: what comes, in which order, and when.

use std::time::Duration;

use burgee_evaluator::{Applied, Received};
use burgee_proto::sync::v1::GoodbyeReason;
use tokio::time::{Instant, advance};

use crate::harness::{Step, TestHub, assert_same};
use crate::world::{COMMITTED_AT, World, at};

fn names(steps: &[Step]) -> Vec<&'static str> {
    steps.iter().map(Step::name).collect()
}

#[tokio::test(start_paused = true)]
async fn a_new_stream_gets_a_snapshot_and_a_bookmark() {
    let test = TestHub::new();
    let mut stream = test.watch(&test.server).await;
    assert_eq!(stream.next().await.name(), "snapshot");
    assert_eq!(stream.next().await.name(), "bookmark");
    assert_same(stream.state().unwrap(), &test.world.state(false));
}

#[tokio::test(start_paused = true)]
async fn an_empty_ruleset_is_a_snapshot_too() {
    let mut test = TestHub::new();
    test.world = World::new(1);
    test.source.hold(&test.world);
    let mut stream = test.watch(&test.server).await;
    assert_eq!(stream.next().await.name(), "snapshot");
    assert_same(stream.state().unwrap(), &test.world.state(false));
}

#[tokio::test(start_paused = true)]
async fn a_change_arrives_at_once_as_a_delta() {
    let mut test = TestHub::new();
    let mut stream = test.watch(&test.server).await;
    stream.synchronised().await;
    let held = test.world.position;
    advance(Duration::from_secs(1)).await;
    let published_at = Instant::now();
    test.set_flag("flag-03", "changed");
    let step = stream.next().await;
    assert_eq!(Instant::now(), published_at);
    let Received::Swapped {
        state,
        change:
            Applied::Delta {
                upserted,
                removed,
                committed_at,
            },
    } = step.received
    else {
        panic!("not a delta: {:?}", step.update);
    };
    assert_eq!((upserted.len(), removed.len()), (1, 0));
    assert_eq!(committed_at, Some(COMMITTED_AT.into()));
    assert_eq!(state.position(), at(1, held.revision + 1));
    assert_same(&state, &test.world.state(false));
}

#[tokio::test(start_paused = true)]
async fn changes_of_the_next_ten_milliseconds_are_gathered() {
    let mut test = TestHub::new();
    let mut stream = test.watch(&test.server).await;
    stream.synchronised().await;
    advance(Duration::from_secs(1)).await;
    let start = Instant::now();
    test.set_flag("flag-01", "first");
    assert_same(&swapped(stream.next().await), &test.world.state(false));
    assert_eq!(start.elapsed(), Duration::ZERO);
    for note in ["second", "third", "fourth"] {
        advance(Duration::from_millis(1)).await;
        test.set_flag("flag-02", note);
    }
    assert_same(&swapped(stream.next().await), &test.world.state(false));
    assert_eq!(start.elapsed().as_millis(), 10);
}

fn swapped(step: Step) -> burgee_evaluator::RulesetState {
    match step.received {
        Received::Swapped { state, .. } => state,
        _ => panic!("{:?}", step.update),
    }
}

#[tokio::test(start_paused = true)]
async fn a_removed_flag_leaves_and_a_restored_one_comes_back() {
    let mut test = TestHub::new();
    let mut stream = test.watch(&test.server).await;
    stream.synchronised().await;
    let removed = test.world.remove_flag("flag-05");
    test.publish(removed);
    stream.until(test.world.position).await;
    assert_same(stream.state().unwrap(), &test.world.state(false));
    test.set_flag("flag-05", "again");
    stream.until(test.world.position).await;
    assert_same(stream.state().unwrap(), &test.world.state(false));
}

#[tokio::test(start_paused = true)]
async fn a_slow_stream_skips_revisions() {
    let mut test = TestHub::new();
    let mut stream = test.watch(&test.server).await;
    stream.synchronised().await;
    for number in 0..200 {
        test.set_flag("flag-07", &number.to_string());
        advance(Duration::from_millis(11)).await;
    }
    let steps = stream.until(test.world.position).await;
    assert_eq!(names(&steps), ["delta"]);
    assert_same(stream.state().unwrap(), &test.world.state(false));
}

#[tokio::test(start_paused = true)]
async fn a_large_ruleset_comes_in_chunks_below_one_mebibyte() {
    use prost::Message as _;
    let mut test = TestHub::new();
    let large = "x".repeat(250 * 1024);
    for number in 0..10 {
        test.world.set_flag(&format!("large-{number}"), &large);
    }
    test.source.hold(&test.world);
    let mut stream = test.watch(&test.server).await;
    let snapshot = stream.until(test.world.position).await;
    assert!(snapshot.len() >= 3, "{}", snapshot.len());
    for step in &snapshot {
        assert_eq!(step.name(), "snapshot");
        assert!(step.update.encoded_len() < 1 << 20);
    }
    stream.synchronised().await;
    // And so does a delta of which no part may be seen alone.
    let from = test.world.position;
    for number in 0..10 {
        test.world
            .set_flag(&format!("large-{number}"), &large.to_uppercase());
    }
    let delta = test.world.since(from);
    test.publish(delta);
    let delta = stream.until(test.world.position).await;
    assert!(delta.len() >= 3, "{}", delta.len());
    for step in &delta {
        assert_eq!(step.name(), "delta");
        assert!(step.update.encoded_len() < 1 << 20);
    }
    assert_same(stream.state().unwrap(), &test.world.state(false));
}

#[tokio::test(start_paused = true)]
async fn a_delta_with_nothing_for_the_stream_is_a_bookmark() {
    let mut test = TestHub::new();
    let mut stream = test.watch(&test.server).await;
    let mut relay = test.watch(&test.relay).await;
    stream.synchronised().await;
    relay.synchronised().await;
    let start = Instant::now();
    let delta = test
        .world
        .set_key(&test.client.ending_in(Duration::from_secs(3600)));
    test.publish(delta);
    assert_eq!(
        names(&stream.until(test.world.position).await),
        ["bookmark"]
    );
    assert_eq!(names(&relay.until(test.world.position).await), ["delta"]);
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_same(relay.state().unwrap(), &test.world.state(true));
}

#[tokio::test(start_paused = true)]
async fn an_idle_stream_gives_a_sign_of_life_each_fifteen_seconds() {
    let test = TestHub::new();
    let mut stream = test.watch(&test.server).await;
    stream.synchronised().await;
    let mut intervals = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        let step = stream.next().await;
        assert_eq!(step.name(), "bookmark");
        assert!(!step.update.resume_token.is_empty() && !step.update.state_hash.is_empty());
        intervals.push(start.elapsed());
    }
    for interval in &intervals {
        assert!(
            (11_900..18_100).contains(&interval.as_millis()),
            "{interval:?}"
        );
    }
    intervals.sort();
    intervals.dedup();
    assert!(intervals.len() > 10, "they are not spread");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_has_lived_its_time_says_goodbye() {
    let test = TestHub::new();
    let start = Instant::now();
    let mut stream = test.watch(&test.server).await;
    assert_eq!(stream.until_goodbye().await, GoodbyeReason::Rotate);
    let minutes = start.elapsed().as_secs_f64() / 60.0;
    assert!((33.7..56.3).contains(&minutes), "{minutes}");
}

#[tokio::test(start_paused = true)]
async fn a_lower_position_is_refused_and_a_higher_epoch_taken_whole() {
    let mut test = TestHub::new();
    let mut stream = test.watch(&test.server).await;
    stream.synchronised().await;
    let before = test.world.clone();
    let mut older = test.world.clone();
    older.position.revision -= 1;
    test.hub.publish_whole(older.whole());
    assert_eq!(test.hub.position(&test.uid()), Some(before.position));
    // Restored from a backup: a new epoch, and fewer revisions.
    let mut restored = World::new(1);
    restored.set_key(&test.server.key);
    restored.set_flag("flag-00", "from the backup");
    restored.position.epoch = 2;
    test.world = restored;
    test.source.hold(&test.world);
    test.hub.publish_whole(test.world.whole());
    assert_eq!(
        names(&stream.until(test.world.position).await),
        ["snapshot"]
    );
    assert_same(stream.state().unwrap(), &test.world.state(false));
    test.hub.publish_whole(before.whole());
    assert_eq!(test.hub.position(&test.uid()), Some(test.world.position));
}

#[tokio::test(start_paused = true)]
async fn a_whole_environment_in_the_same_epoch_is_a_difference_to_those_who_follow() {
    let mut test = TestHub::new();
    let mut stream = test.watch(&test.server).await;
    stream.synchronised().await;
    test.world.remove_flag("flag-01");
    test.world.set_flag("flag-02", "changed");
    // A hop that took a snapshot knows no removals before it.
    let mut load = test.world.whole();
    load.floor = load.position.revision;
    load.tombstones.clear();
    test.source.hold(&test.world);
    test.hub.publish_whole(load);
    assert_eq!(names(&stream.until(test.world.position).await), ["delta"]);
    assert_same(stream.state().unwrap(), &test.world.state(false));
}

#[tokio::test(start_paused = true)]
async fn news_with_a_gap_makes_the_hub_read_again() {
    let mut test = TestHub::new();
    let mut stream = test.watch(&test.server).await;
    stream.synchronised().await;
    test.world.set_flag("flag-01", "never delivered");
    test.world.remove_flag("flag-02");
    let last = test.world.set_flag("flag-03", "delivered alone");
    test.publish(last);
    stream.until(test.world.position).await;
    assert_same(stream.state().unwrap(), &test.world.state(false));
}

#[tokio::test(start_paused = true)]
async fn a_stale_or_repeated_delta_changes_nothing() {
    let mut test = TestHub::new();
    let mut stream = test.watch(&test.server).await;
    stream.synchronised().await;
    let first = test.world.set_flag("flag-01", "one");
    test.publish(first.clone());
    test.set_flag("flag-01", "two");
    test.hub.publish(first);
    stream.until(test.world.position).await;
    assert_same(stream.state().unwrap(), &test.world.state(false));
    assert_eq!(test.hub.position(&test.uid()), Some(test.world.position));
}
