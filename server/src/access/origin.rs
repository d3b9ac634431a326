//! From where somebody calls.

use std::net::IpAddr;
use std::sync::Arc;

use burgee_runtime::ClientAddress;
use http::Request;
use http::header::USER_AGENT;

/// What is kept of a user agent, in bytes.
const USER_AGENT_MAX: usize = 256;

/// From where somebody calls, for the audit log. By default: the server itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The address of whoever is connected, or for whom a trusted proxy speaks.
    pub address: Option<IpAddr>,
    /// With what, as the caller says. Empty: it does not say.
    pub user_agent: Arc<str>,
}

impl Origin {
    /// The origin of a request that came through the listener.
    #[must_use]
    pub fn of<B>(request: &Request<B>) -> Self {
        let client = ClientAddress::of(request.extensions());
        let user_agent = request.headers().get(USER_AGENT);
        let user_agent = user_agent.map(|value| String::from_utf8_lossy(value.as_bytes()));
        let mut user_agent = user_agent.unwrap_or_default().into_owned();
        user_agent.truncate(user_agent.floor_char_boundary(USER_AGENT_MAX));
        Self {
            address: client.map(|client| client.ip),
            user_agent: user_agent.into(),
        }
    }

    /// The address as text. Empty: the server itself.
    #[must_use]
    pub fn address_text(&self) -> String {
        let address = self.address.map(|address| address.to_string());
        address.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_user_agent_is_cut_between_characters_and_need_not_be_text() {
        let origin = |value: &[u8]| {
            let request =
                Request::builder().header(USER_AGENT, HeaderValue::from_bytes(value).unwrap());
            Origin::of(&request.body(()).unwrap())
        };
        assert_eq!(*origin(b"grpcurl/1.9.3").user_agent, *"grpcurl/1.9.3");
        assert_eq!(*origin(b"\xff").user_agent, *"\u{fffd}");
        let long = "é".repeat(USER_AGENT_MAX);
        assert_eq!(origin(long.as_bytes()).user_agent.len(), USER_AGENT_MAX);
        assert_eq!(origin(b"a").address_text(), "");
    }
}
