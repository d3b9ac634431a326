use super::*;
use burgee_proto::types::v1::Position;

const ENVIRONMENT: &str = "3f2b8c1e-0000-4000-8000-000000000001";

fn item(kind: ItemKind, key: &str, body: &'static [u8]) -> Item {
    Item {
        kind: kind.into(),
        key: key.into(),
        revision: 7,
        level: 1,
        body: Bytes::from_static(body),
    }
}

fn held(items: Vec<Item>, with_access_keys: bool) -> Holding {
    let position = Position {
        epoch: 1_700_000_000_000,
        revision: 9,
    };
    Holding {
        state: RulesetState::new(ENVIRONMENT, position, items.into_iter().map(Arc::new)),
        resume_token: Bytes::from_static(b"token"),
        with_access_keys,
    }
}

fn small() -> Holding {
    held(
        vec![
            item(ItemKind::Flag, "checkout", b"flag"),
            item(ItemKind::AccessKey, "ab12", b"key"),
        ],
        true,
    )
}

fn bytes_of(held: &Holding) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes, held, SystemTime::UNIX_EPOCH).unwrap();
    bytes
}

/// A file whose checksum is right, whatever stands in it.
fn sealed(header: &SnapshotHeader, items: &[Item]) -> Vec<u8> {
    let mut rest = header.encode_length_delimited_to_vec();
    for item in items {
        rest.extend(item.encode_length_delimited_to_vec());
    }
    [&MAGIC[..], &Sha256::digest(&rest), &rest].concat()
}

fn header_of(held: &Holding) -> SnapshotHeader {
    let rest = &bytes_of(held)[MAGIC.len() + DIGEST_BYTES..];
    SnapshotHeader::decode_length_delimited(rest).unwrap()
}

fn items_of(held: &Holding) -> Vec<Item> {
    held.state.items().map(|item| (**item).clone()).collect()
}

#[test]
fn what_was_written_is_read_exactly() {
    let held = small();
    let snapshot = read(&*bytes_of(&held), Some(ENVIRONMENT)).unwrap();
    assert_eq!(items_of(&snapshot.held), items_of(&held));
    assert_eq!(snapshot.held.state.position(), held.state.position());
    assert_eq!(snapshot.held.resume_token, held.resume_token);
    assert_eq!(snapshot.saved_at, Some(SystemTime::UNIX_EPOCH));
    assert!(snapshot.held.with_access_keys);
}

#[test]
fn an_empty_ruleset_is_a_ruleset() {
    let snapshot = read(&*bytes_of(&held(Vec::new(), false)), None).unwrap();
    assert_eq!(snapshot.held.state.items().count(), 0);
    assert!(!snapshot.held.with_access_keys);
}

#[test]
fn a_file_cut_at_any_length_is_refused() {
    let bytes = bytes_of(&small());
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length], None).is_err(), "at {length}");
    }
}

#[test]
fn a_file_with_any_bit_flipped_is_refused() {
    let mut bytes = bytes_of(&small());
    for index in 0..bytes.len() {
        for bit in 0..8 {
            bytes[index] ^= 1 << bit;
            assert!(read(&*bytes, None).is_err(), "byte {index}, bit {bit}");
            bytes[index] ^= 1 << bit;
        }
    }
    assert!(read(&*bytes, None).is_ok());
}

#[test]
fn anything_appended_is_refused() {
    for tail in [&[0][..], &[1], &[0xff; 20], b"BURGEE"] {
        let bytes = [&bytes_of(&small()), tail].concat();
        assert!(read(&*bytes, None).is_err(), "{tail:?}");
    }
}

#[test]
fn another_environment_is_refused() {
    let refused = read(&*bytes_of(&small()), Some("another")).unwrap_err();
    assert!(matches!(refused, Invalid::OtherEnvironment(_)), "{refused}");
}

/// The checksum is right in all of these: they were written by something wrong.
#[test]
fn a_header_that_its_items_do_not_bear_out_is_refused() {
    let held = small();
    let refuse = |change: &dyn Fn(&mut SnapshotHeader, &mut Vec<Item>)| {
        let (mut header, mut items) = (header_of(&held), items_of(&held));
        change(&mut header, &mut items);
        let refused = read(&*sealed(&header, &items), None).unwrap_err();
        assert!(matches!(refused, Invalid::Contents(_)), "{refused}");
    };
    refuse(&|header, _| header.item_count = 3);
    refuse(&|header, _| header.position = None);
    refuse(&|header, _| header.position = Some(Position::default()));
    refuse(&|header, _| header.environment = "short".into());
    refuse(&|header, _| header.state_hash = Bytes::from_static(&[0; 16]));
    refuse(&|header, _| header.state_hash = Bytes::new());
    refuse(&|header, _| header.access_hash = Bytes::from_static(&[0; 16]));
    refuse(&|header, _| header.access_hash = Bytes::new());
    refuse(&|_, items| items[0].body = Bytes::from_static(b"other"));
    refuse(&|header, items| {
        header.item_count = 3;
        items.push(items[0].clone());
    });
}

#[test]
fn a_message_over_its_limit_is_refused_before_it_is_read() {
    let mut rest = Vec::new();
    prost::encode_length_delimiter(MESSAGE_BYTES_MAX + 1, &mut rest).unwrap();
    let bytes = [&MAGIC[..], &Sha256::digest(&rest), &rest].concat();
    let refused = read(&*bytes, None).unwrap_err();
    assert!(
        matches!(refused, Invalid::Malformed("a message is too long")),
        "{refused}"
    );
}

#[test]
fn an_endless_file_is_refused_at_a_limit() {
    let mut header = header_of(&held(Vec::new(), false));
    let mut endless = |item_count| {
        header.item_count = item_count;
        let header = header.encode_length_delimited_to_vec();
        let start = [&MAGIC[..], &[0; DIGEST_BYTES], &header].concat();
        // Items of nothing but their length.
        read(start.chain(io::repeat(0)), None).unwrap_err()
    };
    assert!(matches!(endless(ITEMS_MAX), Invalid::Contents(_)));
    assert!(matches!(endless(u64::MAX), Invalid::TooLarge));
}

#[test]
fn a_file_over_the_limit_is_refused() {
    let big = Item {
        body: vec![7; 200 * 1024].into(),
        ..item(ItemKind::Flag, "big", b"")
    }
    .encode_length_delimited_to_vec();
    let mut header = header_of(&held(Vec::new(), false));
    header.item_count = ITEMS_MAX;
    let header = header.encode_length_delimited_to_vec();
    let mut bytes = [&MAGIC[..], &[0; DIGEST_BYTES], &header].concat();
    while bytes.len() as u64 <= FILE_BYTES_MAX {
        bytes.extend(&big);
    }
    // Cut between two messages or within one: too large all the same.
    let refused = read(&*bytes, None).unwrap_err();
    assert!(matches!(refused, Invalid::TooLarge), "{refused}");
}
