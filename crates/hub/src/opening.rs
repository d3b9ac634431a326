//! What every stream passes before it opens.

use std::sync::Arc;

use tonic::Extensions;

use crate::authentication::Caller;
use crate::core::Core;
use crate::environment::Attached;
use crate::refused::Refused;
use crate::streams::{CloseConnection, Registration};

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
    /// Too many of this key's are open, or this process ends.
    pub(crate) fn register(
        &self,
        caller: &Caller,
        environment: Option<Arc<str>>,
        extensions: &Extensions,
    ) -> Result<Registration, Refused> {
        let close = extensions.get::<CloseConnection>().cloned();
        let per_key_max = self.config.streams_per_key_max;
        let registration = (self.streams).register(caller.hash, environment, close, per_key_max)?;
        // Again, now that a drain would find the stream.
        self.check_draining()?;
        Ok(registration)
    }
}
