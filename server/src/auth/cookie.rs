//! Where a new session's secret goes: into the answer, or into a cookie.

use burgee_proto::admin::v1::{CompleteOidcSignInRequest, Session};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Response};

use super::browser::{Browser, KeptFlow};
use crate::error::Error;

/// The header that sets a cookie.
const SET_COOKIE: &str = "set-cookie";

/// Whether a new session is kept in a cookie, and by which browser.
#[derive(Debug, Clone, Copy)]
pub(super) struct Jar(Option<Browser>);

/// Cookies to be set, or none.
#[derive(Debug, Default)]
pub(super) struct Cookie(Vec<MetadataValue<Ascii>>);

impl Jar {
    /// For a request that asks for a cookie, or does not.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it does, and is not of a page of this server's own origin.
    pub(super) fn of<T>(request: &Request<T>, wanted: bool) -> Result<Self, Error> {
        let browser = request.extensions().get::<Browser>().copied();
        if wanted && browser.is_none() {
            let description = "cookies are for pages of the server's own origin, by gRPC-web";
            return Err(Error::invalid("set_cookie", description));
        }
        Ok(Self(browser.filter(|_| wanted)))
    }

    /// Takes the secret out of the answer, if it goes into a cookie.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub(super) fn keep(
        self,
        session: Option<&Session>,
        secret: &mut String,
    ) -> Result<Cookie, Error> {
        let lifetime = session.map(lifetime_seconds).unwrap_or_default();
        let cookie = self
            .0
            .map(|browser| browser.keep(&std::mem::take(secret), lifetime));
        Ok(Cookie(cookie.transpose()?.into_iter().collect()))
    }

    /// Takes the secret of a flow out of the answer, likewise.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub(super) fn keep_flow(self, secret: &mut String) -> Result<Cookie, Error> {
        let cookie = self
            .0
            .map(|browser| browser.keep_flow(&std::mem::take(secret)));
        Ok(Cookie(cookie.transpose()?.into_iter().collect()))
    }
}

impl Cookie {
    /// Takes the cookie away from a browser that may have one.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub(super) fn forgotten<T>(request: &Request<T>) -> Result<Self, Error> {
        let browser = request.extensions().get::<Browser>();
        let cookie = browser.map(|it| it.forget()).transpose()?;
        Ok(Self(cookie.into_iter().collect()))
    }

    /// These and others.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The answer with the cookies.
    pub(super) fn set_on<T>(self, mut response: Response<T>) -> Response<T> {
        for mut cookie in self.0 {
            cookie.set_sensitive(true);
            response.metadata_mut().append(SET_COOKIE, cookie);
        }
        response
    }
}

/// The secret of the flow that a request completes, which it gives or its browser keeps; and
/// what takes it away from the browser.
///
/// # Errors
/// [`Error::Internal`].
pub(super) fn flow_secret(
    request: &Request<CompleteOidcSignInRequest>,
) -> Result<(String, Cookie), Error> {
    let given = &request.get_ref().flow_secret;
    let kept = request.extensions().get::<KeptFlow>();
    match kept.filter(|_| given.is_empty()) {
        Some(flow) => Ok((flow.secret().to_owned(), Cookie(vec![flow.forget()?]))),
        None => Ok((given.clone(), Cookie::default())),
    }
}

/// How long a session that has just begun lives, in seconds.
fn lifetime_seconds(session: &Session) -> i64 {
    let times = session.expire_time.zip(session.create_time);
    times.map_or(0, |(end, begin)| end.seconds - begin.seconds)
}
