//! The contract as data, for tests that are generated from it: every RPC, and
//! the comments of fields, which say what a name looks like.

use std::collections::HashMap;
use std::sync::Arc;

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};

/// Every RPC, and the comment before each field. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Contract {
    pool: DescriptorPool,
    /// By the field's full name.
    comments: Arc<HashMap<String, String>>,
}

impl Default for Contract {
    fn default() -> Self {
        Self::load()
    }
}

impl Contract {
    /// Reads what was built in.
    #[must_use]
    pub fn load() -> Self {
        let pool = DescriptorPool::decode(burgee_proto::FILE_DESCRIPTOR_SET).unwrap();
        let comments = Arc::new(comments(&pool));
        Self { pool, comments }
    }

    /// Every RPC, as `/package.Service/Method`.
    #[must_use]
    pub fn methods(&self) -> Vec<(String, MethodDescriptor)> {
        let services = self.pool.services();
        let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
        methods
            .map(|method| {
                let service = method.parent_service().full_name().to_owned();
                (format!("/{service}/{}", method.name()), method)
            })
            .collect()
    }

    /// A message by its full name.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn message(&self, name: &str) -> MessageDescriptor {
        let message = self.pool.get_message_by_name(name);
        message.unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// What is said before a field.
    #[must_use]
    pub fn comment(&self, field: &FieldDescriptor) -> &str {
        let comment = self.comments.get(field.full_name());
        comment.map_or("", String::as_str)
    }

    /// A name such as `projects/{project}`, where the comment of a field, or of a
    /// list, begins with one.
    #[must_use]
    pub fn pattern(&self, field: &FieldDescriptor) -> Option<&str> {
        let comment = self.comment(field);
        let pattern = comment.strip_prefix('`')?.split('`').next()?;
        (pattern.contains("/{") && field.kind() == Kind::String).then_some(pattern)
    }

    /// The resource in a request.
    #[must_use]
    pub fn nested(&self, field: &FieldDescriptor) -> Option<MessageDescriptor> {
        let comment = self.comment(field);
        let is_resource = ["Named by", "Needs "]
            .iter()
            .any(|it| comment.starts_with(it));
        match field.kind() {
            Kind::Message(nested) if is_resource => Some(nested),
            _ => None,
        }
    }
}

fn comments(pool: &DescriptorPool) -> HashMap<String, String> {
    // Field numbers of FileDescriptorProto.message_type and DescriptorProto.field.
    const MESSAGES: i32 = 4;
    const FIELDS: i32 = 2;
    let mut comments = HashMap::new();
    for file in pool.files() {
        let proto = file.file_descriptor_proto();
        let info = proto.source_code_info.iter();
        for location in info.flat_map(|info| &info.location) {
            let [MESSAGES, message, FIELDS, field] = location.path[..] else {
                continue;
            };
            let message = &proto.message_type[usize::try_from(message).unwrap()];
            let field = &message.field[usize::try_from(field).unwrap()];
            let name = format!("{}.{}.{}", proto.package(), message.name(), field.name());
            let comment = location.leading_comments().trim().to_owned();
            comments.insert(name, comment);
        }
    }
    comments
}
