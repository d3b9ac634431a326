//! ID tokens, honest and forged.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use openidconnect::core::{
    CoreEdDsaPrivateSigningKey, CoreJwsSigningAlgorithm, CoreRsaPrivateSigningKey,
};
use openidconnect::{JsonWebKeyId, PrivateSigningKey as _};
use rsa::RsaPrivateKey;
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rsa::pkcs8::{EncodePublicKey as _, LineEnding};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The size of RSA keys, in bits.
const RSA_BITS: usize = 2_048;
/// How long a token is good, in seconds.
const LIFETIME: i64 = 300;

/// A key that signs, with its id.
pub struct Key {
    id: String,
    kind: Kind,
}

enum Kind {
    Rsa {
        private: CoreRsaPrivateSigningKey,
        public_pem: String,
    },
    EdDsa(CoreEdDsaPrivateSigningKey),
}

/// What a token is signed with.
#[derive(Clone)]
pub enum Signature {
    /// A key, in the way that the key is for.
    By(Arc<Key>),
    /// A secret that both sides know (HS256).
    Shared(Vec<u8>),
    /// Nothing.
    Stripped,
}

/// A token before it is encoded.
#[derive(Clone)]
pub struct Token {
    /// What it says of itself.
    pub header: Value,
    /// What it says of somebody.
    pub claims: Value,
    /// Who says so.
    pub signature: Signature,
}

impl Key {
    /// An RSA key of this id. Making one takes long: those of the same id are the same.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    #[must_use]
    pub fn rsa(id: &str) -> Arc<Self> {
        static MADE: LazyLock<Mutex<Vec<Arc<Key>>>> = LazyLock::new(Mutex::default);
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = made.iter().find(|key| key.id == id) {
            return Arc::clone(key);
        }
        let private = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, RSA_BITS).unwrap();
        let public_pem = private.to_public_key().to_public_key_pem(LineEnding::LF);
        let pem = private.to_pkcs1_pem(LineEnding::LF).unwrap();
        let kid = Some(JsonWebKeyId::new(id.to_owned()));
        let key = Arc::new(Self {
            id: id.to_owned(),
            kind: Kind::Rsa {
                private: CoreRsaPrivateSigningKey::from_pem(&pem, kid).unwrap(),
                public_pem: public_pem.unwrap(),
            },
        });
        made.push(Arc::clone(&key));
        key
    }

    /// An Ed25519 key of this id.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    #[must_use]
    pub fn ed25519(id: &str) -> Arc<Self> {
        let made = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let kid = Some(JsonWebKeyId::new(id.to_owned()));
        let key = CoreEdDsaPrivateSigningKey::from_ed25519_pem(&made.serialize_pem(), kid);
        Arc::new(Self {
            id: id.to_owned(),
            kind: Kind::EdDsa(key.unwrap()),
        })
    }

    /// As it is published.
    #[must_use]
    pub fn public(&self) -> Value {
        let key = match &self.kind {
            Kind::Rsa { private, .. } => private.as_verification_key(),
            Kind::EdDsa(private) => private.as_verification_key(),
        };
        serde_json::to_value(key).unwrap()
    }

    /// The public half of an RSA key, as PEM.
    ///
    /// # Panics
    ///
    /// For a key of another kind.
    #[must_use]
    pub fn public_pem(&self) -> &str {
        match &self.kind {
            Kind::Rsa { public_pem, .. } => public_pem,
            Kind::EdDsa(_) => panic!("no RSA key"),
        }
    }

    fn algorithm(&self) -> &'static str {
        match self.kind {
            Kind::Rsa { .. } => "RS256",
            Kind::EdDsa(_) => "EdDSA",
        }
    }

    fn sign(&self, input: &[u8]) -> Vec<u8> {
        let signed = match &self.kind {
            Kind::Rsa { private, .. } => {
                private.sign(&CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256, input)
            }
            Kind::EdDsa(private) => private.sign(&CoreJwsSigningAlgorithm::EdDsa, input),
        };
        signed.unwrap()
    }
}

impl Token {
    /// An honest one.
    ///
    /// # Panics
    ///
    /// When the claims are no object.
    #[must_use]
    pub fn new(key: Arc<Key>, issuer: &str, client: &str, nonce: &str, mut claims: Value) -> Self {
        let now = now();
        for (claim, value) in [
            ("iss", json!(issuer)),
            ("aud", json!(client)),
            ("nonce", json!(nonce)),
            ("iat", json!(now)),
            ("exp", json!(now + LIFETIME)),
        ] {
            claims[claim] = value;
        }
        Self {
            header: json!({"typ": "JWT", "alg": key.algorithm(), "kid": key.id}),
            claims,
            signature: Signature::By(key),
        }
    }

    /// Says with which access token it came.
    pub fn came_with(&mut self, access_token: &str) {
        // Half of the hash that the algorithm is of. That of EdDSA is another, and said by few.
        if self.header["alg"] == "RS256" {
            let digest = Sha256::digest(access_token);
            self.claims["at_hash"] = json!(URL_SAFE_NO_PAD.encode(&digest[..16]));
        }
    }

    /// As it travels.
    ///
    /// # Panics
    ///
    /// Never: any secret is a key.
    #[must_use]
    pub fn encode(&self) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", part(&self.header), part(&self.claims));
        let signature = match &self.signature {
            Signature::By(key) => key.sign(input.as_bytes()),
            Signature::Shared(secret) => {
                let mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
                let bytes = mac.chain_update(&input).finalize().into_bytes();
                bytes.to_vec()
            }
            Signature::Stripped => Vec::new(),
        };
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Now, in seconds since the Unix epoch.
///
/// # Panics
///
/// Before 1970.
#[must_use]
pub fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}
