//! Addresses and blocks of them. The standard library's parsers read exactly
//! what is wanted: four decimal numbers without leading zeros, RFC 4291 text
//! with `::` for at least one group, no zone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::problem::Problem;

/// Bits before the IPv4 address in an IPv4-mapped IPv6 address.
const MAPPED_BITS: u32 = 96;

/// A block of addresses: those that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    address: IpAddr,
    prefix: u32,
}

impl Block {
    /// An address, a slash, and how many leading bits count.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let prefix = parse_prefix(prefix)?;
        (prefix <= width(address)).then_some(Self { address, prefix })
    }

    /// Whether an address is inside. Families never mix.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(mine), IpAddr::V4(theirs)) => {
                let differing = mine.to_bits() ^ theirs.to_bits();
                differing.leading_zeros() >= self.prefix
            }
            (IpAddr::V6(mine), IpAddr::V6(theirs)) => {
                let differing = mine.to_bits() ^ theirs.to_bits();
                differing.leading_zeros() >= self.prefix
            }
            _ => false,
        }
    }
}

/// An address of a context. One that is IPv4-mapped counts as IPv4.
pub(crate) fn parse_address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    Some(address.to_canonical())
}

/// A block as the server stores it: a bare address gets `/32` or `/128`, and a
/// block of IPv4-mapped addresses is written as IPv4. Anything else stays as it
/// was written.
///
/// # Errors
///
/// It is neither a block nor an address.
pub fn normalise_block(text: &str) -> Result<String, Problem> {
    let wrong = || {
        Problem::new(
            "",
            "not an address block; write 192.0.2.0/24, 2001:db8::/32, or an address",
        )
    };
    let block = match text.parse() {
        Ok(address) => Block {
            address,
            prefix: width(address),
        },
        Err(_) => Block::parse(text).ok_or_else(wrong)?,
    };
    Ok(match (block.address, mapped(block.address)) {
        (_, Some(address)) if block.prefix >= MAPPED_BITS => {
            format!("{address}/{}", block.prefix - MAPPED_BITS)
        }
        _ if text.contains('/') => text.to_owned(),
        (address, _) => format!("{address}/{}", block.prefix),
    })
}

fn mapped(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => address.to_ipv4_mapped(),
    }
}

fn width(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => Ipv4Addr::BITS,
        IpAddr::V6(_) => Ipv6Addr::BITS,
    }
}

/// Decimal, without sign or leading zeros.
fn parse_prefix(text: &str) -> Option<u32> {
    let leading_zero = text.len() > 1 && text.starts_with('0');
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if leading_zero || !digits {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(block: &str, address: &str) -> bool {
        let address = parse_address(address);
        Block::parse(block).is_some_and(|block| address.is_some_and(|it| block.contains(it)))
    }

    #[test]
    fn a_block_holds_what_begins_with_its_bits() {
        for (block, address) in [
            ("10.0.0.0/8", "10.255.0.1"),
            ("10.1.2.3/8", "10.255.0.1"),
            ("0.0.0.0/0", "255.255.255.255"),
            ("192.0.2.1/32", "192.0.2.1"),
            ("10.0.0.0/8", "::ffff:10.1.2.3"),
            ("10.0.0.0/8", "::ffff:a01:203"),
            ("2001:db8::/32", "2001:DB8:ffff::1"),
            ("::/0", "1:2:3:4:5:6:7::"),
            ("2001:db8::1/128", "2001:0db8:0:0:0:0:0:1"),
        ] {
            assert!(holds(block, address), "{block} {address}");
        }
        for (block, address) in [
            ("10.0.0.0/8", "11.0.0.1"),
            ("::/0", "10.0.0.1"),
            ("::/0", "::ffff:10.0.0.1"),
            ("::ffff:10.0.0.0/104", "10.0.0.1"),
            ("0.0.0.0/0", "::1"),
            ("192.0.2.1/32", "192.0.2.0"),
        ] {
            assert!(!holds(block, address), "{block} {address}");
        }
    }

    #[test]
    fn what_is_no_block_or_no_address() {
        for block in [
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0/8",
            "10.0.0.0.0/8",
            "::/129",
            "::%1/64",
            "010.0.0.0/8",
            "/8",
            "10.0.0.0/8/8",
            "10.0.0.0/99999999999",
        ] {
            assert_eq!(Block::parse(block), None, "{block}");
        }
        for address in [
            "",
            "10.0.0",
            "10.0.0.01",
            "10.0.0.256",
            " 10.0.0.1",
            "1:2:3:4:5:6:7:8:9",
            "fe80::1%eth0",
            "1:2:3:4:5:6:7::8",
            "::1::",
            "12345::",
            "10.0.0.1/32",
            "[::1]",
        ] {
            assert_eq!(parse_address(address), None, "{address}");
        }
    }

    #[test]
    fn the_server_adds_prefixes_and_writes_mapped_blocks_as_ipv4() {
        for (written, stored) in [
            ("192.0.2.1", "192.0.2.1/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::ffff:192.0.2.1", "192.0.2.1/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:0:0/95", "::ffff:0:0/95"),
            ("10.1.2.3/8", "10.1.2.3/8"),
        ] {
            assert_eq!(normalise_block(written).as_deref(), Ok(stored));
        }
        assert!(normalise_block("10.0.0.0/33").is_err());
        assert!(normalise_block("example.com").is_err());
    }
}
