//! Evaluating allocates nothing where the crate says so.

#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

#[path = "support/builders.rs"]
mod builders;

use burgee_evaluator::{Context, Ruleset};
use burgee_proto::sync::v1::ItemKind;
use burgee_proto::types::v1::condition::Kind;
use burgee_proto::types::v1::{
    AnyOf, Clause, Condition, EvaluationContext, Flag, Hash, MutualExclusion, Operator, Reason,
    Segment, Serve, Slot, Split, SplitPart, Target, ValueType, serve,
};
use prost_types::value::Kind as ValueKind;

use builders::{asks, flag, in_segment, item, needs, somebody, state};

fn clause(operator: Operator, value: &str) -> Condition {
    let clause = Clause {
        attribute: "user.name".into(),
        operator: operator as i32,
        values: vec![ValueKind::StringValue(value.to_owned()).into()],
        ignore_case: operator == Operator::Contains,
    };
    Condition {
        kind: Some(Kind::Clause(clause)),
    }
}

fn splits(key: &str, hash: Hash) -> Flag {
    let part = |variant: &str| SplitPart {
        variant: variant.to_owned(),
        weight: 50_000,
    };
    let split = Split {
        salt: "salt".into(),
        bucket_by: vec!["company".into(), "targetingKey".into()],
        hash: hash as i32,
        parts: vec![part("on"), part("off")],
    };
    Flag {
        fallthrough: Some(Serve {
            kind: Some(serve::Kind::Split(split)),
        }),
        ..flag(key)
    }
}

/// One flag that tries every operator in vain, one for each hash, and one for
/// each other step.
fn ruleset() -> Ruleset {
    let conditions = [
        clause(Operator::Equals, "x"),
        clause(Operator::Contains, "x"),
        clause(Operator::Matches, "^x+$"),
        clause(Operator::SemverLess, "1.2.3-rc.1"),
        clause(Operator::Before, "2026-11-22T12:00:00Z"),
        clause(Operator::InCidr, "10.0.0.0/8"),
        clause(Operator::GreaterThan, "5"),
        in_segment("segment"),
    ];
    let any = AnyOf {
        conditions: conditions.into(),
    };
    let segment = Segment {
        key: "segment".into(),
        included: (0..2000).map(|index| format!("user-{index}")).collect(),
        condition: Some(clause(Operator::EndsWith, "x")),
        ..Segment::default()
    };
    let excluded = Flag {
        mutual_exclusion: Some(MutualExclusion {
            salt: "group".into(),
            bucket_by: Vec::new(),
            slots: vec![Slot {
                start: 0,
                end: 100_000,
            }],
        }),
        targets: vec![Target {
            variant: "on".into(),
            attribute: "user.number".into(),
            keys: vec!["7".into()],
        }],
        ..flag("targeted")
    };
    let operators = asks(
        "operators",
        Condition {
            kind: Some(Kind::Any(any)),
        },
    );
    let flags = [
        operators,
        excluded,
        splits("burgee", Hash::Burgee),
        splits("unleash", Hash::Unleash),
        splits("unleash-variant", Hash::UnleashVariant),
        splits("launchdarkly", Hash::Launchdarkly),
        flag("static"),
        needs("needs", &["static", "targeted", "missing"]),
    ];
    let flags = flags
        .iter()
        .map(|flag| item(ItemKind::Flag, &flag.key, flag));
    let segment = item(ItemKind::Segment, "segment", &segment);
    Ruleset::compile(&state(flags.chain([segment])))
}

#[test]
fn evaluating_does_not_allocate() {
    let counts = allocation_counter::measure(|| drop(std::hint::black_box(Box::new(7))));
    assert_eq!(counts.count_total, 1, "the counter works");

    let ruleset = ruleset();
    let user = [
        (
            "name".to_owned(),
            ValueKind::StringValue("a name in lower case".into()).into(),
        ),
        ("number".to_owned(), ValueKind::NumberValue(7.0).into()),
    ];
    let user = prost_types::Struct {
        fields: user.into(),
    };
    let attributes = [("user".to_owned(), ValueKind::StructValue(user).into())];
    let context = Context::new(&EvaluationContext {
        targeting_key: "alice".into(),
        attributes: Some(prost_types::Struct {
            fields: attributes.into(),
        }),
    })
    .unwrap();
    for (key, reason) in [
        ("operators", Reason::Default),
        ("targeted", Reason::Target),
        ("burgee", Reason::Split),
        ("unleash", Reason::Split),
        ("unleash-variant", Reason::Split),
        ("launchdarkly", Reason::Split),
        ("static", Reason::Static),
        ("needs", Reason::PrerequisiteFailed),
        ("gone", Reason::Error),
    ] {
        let evaluate = || {
            ruleset
                .evaluate(key, &context, ValueType::Unspecified)
                .reason
        };
        // Regular expressions make their caches at the first use.
        assert_eq!(evaluate(), reason, "{key}");
        let counted = allocation_counter::measure(|| {
            std::hint::black_box(evaluate());
        });
        assert_eq!(counted.count_total, 0, "{key}: {counted:?}");
    }

    let counted = allocation_counter::measure(|| {
        std::hint::black_box(ruleset.evaluate_all(&context).count());
    });
    assert_eq!(counted.count_total, 0, "{counted:?}");

    let nobody = somebody("");
    let counted = allocation_counter::measure(|| {
        let evaluated = ruleset.evaluate("burgee", &nobody, ValueType::Unspecified);
        assert_eq!(evaluated.reason, Reason::Unbucketed);
    });
    assert_eq!(counted.count_total, 0, "{counted:?}");
}
