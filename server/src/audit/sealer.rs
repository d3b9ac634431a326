//! Seals the log, behind those who write it: they take no lock and wait for nothing.
//!
//! Entries are sealed in the order of (transaction, id). An entry is ripe once every transaction
//! that still runs is younger than its own: then nothing can appear before it any more, and a
//! transaction that commits late comes later, however small its ids.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use super::seal::{BEGINNING, Entry, Hash, PARTS, Salt, anchor, entries, mac};
use crate::error::Error;
use crate::keyring::Keyring;
use crate::random;

/// How often. Every replica tries; one at a time does it.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often the newest seal is logged, for whoever keeps logs where the database's owner
/// cannot reach: a seal that is known elsewhere cannot be taken away unnoticed.
const TOLD_INTERVAL: Duration = Duration::from_secs(3_600);
/// How many entries are sealed in one transaction: they are in memory meanwhile.
const ROWS_MAX: i64 = 100;
/// The advisory lock of who seals: "seal" in ASCII.
const LOCK: i64 = 0x7365_616c;

/// The newest seal.
#[derive(Debug, Clone)]
pub(super) struct Head {
    /// 0: nothing is sealed yet.
    pub(super) position: i64,
    pub(super) mac: Hash,
    key_id: String,
    /// The newest sealed entry's transaction, in decimal, and its id.
    transaction: String,
    entry: i64,
    /// The greatest id of a sealed entry.
    entry_max: i64,
}

/// What came of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sealed {
    /// So many entries.
    Entries(usize),
    /// Somebody else is at it.
    Busy,
    /// The log was sealed with a key, and here is none: a plain hash behind it would let anybody
    /// go on from there.
    KeyMissing,
}

/// Seals each second, until `stop`.
pub async fn run(pool: PgPool, keys: Keyring, stop: CancellationToken) {
    if keys.newest().is_none() {
        tracing::warn!(
            "the audit log is sealed without a key: who can write to the database can seal it \
             anew; give --audit-key-file (BURGEE_AUDIT_KEY_FILE)"
        );
    }
    let sealing = async {
        let mut seen = None;
        let mut well = true;
        let mut telling = tokio::time::interval(TOLD_INTERVAL);
        loop {
            let outcome = pass(&pool, &keys, &mut seen).await;
            let is_well = matches!(outcome, Ok(Sealed::Entries(_) | Sealed::Busy));
            if !is_well && well {
                tracing::warn!(
                    ?outcome,
                    "could not seal the audit log; trying again each second"
                );
            }
            well = is_well;
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                _ = telling.tick() => if let Some(head) = &seen {
                    tracing::info!(anchor = head.anchor(), "the audit log is sealed");
                },
            }
        }
    };
    stop.run_until_cancelled(sealing).await;
}

/// Seals, after a look at whether what was sealed is still there.
async fn pass(pool: &PgPool, keys: &Keyring, seen: &mut Option<Head>) -> Result<Sealed, Error> {
    let mut connection = pool.acquire().await?;
    if let Some(before) = seen {
        let mac = sqlx::query_scalar!(
            "select mac from audit_seals where position = $1",
            before.position,
        );
        let mac = mac.fetch_optional(&mut *connection).await?;
        if mac.as_deref() != Some(&before.mac) {
            tracing::error!(
                anchor = before.anchor(),
                "the audit log has lost a seal that was there: its end was removed, or the \
                 database was restored"
            );
        }
    }
    let head = head(&mut connection).await?;
    *seen = Some(head).filter(|head| head.position > 0);
    drop(connection);
    seal_all(pool, keys).await
}

/// Seals all that is ripe.
///
/// # Errors
/// Those of the database. What was sealed stays sealed.
pub(super) async fn seal_all(pool: &PgPool, keys: &Keyring) -> Result<Sealed, Error> {
    let mut total = 0;
    loop {
        match seal_some(pool, keys).await? {
            Sealed::Entries(count) => {
                total += count;
                if i64::try_from(count).unwrap_or(i64::MAX) < ROWS_MAX {
                    return Ok(Sealed::Entries(total));
                }
            }
            other => return Ok(other),
        }
    }
}

async fn seal_some(pool: &PgPool, keys: &Keyring) -> Result<Sealed, Error> {
    let mut transaction = pool.begin().await?;
    // The others' seals are seen by whoever has the lock: it is let go after the commit.
    let free = sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock($1) as "free!""#, LOCK)
        .fetch_one(&mut *transaction)
        .await?;
    if !free {
        return Ok(Sealed::Busy);
    }
    let head = head(&mut transaction).await?;
    let key = keys.newest();
    let ripe = ripe(&mut transaction, &head).await?;
    if ripe.is_empty() {
        return Ok(Sealed::Entries(0));
    }
    if key.is_none() && !head.key_id.is_empty() {
        return Ok(Sealed::KeyMissing);
    }
    let mut seals = Seals::default();
    let (mut position, mut previous) = (head.position, head.mac);
    for entry in &ripe {
        position += 1;
        let salts = salts()?;
        let digests = entry.digest(&salts);
        previous = mac(key, &previous, position, entry.id, &digests)?;
        seals.positions.push(position);
        seals.entries.push(entry.id);
        seals.digests.push(digests.0.as_flattened().to_vec());
        seals.salts.push(salts.as_flattened().to_vec());
        seals.macs.push(previous.to_vec());
    }
    let key_id = key.map_or("", |key| key.id());
    seals.insert(&mut transaction, key_id).await?;
    transaction.commit().await?;
    Ok(Sealed::Entries(ripe.len()))
}

fn salts() -> Result<[Salt; PARTS.len()], Error> {
    let mut salts = [Salt::default(); PARTS.len()];
    for pair in salts.chunks_mut(2) {
        let bytes = random::bytes()?;
        for (salt, bytes) in pair.iter_mut().zip(bytes.as_chunks().0) {
            *salt = *bytes;
        }
    }
    Ok(salts)
}

/// Where the chain ends.
async fn head(connection: &mut PgConnection) -> Result<Head, Error> {
    // What an entry that is gone would tell is told by the one before: the seals show that it
    // is gone, and sealing goes on.
    let row = sqlx::query!(
        r#"select s.position, s.mac, s.key_id,
                  coalesce(e.transaction_id, '0'::xid8)::text as "transaction!",
                  coalesce(e.id, 0) as "entry!",
                  (select max(audit_id) from audit_seals) as "entry_max!"
           from audit_seals s
           left join lateral (
               select e.transaction_id, e.id
               from audit_seals s join audit_entries e on e.id = s.audit_id
               order by s.position desc limit 1
           ) as e on true
           order by s.position desc limit 1"#
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else {
        return Ok(Head {
            position: 0,
            mac: BEGINNING,
            key_id: String::new(),
            transaction: "0".to_owned(),
            entry: 0,
            entry_max: 0,
        });
    };
    let mac = row.mac.try_into();
    Ok(Head {
        position: row.position,
        mac: mac.map_err(|_| Error::internal("a seal's code is not 32 bytes long"))?,
        key_id: row.key_id,
        transaction: row.transaction,
        entry: row.entry,
        entry_max: row.entry_max,
    })
}

/// The next entries to seal, in their order: those behind the head.
///
/// A log that was restored into another cluster holds transactions of the old one, which may
/// be yet to come in the new. They are ripe, as nobody can add to them, and come first; what
/// the new cluster writes is then found by its id.
async fn ripe(connection: &mut PgConnection, head: &Head) -> Result<Vec<Entry>, Error> {
    let entries = entries!(
        connection,
        "from audit_entries e
         cross join (
             select pg_snapshot_xmin(now) as oldest, pg_snapshot_xmax(now) as next
             from pg_current_snapshot() as now
         ) as running
         where e.id = any(array(
             (select id from audit_entries where id > $3 order by id limit $4)
             union all
             (select b.id from audit_entries b
              where (b.transaction_id, b.id) > ($1::text::xid8, $2)
                and b.transaction_id < case
                    when $1::text::xid8 < pg_snapshot_xmax(pg_current_snapshot())
                    then pg_snapshot_xmin(pg_current_snapshot())
                    else '18446744073709551615'::xid8 end
                and not exists (select from audit_seals s where s.audit_id = b.id)
              order by b.transaction_id, b.id limit $4)))
           and (e.transaction_id < running.oldest or e.transaction_id >= running.next)
           and not exists (select from audit_seals s where s.audit_id = e.id)
         order by e.transaction_id >= running.next desc, e.transaction_id, e.id
         limit $4",
        head.transaction,
        head.entry,
        head.entry_max,
        ROWS_MAX,
    );
    Ok(entries.await?)
}

impl Head {
    /// How an operator writes the seal down.
    fn anchor(&self) -> String {
        anchor(self.position, &self.mac)
    }
}

/// New seals, a column each.
#[derive(Default)]
struct Seals {
    positions: Vec<i64>,
    entries: Vec<i64>,
    digests: Vec<Vec<u8>>,
    salts: Vec<Vec<u8>>,
    macs: Vec<Vec<u8>>,
}

impl Seals {
    async fn insert(&self, connection: &mut PgConnection, key_id: &str) -> Result<(), Error> {
        sqlx::query!(
            "insert into audit_seals (position, audit_id, digests, salts, mac, key_id)
             select n.position, n.audit_id, n.digests,
                    array(select substring(n.salts from 1 + 16 * place for 16)
                          from generate_series(0, 5) as place order by place),
                    n.mac, $6
             from unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[])
                 as n(position, audit_id, digests, salts, mac)",
            &self.positions,
            &self.entries,
            &self.digests,
            &self.salts,
            &self.macs,
            key_id,
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}
