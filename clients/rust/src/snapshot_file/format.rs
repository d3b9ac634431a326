//! The bytes of a snapshot file.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::SystemTime;

use burgee_evaluator::RulesetState;
use burgee_proto::sync::v1::{Item, ItemKind, SnapshotHeader};
use bytes::Bytes;
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use crate::sync::Holding;

/// How every snapshot file begins; the last byte is the version.
pub const MAGIC: [u8; 8] = *b"BURGEE\0\x01";
/// The longest file that is read: three times the largest legal ruleset.
pub const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The longest message in it: a body of 256 KiB, and what stands around it.
const MESSAGE_BYTES_MAX: usize = 288 * 1024;
/// The most items that are read: short ones take more memory than disk.
const ITEMS_MAX: u64 = 256 * 1024;
const DIGEST_BYTES: usize = 32;
/// The longest varint.
const VARINT_BYTES_MAX: usize = 10;
/// A lower-case UUID.
const ENVIRONMENT_BYTES: usize = 36;

/// What a snapshot file holds, verified.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The ruleset and how to resume from it.
    pub held: Holding,
    /// When it was written, on the writer's clock.
    pub saved_at: Option<SystemTime>,
}

/// Why bytes are no snapshot file.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// They could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// They begin like something else, or like a later version.
    #[error("it is no snapshot file of a version that is known")]
    Magic,
    /// They are longer than any snapshot.
    #[error("it is larger than {FILE_BYTES_MAX} bytes, or has more than {ITEMS_MAX} items")]
    TooLarge,
    /// They end in mid-message, or a message is malformed or over its limit.
    #[error("{0}")]
    Malformed(&'static str),
    /// They are not those that were written.
    #[error("the checksum does not match")]
    Checksum,
    /// They are of another environment than the wanted one.
    #[error("it is of environment {0}")]
    OtherEnvironment(String),
    /// The items are not those that the header speaks of.
    #[error("the items do not match the header: {0}")]
    Contents(&'static str),
}

/// Writes a snapshot. The digest comes before what it covers, so the bytes are
/// put together first.
///
/// # Errors
/// Whatever the writer fails with.
pub fn write(writer: &mut impl Write, held: &Holding, saved_at: SystemTime) -> io::Result<()> {
    let rest = encode(held, saved_at)?;
    writer.write_all(&MAGIC)?;
    writer.write_all(&Sha256::digest(&rest))?;
    writer.write_all(&rest)
}

fn encode(held: &Holding, saved_at: SystemTime) -> io::Result<Vec<u8>> {
    let state = &held.state;
    let header = SnapshotHeader {
        environment: state.environment().to_owned(),
        position: Some(state.position()),
        resume_token: held.resume_token.clone(),
        state_hash: state.state_hash().to_vec().into(),
        access_hash: match held.with_access_keys {
            true => state.access_hash().to_vec().into(),
            false => Bytes::new(),
        },
        item_count: state.items().count() as u64,
        saved_at: Some(saved_at.into()),
    };
    let mut rest = Vec::new();
    header
        .encode_length_delimited(&mut rest)
        .map_err(io::Error::other)?;
    for item in state.items() {
        item.encode_length_delimited(&mut rest)
            .map_err(io::Error::other)?;
    }
    Ok(rest)
}

/// Reads and verifies a snapshot: magic, digest, both hashes, count, and the
/// environment where one is wanted. Holds one message more than the items.
///
/// # Errors
/// [`Invalid`].
pub fn read(reader: impl Read, environment: Option<&str>) -> Result<Snapshot, Invalid> {
    // One byte more than is allowed tells that there are more.
    let mut reader = reader.take(FILE_BYTES_MAX + 1);
    let mut magic = [0; MAGIC.len()];
    read_start(&mut reader, &mut magic)?;
    if magic != MAGIC {
        return Err(Invalid::Magic);
    }
    let mut digest = [0; DIGEST_BYTES];
    read_start(&mut reader, &mut digest)?;

    let mut messages = Messages::new(reader);
    let header: SnapshotHeader = messages
        .next()?
        .ok_or(Invalid::Malformed("it has no header"))?;
    if header.item_count > ITEMS_MAX {
        return Err(Invalid::TooLarge);
    }
    let mut items = Vec::new();
    while let Some(item) = messages.next::<Item>()? {
        if items.len() as u64 == header.item_count {
            return Err(Invalid::Contents("their number"));
        }
        items.push(Arc::new(item));
    }
    // Only now is anything of it believed.
    if messages.finish() != digest {
        return Err(Invalid::Checksum);
    }
    verify(header, items, environment)
}

fn verify(
    header: SnapshotHeader,
    items: Vec<Arc<Item>>,
    wanted: Option<&str>,
) -> Result<Snapshot, Invalid> {
    if wanted.is_some_and(|wanted| wanted != header.environment) {
        return Err(Invalid::OtherEnvironment(header.environment));
    }
    if header.environment.len() != ENVIRONMENT_BYTES {
        return Err(Invalid::Contents("the environment is no uid"));
    }
    let position = header
        .position
        .ok_or(Invalid::Contents("there is no position"))?;
    if items.len() as u64 != header.item_count {
        return Err(Invalid::Contents("their number"));
    }
    let names: BTreeSet<(i32, &str)> = items.iter().map(|item| (item.kind, &*item.key)).collect();
    if names.len() != items.len() {
        return Err(Invalid::Contents("two have one key"));
    }
    let holds_keys = items
        .iter()
        .any(|item| item.kind == i32::from(ItemKind::AccessKey));
    let state = RulesetState::new(&header.environment, position, items);
    if header.state_hash != state.state_hash()[..] {
        return Err(Invalid::Contents("the state hash"));
    }
    let with_access_keys = !header.access_hash.is_empty();
    let access_matches = if with_access_keys {
        header.access_hash == state.access_hash()[..]
    } else {
        !holds_keys
    };
    if !access_matches {
        return Err(Invalid::Contents("the access hash"));
    }
    Ok(Snapshot {
        held: Holding {
            state,
            resume_token: header.resume_token,
            with_access_keys,
        },
        saved_at: header.saved_at.and_then(|time| time.try_into().ok()),
    })
}

/// Reads what every snapshot file has at its start.
fn read_start(reader: &mut impl Read, buffer: &mut [u8]) -> Result<(), Invalid> {
    reader
        .read_exact(buffer)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Invalid::Magic,
            _ => Invalid::Io(error),
        })
}

/// Varint-delimited messages, digested as they are read.
struct Messages<R> {
    reader: io::Take<R>,
    digest: Sha256,
    buffer: Vec<u8>,
}

impl<R: Read> Messages<R> {
    fn new(reader: io::Take<R>) -> Self {
        Self {
            reader,
            digest: Sha256::new(),
            buffer: Vec::new(),
        }
    }

    /// The next message; `None` at the end, which is only between messages.
    fn next<M: prost::Message + Default>(&mut self) -> Result<Option<M>, Invalid> {
        let Some(length) = self.length()? else {
            return Ok(None);
        };
        if length > MESSAGE_BYTES_MAX {
            return Err(Invalid::Malformed("a message is too long"));
        }
        self.buffer.resize(length, 0);
        if let Err(error) = self.reader.read_exact(&mut self.buffer) {
            return Err(self.ended(error));
        }
        self.digest.update(&self.buffer);
        M::decode(&*self.buffer)
            .map(Some)
            .map_err(|_error| Invalid::Malformed("a message cannot be decoded"))
    }

    /// A varint; `None` where the bytes end before it.
    fn length(&mut self) -> Result<Option<usize>, Invalid> {
        let mut varint = Vec::with_capacity(VARINT_BYTES_MAX);
        loop {
            let mut byte = [0];
            match self.reader.read_exact(&mut byte) {
                Ok(()) => {}
                Err(error) => {
                    let at_end = error.kind() == io::ErrorKind::UnexpectedEof
                        && self.reader.limit() > 0
                        && varint.is_empty();
                    return if at_end {
                        Ok(None)
                    } else {
                        Err(self.ended(error))
                    };
                }
            }
            self.digest.update(byte);
            varint.extend(byte);
            let is_last = byte[0] & 0x80 == 0;
            if is_last || varint.len() == VARINT_BYTES_MAX {
                return prost::decode_length_delimiter(&*varint)
                    .map(Some)
                    .map_err(|_error| Invalid::Malformed("a length cannot be read"));
            }
        }
    }

    fn ended(&self, error: io::Error) -> Invalid {
        match (error.kind(), self.reader.limit()) {
            (io::ErrorKind::UnexpectedEof, 0) => Invalid::TooLarge,
            (io::ErrorKind::UnexpectedEof, _) => Invalid::Malformed("it ends in mid-message"),
            _ => Invalid::Io(error),
        }
    }

    fn finish(self) -> [u8; DIGEST_BYTES] {
        self.digest.finalize().into()
    }
}

#[cfg(test)]
mod tests;
