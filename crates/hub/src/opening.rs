//! What every stream passes before it opens.

use std::sync::Arc;

use burgee_proto::types::v1::AccessKeyKind;
use tonic::Extensions;

use crate::authentication::Caller;
use crate::core::Core;
use crate::environment::Attached;
use crate::refused::Refused;
use crate::streams::{CloseConnection, Holder, Registration, StreamLimits};

impl Core {
    /// The environment of a caller, kept for as long as the answer is.
    ///
    /// # Errors
    ///
    /// A key that does not open it; those of [`attach`](Self::attach).
    pub(crate) async fn enter(
        self: &Arc<Self>,
        caller: &Caller,
        uid: &Arc<str>,
    ) -> Result<Attached, Refused> {
        // Before it is loaded, so that a key loads nothing that it does not
        // open; and after, when the environment speaks for itself.
        self.check_open(caller, uid)?;
        let attached = self.attach(uid).await?;
        self.check_open(caller, uid)?;
        Ok(attached)
    }

    /// A place on the list for a stream of an environment.
    ///
    /// # Errors
    ///
    /// Those of [`register`](Self::register); an environment that was deleted
    /// in between: nobody would tell the stream.
    pub(crate) fn register_in(
        &self,
        attached: &Attached,
        caller: &Caller,
        extensions: &Extensions,
    ) -> Result<Registration, Refused> {
        let environment = attached.environment();
        let uid = environment.uid();
        let registration = self.register(caller, Some(uid.clone()), extensions)?;
        if environment.is_closed() {
            return Err(Refused::EnvironmentNotFound(uid.to_string()));
        }
        Ok(registration)
    }

    /// A place on the list of open streams.
    ///
    /// # Errors
    ///
    /// Too many are open already, or this process ends.
    pub(crate) fn register(
        &self,
        caller: &Caller,
        environment: Option<Arc<str>>,
        extensions: &Extensions,
    ) -> Result<Registration, Refused> {
        let close = extensions.get::<CloseConnection>().cloned();
        let config = &self.config;
        let limits = StreamLimits {
            all: config.streams_max,
            per_key: config.streams_per_key_max,
            of_clients_per_site: config.client_streams_per_address_max,
        };
        let holder = Holder {
            key: caller.hash,
            is_client: caller.kind() == AccessKeyKind::Client,
            site: caller.site,
        };
        let registration = self.streams.register(holder, environment, close, &limits)?;
        // Again, now that a drain would find the stream.
        self.check_draining()?;
        Ok(registration)
    }
}
