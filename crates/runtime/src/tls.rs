//! TLS whose certificate and key are read again when their files change, so that
//! renewing them needs no restart. Connections keep what they began with.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How often the files are read.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// The protocols that are offered to a client, best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A server's certificate chain and key. Clones share what is loaded.
#[derive(Debug, Clone)]
pub struct Tls {
    files: Arc<Files>,
    current: watch::Sender<Loaded>,
}

/// Why a certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file holds no PEM of the kind that is wanted.
    #[error("{} holds no usable {what}: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// Why it was not found.
        source: pem::Error,
    },
    /// The certificate and the key do not belong together, or are of an unknown kind.
    #[error("the certificate and the key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// The bytes of both files.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Loaded {
    contents: Arc<Contents>,
    config: Arc<ServerConfig>,
}

impl Tls {
    /// Loads a PEM certificate chain, the server's own first, and its PEM key.
    ///
    /// # Errors
    /// When a file cannot be read or parsed, or the two do not match.
    pub async fn load(certificate: &Path, key: &Path) -> Result<Self, Error> {
        let files = Files {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        };
        let contents = files.read().await?;
        let loaded = files.parse(contents)?;
        Ok(Self {
            files: Arc::new(files),
            current: watch::Sender::new(loaded),
        })
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.current.borrow().config);
        TlsAcceptor::from(config).accept(stream).await
    }

    /// Reads the files again and again. What cannot be used changes nothing: a
    /// half-written pair is whole at the next look.
    pub(crate) async fn reload(&self) {
        let mut refused = None;
        loop {
            tokio::time::sleep(RELOAD_INTERVAL).await;
            match self.reload_once(&mut refused).await {
                Ok(false) => {}
                Ok(true) => tracing::info!(
                    certificate = %self.files.certificate.display(),
                    "certificate reloaded"
                ),
                Err(error) => tracing::warn!(%error, "keeping the certificate that is loaded"),
            }
        }
    }

    /// Whether something new was loaded. `refused` holds what was tried last in
    /// vain, so that it is reported once.
    async fn reload_once(&self, refused: &mut Option<Contents>) -> Result<bool, Error> {
        let contents = self.files.read().await?;
        if *self.current.borrow().contents == contents || refused.as_ref() == Some(&contents) {
            return Ok(false);
        }
        *refused = Some(contents.clone());
        self.current.send_replace(self.files.parse(contents)?);
        *refused = None;
        Ok(true)
    }
}

impl Files {
    async fn read(&self) -> Result<Contents, Error> {
        Ok(Contents {
            certificate: read(&self.certificate).await?,
            key: read(&self.key).await?,
        })
    }

    fn parse(&self, contents: Contents) -> Result<Loaded, Error> {
        let malformed = |path: &Path, what| {
            let path = path.to_owned();
            move |source| Error::Malformed { path, what, source }
        };
        let chain = CertificateDer::pem_slice_iter(&contents.certificate)
            .collect::<Result<Vec<_>, _>>()
            .and_then(|chain| match chain.is_empty() {
                true => Err(pem::Error::NoItemsFound),
                false => Ok(chain),
            })
            .map_err(malformed(&self.certificate, "certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key)
            .map_err(malformed(&self.key, "private key"))?;

        // Named, and not the process's default: that one panics while more than one
        // is compiled in and none is installed.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Loaded {
            contents: Arc::new(contents),
            config: Arc::new(config),
        })
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, Error> {
    tokio::fs::read(path)
        .await
        .map_err(|source| Error::Unreadable {
            path: path.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pair {
        certificate: String,
        key: String,
    }

    fn pair() -> Pair {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Pair {
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }

    #[tokio::test]
    async fn a_renewed_pair_is_loaded_once_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
        let (old, new) = (pair(), pair());
        std::fs::write(&certificate, &old.certificate).unwrap();
        std::fs::write(&key, &old.key).unwrap();
        let tls = Tls::load(&certificate, &key).await.unwrap();
        let served = || Arc::clone(&tls.current.borrow().config);
        let first = served();
        let mut refused = None;
        assert!(!tls.reload_once(&mut refused).await.unwrap());

        std::fs::write(&certificate, &new.certificate).unwrap();
        assert!(tls.reload_once(&mut refused).await.is_err());
        // Reported once, not at every look.
        assert!(!tls.reload_once(&mut refused).await.unwrap());
        assert!(Arc::ptr_eq(&first, &served()));

        std::fs::write(&key, &new.key).unwrap();
        assert!(tls.reload_once(&mut refused).await.unwrap());
        assert!(!Arc::ptr_eq(&first, &served()));
    }
}
