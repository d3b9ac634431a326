//! Refused attempts. Of known callers they are entries of the log: the first at once, and those
//! that follow counted, one entry a minute for each caller and method (and server), so that
//! nobody fills the log by asking again and again. Of unknown ones only their number is logged.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::access::{Caller, Origin};
use crate::audit::with_token;
use crate::error::Error;
use crate::names::TokenName;

/// How often it is looked what is due.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long attempts are counted before there is another entry of the same.
const COUNTED: Duration = Duration::from_secs(60);
/// The most callers and methods that are counted at a time. Attempts of more are lost to the
/// log, and told of as lost.
const ATTEMPTS_MAX: usize = 10_000;

/// The refused attempts that are not written yet. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Denials(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    attempts: HashMap<Attempt, Count>,
    /// Calls without a credential, a password or a link that is known, since they were last told
    /// of.
    anonymous: u64,
    /// Attempts that there was no room for, likewise.
    lost: u64,
}

/// Whose attempts at what are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Attempt {
    organization: Uuid,
    actor: String,
    method: &'static str,
    token: Option<TokenName>,
}

#[derive(Debug, Clone, Default)]
struct Count {
    denied: i32,
    /// Of the last of them.
    origin: Origin,
    /// What was lacking: permissions, mostly.
    lacking: BTreeSet<String>,
    /// When there was last an entry.
    written: Option<Instant>,
}

impl Count {
    fn is_recent(&self, now: Instant) -> bool {
        self.written.is_some_and(|written| now < written + COUNTED)
    }
}

impl Denials {
    /// Somebody lacked a permission, or what else the method takes.
    pub fn note(&self, caller: &Caller, lacking: &str) {
        let attempt = Attempt {
            organization: caller.principal.organization,
            actor: caller.principal.actor.clone(),
            method: caller.method,
            token: caller.principal.token.as_ref().map(|it| it.name.clone()),
        };
        let mut held = self.held();
        if held.attempts.len() >= ATTEMPTS_MAX && !held.attempts.contains_key(&attempt) {
            held.lost += 1;
            return;
        }
        let count = held.attempts.entry(attempt).or_default();
        count.denied = count.denied.saturating_add(1);
        count.origin = caller.origin.clone();
        count.lacking.insert(lacking.to_owned());
    }

    /// Somebody had no credential, password or link that is known.
    pub fn note_anonymous(&self) {
        self.held().anonymous += 1;
    }

    /// Writes what is due, until `stop`, and then all that is left.
    pub async fn run(self, pool: PgPool, stop: CancellationToken) {
        let mut told = Instant::now();
        let mut stopped = false;
        while !stopped {
            let pause = tokio::time::sleep(INTERVAL);
            stopped = stop.run_until_cancelled(pause).await.is_none();
            let now = Instant::now();
            let due = self.due(now, stopped);
            match write(&pool, &due).await {
                Ok(()) => self.settle(&due, now),
                Err(error) => tracing::warn!(?error, "could not write down refused attempts"),
            }
            if stopped || now >= told + COUNTED {
                told = now;
                self.tell();
            }
        }
    }

    fn tell(&self) {
        let (anonymous, lost) = {
            let mut held = self.held();
            (
                std::mem::take(&mut held.anonymous),
                std::mem::take(&mut held.lost),
            )
        };
        if anonymous > 0 {
            tracing::info!(
                calls = anonymous,
                "calls without a known credential were refused"
            );
        }
        if lost > 0 {
            tracing::warn!(lost, "refused attempts were too many to count by caller");
        }
    }

    /// What there is to write: what was not written in the last minute, or, at the end, all.
    fn due(&self, now: Instant, all: bool) -> Vec<(Attempt, Count)> {
        let held = self.held();
        let due = held.attempts.iter();
        let due = due.filter(|(_, count)| count.denied > 0 && (all || !count.is_recent(now)));
        due.map(|(attempt, count)| (attempt.clone(), count.clone()))
            .collect()
    }

    /// Forgets what was written, but for when.
    fn settle(&self, written: &[(Attempt, Count)], now: Instant) {
        let mut held = self.held();
        for (attempt, settled) in written {
            if let Some(count) = held.attempts.get_mut(attempt) {
                // There may have been more meanwhile.
                count.denied -= settled.denied;
                count.lacking.clear();
                count.written = Some(now);
            }
        }
        held.attempts
            .retain(|_, count| count.denied > 0 || count.is_recent(now));
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write(pool: &PgPool, due: &[(Attempt, Count)]) -> Result<(), Error> {
    if due.is_empty() {
        return Ok(());
    }
    let attempts = || due.iter().map(|(attempt, _)| attempt);
    let counts = || due.iter().map(|(_, count)| count);
    let details = due.iter().map(|(attempt, count)| {
        let detail = json!({"lacking": count.lacking});
        with_token(Some(detail), attempt.token.as_ref()).map(|detail| detail.to_string())
    });
    let details: Vec<String> = details.map(Option::unwrap_or_default).collect();
    sqlx::query!(
        "insert into audit_entries (organization_id, actor, method, request_id, resource, part,
                                    reason, detail, address, user_agent, denied)
         select n.organization, n.actor, n.method, '', '', '', '', n.detail::json, n.address,
                n.user_agent, n.denied
         from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                     $7::integer[])
             as n(organization, actor, method, detail, address, user_agent, denied)",
        &attempts().map(|it| it.organization).collect::<Vec<_>>(),
        &attempts().map(|it| it.actor.clone()).collect::<Vec<_>>(),
        &attempts()
            .map(|it| it.method.to_owned())
            .collect::<Vec<_>>(),
        &details,
        &counts()
            .map(|it| it.origin.address_text())
            .collect::<Vec<_>>(),
        &counts()
            .map(|it| it.origin.user_agent.to_string())
            .collect::<Vec<_>>(),
        &counts().map(|it| it.denied).collect::<Vec<_>>(),
    )
    .execute(pool)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Grants, Principal};

    fn caller(actor: &str) -> Caller {
        Caller {
            principal: Arc::new(Principal {
                organization: Uuid::nil(),
                actor: actor.to_owned(),
                subject: None,
                session: None,
                token: None,
                grants: Grants::default(),
            }),
            credential: None,
            method: "/m",
            needs: None,
            origin: Origin::default(),
        }
    }

    fn counts(due: &[(Attempt, Count)]) -> Vec<i32> {
        due.iter().map(|(_, count)| count.denied).collect()
    }

    #[test]
    fn the_first_is_due_at_once_and_the_rest_after_a_minute() {
        let denials = Denials::default();
        let start = Instant::now();
        denials.note(&caller("ci"), "flag.update");
        let first = denials.due(start, false);
        assert_eq!(counts(&first), [1]);
        // Meanwhile, before it is settled.
        denials.note(&caller("ci"), "flag.update");
        denials.settle(&first, start);
        denials.note(&caller("ci"), "flag.create");
        let almost = start + COUNTED - Duration::from_millis(1);
        assert!(denials.due(almost, false).is_empty());
        assert_eq!(counts(&denials.due(almost, true)), [2], "at the end, all");
        let rest = denials.due(start + COUNTED, false);
        assert_eq!(counts(&rest), [2]);
        denials.settle(&rest, start + COUNTED);
        denials.settle(&[], start + 2 * COUNTED);
        assert!(
            denials.held().attempts.is_empty(),
            "nothing is kept for ever"
        );
    }

    #[test]
    fn what_could_not_be_written_is_kept() {
        let denials = Denials::default();
        denials.note(&caller("ci"), "flag.update");
        let now = Instant::now();
        assert_eq!(counts(&denials.due(now, false)), [1]);
        assert_eq!(counts(&denials.due(now, false)), [1]);
    }

    #[test]
    fn it_stays_small_whoever_asks() {
        let denials = Denials::default();
        for number in 0..=ATTEMPTS_MAX {
            denials.note(&caller(&number.to_string()), "flag.update");
        }
        assert_eq!(denials.held().attempts.len(), ATTEMPTS_MAX);
        assert_eq!(denials.held().lost, 1);
    }
}
