//! What an operator sets: flags, or environment variables of the same names.

mod callers;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use burgee::{Address, Key};
use burgee_hub::credential::{self, Kind};
use burgee_runtime::addresses::{ForwardedHeader, Network, TrustedProxies};
use burgee_runtime::browsers::{AllowedOrigin, AllowedOrigins};
use clap::Parser;

pub use self::callers::Callers;

/// Serves Burgee's data plane locally: follows the environments of a relay key
/// from a server or another relay, keeps them on disk, and hands them to SDKs.
#[derive(Debug, Parser)]
#[command(name = "burgee-relay", version)]
pub struct Arguments {
    /// Where to listen.
    #[arg(long, env = "BURGEE_RELAY_LISTEN", default_value = "127.0.0.1:4001")]
    listen: SocketAddr,

    /// Servers, then sibling relays, tried in order: http://host:port or
    /// https://host:port, with commas between.
    #[arg(
        long,
        env = "BURGEE_RELAY_UPSTREAM",
        value_delimiter = ',',
        required = true
    )]
    upstream: Vec<Address>,

    /// The relay key (`burgee_rly_…`). Prefer a file: other users of the
    /// machine can see arguments.
    #[arg(long, env = "BURGEE_RELAY_KEY", hide_env_values = true)]
    key: Option<String>,

    /// A file with the relay key, read again when it changes.
    #[arg(long, env = "BURGEE_RELAY_KEY_FILE", conflicts_with = "key")]
    key_file: Option<PathBuf>,

    /// Where snapshots are kept. Made if it is not there; of one relay alone.
    #[arg(long, env = "BURGEE_RELAY_DATA_DIR")]
    data_dir: PathBuf,

    /// Certificates (PEM) to trust upstream instead of the public ones.
    #[arg(long, env = "BURGEE_RELAY_CA_FILE")]
    ca_file: Option<PathBuf>,

    /// Certificate chain (PEM) to serve TLS with, read again when it changes.
    #[arg(long, env = "BURGEE_RELAY_TLS_CERT_FILE", requires = "tls_key_file")]
    tls_cert_file: Option<PathBuf>,

    /// The certificate's private key (PEM).
    #[arg(long, env = "BURGEE_RELAY_TLS_KEY_FILE", requires = "tls_cert_file")]
    tls_key_file: Option<PathBuf>,

    /// Addresses and networks of proxies that say truly for whom they speak, with
    /// commas between.
    #[arg(long, env = "BURGEE_RELAY_TRUSTED_PROXIES", value_delimiter = ',')]
    trusted_proxies: Vec<Network>,

    /// The header in which they say it: x-forwarded-for or forwarded. The other is
    /// never read.
    #[arg(
        long,
        env = "BURGEE_RELAY_FORWARDED_HEADER",
        default_value = "x-forwarded-for"
    )]
    forwarded_header: ForwardedHeader,

    /// Origins whose pages may evaluate flags with a client key, with commas
    /// between; * for all.
    #[arg(long, env = "BURGEE_RELAY_ALLOWED_ORIGINS", value_delimiter = ',')]
    allowed_origins: Vec<AllowedOrigin>,

    /// Seconds over which streams are told to leave when the relay is stopped.
    #[arg(long, env = "BURGEE_RELAY_DRAIN_SECONDS", default_value_t = 5)]
    drain_seconds: u64,

    /// Worker threads; 1 serves more than 2 do on one or two cores. Default:
    /// one a core.
    #[arg(long, env = "BURGEE_RELAY_THREADS")]
    threads: Option<NonZeroUsize>,

    /// How much everybody may ask.
    #[command(flatten)]
    callers: Callers,
}

/// What a relay runs with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Tried in order.
    pub upstream: Vec<Address>,
    /// The relay key.
    pub key: Key,
    /// Where the key came from, if from a file.
    pub key_file: Option<PathBuf>,
    /// Where snapshots are kept.
    pub data_dir: PathBuf,
    /// Trusted upstream instead of the public certificates.
    pub ca_file: Option<PathBuf>,
    /// What to serve TLS with.
    pub tls: Option<TlsFiles>,
    /// Whose word counts for whom they speak.
    pub trusted_proxies: TrustedProxies,
    /// Of which origins pages may call.
    pub allowed_origins: AllowedOrigins,
    /// How much everybody may ask.
    pub callers: Callers,
    /// How long saying goodbye takes.
    pub drain_window: Duration,
}

/// A certificate chain and its private key, both PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The chain, the relay's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Why arguments are no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a key nor a file with one.
    #[error("no relay key: give --key-file FILE (BURGEE_RELAY_KEY_FILE) or --key KEY")]
    NoKey,
    /// The key file cannot be read.
    #[error("cannot read the key file {}: {source}", path.display())]
    KeyFile {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not a relay key.
    #[error("this is not a relay key: expected burgee_rly_…, whole and unchanged")]
    NotARelayKey,
}

impl Arguments {
    /// Worker threads of the runtime; `None`: one a core.
    #[must_use]
    pub fn threads(&self) -> Option<NonZeroUsize> {
        self.threads
    }

    /// Checks them, reading the key file.
    ///
    /// # Errors
    /// [`Error`], whose text says what to do.
    pub fn resolve(self) -> Result<Options, Error> {
        let key = match (&self.key, &self.key_file) {
            (Some(key), _) => relay_key(key)?,
            (None, Some(path)) => {
                let read = std::fs::read_to_string(path);
                relay_key(&read.map_err(|source| Error::KeyFile {
                    path: path.clone(),
                    source,
                })?)?
            }
            (None, None) => return Err(Error::NoKey),
        };
        let tls = match (self.tls_cert_file, self.tls_key_file) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            _ => None,
        };
        Ok(Options {
            listen: self.listen,
            upstream: self.upstream,
            key,
            key_file: self.key_file,
            data_dir: self.data_dir,
            ca_file: self.ca_file,
            tls,
            trusted_proxies: TrustedProxies::new(self.trusted_proxies, self.forwarded_header),
            allowed_origins: self.allowed_origins.into(),
            callers: self.callers,
            drain_window: Duration::from_secs(self.drain_seconds),
        })
    }
}

/// Takes the text of a relay key, checksum included.
///
/// # Errors
/// [`Error::NotARelayKey`], which does not repeat the text.
pub fn relay_key(text: &str) -> Result<Key, Error> {
    match credential::parse(text.trim()) {
        Ok(Kind::Relay) => Key::new(text).map_err(|_invalid| Error::NotARelayKey),
        _ => Err(Error::NotARelayKey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: Kind) -> String {
        credential::generate(kind, [7; 32]).expose().to_owned()
    }

    fn resolve(more: &[&str]) -> Result<Options, String> {
        let fixed = [
            "burgee-relay",
            "--upstream",
            "http://a:1,http://b:2",
            "--data-dir",
            "/d",
        ];
        let arguments = Arguments::try_parse_from(fixed.iter().chain(more));
        arguments
            .map_err(|error| error.to_string())?
            .resolve()
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_of_upstreams_keeps_its_order() {
        let options = resolve(&["--key", &key(Kind::Relay)]).unwrap();
        let upstream: Vec<String> = options.upstream.iter().map(ToString::to_string).collect();
        assert_eq!(upstream, ["http://a:1", "http://b:2"]);
        assert_eq!(options.listen.port(), 4001);
    }

    #[test]
    fn a_key_file_may_end_with_a_newline() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{}\n", key(Kind::Relay))).unwrap();
        let options = resolve(&["--key-file", file.path().to_str().unwrap()]).unwrap();
        assert_eq!(options.key, Key::new(&key(Kind::Relay)).unwrap());
    }

    #[test]
    fn another_kind_of_key_is_refused_and_not_repeated() {
        let wrong = key(Kind::Server);
        let error = resolve(&["--key", &wrong]).unwrap_err();
        assert!(error.contains("burgee_rly_"), "{error}");
        assert!(!error.contains(&wrong), "{error}");
        assert!(resolve(&["--key", "burgee_rly_short"]).is_err());
        assert!(resolve(&[]).unwrap_err().contains("--key-file"));
        assert!(
            resolve(&["--key-file", "/nowhere"])
                .unwrap_err()
                .contains("/nowhere")
        );
    }
}
