//! Addresses and blocks, against the crate `ipnet`.

use std::net::IpAddr;

use burgee_evaluator::normalise_block;
use burgee_proto::types::v1::Operator;
use ipnet::IpNet;

use super::asking::{holds, is_admitted, lines, text};

/// The first line is an attribute, the others are blocks.
pub fn addresses(bytes: &[u8]) {
    let Some((address, blocks)) = lines(bytes) else {
        return;
    };
    let attribute = text(address);
    let mine = parse_address(address);
    let mut any = false;
    for line in &blocks {
        let block = parse(line);
        let is_inside = mine
            .zip(block)
            .is_some_and(|(address, block)| block.contains(&address));
        any |= is_inside;
        let holds_for = |line: &str| holds(Operator::InCidr, &attribute, &[text(line)]);
        assert_eq!(holds_for(line), is_inside, "{line}");
        let stored = normalise_block(line);
        let is_usable = block.is_some() || parse_address(line).is_some();
        assert_eq!(stored.is_ok(), is_usable, "{line}");
        assert_eq!(is_admitted(Operator::InCidr, &text(line)), is_usable);
        let Ok(stored) = stored else {
            continue;
        };
        assert_eq!(normalise_block(&stored).as_ref(), Ok(&stored));
        assert_eq!(
            holds_for(&stored),
            is_inside_stored(mine, &stored),
            "{stored}"
        );
        if is_inside {
            assert!(holds_for(&stored), "{line} holds it, but not {stored}");
        }
    }
    let blocks: Vec<_> = blocks.into_iter().map(text).collect();
    assert_eq!(holds(Operator::InCidr, &attribute, &blocks), any);
    let alone = normalise_block(address);
    if let (Some(mine), Ok(alone)) = (mine, alone) {
        let block = text(&alone);
        assert!(
            holds(Operator::InCidr, &attribute, &[block]),
            "{mine} {alone}"
        );
    }
}

fn is_inside_stored(address: Option<IpAddr>, stored: &str) -> bool {
    let block = parse(stored).expect("what is stored is a block");
    address.is_some_and(|address| block.contains(&address))
}

/// A block. The crate also reads leading zeros in IPv4 and in prefixes, and a
/// `::` that stands for no group at all.
pub(super) fn parse(line: &str) -> Option<IpNet> {
    let (address, prefix) = line.split_once('/')?;
    let (before, last) = address.rsplit_once(':').unwrap_or(("", address));
    let is_ipv4 = last.contains('.');
    let mut numbers = last.split('.').filter(|_| is_ipv4).chain([prefix]);
    let canonical = numbers.all(|number| number == "0" || !number.starts_with(['0', '+']));
    let groups = before.split(':').filter(|group| !group.is_empty()).count();
    let groups = groups
        + if is_ipv4 {
            2
        } else {
            usize::from(!last.is_empty())
        };
    let stands_for_none = address.contains("::") && groups > 7;
    let is_sound = canonical && !stands_for_none;
    is_sound.then(|| line.parse().ok()).flatten()
}

/// An address, read by the same crate. One that is mapped counts as IPv4.
pub(super) fn parse_address(text: &str) -> Option<IpAddr> {
    let block = parse(&format!("{text}/0"))?;
    Some(block.addr().to_canonical())
}
