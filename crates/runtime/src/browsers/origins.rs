//! Origins, as browsers send them and operators write them.

use std::net::IpAddr;
use std::str::FromStr;

use http::uri::Authority;
use http::{HeaderValue, Uri};
use tower_http::cors::AllowOrigin;

/// What stands for every origin.
const ANY: &str = "*";

/// Of which origins pages may call. By default: of none but the server's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AllowedOrigins {
    /// None.
    #[default]
    None,
    /// These.
    Listed(Vec<HeaderValue>),
    /// Whatever is served on the machine of whoever browses, for trying things out.
    Loopback,
    /// Every one.
    Any,
}

/// One entry of the operator's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// This origin.
    Exactly(HeaderValue),
    /// `*`: every origin.
    Any,
}

/// A text that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "give origins as browsers send them, such as https://shop.example or http://localhost:3000, or * for all"
)]
pub struct MalformedOrigins;

impl AllowedOrigins {
    /// What a layer is told. None: nothing is allowed, and there need be no layer.
    pub(super) fn layer(&self) -> Option<AllowOrigin> {
        match self {
            Self::None => None,
            Self::Listed(origins) => Some(AllowOrigin::list(origins.iter().cloned())),
            Self::Loopback => Some(AllowOrigin::predicate(|origin, _| is_loopback(origin))),
            Self::Any => Some(AllowOrigin::any()),
        }
    }
}

impl From<Vec<AllowedOrigin>> for AllowedOrigins {
    fn from(entries: Vec<AllowedOrigin>) -> Self {
        let mut origins = Vec::new();
        for entry in entries {
            match entry {
                AllowedOrigin::Any => return Self::Any,
                AllowedOrigin::Exactly(origin) => origins.push(origin),
            }
        }
        match origins.is_empty() {
            true => Self::None,
            false => Self::Listed(origins),
        }
    }
}

impl FromStr for AllowedOrigin {
    type Err = MalformedOrigins;

    fn from_str(text: &str) -> Result<Self, MalformedOrigins> {
        match text.trim() {
            ANY => Ok(Self::Any),
            text if is_origin(text) => {
                let value = HeaderValue::from_str(text).map_err(|_| MalformedOrigins)?;
                Ok(Self::Exactly(value))
            }
            _ => Err(MalformedOrigins),
        }
    }
}

/// Whether a text is the origin of a web page as RFC 6454, section 6.2, writes it.
#[must_use]
pub fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else {
        return false;
    };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return false;
    };
    let plain = format!("{scheme}://{authority}") == text && !authority.as_str().contains('@');
    let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    plain && lower && matches!(scheme, "http" | "https")
}

/// Whether `host`, with a port or without, is the machine itself.
#[must_use]
pub fn is_loopback_host(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host().trim_matches(['[', ']']);
    let address = name.parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|it| it.is_loopback())
}

fn is_loopback(origin: &HeaderValue) -> bool {
    let origin = origin.to_str().unwrap_or_default();
    let host = origin.split_once("://").map(|(_, host)| host);
    is_origin(origin) && host.is_some_and(is_loopback_host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_browsers_send() {
        for good in [
            "https://shop.example",
            "http://localhost:3000",
            "https://[::1]:8443",
        ] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "shop.example",
            "https://shop.example/",
            "https://shop.example/cart",
            "https://user@shop.example",
            "https://Shop.example",
            "ftp://shop.example",
            "*",
            "null",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    #[test]
    fn a_list_allows_what_it_names_and_a_star_allows_all() {
        let parse = |text: &str| text.split(',').map(str::parse).collect();
        let list: Vec<AllowedOrigin> = Result::unwrap(parse("https://a.example, http://b:1"));
        let listed = ["https://a.example", "http://b:1"].map(HeaderValue::from_static);
        assert_eq!(
            AllowedOrigins::from(list),
            AllowedOrigins::Listed(listed.into())
        );
        let star: Vec<AllowedOrigin> = Result::unwrap(parse("https://a.example,*"));
        assert_eq!(AllowedOrigins::from(star), AllowedOrigins::Any);
        assert_eq!(AllowedOrigins::from(Vec::new()), AllowedOrigins::None);
        for bad in ["https://*.example.com/", "null", "", "a.example"] {
            assert_eq!(bad.parse::<AllowedOrigin>(), Err(MalformedOrigins), "{bad}");
        }
    }

    #[test]
    fn only_this_machine_is_this_machine() {
        for (origin, own) in [
            ("http://localhost:5173", true),
            ("https://127.0.0.1", true),
            ("http://[::1]:80", true),
            ("http://localhost.example.com", false),
            ("http://192.0.2.7", false),
            ("null", false),
        ] {
            assert_eq!(
                is_loopback(&HeaderValue::from_static(origin)),
                own,
                "{origin}"
            );
        }
    }
}
