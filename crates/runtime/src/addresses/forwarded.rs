//! The headers in which proxies say for whom they speak, read from the right.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderValue};

/// The older of the two, which most proxies write.
pub(super) const X_FORWARDED_FOR: &str = "x-forwarded-for";
/// The scheme that goes with it.
const X_FORWARDED_PROTO: &str = "x-forwarded-proto";
/// The standard one.
pub(super) const FORWARDED: &str = "forwarded";
/// The scheme of a caller who speaks TLS.
const HTTPS: &str = "https";
/// And of one who does not.
const HTTP: &str = "http";

/// One entry of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) ip: IpAddr,
    pub(super) tls: bool,
}

/// Says both headers of one hop, and nothing else of whatever they said.
pub(super) fn tell(Hop { ip, tls }: Hop, headers: &mut HeaderMap) {
    let proto = if tls { HTTPS } else { HTTP };
    let node = match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("\"[{v6}]\""),
    };
    for (name, value) in [
        (X_FORWARDED_FOR, ip.to_string()),
        (X_FORWARDED_PROTO, proto.to_owned()),
        (FORWARDED, format!("for={node};proto={proto}")),
    ] {
        headers.remove(name);
        // Of addresses and schemes every value can be made.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
}

/// The entries of `X-Forwarded-For`, the last one first. None: not an address.
pub(super) fn x_forwarded_for(headers: &HeaderMap) -> Box<dyn Iterator<Item = Option<Hop>> + '_> {
    let proto = values(headers, X_FORWARDED_PROTO).next();
    let proto = proto.and_then(|line| line.rsplit(',').next());
    let tls = proto.is_some_and(|proto| proto.trim().eq_ignore_ascii_case(HTTPS));
    let lines = values(headers, X_FORWARDED_FOR);
    let entries = lines.flat_map(|line| line.rsplit(','));
    Box::new(entries.map(move |entry| address(entry.trim()).map(|ip| Hop { ip, tls })))
}

/// The elements of `Forwarded`, the last one first. None: one that names no address.
pub(super) fn forwarded(headers: &HeaderMap) -> Box<dyn Iterator<Item = Option<Hop>> + '_> {
    let elements = values(headers, FORWARDED).flat_map(|line| {
        let elements: Vec<&str> = unquoted_split(line, b',');
        elements.into_iter().rev()
    });
    Box::new(elements.map(hop))
}

/// The lines of a header, the last one first. One that is no text is empty.
fn values<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> impl Iterator<Item = &'a str> + use<'a> {
    let lines = headers.get_all(name).into_iter();
    lines.rev().map(|value| value.to_str().unwrap_or_default())
}

/// One element: pairs with semicolons between, RFC 7239 section 4.
fn hop(element: &str) -> Option<Hop> {
    let (mut ip, mut tls) = (None, false);
    for pair in unquoted_split(element, b';') {
        let (name, value) = pair.split_once('=')?;
        let value = unquoted(value.trim())?;
        match name.trim() {
            name if name.eq_ignore_ascii_case("for") => {
                let first = ip.replace(address(value)?).is_none();
                first.then_some(())?;
            }
            name if name.eq_ignore_ascii_case("proto") => {
                tls = value.eq_ignore_ascii_case(HTTPS);
            }
            _ => {}
        }
    }
    Some(Hop { ip: ip?, tls })
}

/// What is between separators that do not stand within quotes.
fn unquoted_split(text: &str, separator: u8) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = text.split(|character: char| {
        let escapes = quoted && !escaped && character == '\\';
        if character == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = escapes;
        !quoted && u32::from(character) == u32::from(separator)
    });
    parts.collect()
}

/// The text in quotes, or the text. None: quotes that do not end.
fn unquoted(text: &str) -> Option<&str> {
    match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"'),
        None => Some(text),
    }
}

/// An address, with or without a port. One of IPv6 has brackets, if it has a port.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let alone = bracketed.unwrap_or(text).parse::<IpAddr>().ok();
    let with_port = || Some(text.parse::<SocketAddr>().ok()?.ip());
    alone.or_else(with_port).map(|ip| ip.to_canonical())
}
