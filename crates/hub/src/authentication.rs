//! Who is calling, and what they may open.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use burgee_proto::types::v1::AccessKeyKind;
use http::header::{AUTHORIZATION, ORIGIN};
use tonic::Extensions;
use tonic::metadata::MetadataMap;

use crate::core::Core;
use crate::credential::{self, Kind};
use crate::keys::{Key, KeyHash, Standing};
use crate::refused::Refused;

/// A caller with a key that is good.
pub(crate) struct Caller {
    /// The key's hash.
    pub(crate) hash: KeyHash,
    /// From where, if that is known.
    pub(crate) site: Option<IpAddr>,
    key: Arc<Key>,
}

/// What a relay key opens.
pub(crate) enum Scope {
    /// These environments.
    Open(BTreeSet<Arc<str>>),
    /// Nothing: it is revoked, expired, or certainly gone.
    Ended,
    /// That cannot be said now.
    Unknown,
}

impl Caller {
    /// What the key may do.
    pub(crate) fn kind(&self) -> AccessKeyKind {
        self.key.kind()
    }

    /// A key that may follow rulesets.
    ///
    /// # Errors
    ///
    /// [`Refused::PermissionDenied`] for another one.
    pub(crate) fn may_sync(&self) -> Result<(), Refused> {
        match self.kind() {
            AccessKeyKind::Server | AccessKeyKind::Relay | AccessKeyKind::Test => Ok(()),
            AccessKeyKind::Client | AccessKeyKind::Unspecified => {
                Err(Refused::PermissionDenied("sync"))
            }
        }
    }

    /// A key that may follow which environments it opens.
    ///
    /// # Errors
    ///
    /// [`Refused::PermissionDenied`] for another one.
    pub(crate) fn may_follow_environments(&self) -> Result<(), Refused> {
        match self.kind() {
            AccessKeyKind::Relay => Ok(()),
            _ => Err(Refused::PermissionDenied("environments.watch")),
        }
    }

    /// A key that may tell when other keys were used.
    ///
    /// # Errors
    ///
    /// [`Refused::PermissionDenied`] for another one.
    pub(crate) fn may_report_key_uses(&self) -> Result<(), Refused> {
        match self.kind() {
            AccessKeyKind::Relay => Ok(()),
            _ => Err(Refused::PermissionDenied("keyUses.report")),
        }
    }

    /// A key that may evaluate, from where it is used.
    ///
    /// # Errors
    ///
    /// [`Refused::PermissionDenied`] for another one.
    pub(crate) fn may_evaluate(&self, metadata: &MetadataMap) -> Result<(), Refused> {
        match self.kind() {
            AccessKeyKind::Server | AccessKeyKind::Test => Ok(()),
            AccessKeyKind::Client => self.check_origin(metadata),
            AccessKeyKind::Relay | AccessKeyKind::Unspecified => {
                Err(Refused::PermissionDenied("evaluation"))
            }
        }
    }

    /// A key that may be told why a flag has its value.
    ///
    /// # Errors
    ///
    /// [`Refused::PermissionDenied`] for another one.
    pub(crate) fn may_explain(&self) -> Result<(), Refused> {
        match self.kind() {
            AccessKeyKind::Server | AccessKeyKind::Test => Ok(()),
            AccessKeyKind::Client | AccessKeyKind::Relay | AccessKeyKind::Unspecified => {
                Err(Refused::PermissionDenied("explanation"))
            }
        }
    }

    /// A key that may set flags where it is not the hub that does so.
    ///
    /// # Errors
    ///
    /// [`Refused::CredentialInvalid`] for another one: to who sets flags it is no credential.
    pub(crate) fn may_set_flags(&self) -> Result<(), Refused> {
        match self.kind() {
            AccessKeyKind::Test => Ok(()),
            AccessKeyKind::Server
            | AccessKeyKind::Client
            | AccessKeyKind::Relay
            | AccessKeyKind::Unspecified => Err(Refused::CredentialInvalid),
        }
    }

    /// Browsers send where a page came from; what else sends nothing may use
    /// the key.
    fn check_origin(&self, metadata: &MetadataMap) -> Result<(), Refused> {
        let Some(origin) = metadata.get(ORIGIN.as_str()) else {
            return Ok(());
        };
        let allowed = origin
            .to_str()
            .is_ok_and(|origin| self.key.allows_origin(origin));
        if allowed {
            Ok(())
        } else {
            Err(Refused::PermissionDenied("evaluation from this origin"))
        }
    }
}

impl Core {
    /// Finds out who is calling.
    ///
    /// # Errors
    ///
    /// A missing, malformed, unknown, revoked or expired credential, one of the
    /// control plane, or one that cannot be checked now; a caller who calls too often.
    pub(crate) async fn authenticate(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<Caller, Refused> {
        let site = (self.config.caller_site)(extensions);
        let limits = &self.config.limits;
        let hash = match presented(metadata) {
            Ok(hash) => hash,
            Err(refused) => {
                limits.stranger(site)?;
                return Err(refused);
            }
        };
        let key = match self.keys.get(&hash) {
            Some(key) if key.has_ended(SystemTime::now()) => {
                limits.stranger(site)?;
                return Err(Refused::CredentialInvalid);
            }
            Some(key) => key,
            None => self.look_up_for(site, &hash).await?,
        };
        limits.key_call(key.kind(), &hash, site)?;
        self.keys.note_use(&hash, &key, SystemTime::now());
        Ok(Caller { hash, site, key })
    }

    /// A key that may be a guess.
    async fn look_up_for(&self, site: Option<IpAddr>, hash: &KeyHash) -> Result<Arc<Key>, Refused> {
        let attempt = self.config.limits.attempt(site, hash)?;
        let found = self.look_up(hash).await;
        let found = found.and_then(|key| match key.has_ended(SystemTime::now()) {
            true => Err(Refused::CredentialInvalid),
            false => Ok(key),
        });
        match &found {
            Ok(_) => attempt.good(),
            Err(Refused::CredentialInvalid) => attempt.bad(),
            Err(_) => attempt.undecided(),
        }
        found
    }

    /// A key that no loaded environment vouches for.
    pub(crate) async fn look_up(&self, hash: &KeyHash) -> Result<Arc<Key>, Refused> {
        let source = self.source()?;
        match self.lookups.get(&self.runtime, source, hash).await? {
            Some(grant) => Ok(Arc::new(Key::looked_up(grant))),
            None if source.is_current() => Err(Refused::CredentialInvalid),
            None => Err(Refused::NotCurrent("the key cannot be checked now")),
        }
    }

    /// The uid of the environment that a caller means. An empty name: the only
    /// one of its key.
    ///
    /// # Errors
    ///
    /// [`Refused::InvalidField`] if there is not exactly one.
    pub(crate) fn named_environment(caller: &Caller, requested: &str) -> Result<Arc<str>, Refused> {
        if !requested.is_empty() {
            return Ok(Arc::from(requested));
        }
        let sole = caller.key.sole_environment().cloned();
        sole.ok_or(Refused::InvalidField(
            "environment",
            "name one: the key does not open exactly one environment",
        ))
    }

    /// Whether a caller's key opens an environment, as far as is known here.
    ///
    /// # Errors
    ///
    /// Not found, or a key that has ended.
    pub(crate) fn check_open(&self, caller: &Caller, uid: &str) -> Result<(), Refused> {
        let loaded = self.loaded(uid).is_some();
        // The key as it is now: loading may have brought news of it.
        let vouched = self.keys.get(&caller.hash);
        let key = vouched
            .filter(|key| !loaded || key.is_vouched_by(uid))
            .unwrap_or_else(|| caller.key.clone());
        match key.standing(uid, loaded, SystemTime::now()) {
            Standing::Open => Ok(()),
            Standing::Ended => Err(Refused::CredentialInvalid),
            Standing::Elsewhere => Err(Refused::EnvironmentNotFound(uid.to_owned())),
        }
    }

    /// Which environments a key opens now.
    pub(crate) async fn scope(&self, hash: &KeyHash) -> Scope {
        let now = SystemTime::now();
        let key = match self.keys.get(hash) {
            Some(key) => key,
            None => match self.look_up(hash).await {
                Ok(key) => key,
                Err(Refused::CredentialInvalid) => return Scope::Ended,
                Err(_) => return Scope::Unknown,
            },
        };
        if key.has_ended(now) {
            return Scope::Ended;
        }
        let opens = |uid: &Arc<str>| {
            !self.is_deleted(uid)
                && key.standing(uid, self.loaded(uid).is_some(), now) == Standing::Open
        };
        self.keys.note_use(hash, &key, now);
        Scope::Open(key.environments().into_iter().filter(opens).collect())
    }
}

/// The hash of a key that a call shows.
fn presented(metadata: &MetadataMap) -> Result<KeyHash, Refused> {
    let secret = bearer(metadata).ok_or(Refused::CredentialMissing)?;
    match credential::parse(secret).map_err(|_| Refused::CredentialMissing)? {
        Kind::Server | Kind::Client | Kind::Relay | Kind::Test => Ok(credential::hash(secret)),
        // Whether it is anybody's is not known here.
        Kind::ServiceAccount | Kind::Personal | Kind::Session | Kind::Link | Kind::Flow => {
            Err(Refused::CredentialInvalid)
        }
    }
}

/// The credential in `authorization: Bearer …`.
fn bearer(metadata: &MetadataMap) -> Option<&str> {
    const SCHEME: &str = "bearer ";
    let value = metadata.get(AUTHORIZATION.as_str())?.to_str().ok()?;
    let (scheme, secret) = value.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| secret.trim())
}
