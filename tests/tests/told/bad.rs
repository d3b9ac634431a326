//! What may be wrong with a write, and what it must be refused with.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use serde_json::{Value, json};
use tonic::Code;

/// The longest texts that are taken, in bytes.
const LIMITS: [(&str, usize); 4] = [
    ("request_id", 256),
    ("reason", 4_096),
    ("display_name", 256),
    ("description", 4_096),
];

/// A request that is refused.
pub(super) struct Bad {
    pub(super) request: Value,
    pub(super) code: Code,
    /// The field that is wrong, where one is.
    pub(super) field: Option<String>,
}

/// Everything that may be wrong with a request that is sound.
pub(super) fn all(method: &MethodDescriptor, sound: &Value) -> Vec<Bad> {
    let input = method.input();
    let mut all = texts(&input, sound);
    for field in input.fields() {
        let name = field.json_name();
        match (field.name(), &sound[name]) {
            ("update_mask", _) => all.push(invalid(sound, name, json!("nothing"), "update_mask")),
            ("etag", Value::String(_)) => all.extend(etags(method, sound)),
            ("name" | "parent", Value::String(given)) => {
                all.push(invalid(sound, name, json!("no name"), field.name()));
                all.push(absent(sound, &[name], given));
            }
            (_, Value::Object(resource)) => {
                if let Some(given) = resource.get("name").and_then(Value::as_str) {
                    all.push(absent(sound, &[name, "name"], given));
                    let malformed = with(sound, &[name, "name"], json!("no name"));
                    let path = format!("{}.name", field.name());
                    all.push(Bad::invalid(malformed, path));
                }
                let nested = field.kind().as_message().cloned();
                let texts = nested.map(|nested| texts(&nested, &sound[name]));
                all.extend(
                    texts
                        .into_iter()
                        .flatten()
                        .map(|bad| bad.within(sound, &field)),
                );
            }
            _ => {}
        }
    }
    all
}

impl Bad {
    fn invalid(request: Value, field: impl Into<String>) -> Self {
        Self {
            request,
            code: Code::InvalidArgument,
            field: Some(field.into()),
        }
    }

    /// The same of a message in a request.
    fn within(self, request: &Value, field: &FieldDescriptor) -> Self {
        let path = self
            .field
            .map(|within| format!("{}.{within}", field.name()));
        Self {
            request: with(request, &[field.json_name()], self.request),
            field: path,
            ..self
        }
    }
}

/// Texts that are too long.
fn texts(message: &MessageDescriptor, sound: &Value) -> Vec<Bad> {
    let fields = message
        .fields()
        .filter(|field| field.kind() == Kind::String);
    let limited = fields.filter_map(|field| {
        let (_, limit) = LIMITS.iter().find(|(name, _)| *name == field.name())?;
        let long = Value::String("é".repeat(limit / 2 + 1));
        Some(invalid(sound, field.json_name(), long, field.name()))
    });
    limited.collect()
}

/// An etag of what was, and none where there must be one.
fn etags(method: &MethodDescriptor, sound: &Value) -> Vec<Bad> {
    let mut all = vec![Bad {
        request: with(sound, &["etag"], json!("stale")),
        code: Code::Aborted,
        field: None,
    }];
    let takes_one = ["Update", "Delete"];
    if takes_one.iter().any(|verb| method.name().starts_with(verb)) {
        all.push(invalid(sound, "etag", json!(""), "etag"));
    }
    all
}

fn invalid(sound: &Value, name: &str, value: Value, field: &str) -> Bad {
    Bad::invalid(with(sound, &[name], value), field)
}

/// What has such a name, and is not there.
fn absent(sound: &Value, path: &[&str], given: &str) -> Bad {
    let (above, last) = given.rsplit_once('/').unwrap();
    let last = match uuid::Uuid::parse_str(last) {
        Ok(_) => uuid::Uuid::now_v7().to_string(),
        Err(_) => "absent".to_owned(),
    };
    Bad {
        request: with(sound, path, format!("{above}/{last}").into()),
        code: Code::NotFound,
        field: None,
    }
}

fn with(request: &Value, path: &[&str], value: Value) -> Value {
    let mut changed = request.clone();
    let place = path
        .iter()
        .fold(&mut changed, |there, name| &mut there[*name]);
    *place = value;
    changed
}
