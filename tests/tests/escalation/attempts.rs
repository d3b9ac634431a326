//! Writes that are tried, made from the descriptors and their comments.

use burgee_server::access::{Grants, Permission, Rule, rule};
use burgee_tests::callers::Caller;
use burgee_tests::contract::Contract;
use bytes::Bytes;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
    ReflectMessage as _, Value,
};
use tonic::Status;

use super::world::{Attacker, PRODUCTION, STAGING, World};

/// Services whose writes say nothing of who may do what.
const ELSEWHERE: [&str; 4] = [
    "burgee.admin.v1.ProjectService",
    "burgee.admin.v1.EnvironmentService",
    "burgee.admin.v1.FlagService",
    "burgee.admin.v1.SegmentService",
];
/// The most requests of one method by one attacker.
const VARIANTS_MAX: usize = 128;
/// What nobody has who writes it.
const HOSTILE: &str = "hostile";

/// A write.
#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) path: String,
    pub(super) method: MethodDescriptor,
    request: DynamicMessage,
}

/// Every RPC that writes something about who may do what.
pub(super) fn writes(contract: &Contract) -> Vec<(String, MethodDescriptor)> {
    let mut methods = contract.methods();
    methods.retain(|(_, method)| {
        let elsewhere = ELSEWHERE.contains(&method.parent_service().full_name());
        !elsewhere && method.input().get_field_by_name("request_id").is_some()
    });
    methods
}

/// Whether a method takes something away from somebody.
pub(super) fn takes_away(method: &MethodDescriptor) -> bool {
    let verbs = [
        "Delete",
        "Revoke",
        "Deactivate",
        "Remove",
        "ResetSecondFactor",
    ];
    verbs.iter().any(|verb| method.name().starts_with(verb))
}

/// Every write that an attacker tries. A method that nobody lets them call is tried once.
pub(super) fn all(
    contract: &Contract,
    world: &World,
    (attacker, held): (&Attacker, &Grants),
) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    for (path, method) in writes(contract) {
        let requests = Requests {
            contract,
            world,
            attacker,
            makes: makes(&method),
        };
        let variants = match rule(&path) {
            Some((_, Rule::Permission(needed, _))) if !held.allow_anywhere(needed) => 1,
            _ => VARIANTS_MAX,
        };
        let variants = requests.of(&method.input()).into_iter().take(variants);
        attempts.extend(variants.map(|request| Attempt {
            path: path.clone(),
            method: method.clone(),
            request,
        }));
    }
    attempts
}

fn makes(method: &MethodDescriptor) -> bool {
    let verbs = ["Create", "Invite"];
    verbs.iter().any(|verb| method.name().starts_with(verb))
}

/// What it takes to make requests.
struct Requests<'a> {
    contract: &'a Contract,
    world: &'a World,
    attacker: &'a Attacker,
    /// What is named in the request does not exist yet.
    makes: bool,
}

impl Requests<'_> {
    /// Every way to fill a message that is worth trying.
    fn of(&self, message: &MessageDescriptor) -> Vec<DynamicMessage> {
        let mut all = vec![DynamicMessage::new(message.clone())];
        for field in message.fields() {
            let values = self.values(&field);
            if values.is_empty() {
                continue;
            }
            let filled = all.iter().flat_map(|message| {
                values.iter().map(|value| {
                    let mut filled = message.clone();
                    filled.set_field(&field, value.clone());
                    filled
                })
            });
            all = filled.collect();
            assert!(
                all.len() <= VARIANTS_MAX,
                "too many of {}",
                message.full_name()
            );
        }
        all
    }

    /// What is worth trying in a field. Nothing: it is left out.
    fn values(&self, field: &FieldDescriptor) -> Vec<Value> {
        let named = field.name() == "name" && !self.makes;
        if is_the_servers(self.contract, field) && !named {
            return Vec::new();
        }
        let values = match (field.name(), field.kind()) {
            (name, Kind::String) if self.contract.pattern(field).is_some() => {
                let pattern = self.contract.pattern(field).unwrap_or_default();
                texts(&self.world.targets(self.attacker, pattern, name))
            }
            ("scope", Kind::String) => texts(&["", "projects/shop", PRODUCTION].map(str::to_owned)),
            ("key", Kind::String) => texts(&[format!("made-{}", self.world.number())]),
            ("email", Kind::String) => {
                texts(&[format!("made-{}@example.com", self.world.number())])
            }
            ("issuer", Kind::String) => texts(&["https://login.example.com".to_owned()]),
            ("client_id", Kind::String) => texts(&["burgee".to_owned()]),
            ("email_domains", Kind::String) => texts(&["example.com".to_owned()]),
            ("groups_claim" | "group", Kind::String) => texts(&["groups".to_owned()]),
            ("permissions", Kind::String) => {
                let all = Permission::ALL.iter().map(|it| it.name());
                return vec![
                    texts_of(&all.collect::<Vec<_>>()),
                    texts_of(&["flag.delete"]),
                ];
            }
            ("environments", Kind::String) => {
                let both = [PRODUCTION, STAGING];
                return vec![texts_of(&[PRODUCTION]), texts_of(&both), texts_of(&[])];
            }
            ("environment_patterns", Kind::String) => {
                return vec![texts_of(&[]), texts_of(&["projects/*/environments/*"])];
            }
            ("kind", Kind::Enum(kinds)) => {
                let kinds = kinds.values().map(|kind| kind.number());
                kinds
                    .filter(|kind| *kind > 0)
                    .map(Value::EnumNumber)
                    .collect()
            }
            ("update_mask", _) => return self.masks(field),
            (_, Kind::Message(nested)) if nested.package_name() == "burgee.admin.v1" => {
                self.of(&nested).into_iter().map(Value::Message).collect()
            }
            _ => Vec::new(),
        };
        match field.is_list() {
            true => values.into_iter().map(|it| Value::List(vec![it])).collect(),
            false => values,
        }
    }

    /// No mask, but where something shall be let in again.
    fn masks(&self, field: &FieldDescriptor) -> Vec<Value> {
        match self.contract.comment(field).contains("`disabled`") {
            true => vec![mask_of("disabled", field)],
            false => Vec::new(),
        }
    }
}

impl Attempt {
    /// One such write, if there is anything to write.
    pub(super) fn first(
        contract: &Contract,
        world: &World,
        attacker: &Attacker,
        (path, method): (&str, &MethodDescriptor),
    ) -> Option<Self> {
        let requests = Requests {
            contract,
            world,
            attacker,
            makes: makes(method),
        };
        let request = requests.of(&method.input()).into_iter().next()?;
        Some(Self {
            path: path.to_owned(),
            method: method.clone(),
            request,
        })
    }

    /// The name of what it is about.
    pub(super) fn about(&self) -> Option<String> {
        let named = |message: &DynamicMessage| {
            let name = message.get_field_by_name("name")?.as_str()?.to_owned();
            (!name.is_empty()).then_some(name)
        };
        let fields = self.request.fields();
        let nested = fields.filter_map(|(_, value)| value.as_message());
        named(&self.request).or_else(|| nested.filter_map(named).next())
    }

    /// With the etag of what it is about.
    pub(super) fn with(mut self, etag: Option<String>) -> Self {
        let field = self.method.input().get_field_by_name("etag");
        if let (Some(field), Some(etag)) = (field, etag) {
            self.request.set_field(&field, Value::String(etag));
        }
        self
    }

    /// Tries it; perhaps only to see what would come of it.
    pub(super) async fn run(&self, caller: &Caller, validate_only: bool) -> Result<Bytes, Status> {
        let mut request = self.request.clone();
        request.set_field_by_name("validate_only", Value::Bool(validate_only));
        caller.call(&self.path, request).await
    }

    /// For messages.
    pub(super) fn tell(&self, attacker: &Attacker) -> String {
        format!("{} by {}: {}", self.path, attacker.what, self.request)
    }

    /// Whether it makes a resource that it describes.
    pub(super) fn makes(&self) -> bool {
        makes(&self.method) && self.resource().is_some()
    }

    /// The resource in the request, and its field.
    fn resource(&self) -> Option<(FieldDescriptor, DynamicMessage)> {
        let mut fields = self.request.fields();
        fields.find_map(|(field, value)| Some((field, value.as_message()?.clone())))
    }

    /// Says all that is the server's to say; tells what was said.
    pub(super) fn say_what_is_the_servers(
        &mut self,
        contract: &Contract,
    ) -> Vec<(FieldDescriptor, Value)> {
        let (field, mut resource) = self.resource().unwrap();
        let fields = resource.descriptor().fields().collect::<Vec<_>>();
        let servers = fields.into_iter().filter(|it| is_the_servers(contract, it));
        let hostile = servers.filter_map(|it| hostile(&it).map(|value| (it, value)));
        let hostile: Vec<_> = hostile.collect();
        for (field, value) in &hostile {
            resource.set_field(field, value.clone());
        }
        self.request.set_field(&field, Value::Message(resource));
        hostile
    }

    /// None of it is in the answer.
    pub(super) fn assert_unsaid(&self, hostile: &[(FieldDescriptor, Value)], answer: Bytes) {
        let answer = DynamicMessage::decode(self.method.output(), answer).unwrap();
        let (_, asked) = self.resource().unwrap();
        let made = answer.fields().find_map(|(_, value)| {
            let message = value.as_message()?;
            (message.descriptor() == asked.descriptor()).then(|| message.clone())
        });
        let made = made.unwrap_or_else(|| panic!("{} answers no {asked}", self.path));
        for (field, value) in hostile {
            let said = made.get_field(field);
            assert_ne!(
                *said,
                *value,
                "{}: {} is the server's",
                self.path,
                field.name()
            );
        }
    }

    /// Paths of what is the server's to say, for a method with a mask.
    pub(super) fn masks_of_what_is_the_servers(&self, contract: &Contract) -> Vec<String> {
        if self
            .method
            .input()
            .get_field_by_name("update_mask")
            .is_none()
        {
            return Vec::new();
        }
        let resource = self.resource();
        let (_, resource) = resource.unwrap_or_else(|| panic!("{} changes nothing", self.path));
        let fields = resource.descriptor().fields().collect::<Vec<_>>();
        let servers = fields.iter().filter(|it| is_the_servers(contract, it));
        servers.map(|field| field.name().to_owned()).collect()
    }

    /// The same, of this path.
    pub(super) fn masked(&self, path: &str) -> Self {
        let mut masked = self.clone();
        let field = self
            .method
            .input()
            .get_field_by_name("update_mask")
            .unwrap();
        masked.request.set_field(&field, mask_of(path, &field));
        masked
    }
}

/// Whether a field is the server's to say.
fn is_the_servers(contract: &Contract, field: &FieldDescriptor) -> bool {
    let comment = contract.comment(field);
    // A list that a caller may give as well says in which case it is the server's.
    !field.is_list()
        && (comment.contains("Output only")
            || comment.starts_with("Made by the server")
            || comment.starts_with("Names this version"))
}

/// Something to say there that the server would not.
fn hostile(field: &FieldDescriptor) -> Option<Value> {
    match field.kind() {
        Kind::String => Some(Value::String(HOSTILE.to_owned())),
        Kind::Bool => Some(Value::Bool(true)),
        Kind::Message(message) if message.full_name() == "google.protobuf.Timestamp" => {
            let mut time = DynamicMessage::new(message);
            time.set_field_by_name("seconds", Value::I64(1));
            Some(Value::Message(time))
        }
        _ => None,
    }
}

fn mask_of(path: &str, field: &FieldDescriptor) -> Value {
    let Kind::Message(mask) = field.kind() else {
        panic!("a mask is a message");
    };
    let mut made = DynamicMessage::new(mask);
    made.set_field_by_name("paths", texts_of(&[path]));
    Value::Message(made)
}

fn texts(texts: &[String]) -> Vec<Value> {
    texts.iter().cloned().map(Value::String).collect()
}

fn texts_of(texts: &[&str]) -> Value {
    Value::List(
        texts
            .iter()
            .map(|it| Value::String((*it).to_owned()))
            .collect(),
    )
}
