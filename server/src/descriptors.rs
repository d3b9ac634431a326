//! The contract as data: ProtoJSON for the audit log, and field masks.

use std::collections::BTreeSet;

use burgee_proto::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, ReflectMessage as _};
use prost_types::FieldMask;

use crate::error::Error;

/// Descriptors of every message. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Descriptors(DescriptorPool);

impl Descriptors {
    /// Reads the descriptors that were built in.
    ///
    /// # Errors
    /// [`Error::Internal`] if they are broken.
    pub fn load() -> Result<Self, Error> {
        DescriptorPool::decode(FILE_DESCRIPTOR_SET)
            .map(Self)
            .map_err(Error::internal)
    }

    /// Every RPC as `/package.Service/Method`.
    pub fn methods(&self) -> impl Iterator<Item = String> + '_ {
        self.0.services().flat_map(|service| {
            let name = service.full_name().to_owned();
            service
                .methods()
                .map(|method| format!("/{name}/{}", method.name()))
                .collect::<Vec<_>>()
        })
    }

    fn message(&self, name: &str) -> Result<MessageDescriptor, Error> {
        self.0
            .get_message_by_name(name)
            .ok_or_else(|| Error::internal(format!("no descriptor of {name}")))
    }

    fn dynamic<M: Message + prost::Name>(&self, message: &M) -> Result<DynamicMessage, Error> {
        let descriptor = self.message(&M::full_name())?;
        Ok(DynamicMessage::decode(
            descriptor,
            message.encode_to_vec().as_slice(),
        )?)
    }

    /// A message as ProtoJSON.
    ///
    /// # Errors
    /// [`Error::Internal`] if the message holds what JSON cannot (NaN).
    pub fn json<M: Message + prost::Name>(&self, message: &M) -> Result<String, Error> {
        serde_json::to_string(&self.dynamic(message)?).map_err(Error::internal)
    }

    /// Any JSON as a message.
    ///
    /// # Errors
    /// [`Error::Internal`] for what is no JSON.
    pub fn value(&self, json: &str) -> Result<prost_types::Value, Error> {
        let descriptor = self.message("google.protobuf.Value")?;
        let mut json = serde_json::Deserializer::from_str(json);
        let value = DynamicMessage::deserialize(descriptor, &mut json);
        let value = value.map_err(Error::internal)?;
        Ok(prost_types::Value::decode(
            value.encode_to_vec().as_slice(),
        )?)
    }

    /// `current` with the fields that `mask` names taken from `update`; without
    /// a mask, those that are populated in `update` and may be changed.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a path that is not among `changeable`.
    pub fn merge<M: Message + prost::Name + Default>(
        &self,
        current: &M,
        update: &M,
        mask: Option<&FieldMask>,
        changeable: &[&str],
    ) -> Result<M, Error> {
        let mut merged = self.dynamic(current)?;
        let update = self.dynamic(update)?;
        let descriptor = merged.descriptor();
        let populated = |path: &&&str| {
            descriptor
                .get_field_by_name(path)
                .is_some_and(|field| update.has_field(&field))
        };
        // Each once: what a path takes over may be large.
        let paths: BTreeSet<&str> = match mask {
            Some(mask) if !mask.paths.is_empty() => mask.paths.iter().map(String::as_str).collect(),
            _ => changeable.iter().filter(populated).copied().collect(),
        };
        for path in paths {
            let field = changeable
                .contains(&path)
                .then(|| descriptor.get_field_by_name(path))
                .flatten()
                .ok_or_else(|| {
                    let known = changeable.join(", ");
                    Error::invalid(
                        "update_mask",
                        format!("{path:?} cannot be changed; these can: {known}"),
                    )
                })?;
            if update.has_field(&field) {
                merged.set_field(&field, update.get_field(&field).into_owned());
            } else {
                merged.clear_field(&field);
            }
        }
        Ok(M::decode(merged.encode_to_vec().as_slice())?)
    }
}

#[cfg(test)]
mod tests {
    use burgee_proto::admin::v1::Project;

    use super::*;

    const CHANGEABLE: &[&str] = &["display_name", "description"];

    fn project(display_name: &str, description: &str) -> Project {
        Project {
            key: "p".to_owned(),
            display_name: display_name.to_owned(),
            description: description.to_owned(),
            ..Project::default()
        }
    }

    fn merge(update: &Project, paths: Option<&[&str]>) -> Result<Project, Error> {
        let mask = paths.map(|paths| FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        });
        let descriptors = Descriptors::load().unwrap();
        descriptors.merge(&project("name", "text"), update, mask.as_ref(), CHANGEABLE)
    }

    #[test]
    fn a_mask_decides_what_is_taken_populated_or_not() {
        let merged = merge(&project("", "new"), Some(&["display_name"])).unwrap();
        assert_eq!(merged, project("", "text"));
    }

    #[test]
    fn without_a_mask_what_is_populated_is_taken() {
        let update = Project {
            key: "ignored".to_owned(),
            ..project("", "new")
        };
        assert_eq!(merge(&update, None).unwrap(), project("name", "new"));
        assert_eq!(merge(&update, Some(&[])).unwrap(), project("name", "new"));
    }

    #[test]
    fn a_path_that_cannot_be_changed_is_refused() {
        for path in ["key", "nonsense", "display_name.x", ""] {
            let refused = merge(&Project::default(), Some(&[path]));
            assert!(matches!(refused, Err(Error::Invalid(_))), "{path:?}");
        }
    }
}
