//! What the corpus that is checked in shows, counted: so that it cannot come to
//! show less without anybody noticing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use burgee_evaluator::{Context, Ruleset};
use burgee_proto::types::v1::condition_explanation::Kind as Asked;
use burgee_proto::types::v1::{
    BucketExplanation, ClauseExplanation, ConditionExplanation, Explanation, FlagExplanation,
    Operator, Position, Reason, RuleExplanation, RuleOutcome, ServeExplanation, ValueType,
};
use prost_types::value::Kind;
use serde_json::Value as Json;

use crate::contract::Contract;
use crate::pools::OPERATORS;
use crate::runner::answer;
use crate::suite::{Case, Outcome, suites};

/// Where the corpus is checked in.
pub(crate) const COMMITTED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/conformance/generated"
);
const CASES_MIN: usize = 10_000;
/// Of the cases, those that are errors.
const ERRORS_MAX_PERCENT: usize = 25;
/// How often each thing is shown at least.
const SHOWN_MIN: usize = 5;
const FILE_BYTES_MAX: usize = 1 << 20;
const CORPUS_BYTES_MAX: usize = 3 << 20;

/// What is shown, and how often.
#[derive(Default)]
struct Shown {
    counts: BTreeMap<String, usize>,
    cases: usize,
    errors: usize,
}

#[test]
fn the_corpus_shows_what_it_should() {
    let shown = shown();
    let found = &shown.counts;
    assert!(shown.cases >= CASES_MIN, "{} cases", shown.cases);
    let errors = shown.errors * 100 / shown.cases;
    assert!(errors < ERRORS_MAX_PERCENT, "{errors} % are errors");
    let missing: Vec<_> = required()
        .into_iter()
        .filter(|(it, least)| found.get(it).copied().unwrap_or_default() < *least)
        .collect();
    assert!(missing.is_empty(), "too few of {missing:?} in {found:#?}");
}

#[test]
fn the_files_are_small() {
    let sizes = files().into_iter().map(|(_, content)| content.len());
    let sizes: Vec<_> = sizes.collect();
    assert!(sizes.iter().all(|size| *size < FILE_BYTES_MAX), "{sizes:?}");
    assert!(sizes.iter().sum::<usize>() < CORPUS_BYTES_MAX, "{sizes:?}");
}

/// Everything that must be shown, and how often.
fn required() -> Vec<(String, usize)> {
    let mut often: Vec<String> = Vec::new();
    for operator in OPERATORS {
        let ways = ["holds", "holds in a list", "is absent"];
        often.extend(ways.map(|way| format!("{operator} {way}")));
        // What is present exists.
        if *operator != "EXISTS" {
            let ways = ["fails", "fails in a list", "is strange"];
            often.extend(ways.map(|way| format!("{operator} {way}")));
        }
    }
    for operator in ["EQUALS", "CONTAINS", "STARTS_WITH", "ENDS_WITH"] {
        often.push(format!("{operator} holds ignoring case"));
    }
    for hash in ["BURGEE", "UNLEASH", "UNLEASH_VARIANT", "LAUNCHDARKLY"] {
        let ways = [
            "gate passed",
            "gate closed",
            "gate unbucketed",
            "first part",
            "later part",
        ];
        often.extend(ways.map(|way| format!("{hash} {way}")));
        often.push(format!("{hash} by attribute"));
    }
    often.extend(
        [
            "STATIC",
            "DEFAULT",
            "UNBUCKETED",
            "TARGET",
            "RULE",
            "SPLIT",
            "DISABLED",
        ]
        .into_iter()
        .chain([
            "PREREQUISITE_FAILED",
            "MUTUALLY_EXCLUDED",
            "ERROR",
            "no value",
        ])
        .chain([
            "FLAG_NOT_FOUND",
            "PARSE_ERROR",
            "TYPE_MISMATCH",
            "INVALID_CONTEXT",
        ])
        .chain([
            "BOOLEAN fits",
            "STRING fits",
            "NUMBER fits",
            "INTEGER fits",
            "JSON fits",
        ])
        .chain([
            "BOOLEAN refused",
            "STRING refused",
            "NUMBER refused",
            "JSON refused",
        ])
        .chain(["INTEGER of a fraction", "−0 served", "null served"])
        .chain(["slot", "no slot", "no bucket of a group", "target by key"])
        .chain([
            "target by attribute",
            "prerequisite passed",
            "prerequisite failed",
        ])
        .chain([
            "prerequisite missing",
            "chain",
            "diamond",
            "split rule unbucketed",
        ])
        .chain([
            "segment excluded",
            "segment included",
            "segment condition holds",
        ])
        .chain([
            "segment condition fails",
            "segment missing",
            "segment without condition",
        ])
        .chain(["depth 8", "all", "any", "not", "empty all", "empty any"])
        .chain([
            "astral text",
            "combining text",
            "empty text",
            "−0",
            "2^53−1",
            "2^53+1",
        ])
        .chain([
            "list of several types",
            "empty list",
            "list in a list",
            "null in a list",
        ])
        .chain([
            "null",
            "nested object",
            "dotted name beside a nested one",
            "no context",
        ])
        .map(str::to_owned),
    );
    let once = [
        "text of 8192 bytes",
        "text of 8193 bytes",
        "65536 bytes",
        "65537 bytes",
    ];
    let once = once.map(|it| (it.to_owned(), 1));
    let ways = crate::families::BROKEN_SUITES;
    let broken = [("broken suite with an error and without".to_owned(), ways)];
    let often = often.into_iter().map(|it| (it, SHOWN_MIN));
    often.chain(once).chain(broken).collect()
}

fn files() -> Vec<(String, String)> {
    let entries = fs::read_dir(Path::new(COMMITTED)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| {
            (
                path.display().to_string(),
                fs::read_to_string(path).unwrap(),
            )
        })
        .collect()
}

fn shown() -> Shown {
    let contract = Contract::new().unwrap();
    let mut shown = Shown::default();
    for (name, content) in files() {
        for suite in suites(&content).unwrap() {
            let message = contract.read("Ruleset", &suite.ruleset).unwrap();
            let ruleset = Ruleset::from_message(&message);
            let mut outcomes = BTreeSet::new();
            for case in &suite.cases {
                let code = shown.case(&contract, &ruleset, case);
                outcomes.insert(code == "PARSE_ERROR");
            }
            if name.ends_with("broken.json") && outcomes.len() == 2 {
                shown.count("broken suite with an error and without");
            }
        }
    }
    shown
}

impl Shown {
    fn count(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    /// The error code.
    fn case(&mut self, contract: &Contract, ruleset: &Ruleset, case: &Case) -> String {
        self.cases += 1;
        let none = Json::Object(Default::default());
        let json = case.context.as_ref().unwrap_or_else(|| {
            self.count("no context");
            &none
        });
        self.context(json);
        let message = contract.read_context(json).unwrap();
        let name = case.wanted.as_deref().unwrap_or("UNSPECIFIED");
        let wanted = ValueType::from_str_name(&format!("VALUE_TYPE_{name}")).unwrap();
        let answer = answer(ruleset, &case.flag, &message, wanted);
        let outcome = Outcome::of(&answer).to_json().unwrap();
        self.outcome(&outcome, name);
        if let Ok(context) = Context::new(&message) {
            let position = Position::default();
            let explanation = ruleset.explain(&case.flag, &context, wanted, position);
            let is_fraction = name == "INTEGER" && explanation.flag.is_some();
            if is_fraction && answer.reason == Reason::Error {
                self.count("INTEGER of a fraction");
            }
            self.explanation(&explanation);
        }
        let code = outcome.get("errorCode").and_then(Json::as_str);
        code.unwrap_or_default().to_owned()
    }

    fn outcome(&mut self, outcome: &Json, wanted: &str) {
        let text = |name| outcome.get(name).and_then(Json::as_str);
        self.count(text("reason").unwrap_or_default());
        match text("errorCode") {
            Some(code) => {
                self.errors += 1;
                self.count(code);
                if code == "TYPE_MISMATCH" {
                    self.count(format!("{wanted} refused"));
                }
            }
            None => self.count(format!("{wanted} fits")),
        }
        match outcome.get("value") {
            None => self.count("no value"),
            Some(Json::Null) => self.count("null served"),
            Some(Json::Number(value)) if is_minus_zero(value) => self.count("−0 served"),
            Some(_) => {}
        }
    }

    fn explanation(&mut self, explanation: &Explanation) {
        for flag in explanation.flag.iter().chain(&explanation.prerequisites) {
            self.flag(flag);
        }
        if explanation.prerequisites.len() >= 6 {
            self.count("chain");
        }
        let flags = explanation.flag.iter().chain(&explanation.prerequisites);
        let wanted = flags.flat_map(|flag| &flag.prerequisites);
        if wanted.filter(|it| !it.missing).count() > explanation.prerequisites.len() {
            self.count("diamond");
        }
        for segment in &explanation.segments {
            let condition = segment.condition.as_ref();
            self.count(match condition.map(|it| it.outcome) {
                _ if segment.missing => "segment missing",
                _ if segment.excluded.is_some() => "segment excluded",
                _ if segment.included.is_some() => "segment included",
                Some(true) => "segment condition holds",
                Some(false) => "segment condition fails",
                None => "segment without condition",
            });
        }
    }

    fn flag(&mut self, flag: &FlagExplanation) {
        for prerequisite in &flag.prerequisites {
            self.count(match (prerequisite.missing, prerequisite.passed) {
                (true, _) => "prerequisite missing",
                (false, true) => "prerequisite passed",
                (false, false) => "prerequisite failed",
            });
        }
        if let Some(exclusion) = &flag.mutual_exclusion {
            let bucket = exclusion.bucket.as_ref().and_then(|it| it.bucket);
            self.count(match (exclusion.admitted, bucket) {
                (true, _) => "slot",
                (false, Some(_)) => "no slot",
                (false, None) => "no bucket of a group",
            });
        }
        for target in flag.targets.iter().filter(|it| it.key.is_some()) {
            let by_key = target.attribute.is_empty();
            self.count(if by_key {
                "target by key"
            } else {
                "target by attribute"
            });
        }
        for rule in &flag.rules {
            self.rule(rule);
        }
        self.serve(flag.fallthrough.as_ref());
    }

    fn rule(&mut self, rule: &RuleExplanation) {
        if let Some(traffic) = &rule.traffic {
            let bucket = traffic.bucket.clone().unwrap_or_default();
            let way = match (traffic.passed, bucket.bucket) {
                (true, _) => "gate passed",
                (false, Some(_)) => "gate closed",
                (false, None) => "gate unbucketed",
            };
            self.bucket(&bucket, way);
        }
        if rule.outcome() == RuleOutcome::Unbucketed {
            self.count("split rule unbucketed");
        }
        self.serve(rule.serve.as_ref());
        let condition = rule.condition.clone().unwrap_or_default();
        if depth(&condition) >= 8 {
            self.count("depth 8");
        }
        self.condition(&condition);
    }

    fn bucket(&mut self, bucket: &BucketExplanation, way: &str) {
        let hash = bucket.hash().as_str_name();
        let hash = hash.trim_start_matches("HASH_");
        self.count(format!("{hash} {way}"));
        if !bucket.bucket_by.is_empty() && bucket.bucket.is_some() {
            self.count(format!("{hash} by attribute"));
        }
    }

    fn serve(&mut self, serve: Option<&ServeExplanation>) {
        let Some((split, serve)) = serve.and_then(|it| it.split.as_ref().zip(Some(it))) else {
            return;
        };
        let Some(bucket) = split.bucket.as_ref().filter(|it| it.bucket.is_some()) else {
            return;
        };
        let first = split.ranges.iter().find(|range| range.start < range.end);
        let is_first = first.is_some_and(|range| range.end > bucket.bucket());
        assert!(!serve.variant.is_empty(), "a bucket has a variant");
        self.bucket(bucket, if is_first { "first part" } else { "later part" });
    }

    /// A clause counts where it is the whole condition, or all but a `not`: then it
    /// decides.
    fn condition(&mut self, condition: &ConditionExplanation) {
        match &condition.kind {
            Some(Asked::Clause(clause)) => self.clause(clause, condition.outcome),
            Some(Asked::Not(inner)) => {
                self.count("not");
                self.condition(inner);
            }
            Some(Asked::All(all)) if all.conditions.is_empty() => self.count("empty all"),
            Some(Asked::Any(any)) if any.conditions.is_empty() => self.count("empty any"),
            Some(Asked::All(_)) => self.count("all"),
            Some(Asked::Any(_)) => self.count("any"),
            Some(Asked::Segment(_)) | None => {}
        }
    }

    fn clause(&mut self, clause: &ClauseExplanation, holds: bool) {
        let operator = clause.operator();
        let name = operator.as_str_name().trim_start_matches("OPERATOR_");
        let Some(seen) = clause.seen.as_ref().and_then(|it| it.kind.as_ref()) else {
            return self.count(format!("{name} is absent"));
        };
        let way = if holds { "holds" } else { "fails" };
        match seen {
            Kind::ListValue(_) => self.count(format!("{name} {way} in a list")),
            _ if !holds && is_strange(operator, seen, clause) => {
                self.count(format!("{name} is strange"));
            }
            _ => self.count(format!("{name} {way}")),
        }
        if holds
            && clause.ignore_case
            && !clause
                .values
                .iter()
                .any(|it| it.kind.as_ref() == Some(seen))
        {
            self.count(format!("{name} holds ignoring case"));
        }
    }

    fn context(&mut self, context: &Json) {
        let attributes = context.get("attributes");
        let mut bytes = 0;
        if let Some(attributes) = attributes {
            self.value(attributes, &mut bytes);
        }
        if bytes >= 65_000 {
            self.count(format!("{bytes} bytes"));
        }
        let is_nested = |name| attributes.and_then(|it| it.get(name)).is_some();
        if is_nested("user") && is_nested("user.plan") {
            self.count("dotted name beside a nested one");
        }
        if let Some(Json::String(key)) = context.get("targetingKey") {
            self.text(key);
        }
    }

    fn value(&mut self, value: &Json, bytes: &mut usize) {
        match value {
            Json::Null => self.count("null"),
            Json::Bool(_) => {}
            Json::Number(number) if is_minus_zero(number) => self.count("−0"),
            Json::Number(number) => match number.as_i64() {
                Some(9_007_199_254_740_991) => self.count("2^53−1"),
                Some(9_007_199_254_740_993) => self.count("2^53+1"),
                _ => {}
            },
            Json::String(text) => {
                *bytes += text.len();
                self.text(text);
            }
            Json::Array(values) => {
                self.list(values);
                values.iter().for_each(|value| self.value(value, bytes));
            }
            Json::Object(fields) => {
                self.count("nested object");
                for (name, value) in fields {
                    *bytes += name.len();
                    self.value(value, bytes);
                }
            }
        }
    }

    fn list(&mut self, values: &[Json]) {
        if values.is_empty() {
            self.count("empty list");
        }
        let kinds: BTreeSet<_> = values
            .iter()
            .map(|value| (value.is_string(), value.is_number(), value.is_boolean()))
            .collect();
        if kinds.len() > 1 {
            self.count("list of several types");
        }
        if values.iter().any(Json::is_array) {
            self.count("list in a list");
        }
        if values.iter().any(Json::is_null) {
            self.count("null in a list");
        }
    }

    fn text(&mut self, text: &str) {
        if text.is_empty() {
            self.count("empty text");
        }
        if text.chars().any(|it| u32::from(it) > 0xffff) {
            self.count("astral text");
        }
        if text.contains('\u{301}') {
            self.count("combining text");
        }
        if text.len() > 8000 {
            self.count(format!("text of {} bytes", text.len()));
        }
    }
}

fn is_minus_zero(number: &serde_json::Number) -> bool {
    number
        .as_f64()
        .is_some_and(|it| it == 0.0 && it.is_sign_negative())
}

fn depth(condition: &ConditionExplanation) -> usize {
    let deepest = |conditions: &[ConditionExplanation]| conditions.iter().map(depth).max();
    1 + match &condition.kind {
        Some(Asked::All(all)) => deepest(&all.conditions).unwrap_or_default(),
        Some(Asked::Any(any)) => deepest(&any.conditions).unwrap_or_default(),
        Some(Asked::Not(inner)) => depth(inner),
        _ => 0,
    }
}

/// Whether the attribute is of a type that the operator does not take, or no value
/// is of its type.
fn is_strange(operator: Operator, seen: &Kind, clause: &ClauseExplanation) -> bool {
    let name = operator.as_str_name().trim_start_matches("OPERATOR_");
    match name {
        "EXISTS" => false,
        "EQUALS" => {
            let kinds = clause.values.iter().filter_map(|it| it.kind.as_ref());
            let mut kinds = kinds.map(std::mem::discriminant);
            kinds.all(|kind| kind != std::mem::discriminant(seen))
        }
        "LESS_THAN" | "LESS_OR_EQUAL" | "GREATER_THAN" | "GREATER_OR_EQUAL" => {
            !matches!(seen, Kind::NumberValue(_))
        }
        "BEFORE" | "AFTER" => !matches!(seen, Kind::NumberValue(_) | Kind::StringValue(_)),
        _ => !matches!(seen, Kind::StringValue(_)),
    }
}
