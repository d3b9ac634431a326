//! How a client is set up: code beats environment variables beat defaults.

use std::path::PathBuf;
use std::time::Duration;

use super::Client;
use crate::address::InvalidAddress;
use crate::key::InvalidKey;
use crate::{Address, Key};

/// How long [`ClientBuilder::connect`] waits for a first ruleset.
const INIT_TIMEOUT: Duration = Duration::from_secs(2);

/// Sets a client up. What is not said here is read from the environment:
/// `BURGEE_ADDR`, `BURGEE_SDK_KEY`, `BURGEE_CACHE_DIR`, `BURGEE_BOOTSTRAP_FILE`,
/// `BURGEE_INIT_TIMEOUT_MS`, `BURGEE_CA_FILE`.
#[derive(Debug, Clone, Default)]
pub struct ClientBuilder {
    address: Option<String>,
    sdk_key: Option<String>,
    cache_dir: Option<PathBuf>,
    bootstrap_file: Option<PathBuf>,
    init_timeout: Option<Duration>,
    ca_file: Option<PathBuf>,
}

/// What a client cannot be made from. The only errors that a client ever gives:
/// once it exists, it serves.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Neither the builder nor `BURGEE_ADDR` gave one.
    #[error("no address: call `address` or set BURGEE_ADDR")]
    NoAddress,
    /// The address cannot be read.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    /// Neither the builder nor `BURGEE_SDK_KEY` gave one.
    #[error("no SDK key: call `sdk_key` or set BURGEE_SDK_KEY")]
    NoKey,
    /// The key cannot be one.
    #[error(transparent)]
    Key(#[from] InvalidKey),
    /// `BURGEE_INIT_TIMEOUT_MS` is not a number of milliseconds.
    #[error("BURGEE_INIT_TIMEOUT_MS is `{0}`: expected milliseconds")]
    InitTimeout(String),
}

/// What a client runs with.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) addresses: Vec<Address>,
    pub(super) key: Key,
    pub(super) cache_dir: Option<PathBuf>,
    pub(super) bootstrap_file: Option<PathBuf>,
    pub(super) init_timeout: Duration,
    pub(super) ca_file: Option<PathBuf>,
}

impl ClientBuilder {
    /// Where the server or relay is: `http://host:port` or `https://host:port`;
    /// several, with commas between, are tried in order.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// The SDK key, `burgee_srv_…`. It names the environment.
    #[must_use]
    pub fn sdk_key(mut self, sdk_key: impl Into<String>) -> Self {
        self.sdk_key = Some(sdk_key.into());
        self
    }

    /// A folder for a copy of the ruleset, from which the next start is served
    /// until the network has spoken. It is made if it is not there. Default:
    /// none.
    #[must_use]
    pub fn cache_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(folder.into());
        self
    }

    /// A snapshot file, or a ruleset as ProtoJSON, for when there is neither a
    /// network nor a copy on disk. Default: none.
    #[must_use]
    pub fn bootstrap_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.bootstrap_file = Some(file.into());
        self
    }

    /// How long [`connect`](Self::connect) waits for a first ruleset. Default:
    /// 2 s.
    #[must_use]
    pub fn init_timeout(mut self, timeout: Duration) -> Self {
        self.init_timeout = Some(timeout);
        self
    }

    /// Certificates (PEM) to trust instead of the public ones.
    #[must_use]
    pub fn ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(file.into());
        self
    }

    /// Makes the client, on the tokio runtime that this is called on. Returns
    /// when the first ruleset is in (from the network, the disk copy or the
    /// bootstrap file) or the time is up; without a ruleset evaluations give the
    /// caller's default, and the client goes on trying for ever.
    ///
    /// # Errors
    /// [`ConfigError`], before anything is tried.
    pub async fn connect(self) -> Result<Client, ConfigError> {
        let options = self.resolve(|name| std::env::var(name).ok())?;
        Ok(Client::start(options).await)
    }

    pub(super) fn resolve(
        self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Options, ConfigError> {
        // An empty variable is one that is not set: compose files write it so.
        let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
        let file = |given: Option<PathBuf>, name| given.or_else(|| variable(name).map(Into::into));
        let address = self
            .address
            .or_else(|| variable("BURGEE_ADDR"))
            .ok_or(ConfigError::NoAddress)?;
        let key = self
            .sdk_key
            .or_else(|| variable("BURGEE_SDK_KEY"))
            .ok_or(ConfigError::NoKey)?;
        let init_timeout = match (self.init_timeout, variable("BURGEE_INIT_TIMEOUT_MS")) {
            (Some(timeout), _) => timeout,
            (None, None) => INIT_TIMEOUT,
            (None, Some(text)) => text
                .parse()
                .map(Duration::from_millis)
                .map_err(|_not_a_number| ConfigError::InitTimeout(text))?,
        };
        Ok(Options {
            addresses: Address::list(&address)?,
            key: Key::new(&key)?,
            cache_dir: file(self.cache_dir, "BURGEE_CACHE_DIR"),
            bootstrap_file: file(self.bootstrap_file, "BURGEE_BOOTSTRAP_FILE"),
            init_timeout,
            ca_file: file(self.ca_file, "BURGEE_CA_FILE"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(name: &str) -> Option<String> {
        let value = match name {
            "BURGEE_ADDR" => "http://from-environment:1",
            "BURGEE_SDK_KEY" => "burgee_srv_environment",
            "BURGEE_CACHE_DIR" => "/cache",
            "BURGEE_BOOTSTRAP_FILE" => "",
            "BURGEE_INIT_TIMEOUT_MS" => "150",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn code_beats_environment_beats_default() {
        let options = ClientBuilder::default()
            .address("http://from-code:1")
            .resolve(variables)
            .unwrap();
        assert_eq!(options.addresses[0].to_string(), "http://from-code:1");
        assert_eq!(options.key, Key::new("burgee_srv_environment").unwrap());
        assert_eq!(options.cache_dir, Some("/cache".into()));
        assert_eq!(options.bootstrap_file, None, "empty is not set");
        assert_eq!(options.init_timeout, Duration::from_millis(150));
        assert_eq!(options.ca_file, None);

        let options = ClientBuilder::default()
            .address("http://a:1")
            .sdk_key("k")
            .resolve(|_| None)
            .unwrap();
        assert_eq!(options.init_timeout, INIT_TIMEOUT);
    }

    #[test]
    fn what_is_missing_or_malformed_is_named() {
        let message = |builder: ClientBuilder, variable: Option<(&str, &str)>| {
            let lookup = |name: &str| variable.filter(|v| v.0 == name).map(|v| v.1.to_owned());
            builder.resolve(lookup).unwrap_err().to_string()
        };
        let whole = || ClientBuilder::default().address("http://a:1").sdk_key("k");
        assert!(message(ClientBuilder::default(), None).contains("BURGEE_ADDR"));
        assert!(
            message(ClientBuilder::default().address("http://a:1"), None)
                .contains("BURGEE_SDK_KEY")
        );
        assert!(message(whole().address("a:1"), None).contains("`a:1`"));
        assert!(message(whole(), Some(("BURGEE_INIT_TIMEOUT_MS", "2s"))).contains("`2s`"));
        let secret = message(whole().sdk_key("burgee srv"), None);
        assert!(!secret.contains("burgee srv"), "{secret}");
    }
}
