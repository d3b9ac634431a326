//! Encoded messages, looked at without decoding them. What is malformed ends early: whoever
//! decodes it refuses it.

/// What precedes a message: whether it is compressed, and its length.
const FRAME_BYTES: usize = 5;
/// The longest number, in bytes.
const VARINT_BYTES_MAX: usize = 10;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content<'a> {
    /// A number, of whatever kind.
    Number,
    /// A text, a message, or several numbers.
    Bytes(&'a [u8]),
}

/// The messages of a body.
pub(super) fn frames(mut body: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (frame, rest) = body.split_at_checked(FRAME_BYTES)?;
        let length = u32::from_be_bytes(*frame.last_chunk()?);
        let (message, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        body = rest;
        Some(message)
    })
}

/// The fields of a message, each with its number.
pub(super) fn fields(mut message: &[u8]) -> impl Iterator<Item = (u32, Content<'_>)> {
    std::iter::from_fn(move || {
        let key = varint(&mut message)?;
        let number = u32::try_from(key >> 3).ok()?;
        let content = match key & 7 {
            0 => varint(&mut message).map(|_| Content::Number)?,
            1 => skip(&mut message, 8).map(|_| Content::Number)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                Content::Bytes(skip(&mut message, length)?)
            }
            5 => skip(&mut message, 4).map(|_| Content::Number)?,
            // Groups are of no contract of today.
            _ => return None,
        };
        Some((number, content))
    })
}

fn skip<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (skipped, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(skipped)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for place in 0..VARINT_BYTES_MAX {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_kind_are_told_apart() {
        let message = [
            &[0x08, 0x96, 0x01][..],
            &[0x11, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x1a, 2, b'h', b'i'],
            &[0x25, 0, 0, 0, 0],
        ];
        let found: Vec<_> = fields(&message.concat())
            .map(|(number, content)| {
                let length = match content {
                    Content::Number => None,
                    Content::Bytes(bytes) => Some(bytes.len()),
                };
                (number, length)
            })
            .collect();
        assert_eq!(found, [(1, None), (2, None), (3, Some(2)), (4, None)]);
    }

    #[test]
    fn what_is_malformed_ends_early() {
        for message in [
            &[0x80][..],
            &[0x0a, 5, 1],
            &[0x0b],
            &[0x09, 1],
            &[0xff; 11],
            &[
                0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
            ],
        ] {
            assert_eq!(fields(message).count(), 0, "{message:?}");
        }
    }

    #[test]
    fn a_body_is_its_whole_messages() {
        let body = [
            &[0, 0, 0, 0, 2, 1, 2][..],
            &[0, 0, 0, 0, 0],
            &[0, 0, 0, 0, 9, 1],
        ]
        .concat();
        let found: Vec<_> = frames(&body).collect();
        assert_eq!(found, [&[1, 2][..], &[]]);
    }
}
