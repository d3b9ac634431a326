//! ProtoJSON into the messages of the contract.

use std::error::Error;

use burgee_proto::types::v1::EvaluationContext;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde_json::{Map, Value as Json};

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

    /// Reads a context. Its attributes may be nested deeper than protobuf decodes:
    /// what becomes of them is for the evaluator to say.
    pub(crate) fn read_context(&self, json: &Json) -> Result<EvaluationContext, Box<dyn Error>> {
        let mut rest = json.clone();
        let attributes = rest.as_object_mut().and_then(|it| it.remove("attributes"));
        let mut context: EvaluationContext = self.read("EvaluationContext", &rest)?;
        context.attributes = match attributes {
            None | Some(Json::Null) => None,
            Some(Json::Object(fields)) => Some(to_struct(&fields)),
            Some(_) => return Err("the attributes are no object".into()),
        };
        Ok(context)
    }
}

fn to_struct(fields: &Map<String, Json>) -> Struct {
    let fields = fields.iter();
    Struct {
        fields: fields
            .map(|(key, value)| (key.clone(), to_value(value)))
            .collect(),
    }
}

fn to_value(json: &Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(value) => Kind::BoolValue(*value),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(values) => Kind::ListValue(ListValue {
            values: values.iter().map(to_value).collect(),
        }),
        Json::Object(fields) => Kind::StructValue(to_struct(fields)),
    };
    Value { kind: Some(kind) }
}
