//! Where servers and relays are.

use std::fmt;
use std::str::FromStr;

use tonic::transport::Uri;

/// A server or relay: `http://host:port`, or `https://host:port` for TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Uri);

/// A text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address: expected http://host:port or https://host:port")]
pub struct InvalidAddress(String);

impl Address {
    /// Reads a list such as `http://a:4000,http://b:4001`, tried in this order.
    ///
    /// # Errors
    /// [`InvalidAddress`] for the first that is none, and for an empty list.
    pub fn list(text: &str) -> Result<Vec<Self>, InvalidAddress> {
        text.split(',').map(str::trim).map(str::parse).collect()
    }

    /// Whether the connection is encrypted.
    pub(crate) fn is_tls(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// What is dialled.
    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidAddress(text.to_owned());
        let uri: Uri = text.parse().map_err(|_not_a_uri| invalid())?;
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        // Whatever stood before an `@` would be a password, and would be logged.
        let plain = uri
            .authority()
            .is_some_and(|authority| !authority.as_str().contains('@'));
        let whole = matches!(uri.path(), "" | "/") && uri.query().is_none();
        if known && plain && whole {
            Ok(Self(uri))
        } else {
            Err(invalid())
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}://{}",
            self.0.scheme_str().unwrap_or_default(),
            self.0
                .authority()
                .map_or("", |authority| authority.as_str())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_its_order() {
        let list = Address::list("http://a:4000, https://b.example:443").unwrap();
        let texts: Vec<String> = list.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["http://a:4000", "https://b.example:443"]);
        assert_eq!(
            list.iter().map(Address::is_tls).collect::<Vec<_>>(),
            [false, true]
        );
    }

    #[test]
    fn what_is_no_address_is_refused_by_name() {
        for text in [
            "",
            "localhost:4000",
            "ftp://a:1",
            "http://",
            "http://a:1/path",
            "http://user:pass@a:1",
            "http://a:1,,http://b:1",
        ] {
            assert!(Address::list(text).is_err(), "{text:?}");
        }
    }
}
