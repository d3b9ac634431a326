//! What an explanation tells, word for word.

#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use burgee_evaluator::{Context, Ruleset, explain};
use burgee_proto::types::v1::{
    self as types, ErrorCode, EvaluationContext, Explanation, Position, ValueType,
};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Map, Value as Json, json};

fn parse<M: prost::Message + Default>(name: &str, json: &Json) -> M {
    let pool = DescriptorPool::decode(burgee_proto::FILE_DESCRIPTOR_SET).unwrap();
    let descriptor = pool.get_message_by_name(name).unwrap();
    let message = DynamicMessage::deserialize(descriptor, json).unwrap();
    M::decode(message.encode_to_vec().as_slice()).unwrap()
}

fn to_json(explanation: &Explanation) -> Json {
    let pool = DescriptorPool::decode(burgee_proto::FILE_DESCRIPTOR_SET).unwrap();
    let descriptor = pool
        .get_message_by_name("burgee.types.v1.Explanation")
        .unwrap();
    let bytes = explanation.encode_to_vec();
    let message = DynamicMessage::decode(descriptor, bytes.as_slice()).unwrap();
    serde_json::to_value(message).unwrap()
}

/// A flag with two variants, as asked; its ruleset has `others` and `segments`.
struct World {
    flag: Json,
    others: Vec<Json>,
    segments: Json,
}

fn flag(key: &str, configuration: Json) -> Json {
    let mut flag = json!({
        "key": key,
        "type": "FLAG_TYPE_STRING",
        "variants": [{"key": "a", "value": "A"}, {"key": "b", "value": "B"}],
        "enabled": true,
        "offVariant": "b",
        "fallthrough": {"variant": "a"},
    });
    let fields = flag.as_object_mut().unwrap();
    fields.extend(configuration.as_object().unwrap().clone());
    flag
}

fn world(configuration: Json) -> World {
    World {
        flag: flag("flag", configuration),
        others: Vec::new(),
        segments: json!([]),
    }
}

impl World {
    fn explain(&self, context: Json) -> Json {
        self.explain_as(context, ValueType::Unspecified)
    }

    fn explain_as(&self, context: Json, wanted: ValueType) -> Json {
        let mut flags = self.others.clone();
        flags.push(self.flag.clone());
        let ruleset = json!({"flags": flags, "segments": self.segments});
        let ruleset = Ruleset::from_message(&parse("burgee.types.v1.Ruleset", &ruleset));
        let context: EvaluationContext = parse("burgee.types.v1.EvaluationContext", &context);
        let context = Context::new(&context).unwrap();
        to_json(&ruleset.explain("flag", &context, wanted, Position::default()))
    }
}

fn plan_is(plan: &str) -> Json {
    json!({"clause": {"attribute": "plan", "operator": "OPERATOR_EQUALS", "values": [plan]}})
}

fn rule(id: &str, condition: Json, variant: &str) -> Json {
    json!({"id": id, "condition": condition, "serve": {"variant": variant}})
}

fn plan_clause(outcome: bool, seen: Option<&str>, wanted: &str) -> Json {
    let mut told = Map::new();
    let mut clause = Map::from_iter([
        ("attribute".into(), "plan".into()),
        ("operator".into(), "OPERATOR_EQUALS".into()),
        ("values".into(), json!([wanted])),
    ]);
    clause.extend(seen.map(|seen| ("seen".into(), seen.into())));
    told.insert("clause".into(), clause.into());
    // ProtoJSON leaves out what is false.
    told.extend(outcome.then(|| ("outcome".into(), true.into())));
    told.into()
}

#[test]
fn a_flag_that_is_off_has_no_steps() {
    let told = world(json!({"enabled": false, "rules": [rule("r", plan_is("pro"), "a")]}))
        .explain(json!({"targetingKey": "alice"}));
    assert_eq!(
        told,
        json!({
            "evaluation": {
                "flagKey": "flag", "value": "B", "variant": "b", "reason": "REASON_DISABLED",
                "position": {},
            },
            "flag": {"flagKey": "flag", "variant": "b", "reason": "REASON_DISABLED"},
        })
    );
}

#[test]
fn an_excluded_context_sees_its_bucket_and_the_slots() {
    let exclusion = json!({"salt": "salt", "slots": [{"start": 0, "end": 50000}]});
    let told = world(json!({"mutualExclusion": exclusion, "targets": [{"variant": "a"}]}))
        .explain(json!({"targetingKey": "user-1"}));
    assert_eq!(
        told["flag"],
        json!({
            "flagKey": "flag", "variant": "b", "reason": "REASON_MUTUALLY_EXCLUDED",
            "enabled": true,
            "mutualExclusion": {
                // The bucket is one of the design's golden values.
                "bucket": {"hash": "HASH_BURGEE", "salt": "salt", "key": "user-1", "bucket": 66870},
                "slots": [{"end": 50000}],
            },
        })
    );
}

#[test]
fn a_failing_prerequisite_is_explained_itself() {
    let needs = json!({"prerequisites": [
        {"flagKey": "first", "variants": ["a"]},
        {"flagKey": "second", "variants": ["b"]},
        {"flagKey": "third", "variants": ["a"]},
    ]});
    let chained = json!({"prerequisites": [{"flagKey": "first", "variants": ["a", "b"]}]});
    let mut world = world(needs);
    world.others = vec![
        flag("first", json!({})),
        flag("second", chained),
        flag("third", json!({})),
    ];
    let told = world.explain(json!({"targetingKey": "alice"}));
    assert_eq!(told["evaluation"]["reason"], "REASON_PREREQUISITE_FAILED");
    assert_eq!(
        told["flag"]["prerequisites"],
        json!([
            {"flagKey": "first", "wanted": ["a"], "variant": "a", "passed": true},
            {"flagKey": "second", "wanted": ["b"], "variant": "a"},
        ])
    );
    // Each once, though `first` is needed twice; what was not needed is not there.
    assert_eq!(
        told["prerequisites"],
        json!([
            {"flagKey": "first", "variant": "a", "reason": "REASON_STATIC", "enabled": true,
             "fallthrough": {"variant": "a"}},
            {"flagKey": "second", "variant": "a", "reason": "REASON_DEFAULT", "enabled": true,
             "prerequisites": [
                {"flagKey": "first", "wanted": ["a", "b"], "variant": "a", "passed": true}],
             "fallthrough": {"variant": "a"}},
        ])
    );
}

#[test]
fn a_prerequisite_that_does_not_exist_is_missing() {
    let needs = json!({"prerequisites": [{"flagKey": "gone", "variants": ["a"]}]});
    let told = world(needs).explain(json!({}));
    let missing = json!([{"flagKey": "gone", "wanted": ["a"], "missing": true}]);
    assert_eq!(told["flag"]["prerequisites"], missing);
    assert_eq!(told["prerequisites"], Json::Null);
}

#[test]
fn the_third_rule_of_five_matches_and_the_first_two_say_why_not() {
    let both = json!({"all": {"conditions": [plan_is("pro"), plan_is("free")]}});
    let not_pro = json!({"not": {"condition": plan_is("pro")}});
    let rules = json!([
        rule("one", plan_is("pro"), "b"),
        rule("two", both, "b"),
        rule("three", not_pro, "a"),
        rule("four", plan_is("free"), "b"),
        rule("five", plan_is("free"), "b"),
    ]);
    let told = world(json!({"rules": rules})).explain(json!({"attributes": {"plan": "free"}}));
    assert_eq!(told["evaluation"]["ruleId"], "three");
    assert_eq!(
        told["flag"]["rules"],
        json!([
            {"id": "one", "outcome": "RULE_OUTCOME_CONDITION_FALSE",
             "condition": plan_clause(false, Some("free"), "pro")},
            // Asked to the end, though the first clause decided.
            {"id": "two", "outcome": "RULE_OUTCOME_CONDITION_FALSE",
             "condition": {"all": {"conditions": [
                plan_clause(false, Some("free"), "pro"),
                plan_clause(true, Some("free"), "free"),
             ]}}},
            {"id": "three", "outcome": "RULE_OUTCOME_MATCHED",
             "condition": {"outcome": true, "not": plan_clause(false, Some("free"), "pro")},
             "serve": {"variant": "a"}},
        ])
    );
    assert_eq!(told["flag"]["fallthrough"], Json::Null);
}

#[test]
fn a_clause_about_an_absent_attribute_sees_nothing() {
    let told = world(json!({"rules": [rule("one", plan_is("pro"), "b")]})).explain(json!({}));
    assert_eq!(
        told["flag"]["rules"][0]["condition"],
        plan_clause(false, None, "pro")
    );
}

#[test]
fn a_split_tells_the_bucket_and_the_threshold_of_each_part() {
    let parts = json!([{"variant": "a", "weight": 60000}, {"variant": "b", "weight": 40000}]);
    let split = json!({"salt": "salt", "bucketBy": ["company", "targetingKey"], "parts": parts});
    let told =
        world(json!({"fallthrough": {"split": split}})).explain(json!({"targetingKey": "user-1"}));
    assert_eq!(told["evaluation"]["reason"], "REASON_SPLIT");
    assert_eq!(
        told["flag"]["fallthrough"],
        json!({"variant": "b", "split": {
            "bucket": {"bucketBy": ["company", "targetingKey"], "hash": "HASH_BURGEE",
                       "salt": "salt", "key": "user-1", "bucket": 66870},
            "ranges": [{"variant": "a", "end": 60000},
                       {"variant": "b", "start": 60000, "end": 100000}],
        }})
    );
}

#[test]
fn a_split_without_a_key_has_no_bucket() {
    let parts = json!([{"variant": "a", "weight": 100000}]);
    let split = json!({"salt": "salt", "parts": parts});
    let told = world(json!({"fallthrough": {"split": split}})).explain(json!({}));
    assert_eq!(told["evaluation"]["reason"], "REASON_UNBUCKETED");
    assert_eq!(
        told["flag"]["fallthrough"]["split"]["bucket"],
        json!({"hash": "HASH_BURGEE", "salt": "salt"})
    );
}

#[test]
fn a_gate_tells_why_a_rule_that_holds_does_not_match() {
    let mut gated = rule("gated", json!({"all": {}}), "b");
    gated["traffic"] = json!({"salt": "salt", "weight": 66870});
    let told = world(json!({"rules": [gated]})).explain(json!({"targetingKey": "user-1"}));
    assert_eq!(
        told["flag"]["rules"],
        json!([{
            "id": "gated", "outcome": "RULE_OUTCOME_TRAFFIC_EXCLUDED",
            "condition": {"outcome": true, "all": {}},
            "traffic": {
                "bucket": {"hash": "HASH_BURGEE", "salt": "salt", "key": "user-1", "bucket": 66870},
                "weight": 66870,
            },
        }])
    );
}

#[test]
fn targets_end_with_the_list_that_holds() {
    let targets = json!([
        {"variant": "a", "keys": ["bob"]},
        {"variant": "b", "attribute": "teams", "keys": ["7"]},
        {"variant": "a", "keys": ["alice"]},
    ]);
    let told = world(json!({"targets": targets}))
        .explain(json!({"targetingKey": "alice", "attributes": {"teams": ["x", 7]}}));
    assert_eq!(
        told["flag"]["targets"],
        json!([{"variant": "a"}, {"variant": "b", "attribute": "teams", "key": "7"}])
    );
    assert_eq!(told["flag"]["rules"], Json::Null);
}

#[test]
fn a_segment_is_told_once_however_often_it_is_asked_for() {
    let asks = json!({"segment": {"keys": ["beta", "gone", "beta"]}});
    let mut world = world(json!({"rules": [
        rule("one", json!({"not": {"condition": asks}}), "b"),
        rule("two", asks.clone(), "b"),
    ]}));
    world.segments = json!([{
        "key": "beta", "attribute": "company", "included": ["acme"], "condition": plan_is("pro"),
    }]);
    let told = world.explain(json!({"attributes": {"company": "other", "plan": "pro"}}));
    let asked = json!({"outcome": true, "segment": {"segments": [
        {"segmentKey": "beta", "contains": true},
        {"segmentKey": "gone"},
        {"segmentKey": "beta", "contains": true},
    ]}});
    assert_eq!(told["flag"]["rules"][0]["condition"], json!({"not": asked}));
    assert_eq!(told["flag"]["rules"][1]["condition"], asked);
    assert_eq!(
        told["segments"],
        json!([
            {"segmentKey": "beta", "contains": true, "attribute": "company",
             "condition": plan_clause(true, Some("pro"), "pro")},
            {"segmentKey": "gone", "missing": true},
        ])
    );
}

#[test]
fn the_lists_of_a_segment_decide_before_its_condition() {
    let asks = json!({"segment": {"keys": ["beta"]}});
    let mut world = world(json!({"rules": [rule("one", asks, "b")]}));
    world.segments = json!([{
        "key": "beta", "included": ["alice", "bob"], "excluded": ["bob"],
        "condition": plan_is("pro"),
    }]);
    let told = world.explain(json!({"targetingKey": "bob"}));
    let excluded = json!([{"segmentKey": "beta", "excluded": "bob"}]);
    assert_eq!(told["segments"], excluded);
    let told = world.explain(json!({"targetingKey": "alice"}));
    let included = json!([{"segmentKey": "beta", "contains": true, "included": "alice"}]);
    assert_eq!(told["segments"], included);
}

#[test]
fn errors_say_what_is_wrong() {
    let broken = world(json!({"offVariant": "gone"}));
    let told = broken.explain(json!({}));
    assert_eq!(told["evaluation"]["errorCode"], "ERROR_CODE_PARSE_ERROR");
    let problem = "off_variant: the flag has no variant `gone`; name one of its variants";
    assert_eq!(told["problem"], problem);
    assert_eq!(told["flag"], Json::Null);

    let told = world(json!({})).explain_as(json!({}), ValueType::Boolean);
    assert_eq!(told["evaluation"]["errorCode"], "ERROR_CODE_TYPE_MISMATCH");
    assert_eq!(
        told["problem"],
        "wanted BOOLEAN, but the flag is of type STRING"
    );

    let mut number = world(json!({}));
    number.flag["type"] = "FLAG_TYPE_NUMBER".into();
    number.flag["variants"] = json!([{"key": "a", "value": 1.5}, {"key": "b", "value": 2}]);
    let told = number.explain_as(json!({}), ValueType::Integer);
    assert_eq!(told["evaluation"]["errorCode"], "ERROR_CODE_TYPE_MISMATCH");
    assert_eq!(told["flag"]["variant"], "a");
    let problem = "wanted INTEGER, but the value is not integral within ±(2^53−1)";
    assert_eq!(told["problem"], problem);

    let context = EvaluationContext {
        targeting_key: "x".repeat(1025),
        attributes: None,
    };
    let invalid = Context::new(&context).unwrap_err();
    let told = to_json(&explain::error(
        "flag",
        ErrorCode::InvalidContext,
        invalid,
        None,
    ));
    assert_eq!(
        told,
        json!({
            "evaluation": {"flagKey": "flag", "reason": "REASON_ERROR",
                           "errorCode": "ERROR_CODE_INVALID_CONTEXT"},
            "problem": "the targeting key is longer than 1024 bytes",
        })
    );
}

#[test]
fn what_clauses_saw_is_bounded_and_the_rest_is_still_told() {
    let text = "x".repeat(8000);
    let clause = json!({"clause": {"attribute": "text", "operator": "OPERATOR_EXISTS"}});
    let conditions = vec![clause; 64];
    let all = json!({"all": {"conditions": conditions}});
    let rules: Vec<_> = (0..4)
        .map(|number| {
            let never = json!({"not": {"condition": all}});
            rule(&number.to_string(), never, "b")
        })
        .collect();
    let told = world(json!({"rules": rules})).explain(json!({"attributes": {"text": text}}));
    assert_eq!(told["truncated"], true);
    assert_eq!(told["flag"]["rules"].as_array().unwrap().len(), 4);
    let last = &told["flag"]["rules"][3]["condition"]["not"];
    assert_eq!(last["outcome"], true);
    let clauses = last["all"]["conditions"].as_array().unwrap();
    assert_eq!(clauses.len(), 64);
    assert_eq!(clauses[63]["clause"]["seen"], Json::Null);
    assert_eq!(clauses[63]["outcome"], true);
    let first = &told["flag"]["rules"][0]["condition"]["not"]["all"]["conditions"][0];
    assert_eq!(first["clause"]["seen"], text);
    let bytes = serde_json::to_string(&told).unwrap().len();
    assert!(bytes < 2 * explain::VALUES_BYTES_MAX, "{bytes} bytes");
}

#[test]
fn a_ruleset_from_items_is_explained_like_one_from_a_message() {
    let mut world = world(json!({"rules": [
        rule("one", json!({"segment": {"keys": ["beta"]}}), "b"),
    ]}));
    world.segments = json!([{"key": "beta", "condition": plan_is("pro")}]);
    let context = json!({"attributes": {"plan": "free"}});
    let from_message = world.explain(context.clone());

    let flag: types::Flag = parse("burgee.types.v1.Flag", &world.flag);
    let segment: types::Segment = parse("burgee.types.v1.Segment", &world.segments[0]);
    let item = |kind, key: &str, body| {
        std::sync::Arc::new(burgee_evaluator::Item {
            kind,
            key: key.to_owned(),
            revision: 1,
            level: 1,
            body: bytes::Bytes::from(body),
        })
    };
    let items = [
        item(1, "flag", flag.encode_to_vec()),
        item(2, "beta", segment.encode_to_vec()),
    ];
    let state = burgee_evaluator::RulesetState::new("environment", Position::default(), items);
    let ruleset = Ruleset::compile(&state);
    let context: EvaluationContext = parse("burgee.types.v1.EvaluationContext", &context);
    let context = Context::new(&context).unwrap();
    let explanation = ruleset.explain(
        "flag",
        &context,
        ValueType::Unspecified,
        Position::default(),
    );
    assert_eq!(to_json(&explanation), from_message);
}
