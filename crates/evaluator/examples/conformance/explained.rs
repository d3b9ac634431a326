//! Whether an explanation agrees with the evaluation, and with itself.

use burgee_proto::types::v1::condition_explanation::Kind;
use burgee_proto::types::v1::{
    ConditionExplanation, ErrorCode, Evaluation, Explanation, FlagExplanation, Reason, RuleOutcome,
    ServeExplanation,
};

/// The first thing that does not fit together. None: everything does.
pub(crate) fn doubt(explanation: &Explanation, evaluation: &Evaluation) -> Option<String> {
    let told = explanation.evaluation.as_ref()?;
    // What Debug prints tells −0 from 0.
    if format!("{told:?}") != format!("{evaluation:?}") {
        return Some(format!("explained as {told:?}"));
    }
    let code = evaluation.error_code();
    if (code == ErrorCode::Unspecified) != explanation.problem.is_empty() {
        return Some(format!("the problem is {:?}", explanation.problem));
    }
    let Some(flag) = &explanation.flag else {
        let is_error = code != ErrorCode::Unspecified;
        return (!is_error).then(|| "there are no steps".to_owned());
    };
    if code == ErrorCode::Unspecified
        && (&flag.variant, flag.reason, &flag.rule_id)
            != (&evaluation.variant, evaluation.reason, &evaluation.rule_id)
    {
        return Some(format!("the steps are those of {flag:?}"));
    }
    let flags = explanation.prerequisites.iter().chain([flag]);
    let doubts = flags.filter_map(|flag| {
        let fits = is_decided_by_its_steps(flag) && knows_its_prerequisites(flag, explanation);
        (!fits).then(|| format!("the steps do not lead to the outcome: {flag:#?}"))
    });
    let segments = explanation.segments.iter().filter_map(|segment| {
        let condition = segment.condition.as_ref();
        let listed = segment.excluded.is_none() && segment.included.is_some();
        let contains = listed || condition.is_some_and(|it| it.outcome);
        let fits =
            contains == segment.contains && condition.is_none_or(|it| holds(it, explanation));
        (!fits).then(|| format!("the segment's steps do not fit: {segment:#?}"))
    });
    let conditions = rules(explanation).filter(|it| !holds(it, explanation));
    let conditions = conditions.map(|it| format!("the condition does not fit: {it:#?}"));
    doubts.chain(segments).chain(conditions).next()
}

fn rules(explanation: &Explanation) -> impl Iterator<Item = &ConditionExplanation> {
    let flags = explanation.prerequisites.iter().chain(&explanation.flag);
    let rules = flags.flat_map(|flag| &flag.rules);
    rules.filter_map(|rule| rule.condition.as_ref())
}

/// Whether the last step is the one that the reason names.
fn is_decided_by_its_steps(flag: &FlagExplanation) -> bool {
    let last_rule = flag.rules.last();
    let matched = last_rule.is_some_and(|rule| rule.outcome() == RuleOutcome::Matched);
    let earlier = flag.rules.iter().rev().skip(1);
    let served = |serve: Option<&ServeExplanation>, is_split: bool| {
        serve.map_or(flag.variant.is_empty(), |serve| {
            serve.variant == flag.variant && serve.split.is_some() == is_split
        })
    };
    let by_rule = |is_split| {
        let rule = last_rule.filter(|rule| matched && rule.id == flag.rule_id);
        rule.is_some_and(|rule| served(rule.serve.as_ref(), is_split))
    };
    let passed = flag.prerequisites.iter().all(|it| it.passed);
    let admitted = flag.mutual_exclusion.as_ref().is_none_or(|it| it.admitted);
    let targeted = flag.targets.last().is_some_and(|list| list.key.is_some());
    let reached_rules = flag.enabled && passed && admitted && !targeted;
    let only_last_matches = earlier
        .clone()
        .all(|rule| rule.outcome() != RuleOutcome::Matched);
    only_last_matches
        && match flag.reason() {
            Reason::Disabled => !flag.enabled,
            Reason::PrerequisiteFailed => flag.prerequisites.last().is_some_and(|it| !it.passed),
            Reason::MutuallyExcluded => passed && !admitted,
            Reason::Target => passed && admitted && targeted && flag.rules.is_empty(),
            Reason::Rule => reached_rules && by_rule(false),
            Reason::Split if matched => reached_rules && by_rule(true),
            Reason::Split => reached_rules && served(flag.fallthrough.as_ref(), true),
            Reason::Static | Reason::Default => {
                reached_rules && !matched && served(flag.fallthrough.as_ref(), false)
            }
            Reason::Unbucketed => {
                let split = flag.fallthrough.as_ref().and_then(|it| it.split.as_ref());
                let bucket = split.and_then(|split| split.bucket.as_ref());
                reached_rules && !matched && bucket.is_some_and(|it| it.bucket.is_none())
            }
            Reason::Unspecified | Reason::Error => false,
        }
}

/// Whether each prerequisite is explained, with the variant that was looked at.
fn knows_its_prerequisites(flag: &FlagExplanation, explanation: &Explanation) -> bool {
    flag.prerequisites.iter().all(|prerequisite| {
        let mut others = explanation.prerequisites.iter();
        let other = others.find(|other| other.flag_key == prerequisite.flag_key);
        let variant = other.map(|other| &other.variant);
        let passed = variant.is_some_and(|it| !it.is_empty() && prerequisite.wanted.contains(it));
        variant.is_none() == prerequisite.missing
            && variant.is_none_or(|variant| *variant == prerequisite.variant)
            && passed == prerequisite.passed
    })
}

/// Whether a condition follows from what it is made of.
fn holds(condition: &ConditionExplanation, explanation: &Explanation) -> bool {
    match &condition.kind {
        None => false,
        Some(Kind::Clause(clause)) => clause.seen.is_some() || !condition.outcome,
        Some(Kind::Segment(asked)) => {
            let any = asked.segments.iter().any(|it| it.contains);
            let told = asked.segments.iter().all(|it| {
                let mut segments = explanation.segments.iter();
                segments
                    .any(|told| told.segment_key == it.segment_key && told.contains == it.contains)
            });
            told && any == condition.outcome
        }
        Some(Kind::All(all)) => {
            all.conditions.iter().all(|it| it.outcome) == condition.outcome
                && all.conditions.iter().all(|it| holds(it, explanation))
        }
        Some(Kind::Any(any)) => {
            any.conditions.iter().any(|it| it.outcome) == condition.outcome
                && any.conditions.iter().all(|it| holds(it, explanation))
        }
        Some(Kind::Not(not)) => not.outcome != condition.outcome && holds(not, explanation),
    }
}
