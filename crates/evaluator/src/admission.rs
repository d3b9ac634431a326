//! All that a server asks of a flag or segment before it ships one, in one
//! call: normal form, limits, and that every evaluator understands it.

use burgee_proto::types::v1::{Flag, Segment};

use crate::limits::{check_flag_limits, check_segment_limits};
use crate::normal_form::{normalise_flag, normalise_segment};
use crate::problem::Problem;
use crate::ruleset::{check_flag, check_segment};

/// Makes a flag ready to be shipped. What other items hold (whether
/// prerequisites form a cycle, whether segments exist) is not looked at.
///
/// # Errors
///
/// The first thing that forbids it, and where it is. The flag may then be half
/// rewritten.
pub fn admit_flag(flag: &mut Flag) -> Result<(), Problem> {
    // First, as it may make the flag longer.
    normalise_flag(flag)?;
    check_flag_limits(flag)?;
    check_flag(flag)
}

/// Makes a segment with whole lists ready to be shipped.
///
/// # Errors
///
/// The first thing that forbids it, and where it is. The segment may then be
/// half rewritten.
pub fn admit_segment(segment: &mut Segment) -> Result<(), Problem> {
    normalise_segment(segment)?;
    check_segment_limits(segment)?;
    check_segment(segment)
}

#[cfg(test)]
mod tests {
    use burgee_proto::types::v1::condition::Kind;
    use burgee_proto::types::v1::{
        Clause, Condition, FlagType, Operator, Rule, SegmentMatch, Serve, Variant, serve,
    };
    use prost_types::value::Kind as ValueKind;

    use super::*;

    fn matches(pattern: &str) -> Condition {
        let clause = Clause {
            attribute: "a".into(),
            operator: Operator::Matches as i32,
            values: vec![ValueKind::StringValue(pattern.into()).into()],
            ignore_case: false,
        };
        Condition {
            kind: Some(Kind::Clause(clause)),
        }
    }

    fn flag(condition: Condition) -> Flag {
        Flag {
            key: "f".into(),
            r#type: FlagType::Boolean as i32,
            variants: vec![Variant {
                key: "on".into(),
                value: Some(ValueKind::BoolValue(true).into()),
                ..Variant::default()
            }],
            rules: vec![Rule {
                id: "r".into(),
                condition: Some(condition),
                serve: Some(Serve {
                    kind: Some(serve::Kind::Variant("on".into())),
                }),
                ..Rule::default()
            }],
            ..Flag::default()
        }
    }

    #[test]
    fn what_is_admitted_is_in_normal_form() {
        let mut admitted = flag(matches(r"(?i)\d(a)"));
        assert_eq!(admit_flag(&mut admitted), Ok(()));
        assert_eq!(admitted, flag(matches("[0-9](?:[aA])")));

        let mut admitted = Segment {
            condition: Some(matches("(a)")),
            ..Segment::default()
        };
        assert_eq!(admit_segment(&mut admitted), Ok(()));
        assert_eq!(admitted.condition, Some(matches("(?:a)")));
    }

    #[test]
    fn each_kind_of_refusal_names_its_field() {
        let field = |mut flag: Flag| admit_flag(&mut flag).unwrap_err().field;
        let not_normal = flag(matches("(?=a)"));
        assert_eq!(field(not_normal), "rules[0].condition.clause.values[0]");
        let over_a_limit = Flag {
            key: "k".repeat(257),
            ..flag(matches("a"))
        };
        assert_eq!(field(over_a_limit), "key");
        let not_understood = Flag {
            off_variant: "none".into(),
            ..flag(matches("a"))
        };
        assert_eq!(field(not_understood), "off_variant");

        let nested = SegmentMatch::default();
        let mut refers = Segment {
            condition: Some(Condition {
                kind: Some(Kind::Segment(nested)),
            }),
            ..Segment::default()
        };
        assert_eq!(
            admit_segment(&mut refers).unwrap_err().field,
            "condition.segment"
        );
    }
}
