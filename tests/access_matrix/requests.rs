//! Requests of every RPC, made from the descriptors and their comments, which
//! say what a name looks like.

use burgee_server::access::Rule;
use burgee_tests::contract::Contract;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
    ReflectMessage as _, Value,
};

use crate::world::World;

/// An RPC.
pub(crate) struct Method {
    /// `/package.Service/Method`.
    pub(crate) path: String,
    pub(crate) name: String,
    descriptor: MethodDescriptor,
    contract: Contract,
}

/// Every RPC of the contract.
pub(crate) fn methods() -> Vec<Method> {
    let contract = Contract::load();
    let methods = contract.methods().into_iter();
    methods
        .map(|(path, descriptor)| Method {
            path,
            name: descriptor.name().to_owned(),
            descriptor,
            contract: contract.clone(),
        })
        .collect()
}

impl Method {
    /// Who may call it, by the method table.
    pub(crate) fn rule(&self) -> Rule {
        let (_, rule) = burgee_server::access::rule(&self.path).unwrap();
        rule
    }

    /// A request about what is in `world`, that changes nothing.
    pub(crate) fn request(&self, world: &World) -> DynamicMessage {
        let mut request = DynamicMessage::new(self.descriptor.input());
        if let Some(field) = self.descriptor.input().get_field_by_name("validate_only") {
            request.set_field(&field, Value::Bool(true));
        }
        self.fill(&mut request, world);
        request
    }

    /// Whether the request names a thing of an organization.
    pub(crate) fn names_something(&self) -> bool {
        self.names(&self.descriptor.input())
    }

    fn names(&self, message: &MessageDescriptor) -> bool {
        message.fields().any(|field| {
            let nested = self.contract.nested(&field);
            self.pattern(&field).is_some()
                || is_environments(&field)
                || nested.is_some_and(|nested| self.names(&nested))
        })
    }

    /// Gives every name of a resource, and what a resource that is made needs.
    fn fill(&self, message: &mut DynamicMessage, world: &World) {
        for field in message.descriptor().fields() {
            if let Some(pattern) = self.pattern(&field) {
                let name = Value::String(world.name(pattern));
                let value = match field.is_list() {
                    true => Value::List(vec![name]),
                    false => name,
                };
                message.set_field(&field, value);
            } else if is_environments(&field) {
                let name = Value::String(world.environment_name());
                message.set_field(&field, Value::List(vec![name]));
            } else if let Some(nested) = self.contract.nested(&field) {
                let mut made = DynamicMessage::new(nested);
                self.fill(&mut made, world);
                message.set_field(&field, Value::Message(made));
            } else if field.name() == "permission" {
                message.set_field(&field, Value::String("flag.read".to_owned()));
            } else if field.name() == "email" {
                message.set_field(&field, Value::String("new@example.com".to_owned()));
            } else if field.full_name() == "burgee.admin.v1.SwitchOrganizationRequest.organization"
            {
                message.set_field(&field, Value::String("default".to_owned()));
            } else if field.name() == "key" {
                message.set_field(&field, Value::String("new-thing".to_owned()));
            } else if let (Kind::Enum(_), "kind" | "type" | "list") = (field.kind(), field.name()) {
                message.set_field(&field, Value::EnumNumber(1));
            }
        }
    }

    /// A name such as `projects/{project}`, where the comment begins with one.
    fn pattern(&self, field: &FieldDescriptor) -> Option<&str> {
        // A resource that is made has no name yet, whatever the comment says.
        let given = !(field.name() == "name" && self.makes(field.parent_message()));
        self.contract.pattern(field).filter(|_| given)
    }

    /// Whether the RPC makes such a resource.
    fn makes(&self, resource: &MessageDescriptor) -> bool {
        let verb = match resource.name() {
            "Invitation" => "InviteMember".to_owned(),
            resource => format!("Create{resource}"),
        };
        self.name == verb
    }
}

/// The environments that an API key opens.
fn is_environments(field: &FieldDescriptor) -> bool {
    field.full_name() == "burgee.admin.v1.ApiKey.environments"
}
