//! What nobody asks for: streams of keys that have ended are told so, stalled
//! ones are cut off, and what is idle is let go.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use burgee_proto::sync::v1::GoodbyeReason;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::core::Core;
use crate::keys::{Key, KeyHash, Standing};
use crate::refused::Refused;
use crate::streams::StreamHandle;

/// How often streams are looked at. A revoked key ends them within 5 s.
const SWEEP_EACH: Duration = Duration::from_secs(1);

/// How often idle things are looked for.
const TIDY_EACH: Duration = Duration::from_secs(20);

/// Compiled rulesets and encoded messages are let go when unused for so long.
const DERIVED_IDLE_MAX: Duration = Duration::from_secs(5 * 60);

/// Every stream has sent a sign of life within so many intervals, unless its
/// peer takes nothing.
const STALLED_INTERVALS: u32 = 2;

/// Runs while the hub lives.
pub(crate) async fn run(core: Weak<Core>) {
    let mut tick = interval(SWEEP_EACH);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tidied_at = Instant::now();
    loop {
        tick.tick().await;
        let Some(core) = core.upgrade() else {
            return;
        };
        sweep(&core).await;
        if tidied_at.elapsed() >= TIDY_EACH {
            tidied_at = Instant::now();
            tidy(&core);
        }
    }
}

/// Looks at every open stream.
async fn sweep(core: &Core) {
    let stalled_after = core.config.bookmark_interval * STALLED_INTERVALS;
    let mut unvouched: HashMap<KeyHash, Vec<Arc<StreamHandle>>> = HashMap::new();
    for stream in core.streams.all() {
        stream.cut_if_stalled(stalled_after);
        match judge(core, &stream) {
            Verdict::Good => {}
            Verdict::Ended(reason) => stream.end(reason),
            Verdict::Unvouched => unvouched.entry(stream.holder.key).or_default().push(stream),
        }
    }
    let lookups = unvouched
        .into_iter()
        .map(|(key, streams)| look_up(core, key, streams));
    futures_util::future::join_all(lookups).await;
}

enum Verdict {
    /// It goes on.
    Good,
    /// It must end.
    Ended(GoodbyeReason),
    /// No loaded environment says anything of the key.
    Unvouched,
}

/// What the loaded environments say of a stream's key.
fn judge(core: &Core, stream: &StreamHandle) -> Verdict {
    let Some(environment) = &stream.environment else {
        // Looks at its key by itself.
        return Verdict::Good;
    };
    let now = SystemTime::now();
    let was_vouched = stream.was_vouched.load(Ordering::Relaxed);
    match core.keys.get(&stream.holder.key) {
        Some(key) => match key.standing(environment, true, now) {
            Standing::Open => {
                stream.was_vouched.store(true, Ordering::Relaxed);
                core.keys.note_use(&stream.holder.key, &key, now);
                Verdict::Good
            }
            Standing::Ended => Verdict::Ended(GoodbyeReason::KeyRevoked),
            Standing::Elsewhere if was_vouched || key.is_vouched_by(environment) => {
                Verdict::Ended(GoodbyeReason::EnvironmentDeleted)
            }
            Standing::Elsewhere => Verdict::Unvouched,
        },
        // Its item was removed.
        None if was_vouched => Verdict::Ended(GoodbyeReason::KeyRevoked),
        None => Verdict::Unvouched,
    }
}

/// Asks the source about a key that opened streams without being vouched for.
async fn look_up(core: &Core, hash: KeyHash, streams: Vec<Arc<StreamHandle>>) {
    let reason = |stream: &StreamHandle, key: &Key| {
        let uid = stream.environment.as_deref().unwrap_or_default();
        match key.standing(uid, true, SystemTime::now()) {
            Standing::Open => None,
            Standing::Ended => Some(GoodbyeReason::KeyRevoked),
            Standing::Elsewhere => Some(GoodbyeReason::EnvironmentDeleted),
        }
    };
    let answer = core.look_up(&hash).await;
    for stream in streams {
        let ending = match &answer {
            Ok(key) => reason(&stream, key),
            Err(Refused::CredentialInvalid) => Some(GoodbyeReason::KeyRevoked),
            // It could not be asked: nothing is known against the key.
            Err(_) => None,
        };
        if let Some(reason) = ending {
            stream.end(reason);
        }
    }
}

/// Lets go of what nobody uses.
fn tidy(core: &Core) {
    let is_current = core.is_current();
    for (uid, environment) in core.environments.load().iter() {
        environment.forget_idle(DERIVED_IDLE_MAX);
        // While the source is away, what is let go cannot come back.
        if let Some(idle) = core.config.environment_idle.filter(|_| is_current) {
            let closed = environment.close_if_idle(idle, || core.unlist(uid), &core.keys);
            if closed {
                tracing::debug!(environment = %uid, "let go of an idle environment");
            }
        }
    }
}
