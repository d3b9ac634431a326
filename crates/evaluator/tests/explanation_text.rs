//! What an explanation reads like.

#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use burgee_evaluator::{Context, Ruleset, explain};
use burgee_proto::types::v1::{ErrorCode, EvaluationContext, Explanation, Position, ValueType};
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value as Json, json};

fn parse<M: prost::Message + Default>(name: &str, json: &Json) -> M {
    let pool = DescriptorPool::decode(burgee_proto::FILE_DESCRIPTOR_SET).unwrap();
    let descriptor = pool.get_message_by_name(name).unwrap();
    let message = DynamicMessage::deserialize(descriptor, json).unwrap();
    M::decode(prost::Message::encode_to_vec(&message).as_slice()).unwrap()
}

fn flag(key: &str, configuration: Json) -> Json {
    let mut flag = json!({
        "key": key,
        "type": "FLAG_TYPE_BOOLEAN",
        "variants": [{"key": "on", "value": true}, {"key": "off", "value": false}],
        "enabled": true,
        "offVariant": "off",
        "fallthrough": {"variant": "on"},
    });
    let fields = flag.as_object_mut().unwrap();
    fields.extend(configuration.as_object().unwrap().clone());
    flag
}

fn clause(attribute: &str, operator: &str, values: Json) -> Json {
    json!({"clause": {"attribute": attribute, "operator": operator, "values": values}})
}

/// A flag with everything that there is, and what it reaches.
fn ruleset() -> Json {
    let halves = json!([{"variant": "on", "weight": 50000}, {"variant": "off", "weight": 50000}]);
    let checkout = json!({
        "prerequisites": [{"flagKey": "base", "variants": ["on", "beta"]}],
        "mutualExclusion": {"salt": "checkout", "slots": [{"start": 0, "end": 100000}]},
        "targets": [
            {"variant": "off", "keys": ["bob"]},
            {"variant": "off", "attribute": "company", "keys": ["acme"]},
        ],
        "rules": [
            {
                "id": "staff",
                "condition": {"all": {"conditions": [
                    clause("email", "OPERATOR_ENDS_WITH", json!(["@example.com"])),
                    {"not": {"condition": clause("plan", "OPERATOR_EXISTS", json!([]))}},
                ]}},
                "serve": {"variant": "off"},
            },
            {
                "id": "many",
                "condition": clause("age", "OPERATOR_EQUALS", json!([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])),
                "serve": {"variant": "off"},
            },
            {
                "id": "few",
                "condition": {"segment": {"keys": ["beta"]}},
                "traffic": {"salt": "s.gate", "weight": 1, "bucketBy": ["plan", "company"]},
                "serve": {"variant": "on"},
            },
            {
                "id": "devices",
                "condition": {"segment": {"keys": ["beta", "gone"]}},
                "serve": {"split": {"salt": "s", "bucketBy": ["device"], "parts": halves}},
            },
            {
                "id": "pro",
                "condition": {"any": {"conditions": [
                    clause("plan", "OPERATOR_EQUALS", json!(["pro", "team"])),
                ]}},
                "traffic": {"salt": "s.gate", "weight": 100000},
                "serve": {"split": {"salt": "checkout", "hash": "HASH_UNLEASH", "parts": halves}},
            },
        ],
    });
    let condition = clause("plan", "OPERATOR_STARTS_WITH", json!(["p"]));
    json!({
        "flags": [flag("checkout", checkout), flag("base", json!({}))],
        "segments": [{"key": "beta", "excluded": ["bob"], "condition": condition}],
    })
}

fn explained(ruleset: &Json, context: &Json, wanted: ValueType) -> Explanation {
    let ruleset = Ruleset::from_message(&parse("burgee.types.v1.Ruleset", ruleset));
    let context: EvaluationContext = parse("burgee.types.v1.EvaluationContext", context);
    let position = Position {
        epoch: 1,
        revision: 17,
    };
    let context = Context::new(&context).unwrap();
    ruleset.explain("checkout", &context, wanted, position)
}

#[test]
fn an_explanation_reads_step_by_step() {
    let alice = json!({
        "targetingKey": "alice", "attributes": {"plan": "pro", "company": "initech", "age": 41}
    });
    let told = explained(&ruleset(), &alice, ValueType::Boolean);
    let expected = r#"checkout = true (variant on): SPLIT by rule pro, at (1, 17)
  ✓ prerequisite base: has on, wants on or beta
  ✓ exclusion group: bucket 21658 (salt "checkout", key "alice") is in 0..100000
  ✗ target off: targetingKey is not listed
  ✗ target off: company is not listed
  ✗ rule staff: its condition is false
    ✗ all of
      ✗ email ENDS_WITH "@example.com": saw nothing
      ✗ not
        ✓ plan EXISTS: saw "pro"
  ✗ rule many: its condition is false
    ✗ age EQUALS 1 or 2 or 3 or 4 or 5 or 6 or 7 or 8 or 2 more: saw 41
  ✗ rule few: outside its traffic
    ✓ in segment beta
    ✗ traffic: bucket 63137 (salt "s.gate", key "pro") is not below 1
  ✗ rule devices: its split has no bucket
    ✓ in segment beta, not in segment gone
    serves no variant: no bucket, for want of device
  ✓ rule pro
    ✓ any of
      ✓ plan EQUALS "pro" or "team": saw "pro"
    ✓ traffic: bucket 64066 (salt "s.gate", key "alice") is below 100000
    serves on: bucket 9000 (salt "checkout", key "alice", UNLEASH) in on 0..50000, off 50000..100000
prerequisite base: on, STATIC
  fallthrough serves on
✓ segment beta: targetingKey is on neither list
  ✓ plan STARTS_WITH "p": saw "pro"
✗ segment gone: there is no such segment"#;
    assert_eq!(told.to_string(), expected);
}

#[test]
fn who_is_listed_is_named() {
    let bob = explained(
        &ruleset(),
        &json!({"targetingKey": "bob"}),
        ValueType::Unspecified,
    );
    let lines = bob.to_string();
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(
        lines[0],
        "checkout = false (variant off): TARGET, at (1, 17)"
    );
    assert_eq!(lines[3], "  ✓ target off: targetingKey \"bob\" is listed");
    let asks = json!({
        "fallthrough": null,
        "rules": [{
            "id": "beta",
            "condition": {"segment": {"keys": ["beta"]}},
            "serve": {"variant": "on"},
        }],
    });
    let beta = json!({"key": "beta", "included": ["al"], "excluded": ["bob"]});
    let ruleset = json!({"flags": [flag("checkout", asks)], "segments": [beta]});
    let told = |key: &str| {
        let context = json!({"targetingKey": key});
        explained(&ruleset, &context, ValueType::Unspecified).to_string()
    };
    assert_eq!(
        told("bob"),
        "checkout has no value: DEFAULT, at (1, 17)
  ✗ rule beta: its condition is false
    ✗ not in segment beta
✗ segment beta: targetingKey \"bob\" is excluded"
    );
    let included = "✓ segment beta: targetingKey \"al\" is included";
    assert!(told("al").ends_with(included), "{}", told("al"));
}

#[test]
fn what_ends_the_steps_is_said() {
    let one = |configuration: Json| {
        let ruleset = json!({"flags": [flag("checkout", configuration)]});
        let alice = json!({"targetingKey": "alice"});
        explained(&ruleset, &alice, ValueType::Unspecified).to_string()
    };
    assert_eq!(
        one(json!({"enabled": false})),
        "checkout = false (variant off): DISABLED, at (1, 17)\n  the flag is off"
    );
    assert_eq!(
        one(json!({"prerequisites": [{"flagKey": "base", "variants": ["on"]}]})),
        "checkout = false (variant off): PREREQUISITE_FAILED, at (1, 17)
  ✗ prerequisite base: there is no such flag, wants on"
    );
    assert_eq!(
        one(
            json!({"mutualExclusion": {"salt": "checkout", "slots": [{"end": 1}, {"start": 2, "end": 9}]}})
        ),
        "checkout = false (variant off): MUTUALLY_EXCLUDED, at (1, 17)
  ✗ exclusion group: bucket 21658 (salt \"checkout\", key \"alice\") is not in 0..1, 2..9"
    );
}

#[test]
fn an_error_says_what_is_wrong() {
    let alice = json!({"targetingKey": "alice"});
    let told = explained(&ruleset(), &alice, ValueType::String).to_string();
    let wanted = "wanted STRING, but the flag is of type BOOLEAN";
    assert_eq!(
        told,
        format!("checkout: ERROR TYPE_MISMATCH, at (1, 17): {wanted}")
    );
    let told = explain::error(
        "checkout",
        ErrorCode::ProviderNotReady,
        "no ruleset yet",
        None,
    );
    assert_eq!(
        told.to_string(),
        "checkout: ERROR PROVIDER_NOT_READY: no ruleset yet"
    );
}

#[test]
fn no_text_forges_a_line_or_fills_the_screen() {
    let asks = json!({"rules": [{
        "id": "a\nb",
        "condition": clause("x\u{1b}[2J", "OPERATOR_EQUALS", json!(["\n✓", "y".repeat(1_000)])),
        "serve": {"variant": "off"},
    }]});
    let ruleset = json!({"flags": [flag("checkout", asks)]});
    let context = json!({"attributes": {"x\u{1b}[2J": [true, null, -0.0, 1e300]}});
    let told = explained(&ruleset, &context, ValueType::Unspecified).to_string();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[1], r"  ✗ rule a\nb: its condition is false");
    let clause = format!(
        r#"    ✗ x\u{{1b}}[2J EQUALS "\n✓" or "{}"…: saw [true, -0, 1e300]"#,
        "y".repeat(64)
    );
    assert_eq!(lines[2], clause);
    assert_eq!(lines.len(), 4, "{told}");
}
