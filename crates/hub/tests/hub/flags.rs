//! Flags and segments that show only what matters.

use burgee_proto::sync::v1::ItemKind;
use burgee_proto::types::v1::condition::Kind as ConditionKind;
use burgee_proto::types::v1::{
    Condition, EvaluationContext, Flag, FlagType, Prerequisite, Rule, Segment, SegmentMatch,
    SegmentPart, Serve, Variant, serve,
};
use prost::Message;
use prost_types::value::Kind;
use prost_types::{Struct, Value};

use crate::harness::TestHub;

/// A boolean flag that is on for everybody.
pub(crate) fn flag(key: &str, client_visible: bool) -> Flag {
    let variant = |key: &str, value| Variant {
        key: key.to_owned(),
        value: Some(Value {
            kind: Some(Kind::BoolValue(value)),
        }),
        ..Variant::default()
    };
    Flag {
        key: key.to_owned(),
        r#type: FlagType::Boolean.into(),
        variants: vec![variant("on", true), variant("off", false)],
        enabled: true,
        off_variant: "off".to_owned(),
        fallthrough: Some(serves("on")),
        client_visible,
        metadata: Some(owned_by("a team")),
        ..Flag::default()
    }
}

/// Metadata.
pub(crate) fn owned_by(owner: &str) -> Struct {
    Struct {
        fields: [("owner".to_owned(), Value::from(owner))].into(),
    }
}

/// The same flag, off.
pub(crate) fn off(flag: Flag) -> Flag {
    Flag {
        enabled: false,
        ..flag
    }
}

/// The same flag, if another one is on.
pub(crate) fn needing(prerequisite: &str, flag: Flag) -> Flag {
    let prerequisite = Prerequisite {
        flag_key: prerequisite.to_owned(),
        variants: vec!["on".to_owned()],
    };
    Flag {
        prerequisites: vec![prerequisite],
        ..flag
    }
}

/// The same flag, off for whom a segment contains.
pub(crate) fn but_not_in(segment: &str, rule_id: &str, flag: Flag) -> Flag {
    let keys = vec![segment.to_owned()];
    let condition = Condition {
        kind: Some(ConditionKind::Segment(SegmentMatch { keys })),
    };
    Flag {
        rules: vec![Rule {
            id: rule_id.to_owned(),
            condition: Some(condition),
            serve: Some(serves("off")),
            ..Rule::default()
        }],
        ..flag
    }
}

/// A flag with one value for everybody.
pub(crate) fn valued(key: &str, value: Kind) -> Flag {
    let flag_type = match value {
        Kind::NumberValue(_) => FlagType::Number,
        _ => FlagType::String,
    };
    let variant = Variant {
        key: "on".to_owned(),
        value: Some(value.into()),
        ..Variant::default()
    };
    Flag {
        r#type: flag_type.into(),
        variants: vec![variant],
        off_variant: String::new(),
        ..flag(key, true)
    }
}

fn serves(variant: &str) -> Serve {
    Serve {
        kind: Some(serve::Kind::Variant(variant.to_owned())),
    }
}

/// Somebody without attributes.
pub(crate) fn somebody(targeting_key: &str) -> EvaluationContext {
    EvaluationContext {
        targeting_key: targeting_key.to_owned(),
        attributes: None,
    }
}

/// What is shipped.
pub(crate) type Shipped = (ItemKind, String, Option<Vec<u8>>);

pub(crate) fn flag_item(flag: &Flag) -> Shipped {
    item(ItemKind::Flag, &flag.key, flag)
}

/// A segment whose keys come in parts.
pub(crate) fn segment_item(key: &str) -> Shipped {
    let segment = Segment {
        key: key.to_owned(),
        ..Segment::default()
    };
    item(ItemKind::Segment, key, &segment)
}

/// A part of a segment. Where the keys belong is left to the evaluator.
pub(crate) fn part_item(segment: &str, included: &[&str]) -> Shipped {
    let part = SegmentPart {
        included: included.iter().map(ToString::to_string).collect(),
        excluded: Vec::new(),
    };
    item(ItemKind::SegmentPart, &format!("{segment}/00"), &part)
}

fn item(kind: ItemKind, key: &str, message: &impl Message) -> Shipped {
    (kind, key.to_owned(), Some(message.encode_to_vec()))
}

impl TestHub {
    /// Ships items in one revision, and tells the hub.
    pub(crate) fn ship(&mut self, items: impl IntoIterator<Item = Shipped>) {
        let delta = self.world.change(items);
        self.publish(delta);
    }

    /// Ships a flag.
    pub(crate) fn ship_flag(&mut self, flag: &Flag) {
        self.ship([flag_item(flag)]);
    }
}
