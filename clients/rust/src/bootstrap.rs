//! Bootstrap files: what a client serves until the network has spoken.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use burgee_evaluator::Ruleset;
use burgee_proto::types::v1;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};

use crate::snapshot_file::{self, Invalid, format};
use crate::sync::Holding;

/// The message that a bootstrap file in JSON holds.
const RULESET: &str = "burgee.types.v1.Ruleset";

/// What a bootstrap file gives.
pub(crate) enum Bootstrap {
    /// A snapshot file: a place to resume from too.
    Snapshot(Holding),
    /// A ruleset as ProtoJSON, which has no position.
    Ruleset(Ruleset),
}

/// Why a bootstrap file is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error(transparent)]
    Snapshot(#[from] Invalid),
    #[error("it is neither a snapshot file nor a ruleset in JSON: {0}")]
    Json(String),
}

/// Reads a snapshot file, or a `burgee.types.v1.Ruleset` as ProtoJSON. Blocking.
pub(crate) fn read(path: &Path) -> Result<Bootstrap, Unusable> {
    match snapshot_file::read(path, None) {
        Ok(snapshot) => Ok(Bootstrap::Snapshot(snapshot.held)),
        Err(Invalid::Magic) => read_json(path),
        Err(invalid) => Err(invalid.into()),
    }
}

fn read_json(path: &Path) -> Result<Bootstrap, Unusable> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| {
            let longer = format::FILE_BYTES_MAX + 1;
            file.take(longer).read_to_string(&mut text)
        })
        .map_err(Invalid::Io)?;
    if text.len() as u64 > format::FILE_BYTES_MAX {
        return Err(Invalid::TooLarge.into());
    }
    let ruleset = from_json(&text).map_err(Unusable::Json)?;
    Ok(Bootstrap::Ruleset(Ruleset::from_message(&ruleset)))
}

fn from_json(text: &str) -> Result<v1::Ruleset, String> {
    let pool = DescriptorPool::decode(burgee_proto::FILE_DESCRIPTOR_SET)
        .map_err(|error| error.to_string())?;
    let descriptor = pool
        .get_message_by_name(RULESET)
        .ok_or_else(|| format!("{RULESET} is unknown"))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let message = DynamicMessage::deserialize(descriptor, &mut deserializer)
        .and_then(|message| deserializer.end().map(|()| message))
        .map_err(|error| error.to_string())?;
    v1::Ruleset::decode(&*message.encode_to_vec()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn a_ruleset_in_json_is_read() {
        let file =
            written(br#"{"flags": [{"key": "a", "type": "FLAG_TYPE_BOOLEAN"}, {"key": "b"}]}"#);
        let Ok(Bootstrap::Ruleset(ruleset)) = read(file.path()) else {
            panic!("a ruleset");
        };
        assert_eq!(ruleset.flag_keys().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn anything_else_is_refused() {
        for bytes in [
            &b""[..],
            b"{",
            b"[]",
            b"{\"flags\": 3}",
            b"{} {}",
            b"\xff\xfe",
        ] {
            let file = written(bytes);
            assert!(read(file.path()).is_err(), "{bytes:?}");
        }
        assert!(read(Path::new("/nowhere/at/all")).is_err());
    }
}
