//! Whoever writes, and holds against the audit log what it tells of that.

use std::collections::{BTreeMap, BTreeSet};

use burgee_proto::admin::v1::{AuditEntry, AuditFilter};
use burgee_tests::callers::Caller;
use burgee_tests::contract::Contract;
use burgee_tests::errors::fields;
use burgee_tests::second_factor::Enrolled;
use burgee_tests::secrets::KeyFile;
use burgee_tests::server::TestServer;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, MethodDescriptor};
use prost_types::value;
use serde_json::Value;

use super::bad;
use crate::audit::entries;

/// Why everything is done here.
const REASON: &str = "=because, \"they\" said\nso";

/// A server, and what was written to it.
pub(super) struct Writer {
    pub(super) server: TestServer,
    pub(super) contract: Contract,
    /// Whoever signed in, with a second factor.
    pub(super) ada: Caller,
    /// Their name.
    pub(super) member: String,
    pub(super) written: BTreeSet<String>,
    /// How many requests were wrong.
    pub(super) refused: usize,
    /// The last etag that was seen, by name.
    etags: BTreeMap<String, String>,
    _enrolled: Enrolled,
    _keys: KeyFile,
}

/// Who writes.
#[derive(Clone, Copy)]
pub(super) enum By {
    /// The owner's service account.
    Owner,
    /// A person who is signed in.
    Ada,
}

impl Writer {
    pub(super) async fn new() -> Self {
        let keys = KeyFile::with(&[1]);
        let server = TestServer::with_secret_keys(&keys).await;
        let (ada, member) = server.admin().person("ada@example.com", "owner", "").await;
        let enrolled = ada.enroll(server.database()).await;
        Self {
            server,
            contract: Contract::load(),
            ada,
            member: member.name,
            written: BTreeSet::new(),
            refused: 0,
            etags: BTreeMap::new(),
            _enrolled: enrolled,
            _keys: keys,
        }
    }

    /// Every RPC that changes something that is told.
    pub(super) fn all_writes(&self) -> BTreeSet<String> {
        let methods = self.contract.methods().into_iter();
        let writes = methods.filter(|(_, it)| it.input().get_field_by_name("request_id").is_some());
        writes.map(|(path, _)| path).collect()
    }

    /// Calls something of which nothing is expected; remembers the etag of what it answers.
    pub(super) async fn calls(&mut self, method: &str, request: Value) -> Value {
        let (path, descriptor) = self.method(method);
        self.call(By::Owner, (&path, &descriptor), request).await
    }

    /// Tries a write, does it, does it again, and asks the audit log for it.
    pub(super) async fn writes_as(&mut self, by: By, method: &str, mut request: Value) -> Value {
        let (path, descriptor) = self.method(method);
        let database = self.server.database().clone();
        if descriptor.input().get_field_by_name("etag").is_some() {
            request["etag"] = self.etag_of(&descriptor, &request).into();
        }
        request["requestId"] = method.into();
        request["reason"] = REASON.into();

        let untouched = (database.digest().await, self.told(method).await.len());
        self.is_refused(by, (&path, &descriptor), &request).await;
        let mut trial = request.clone();
        trial["validateOnly"] = true.into();
        let preview = self.call(by, (&path, &descriptor), trial).await;
        assert!(preview["preview"].is_object(), "{method}: {preview}");
        assert!(preview["secret"].is_null(), "{method}: {preview}");
        let now = (database.digest().await, self.told(method).await.len());
        assert_eq!(now, untouched, "{method} was only tried, or wrong");

        let first = self.call(by, (&path, &descriptor), request.clone()).await;
        let told = self.told(method).await;
        self.is_told(by, (&path, &descriptor), (&request, &first), &told);

        let done = database.digest().await;
        let again = self.call(by, (&path, &descriptor), request).await;
        assert_eq!(again, concealed(first.clone()), "{method}, once more");
        assert_eq!(database.digest().await, done, "{method}, once more");
        assert_eq!(self.told(method).await, told, "{method} is told once");
        self.written.insert(path);
        first
    }

    /// The same by the owner.
    pub(super) async fn writes(&mut self, method: &str, request: Value) -> Value {
        self.writes_as(By::Owner, method, request).await
    }

    /// Whatever is wrong with a request is refused as the design says.
    async fn is_refused(
        &mut self,
        by: By,
        (path, method): (&str, &MethodDescriptor),
        request: &Value,
    ) {
        for bad in bad::all(method, request) {
            self.refused += 1;
            let message = DynamicMessage::deserialize(method.input(), bad.request.clone());
            let answer = self.caller(by).call(path, message.unwrap()).await;
            let told = format!("{path}: {}", bad.request);
            let status = answer.map(drop).expect_err(&told);
            assert_eq!(status.code(), bad.code, "{status:?}: {told}");
            if let Some(field) = bad.field {
                assert_eq!(fields(&status), [field], "{status:?}: {told}");
            }
        }
    }

    fn caller(&self, by: By) -> &Caller {
        match by {
            By::Owner => self.server.admin(),
            By::Ada => &self.ada,
        }
    }

    fn method(&self, method: &str) -> (String, MethodDescriptor) {
        let path = format!("/burgee.admin.v1.{method}");
        let mut methods = self.contract.methods().into_iter();
        let found = methods.find(|(other, _)| *other == path);
        found.unwrap_or_else(|| panic!("there is no {method}"))
    }

    async fn call(
        &mut self,
        by: By,
        (path, method): (&str, &MethodDescriptor),
        request: Value,
    ) -> Value {
        let message = DynamicMessage::deserialize(method.input(), request.clone());
        let message = message.unwrap_or_else(|error| panic!("{path}: {error}: {request}"));
        let answer = self.caller(by).call(path, message).await;
        let answer = answer.unwrap_or_else(|status| panic!("{path}: {status:?}: {request}"));
        let answer = DynamicMessage::decode(method.output(), answer).unwrap();
        let answer = serde_json::to_value(&answer).unwrap();
        if answer["preview"].is_null() {
            self.remember(&answer);
        }
        answer
    }

    fn remember(&mut self, answer: &Value) {
        for resource in answer.as_object().into_iter().flat_map(|it| it.values()) {
            if let (Some(name), Some(etag)) = (resource["name"].as_str(), resource["etag"].as_str())
            {
                self.etags.insert(name.to_owned(), etag.to_owned());
            }
        }
    }

    fn etag_of(&self, method: &MethodDescriptor, request: &Value) -> String {
        let name = named(method, request);
        let etag = name.as_ref().and_then(|name| self.etags.get(name));
        etag.cloned().unwrap_or_default()
    }

    /// What the log tells of it.
    async fn told(&self, method: &str) -> Vec<AuditEntry> {
        let filter = AuditFilter {
            request_id: method.to_owned(),
            ..AuditFilter::default()
        };
        entries(self.server.admin(), filter).await
    }

    /// Who, how, from where, when, why, by which request, and what it was before and after.
    fn is_told(
        &self,
        by: By,
        (path, method): (&str, &MethodDescriptor),
        (request, answer): (&Value, &Value),
        told: &[AuditEntry],
    ) {
        let actor = match by {
            By::Owner => "serviceAccounts/admin",
            By::Ada => &self.member,
        };
        assert!(!told.is_empty(), "{path} is not told");
        for entry in told {
            assert_eq!(entry.actor, actor, "{path}");
            assert_eq!(entry.method, path);
            assert_eq!(entry.reason, REASON, "{path}");
            assert_eq!(entry.address, "127.0.0.1", "{path}");
            assert!(entry.user_agent.starts_with("tonic/"), "{path}: {entry:?}");
            assert!(entry.create_time.is_some(), "{path}");
            assert_eq!((entry.denied, entry.truncated), (0, false), "{path}");
            assert!(!entry.resource.is_empty(), "{path}: {entry:?}");
            assert!(!entry.part.is_empty(), "{path}: {entry:?}");
            let differ = entry.before != entry.after || says_more(entry);
            assert!(differ, "{path} changed nothing: {entry:?}");
        }
        let resource = resource(method);
        let shown = &answer[resource.as_ref().map_or("", |(field, _)| field)];
        let name = named(method, request).or_else(|| shown["name"].as_str().map(str::to_owned));
        let name = name.unwrap_or_else(|| panic!("{path} is about nothing: {answer}"));
        let about = told.iter().find(|entry| is_about(entry, &name));
        let about = about.unwrap_or_else(|| panic!("{path} does not tell of {name}: {told:?}"));
        let (before, after) = (about.before.is_some(), about.after.is_some());
        match verb(method) {
            "Create" | "Invite" if named(method, request).is_none() => {
                assert_eq!((before, after), (false, true), "{path}: {about:?}");
            }
            "Delete" => assert_eq!((before, after), (true, false), "{path}: {about:?}"),
            "Update" => assert_eq!((before, after), (true, true), "{path}: {about:?}"),
            _ => {}
        }
        let (_, shown) = resource.unwrap_or_else(|| panic!("{path} shows nothing"));
        for value in [&about.before, &about.after].into_iter().flatten() {
            let descriptor = self.part(&about.part).unwrap_or(shown.clone());
            is_proto_json(path, &descriptor, &plain(value));
        }
    }

    /// What an operation on evaluated things replaces, and brings.
    fn part(&self, part: &str) -> Option<MessageDescriptor> {
        let operation = self.contract.message("burgee.admin.v1.Operation");
        let part = operation.get_field_by_json_name(part)?;
        let after = part.kind().as_message()?.get_field_by_name("after")?;
        after.kind().as_message().cloned()
    }
}

/// Whether an entry tells of what has that name; where a person might be found by it, the entry
/// is about them and shows it.
fn is_about(entry: &AuditEntry, name: &str) -> bool {
    let before = entry.before.as_ref().map(plain);
    entry.resource == name || before.is_some_and(|before| before["name"] == name)
}

/// Whether an entry says something beside the token that it was done with.
fn says_more(entry: &AuditEntry) -> bool {
    let detail = entry.detail.as_ref().map(plain);
    let detail = detail.as_ref().and_then(Value::as_object);
    detail.is_some_and(|detail| detail.keys().any(|key| key != "token"))
}

/// Of an object, that it is of this message.
fn is_proto_json(path: &str, descriptor: &MessageDescriptor, value: &Value) {
    if value.is_object() {
        let message = DynamicMessage::deserialize(descriptor.clone(), value);
        message.unwrap_or_else(|error| panic!("{path}: {error}: {value}"));
    }
}

/// What is in an answer that may be given again.
fn concealed(mut answer: Value) -> Value {
    let fields = answer.as_object_mut().unwrap();
    if fields.remove("secret").is_some() {
        fields.insert("secretAlreadyShown".to_owned(), true.into());
    }
    answer
}

/// A value of the log as JSON.
pub(super) fn plain(value: &prost_types::Value) -> Value {
    match value.kind.as_ref() {
        None | Some(value::Kind::NullValue(_)) => Value::Null,
        // Whole numbers without a fraction.
        Some(value::Kind::NumberValue(number)) => {
            Value::Number(number.to_string().parse().unwrap())
        }
        Some(value::Kind::StringValue(text)) => Value::String(text.clone()),
        Some(value::Kind::BoolValue(is)) => Value::Bool(*is),
        Some(value::Kind::StructValue(object)) => {
            let fields = object.fields.iter();
            fields
                .map(|(name, field)| (name.clone(), plain(field)))
                .collect()
        }
        Some(value::Kind::ListValue(list)) => list.values.iter().map(plain).collect(),
    }
}

fn verb(method: &MethodDescriptor) -> &'static str {
    let verbs = ["Create", "Invite", "Delete", "Update"];
    let name = method.name();
    verbs
        .into_iter()
        .find(|verb| name.starts_with(verb))
        .unwrap_or("")
}

/// The resource that an answer shows, as ProtoJSON calls its field.
fn resource(method: &MethodDescriptor) -> Option<(String, MessageDescriptor)> {
    let output = method.output();
    let first = output.fields().find(|field| field.number() == 1)?;
    match first.kind() {
        Kind::Message(message) => Some((first.json_name().to_owned(), message)),
        _ => None,
    }
}

/// The name of what a request is about, if that is there already.
fn named(method: &MethodDescriptor, request: &Value) -> Option<String> {
    let field = resource(method).map(|(field, _)| field).unwrap_or_default();
    let name = request["name"]
        .as_str()
        .or_else(|| request[&field]["name"].as_str());
    name.map(str::to_owned)
}
