//! What the guards know of methods by their descriptors: what a request becomes in memory,
//! and whether one message answers it.
//!
//! A message of a few MiB can become hundreds: an empty one within it takes two bytes
//! on the wire, and all of its fields in memory. So it is worked out what a request
//! will take before anything is made of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::{DecodeError, Message as _};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FileDescriptorSet};

use super::wire::{self, Content};

/// A number, or what points to something that is kept elsewhere.
const NUMBER_BYTES: usize = 8;
/// A text, a list or a map, but for what is in it.
const LIST_BYTES: usize = 24;
/// A list may have room for as much again.
const ROOM: usize = 2;
/// Messages within messages that are looked into: those that are decoded.
const DEPTH_MAX: usize = 100;

/// The requests of methods, as they become in memory, and how they are answered. Cheap to
/// clone. By default: of no method.
#[derive(Debug, Clone, Default)]
pub struct Shapes(Arc<Table>);

#[derive(Debug, Default)]
struct Table {
    /// By path. What is decoded for it, as a place in `messages`.
    requests: HashMap<String, usize>,
    /// The paths of methods that answer with a stream.
    streams: HashSet<String>,
    messages: Vec<Shape>,
}

#[derive(Debug, Default)]
struct Shape {
    /// What one of them takes, but for what its lists and texts hold.
    bytes: usize,
    fields: HashMap<u32, Field>,
}

#[derive(Debug, Clone, Copy)]
struct Field {
    repeated: bool,
    /// None: alone. Else of several fields one is set.
    oneof: Option<i32>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    Message(usize),
}

impl Shapes {
    /// Reads an encoded `FileDescriptorSet`.
    ///
    /// # Errors
    /// [`DecodeError`] for something else.
    pub fn read(descriptors: &[u8]) -> Result<Self, DecodeError> {
        let files = FileDescriptorSet::decode(descriptors)?.file;
        let mut declared = Vec::new();
        for file in &files {
            let package = file.package().to_owned();
            for message in &file.message_type {
                declare(&package, message, &mut declared);
            }
        }
        let places = declared.iter().enumerate();
        let places = places.map(|(place, (name, _))| (name.clone(), place));
        let places: HashMap<String, usize> = places.collect();
        let messages = declared.iter().map(|(_, message)| Shape {
            bytes: 0,
            fields: fields(message, &places),
        });
        let mut messages: Vec<Shape> = messages.collect();
        let sizes = 0..messages.len();
        let sizes: Vec<usize> = sizes
            .map(|place| size(&messages, place, &mut HashSet::new()))
            .collect();
        for (message, bytes) in messages.iter_mut().zip(sizes) {
            message.bytes = bytes;
        }
        let mut requests = HashMap::new();
        let mut streams = HashSet::new();
        for file in &files {
            for service in &file.service {
                for method in &service.method {
                    let (package, service) = (file.package(), service.name());
                    let path = format!("/{package}.{service}/{}", method.name());
                    if method.server_streaming() {
                        streams.insert(path.clone());
                    }
                    let place = places.get(method.input_type().trim_start_matches('.'));
                    requests.extend(place.map(|place| (path, *place)));
                }
            }
        }
        Ok(Self(Arc::new(Table {
            requests,
            streams,
            messages,
        })))
    }

    /// Whether a method answers with one message.
    pub(super) fn is_unary(&self, path: &str) -> bool {
        self.0.requests.contains_key(path) && !self.0.streams.contains(path)
    }

    /// About what a request takes when it is decoded, in bytes; of what cannot be decoded, as
    /// far as it goes. `body` is framed as gRPC does, and as base64 if `is_text`.
    pub(super) fn decoded_bytes(&self, path: &str, body: &[u8], is_text: bool) -> usize {
        let Some(request) = self.0.requests.get(path) else {
            return 0;
        };
        let decoded = is_text.then(|| plain(body));
        let frames = wire::frames(decoded.as_deref().unwrap_or(body));
        let messages = frames.map(|message| self.0.take(*request, message, 0));
        messages.fold(0, usize::saturating_add)
    }
}

impl Table {
    fn shape(&self, place: usize) -> Option<&Shape> {
        self.messages.get(place)
    }

    /// What one message takes, with what it holds.
    fn take(&self, place: usize, encoded: &[u8], depth: usize) -> usize {
        let Some(shape) = self.shape(place).filter(|_| depth < DEPTH_MAX) else {
            return 0;
        };
        let mut bytes = shape.bytes;
        for (number, content) in wire::fields(encoded) {
            let Some(field) = shape.fields.get(&number) else {
                continue;
            };
            let each = if field.repeated { ROOM } else { 0 };
            let more = match (field.kind, content) {
                (Kind::Message(inner), Content::Bytes(inside)) => {
                    let inline = self.shape(inner).map_or(0, |inner| inner.bytes);
                    let whole = self.take(inner, inside, depth + 1);
                    // Where it stands alone its place is counted with what it stands in.
                    whole.saturating_add(inline * each.saturating_sub(1))
                }
                (Kind::Text, Content::Bytes(text)) => LIST_BYTES * each + text.len(),
                (Kind::Number, Content::Bytes(packed)) => packed.len() * NUMBER_BYTES * each,
                (_, Content::Number) => NUMBER_BYTES * each,
            };
            bytes = bytes.saturating_add(more);
        }
        bytes
    }
}

/// Adds a message and those that are declared within it.
fn declare<'a>(
    scope: &str,
    message: &'a DescriptorProto,
    declared: &mut Vec<(String, &'a DescriptorProto)>,
) {
    let name = format!("{scope}.{}", message.name());
    for nested in &message.nested_type {
        declare(&name, nested, declared);
    }
    declared.push((name, message));
}

fn fields(message: &DescriptorProto, places: &HashMap<String, usize>) -> HashMap<u32, Field> {
    let fields = message.field.iter().filter_map(|field| {
        let kind = match field.r#type() {
            Type::Message | Type::Group => {
                Kind::Message(*places.get(field.type_name().trim_start_matches('.'))?)
            }
            Type::String | Type::Bytes => Kind::Text,
            _ => Kind::Number,
        };
        let shape = Field {
            repeated: field.label() == Label::Repeated,
            oneof: field.oneof_index,
            kind,
        };
        Some((u32::try_from(field.number()).ok()?, shape))
    });
    fields.collect()
}

/// What a message takes, but for what its lists and texts hold: its fields, and beside those of
/// a choice which of them is chosen.
fn size(messages: &[Shape], place: usize, within: &mut HashSet<usize>) -> usize {
    // One that holds itself points to it.
    if !within.insert(place) {
        return NUMBER_BYTES;
    }
    let mut alone = 0;
    let mut choices: HashMap<i32, usize> = HashMap::new();
    for field in messages.get(place).iter().flat_map(|it| it.fields.values()) {
        let bytes = match field.kind {
            _ if field.repeated => LIST_BYTES,
            Kind::Number => NUMBER_BYTES,
            Kind::Text => LIST_BYTES,
            Kind::Message(inner) => size(messages, inner, within),
        };
        match field.oneof {
            Some(choice) => {
                let largest = choices.entry(choice).or_default();
                *largest = bytes.max(*largest);
            }
            None => alone += bytes,
        }
    }
    within.remove(&place);
    let choices = choices.values().map(|largest| largest + NUMBER_BYTES);
    alone + choices.sum::<usize>()
}

/// Base64 in groups of four, each of which may be the end of a part; as far as it is that.
fn plain(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len() / 4 * 3);
    let mut three = [0; 3];
    for group in text.chunks(4) {
        match STANDARD.decode_slice(group, &mut three) {
            Ok(length) => plain.extend(three.iter().take(length)),
            Err(_) => break,
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use prost_types::{
        FieldDescriptorProto, FileDescriptorProto, MethodDescriptorProto, ServiceDescriptorProto,
    };
    use tonic_health::pb::FILE_DESCRIPTOR_SET;

    use super::*;

    /// Two messages: `All { repeated One ones = 1; string name = 2; }`, of which `One` holds
    /// 40 numbers, a choice, and itself.
    fn made() -> Shapes {
        let field =
            |name: &str, number: i32, label: Label, kind: Type, of: &str| FieldDescriptorProto {
                name: Some(name.to_owned()),
                number: Some(number),
                label: Some(label.into()),
                r#type: Some(kind.into()),
                type_name: (!of.is_empty()).then(|| format!(".a.{of}")),
                ..FieldDescriptorProto::default()
            };
        let mut numbers: Vec<_> = (10..50)
            .map(|number| field("n", number, Label::Optional, Type::Int64, ""))
            .collect();
        numbers.push(field("itself", 1, Label::Optional, Type::Message, "One"));
        for number in [2, 3] {
            numbers.push(FieldDescriptorProto {
                oneof_index: Some(0),
                ..field("choice", number, Label::Optional, Type::String, "")
            });
        }
        let all = vec![
            field("ones", 1, Label::Repeated, Type::Message, "One"),
            field("name", 2, Label::Optional, Type::String, ""),
        ];
        let message = |name: &str, field| DescriptorProto {
            name: Some(name.to_owned()),
            field,
            ..DescriptorProto::default()
        };
        let method = MethodDescriptorProto {
            name: Some("Do".to_owned()),
            input_type: Some(".a.All".to_owned()),
            ..MethodDescriptorProto::default()
        };
        let file = FileDescriptorProto {
            package: Some("a".to_owned()),
            message_type: vec![message("All", all), message("One", numbers)],
            service: vec![ServiceDescriptorProto {
                name: Some("S".to_owned()),
                method: vec![method],
                ..ServiceDescriptorProto::default()
            }],
            ..FileDescriptorProto::default()
        };
        let set = FileDescriptorSet { file: vec![file] };
        Shapes::read(&set.encode_to_vec()).unwrap()
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        [&[0], &length[..], message].concat()
    }

    /// What one of `One` takes: its numbers, what points to itself, and the choice.
    const ONE: usize = 40 * NUMBER_BYTES + NUMBER_BYTES + LIST_BYTES + NUMBER_BYTES;
    const ALL: usize = 2 * LIST_BYTES;

    #[test]
    fn what_is_small_on_the_wire_is_counted_as_it_becomes() {
        let shapes = made();
        let taken = |message: &[u8]| shapes.decoded_bytes("/a.S/Do", &framed(message), false);
        assert_eq!(taken(&[]), ALL);
        assert_eq!(taken(&[0x12, 2, b'h', b'i']), ALL + 2);
        assert_eq!(taken(&[0x0a, 0].repeat(1_000)), ALL + 1_000 * ROOM * ONE);
        // One within one within one.
        let nested = [0x0a, 4, 0x0a, 2, 0x0a, 0];
        assert_eq!(taken(&nested), ALL + ROOM * ONE + 2 * ONE);
    }

    #[test]
    fn text_is_looked_into_and_what_is_unknown_is_not() {
        let shapes = made();
        let body = framed(&[0x0a, 0].repeat(4));
        let taken = shapes.decoded_bytes("/a.S/Do", &body, false);
        let (first, second) = body.split_at(5);
        let text = [STANDARD.encode(first), STANDARD.encode(second)].concat();
        assert_eq!(
            shapes.decoded_bytes("/a.S/Do", text.as_bytes(), true),
            taken
        );
        assert_eq!(shapes.decoded_bytes("/a.S/Undo", &body, false), 0);
        assert_eq!(Shapes::default().decoded_bytes("/a.S/Do", &body, false), 0);
        for malformed in [&[][..], &[0], &[0, 0, 0, 0, 9, 1]] {
            assert_eq!(shapes.decoded_bytes("/a.S/Do", malformed, false), 0);
        }
    }

    #[test]
    fn deep_messages_are_counted_as_far_as_they_are_decoded() {
        let mut message = Vec::new();
        for _ in 0..2 * DEPTH_MAX {
            let mut outer = vec![0x0a];
            prost::encode_length_delimiter(message.len(), &mut outer).unwrap();
            outer.extend(message);
            message = outer;
        }
        let taken = made().decoded_bytes("/a.S/Do", &framed(&message), false);
        assert!(taken <= ALL + (DEPTH_MAX + 1) * ONE, "{taken}");
    }

    #[test]
    fn descriptors_that_were_built_in_are_read() {
        let shapes = Shapes::read(FILE_DESCRIPTOR_SET).unwrap();
        let path = "/grpc.health.v1.Health/Check";
        assert_eq!(shapes.decoded_bytes(path, &framed(&[]), false), LIST_BYTES);
        Shapes::read(&[0xff]).unwrap_err();
    }
}
