//! `burgee-server audit verify`: whether the log is what was sealed, and if not, where it
//! first differs.

mod finding;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use sqlx::{Connection as _, PgConnection};

use super::erase::METHOD as ERASE;
use super::seal::{BEGINNING, DIGESTS, Digests, Entry, Hash, PARTS, Salts, anchor, entries, mac};
use crate::error::Error;
use crate::keyring::{Key, Keyring};

pub use finding::Finding;

/// How many entries are looked at together: they are in memory meanwhile.
const ROWS_MAX: i64 = 100;

/// What of an entry is never blanked.
const CONTENT: &str = "content";

/// What is held against the log.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Every key that it was sealed with.
    pub keys: Keyring,
    /// Seals that were made before there was a key, counted from the first.
    pub unkeyed_up_to: i64,
    /// A seal that was written down elsewhere.
    pub anchor: Option<Anchor>,
}

/// A seal that was written down: `position:mac`, as `audit verify` and the server's log tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor(String);

/// A log that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Sealed entries.
    pub entries: i64,
    /// The newest seal, to be written down. Nothing is sealed: none.
    pub anchor: Option<Anchor>,
    /// Entries that are not sealed yet.
    pub waiting: usize,
}

/// Why a log could not be found whole.
#[derive(Debug)]
pub enum Problem {
    /// It is not.
    Found(Finding),
    /// It could not be read.
    Unread(Error),
}

impl Anchor {
    fn of(position: i64, mac: &Hash) -> Self {
        Self(anchor(position, mac))
    }
}

impl FromStr for Anchor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (position, mac) = text.split_once(':').unwrap_or_default();
        let is_mac = mac.len() == 64 && mac.bytes().all(|byte| byte.is_ascii_hexdigit());
        if position.parse::<i64>().is_err() || !is_mac {
            return Err("give a position, a colon, and 64 hexadecimal digits");
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} entries", self.entries)?;
        if let Some(anchor) = &self.anchor {
            write!(formatter, ", sealed up to {anchor}")?;
        }
        match self.waiting {
            0 => Ok(()),
            waiting => write!(formatter, "; {waiting} more wait for their seal"),
        }
    }
}

impl From<Finding> for Problem {
    fn from(finding: Finding) -> Self {
        Self::Found(finding)
    }
}

impl<E: Into<Error>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self::Unread(error.into())
    }
}

/// Looks at the whole log, as it is at one moment.
///
/// # Errors
/// [`Problem::Found`] names the first entry that is not as it was sealed.
pub async fn verify(connection: &mut PgConnection, expected: &Expected) -> Result<Report, Problem> {
    let mut transaction = connection.begin().await?;
    sqlx::query!("set transaction isolation level repeatable read, read only")
        .execute(&mut *transaction)
        .await?;
    let mut chain = Chain::new(expected);
    loop {
        let seals = seals(&mut transaction, chain.position).await?;
        if seals.is_empty() {
            break;
        }
        let ids: Vec<i64> = seals.iter().map(|seal| seal.entry).collect();
        let entries = entries!(
            &mut *transaction,
            "from audit_entries e where e.id = any($1)",
            &ids
        );
        let entries = entries.await?.into_iter().map(|entry| (entry.id, entry));
        let entries: HashMap<i64, Entry> = entries.collect();
        for seal in seals {
            let entry = entries.get(&seal.entry);
            if let Err(problem) = chain.follow(&seal, entry) {
                return Err(explain(&mut transaction, problem, entry).await?);
            }
        }
    }
    let waiting = waiting(&mut transaction, &mut chain).await?;
    Ok(chain.end(waiting)?)
}

struct Seal {
    position: i64,
    entry: i64,
    digests: Vec<u8>,
    salts: Vec<Option<Vec<u8>>>,
    mac: Vec<u8>,
    key_id: String,
}

async fn seals(connection: &mut PgConnection, after: i64) -> Result<Vec<Seal>, Error> {
    let seals = sqlx::query_as!(
        Seal,
        r#"select position, audit_id as entry, digests, salts as "salts: Vec<Option<Vec<u8>>>",
                  mac, key_id
           from audit_seals where position > $1 order by position limit $2"#,
        after,
        ROWS_MAX,
    );
    Ok(seals.fetch_all(connection).await?)
}

impl Seal {
    /// None: not of the length that they are sealed with.
    fn digests(&self) -> Option<Digests> {
        let digests = self.digests.as_chunks().0;
        let whole = self.digests.len() == DIGESTS * size_of::<Hash>();
        whole
            .then(|| digests.try_into().ok().map(Digests))
            .flatten()
    }

    /// None: not as many, or not of the length, that they are sealed with.
    fn salts(&self) -> Option<Salts> {
        let salts = self.salts.iter().map(|salt| match salt {
            Some(salt) => salt.as_slice().try_into().ok().map(Some),
            None => Some(None),
        });
        let salts: Option<Vec<_>> = salts.collect();
        salts.and_then(|salts| salts.try_into().ok())
    }
}

/// What an erasure tells of itself.
#[derive(Deserialize)]
struct Erasure {
    parts: Vec<String>,
    entries: Vec<i64>,
}

/// How far the chain was followed.
struct Chain<'a> {
    expected: &'a Expected,
    position: i64,
    mac: Hash,
    entry: i64,
    anchored: bool,
    /// Blanked parts, of which no erasure has told yet.
    blanked: BTreeSet<(i64, &'static str)>,
}

impl<'a> Chain<'a> {
    fn new(expected: &'a Expected) -> Self {
        Self {
            expected,
            position: 0,
            mac: BEGINNING,
            entry: 0,
            anchored: expected.anchor.is_none(),
            blanked: BTreeSet::new(),
        }
    }

    /// Takes the next seal, if it and its entry are as they were.
    fn follow(&mut self, seal: &Seal, entry: Option<&Entry>) -> Result<(), Problem> {
        let position = self.position + 1;
        if seal.position != position {
            let after = self.entry;
            return Err(Finding::SealRemoved { position, after }.into());
        }
        let altered = Finding::SealAltered {
            entry: seal.entry,
            position,
        };
        let (Some(digests), Some(salts)) = (seal.digests(), seal.salts()) else {
            return Err(altered.into());
        };
        let key = self.key(seal)?;
        let Some(entry) = entry else {
            return Err(Finding::Removed { entry: seal.entry }.into());
        };
        let part = if digests.0.first() == Some(&entry.fixed_digest()) {
            entry.differing_part(&digests, &salts)
        } else {
            Some(CONTENT)
        };
        if let Some(part) = part {
            let entry = entry.id;
            return Err(Finding::Altered { entry, part }.into());
        }
        let expected = mac(key, &self.mac, position, seal.entry, &digests)?;
        if seal.mac != expected {
            return Err(altered.into());
        }
        self.position = position;
        self.mac = expected;
        self.entry = seal.entry;
        self.anchored |= self.expected.anchor == Some(Anchor::of(position, &expected));
        let blank = PARTS.into_iter().zip(&salts);
        let blank = blank.filter(|(_, salt)| salt.is_none());
        self.blanked.extend(blank.map(|(part, _)| (entry.id, part)));
        self.take_erasure(entry);
        Ok(())
    }

    fn key(&self, seal: &Seal) -> Result<Option<&'a Key>, Finding> {
        let position = seal.position;
        let expected = self.expected;
        if !seal.key_id.is_empty() {
            let key = expected.keys.find(&seal.key_id);
            let key_id = seal.key_id.clone();
            return key
                .map(Some)
                .ok_or(Finding::KeyUnknown { position, key_id });
        }
        // Whoever has keys made seals with them.
        if expected.keys.newest().is_some() && position > expected.unkeyed_up_to {
            let entry = seal.entry;
            return Err(Finding::Unkeyed { position, entry });
        }
        Ok(None)
    }

    /// If the entry tells of an erasure, what it blanked is accounted for.
    fn take_erasure(&mut self, entry: &Entry) {
        let detail = entry.detail.as_deref().filter(|_| entry.method == ERASE);
        let erasure = detail.map(serde_json::from_str::<Erasure>);
        let Some(Ok(erasure)) = erasure else { return };
        for entry in erasure.entries {
            for part in PARTS
                .into_iter()
                .filter(|part| erasure.parts.iter().any(|it| it == part))
            {
                self.blanked.remove(&(entry, part));
            }
        }
    }

    fn end(self, waiting: usize) -> Result<Report, Finding> {
        if let Some((entry, part)) = self.blanked.into_iter().next() {
            return Err(Finding::Blanked { entry, part });
        }
        if let Some(anchor) = self.expected.anchor.clone().filter(|_| !self.anchored) {
            return Err(Finding::AnchorMissing(anchor));
        }
        let is_sealed = self.position > 0;
        Ok(Report {
            entries: self.position,
            anchor: is_sealed.then(|| Anchor::of(self.position, &self.mac)),
            waiting,
        })
    }
}

/// An entry that holds what another was sealed with was reordered.
async fn explain(
    connection: &mut PgConnection,
    problem: Problem,
    entry: Option<&Entry>,
) -> Result<Problem, Error> {
    let (Problem::Found(Finding::Altered { part, .. }), Some(entry)) = (&problem, entry) else {
        return Ok(problem);
    };
    if *part != CONTENT {
        return Ok(problem);
    }
    let digest = entry.fixed_digest();
    let sealed_as = sqlx::query_scalar!(
        "select audit_id from audit_seals where substring(digests from 1 for 32) = $1 limit 1",
        digest.as_slice(),
    )
    .fetch_optional(connection)
    .await?;
    let entry = entry.id;
    let reordered = sealed_as.map(|sealed_as| Finding::Reordered { entry, sealed_as });
    Ok(reordered.map_or(problem, Problem::Found))
}

/// Counts the entries that are not sealed yet: each is behind the newest sealed one, or has a
/// greater id than every sealed one, for otherwise the sealer would have passed it over.
async fn waiting(connection: &mut PgConnection, chain: &mut Chain<'_>) -> Result<usize, Problem> {
    let inserted = sqlx::query_scalar!(
        "select e.id from audit_entries e
         where not exists (select from audit_seals s where s.audit_id = e.id)
           and e.id < (select max(audit_id) from audit_seals)
           and (e.transaction_id, e.id) < (
               select h.transaction_id, h.id from audit_entries h where h.id = $1)
         order by e.id limit 1",
        chain.entry,
    )
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(entry) = inserted {
        return Err(Finding::Inserted { entry }.into());
    }
    let erasures = entries!(
        &mut *connection,
        "from audit_entries e
         where e.method = $1 and not exists (select from audit_seals s where s.audit_id = e.id)",
        ERASE,
    );
    for entry in erasures.await? {
        chain.take_erasure(&entry);
    }
    let waiting = sqlx::query_scalar!(
        r#"select count(*) as "count!" from audit_entries e
           where not exists (select from audit_seals s where s.audit_id = e.id)"#
    )
    .fetch_one(connection)
    .await?;
    Ok(usize::try_from(waiting).unwrap_or(usize::MAX))
}
