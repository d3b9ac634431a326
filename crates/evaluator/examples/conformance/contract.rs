//! ProtoJSON into the messages of the contract.

use std::error::Error;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::Value as Json;

/// What messages there are, and how they are written.
pub(crate) struct Contract(DescriptorPool);

impl Contract {
    /// The contract that this evaluator was built with.
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        DescriptorPool::decode(burgee_proto::FILE_DESCRIPTOR_SET)
            .map(Self)
            .map_err(Into::into)
    }

    /// Reads a message of `burgee.types.v1`. ProtoJSON is strict: a field that the
    /// message does not have is refused.
    pub(crate) fn read<M: Message + Default>(
        &self,
        name: &str,
        json: &Json,
    ) -> Result<M, Box<dyn Error>> {
        let descriptor = self
            .0
            .get_message_by_name(&format!("burgee.types.v1.{name}"))
            .ok_or("the contract has no such message")?;
        let message = DynamicMessage::deserialize(descriptor, json)?;
        Ok(M::decode(message.encode_to_vec().as_slice())?)
    }
}
