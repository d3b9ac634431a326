//! Flags and segments that are not understood, one way at a time, with those
//! that depend on them and one that does not.

use serde_json::{Value as Json, json};

use super::Asked;
use crate::pieces::{self, set};
use crate::random::Random;

/// Where a ruleset is broken, and what is put there.
type Way = (&'static str, fn() -> Json);

const WAYS: &[Way] = &[
    ("/flags/0/type", || json!(99)),
    ("/flags/0/type", || json!("FLAG_TYPE_UNSPECIFIED")),
    ("/flags/0/variants/1/key", || json!("")),
    ("/flags/0/variants/1/value", || json!({"a": 1})),
    ("/flags/0/variants/2", || json!({"key": "c"})),
    ("/flags/0/variants", || json!([])),
    ("/flags/0/offVariant", || json!("none")),
    ("/flags/0/targets/0/variant", || json!("none")),
    ("/flags/0/targets/0/variant", || json!("")),
    ("/flags/0/mutualExclusion/slots/0/end", || json!(100_001)),
    ("/flags/0/mutualExclusion/slots/0/start", || json!(-1)),
    ("/flags/0/mutualExclusion/bucketBy", || json!(["x", ""])),
    ("/flags/0/rules/0/id", || json!("")),
    ("/flags/0/rules/0/condition", || json!(null)),
    ("/flags/0/rules/0/condition", || json!({})),
    ("/flags/0/rules/0/condition", || json!({"not": {}})),
    (
        "/flags/0/rules/0/condition",
        || json!({"any": {"conditions": [{"all": {}}, {}]}}),
    ),
    ("/flags/0/rules/0/condition/clause/operator", || json!(99)),
    ("/flags/0/rules/0/condition/clause/operator", || json!(0)),
    (
        "/flags/0/rules/0/condition/clause",
        || json!({"operator": "OPERATOR_MATCHES", "values": ["a", "("]}),
    ),
    ("/flags/0/rules/0/traffic/weight", || json!(100_001)),
    ("/flags/0/rules/0/traffic/weight", || json!(-1)),
    ("/flags/0/rules/0/traffic/hash", || json!(99)),
    ("/flags/0/rules/0/traffic/bucketBy", || json!([""])),
    ("/flags/0/rules/0/serve", || json!(null)),
    ("/flags/0/rules/0/serve", || json!({})),
    ("/flags/0/rules/0/serve", || json!({"variant": "none"})),
    ("/flags/0/fallthrough", || json!({})),
    ("/flags/0/fallthrough", || json!({"variant": ""})),
    ("/flags/0/fallthrough/split/hash", || json!(99)),
    ("/flags/0/fallthrough/split/bucketBy", || json!(["", "x"])),
    ("/flags/0/fallthrough/split/parts", || json!([])),
    (
        "/flags/0/fallthrough/split/parts",
        || json!([{"variant": "a", "weight": 99_999}]),
    ),
    (
        "/flags/0/fallthrough/split/parts",
        || json!([{"variant": "a", "weight": 100_000}, {"variant": "b", "weight": 1}]),
    ),
    (
        "/flags/0/fallthrough/split/parts",
        || json!([{"variant": "a", "weight": 100_001}, {"variant": "b", "weight": -1}]),
    ),
    (
        "/flags/0/fallthrough/split/parts",
        || json!([{"variant": "none", "weight": 100_000}]),
    ),
    (
        "/flags/0/fallthrough/split/parts",
        || json!([{"variant": "a", "weight": 100_000}, {"weight": 0}]),
    ),
    ("/flags/0/prerequisites/0/flagKey", || json!("x")),
    ("/flags/0/prerequisites/0/flagKey", || json!("y")),
    ("/segments/0/condition", || json!({})),
    (
        "/segments/0/condition",
        || json!({"segment": {"keys": ["t"]}}),
    ),
    (
        "/segments/0/condition",
        || json!({"clause": {"attribute": "x", "operator": 99}}),
    ),
    (
        "/segments/0/condition",
        || json!({"clause": {"operator": "OPERATOR_MATCHES", "values": ["[b-a]"]}}),
    ),
];

/// How many ways there are.
pub(crate) const WAYS_COUNT: usize = WAYS.len();

/// The first flag or the first segment is broken, and so are `x`, which names the
/// segment, `y`, which wants `x`, and `z`, which wants `y`. The others are not.
pub(crate) fn broken(random: &mut Random, number: usize) -> Asked {
    let mut ruleset = json!({
        "flags": [sound(random), dependant(random, "y", "x"), dependant(random, "z", "y"),
            dependant(random, "v", "w"), pieces::flag(random, "w")],
        "segments": [pieces::segment(random, "s")],
    });
    if let Some(flag) = ruleset.pointer_mut("/flags/4") {
        let serve = pieces::serve(random, 80);
        set(flag, "fallthrough", serve);
    }
    if let Some(segment) = ruleset.pointer_mut("/segments/0") {
        set(segment, "condition", json!({"any": {}}));
    }
    if let Some((place, value)) = WAYS.get(number % WAYS.len())
        && let Some(place) = ruleset.pointer_mut(place)
    {
        *place = value();
    }
    let keys = ["x", "y", "v", "w", "v", "w", "z", "v"].map(str::to_owned);
    Asked::evenly(random, ruleset, &keys, 8)
}

/// A flag that has everything, in places that are known.
fn sound(random: &mut Random) -> Json {
    let mut flag = pieces::flag(random, "x");
    let mut gate = pieces::traffic(random);
    let mut exclusion = pieces::mutual_exclusion(random);
    let mut split = pieces::split(random);
    for hashed in [&mut gate, &mut exclusion, &mut split] {
        set(hashed, "bucketBy", json!(["x", "targetingKey"]));
    }
    set(&mut gate, "weight", json!(50_000));
    set(&mut gate, "hash", json!("HASH_BURGEE"));
    set(&mut split, "hash", json!("HASH_BURGEE"));
    set(
        &mut exclusion,
        "slots",
        json!([{"start": 0, "end": 100_000}]),
    );
    let target = json!({"variant": pieces::variant(random), "keys": ["alice"]});
    let clause = pieces::clause(random, "EQUALS");
    let rule = json!({
        "id": "r",
        "condition": {"clause": clause},
        "traffic": gate,
        "serve": {"variant": pieces::variant(random)},
    });
    let named = json!({
        "id": "q",
        "condition": {"segment": {"keys": ["none", "s"]}},
        "serve": {"variant": pieces::variant(random)},
    });
    set(&mut flag, "enabled", random.percent(70).into());
    set(&mut flag, "offVariant", pieces::variant(random));
    set(
        &mut flag,
        "prerequisites",
        json!([{"flagKey": "w", "variants": ["a"]}]),
    );
    set(&mut flag, "mutualExclusion", exclusion);
    set(&mut flag, "targets", json!([target]));
    set(&mut flag, "rules", json!([rule, named]));
    set(&mut flag, "fallthrough", json!({"split": split}));
    flag
}

fn dependant(random: &mut Random, key: &str, of: &str) -> Json {
    let mut flag = pieces::flag(random, key);
    let variants = random.some(2, 3, pieces::variant);
    set(&mut flag, "offVariant", pieces::variant(random));
    set(
        &mut flag,
        "prerequisites",
        json!([{"flagKey": of, "variants": variants}]),
    );
    let serve = pieces::serve(random, 50);
    set(&mut flag, "fallthrough", serve);
    flag
}
