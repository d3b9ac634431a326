//! Items, as they travel.

use std::sync::Arc;

use burgee_evaluator::bucket::segment_part;
use burgee_evaluator::{Item, LEVEL};
use burgee_proto::sync::v1::ItemKind;
use burgee_proto::types::v1::{Ruleset, SegmentPart};
use bytes::Bytes;
use prost::Message;

use super::{FLAGS, Generator, KEYS, SEGMENTS};

/// A kind that this release does not know.
const KIND_OF_LATER: i32 = 77;

impl Generator<'_> {
    /// A ruleset as one message: some flags and segments, each key once.
    pub(crate) fn ruleset(&mut self) -> Ruleset {
        let flags = self.below(FLAGS.len() + 1);
        let segments = self.below(SEGMENTS.len());
        let flags = FLAGS.iter().take(flags).map(|key| self.flag(key)).collect();
        let segments = SEGMENTS.iter().take(segments);
        Ruleset {
            flags,
            segments: segments.map(|key| self.segment(key)).collect(),
        }
    }

    /// Some items of flags, segments and their parts; oddly of anything.
    pub(crate) fn items(&mut self, most: usize) -> Vec<Arc<Item>> {
        self.some(most, |it| Arc::new(it.item()))
    }

    /// One item. Keys are few, so that later ones replace earlier ones.
    pub(crate) fn item(&mut self) -> Item {
        let (kind, key, message) = match self.below(8) {
            5 | 6 => {
                let key = self.pick(&SEGMENTS[..SEGMENTS.len() - 1]);
                let segment = self.segment(key).encode_to_vec();
                (ItemKind::Segment as i32, key.to_owned(), segment)
            }
            7 => {
                let (key, part) = self.part();
                (ItemKind::SegmentPart as i32, key, part.encode_to_vec())
            }
            _ => {
                let key = self.pick(FLAGS);
                let flag = self.flag(key).encode_to_vec();
                (ItemKind::Flag as i32, key.to_owned(), flag)
            }
        };
        self.item_of(kind, key, message)
    }

    /// An item whose wrapping may be odd.
    pub(crate) fn item_of(&mut self, kind: i32, key: String, body: Vec<u8>) -> Item {
        let kind = match kind {
            _ if self.oddly() => self.pick(&[KIND_OF_LATER, 0, -1, 255, 256, 4]),
            kind => kind,
        };
        let level = if self.oddly() {
            self.pick(&[0, 2, 255, 256, u32::MAX])
        } else {
            LEVEL
        };
        Item {
            kind,
            key: if self.oddly() { self.text() } else { key },
            revision: 1,
            level,
            body: self.damaged(body),
        }
    }

    /// A part of a segment, where its keys belong; oddly elsewhere.
    fn part(&mut self) -> (String, SegmentPart) {
        let segment = self.pick(SEGMENTS);
        let key = self.pick(KEYS);
        let index = if self.oddly() {
            self.below(256)
        } else {
            usize::from(segment_part(key))
        };
        let lists = [vec![key.to_owned()], Vec::new()];
        let [included, excluded] = if self.once_in(3) {
            let [included, excluded] = lists;
            [excluded, included]
        } else {
            lists
        };
        let part = SegmentPart { included, excluded };
        (format!("{segment}/{index:02x}"), part)
    }

    /// A body, oddly cut short or with a byte that is another one.
    fn damaged(&mut self, mut body: Vec<u8>) -> Bytes {
        if self.oddly() && !body.is_empty() {
            let place = self.below(body.len());
            if self.once_in(2) {
                body.truncate(place);
            } else {
                body[place] = self.bytes.arbitrary().unwrap_or_default();
            }
        }
        body.into()
    }
}
