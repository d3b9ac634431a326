//! Explanations as people read them: in a terminal, in a log.
//!
//! ```text
//! checkout = true (variant on): SPLIT by rule pro, at (1, 17)
//!   ✓ prerequisite base: has on, wants on or beta
//!   ✗ rule staff: its condition is false
//!     ✗ email ENDS_WITH "@example.com": saw nothing
//!   ✓ rule pro
//!     ✓ plan EQUALS "pro" or "team": saw "pro"
//!     ✓ traffic: bucket 64066 (salt "s.gate", key "alice") is below 100000
//!     serves on: bucket 21658 (salt "checkout", key "alice") in on 0..50000, off 50000..100000
//! prerequisite base: on, STATIC
//!   fallthrough serves on
//! ```

mod words;

use std::fmt::{self, Display, Formatter, Write as _};

use self::words::{Bucket, Decided, Json, Name, Text, attribute, bare, listed, mark, or_none};
use crate::types::v1::condition_explanation::Kind as Asked;
use crate::types::v1::{
    BucketExplanation, ClauseExplanation, ConditionExplanation, ErrorCode, Evaluation, Explanation,
    FlagExplanation, PrerequisiteExplanation, RuleExplanation, RuleOutcome, SegmentExplanation,
    ServeExplanation, SplitRange, TargetExplanation,
};

/// Every step in a line, indented under what it belongs to. Texts are escaped,
/// and long ones and long lists are cut.
impl Display for Explanation {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let mut lines = Lines {
            to: formatter,
            depth: 0,
            is_first: true,
            truncated: self.truncated,
        };
        let evaluation = self.evaluation.clone().unwrap_or_default();
        lines.evaluation(&evaluation, &self.problem)?;
        if let Some(flag) = &self.flag {
            lines.within(|lines| lines.steps(flag))?;
        }
        for flag in &self.prerequisites {
            let decided = Decided(flag.reason(), &flag.rule_id);
            let variant = or_none(&flag.variant);
            lines.line(format_args!(
                "prerequisite {}: {variant}, {decided}",
                Name(&flag.flag_key)
            ))?;
            lines.within(|lines| lines.steps(flag))?;
        }
        for segment in &self.segments {
            lines.segment(segment)?;
        }
        if self.truncated {
            lines.line(format_args!(
                "(too long: some clauses leave out what they saw and wanted)"
            ))?;
        }
        Ok(())
    }
}

/// Writes lines, each on its depth.
struct Lines<'a, 'f> {
    to: &'a mut Formatter<'f>,
    depth: usize,
    is_first: bool,
    truncated: bool,
}

impl Lines<'_, '_> {
    fn line(&mut self, line: fmt::Arguments<'_>) -> fmt::Result {
        if !std::mem::take(&mut self.is_first) {
            self.to.write_char('\n')?;
        }
        write!(self.to, "{:indent$}{line}", "", indent = 2 * self.depth)
    }

    fn within(&mut self, write: impl FnOnce(&mut Self) -> fmt::Result) -> fmt::Result {
        self.depth += 1;
        write(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn evaluation(&mut self, evaluation: &Evaluation, problem: &str) -> fmt::Result {
        let key = Name(&evaluation.flag_key);
        let position = evaluation.position.map_or_else(String::new, |position| {
            format!(", at ({}, {})", position.epoch, position.revision)
        });
        let code = evaluation.error_code();
        if code != ErrorCode::Unspecified {
            let code = bare(code.as_str_name(), "ERROR_CODE_");
            let problem = if problem.is_empty() {
                String::new()
            } else {
                format!(": {}", Name(problem))
            };
            return self.line(format_args!("{key}: ERROR {code}{position}{problem}"));
        }
        let decided = Decided(evaluation.reason(), &evaluation.rule_id);
        let variant = Name(&evaluation.variant);
        match &evaluation.value {
            Some(value) => {
                let value = Json(value);
                self.line(format_args!(
                    "{key} = {value} (variant {variant}): {decided}{position}"
                ))
            }
            None => self.line(format_args!("{key} has no value: {decided}{position}")),
        }
    }

    /// What was looked at, in its order.
    fn steps(&mut self, flag: &FlagExplanation) -> fmt::Result {
        if !flag.enabled {
            return self.line(format_args!("the flag is off"));
        }
        for prerequisite in &flag.prerequisites {
            self.prerequisite(prerequisite)?;
        }
        if let Some(exclusion) = &flag.mutual_exclusion {
            let mark = mark(exclusion.admitted);
            let place = if exclusion.admitted { "in" } else { "not in" };
            let slots = exclusion.slots.iter();
            let slots = listed(
                slots.map(|slot| format!("{}..{}", slot.start, slot.end)),
                ", ",
            );
            self.bucketed(
                format_args!("{mark} exclusion group"),
                exclusion.bucket.as_ref(),
                format_args!("is {place} {slots}"),
            )?;
        }
        for target in &flag.targets {
            self.target(target)?;
        }
        for rule in &flag.rules {
            self.rule(rule)?;
        }
        match &flag.fallthrough {
            Some(serve) => self.serve("fallthrough serves", serve),
            None => Ok(()),
        }
    }

    fn prerequisite(&mut self, prerequisite: &PrerequisiteExplanation) -> fmt::Result {
        let (mark, key) = (mark(prerequisite.passed), Name(&prerequisite.flag_key));
        let wanted = prerequisite.wanted.iter();
        let wanted = listed(wanted.map(|key| Name(key).to_string()), " or ");
        if prerequisite.missing {
            return self.line(format_args!(
                "{mark} prerequisite {key}: there is no such flag, wants {wanted}"
            ));
        }
        let has = or_none(&prerequisite.variant);
        self.line(format_args!(
            "{mark} prerequisite {key}: has {has}, wants {wanted}"
        ))
    }

    fn target(&mut self, target: &TargetExplanation) -> fmt::Result {
        let (variant, attribute) = (Name(&target.variant), attribute(&target.attribute));
        match &target.key {
            Some(key) => self.line(format_args!(
                "✓ target {variant}: {attribute} {} is listed",
                Text(key)
            )),
            None => self.line(format_args!(
                "✗ target {variant}: {attribute} is not listed"
            )),
        }
    }

    fn rule(&mut self, rule: &RuleExplanation) -> fmt::Result {
        let outcome = rule.outcome();
        let why = match outcome {
            RuleOutcome::ConditionFalse => ": its condition is false",
            RuleOutcome::TrafficExcluded => ": outside its traffic",
            RuleOutcome::Unbucketed => ": its split has no bucket",
            RuleOutcome::Matched | RuleOutcome::Unspecified => "",
        };
        let mark = mark(outcome == RuleOutcome::Matched);
        self.line(format_args!("{mark} rule {}{why}", Name(&rule.id)))?;
        self.within(|lines| {
            if let Some(condition) = &rule.condition {
                lines.condition(condition)?;
            }
            if let Some(traffic) = &rule.traffic {
                let mark = self::mark(traffic.passed);
                let place = if traffic.passed { "below" } else { "not below" };
                lines.bucketed(
                    format_args!("{mark} traffic"),
                    traffic.bucket.as_ref(),
                    format_args!("is {place} {}", traffic.weight),
                )?;
            }
            match &rule.serve {
                Some(serve) => lines.serve("serves", serve),
                None => Ok(()),
            }
        })
    }

    fn serve(&mut self, what: &str, serve: &ServeExplanation) -> fmt::Result {
        let variant = or_none(&serve.variant);
        let Some(split) = &serve.split else {
            return self.line(format_args!("{what} {variant}"));
        };
        let ranges = split.ranges.iter();
        let range = |it: &SplitRange| format!("{} {}..{}", Name(&it.variant), it.start, it.end);
        let ranges = listed(ranges.map(range), ", ");
        self.bucketed(
            format_args!("{what} {variant}"),
            split.bucket.as_ref(),
            format_args!("in {ranges}"),
        )
    }

    /// Where a bucket is, or why there is none.
    fn bucketed(
        &mut self,
        what: fmt::Arguments<'_>,
        bucket: Option<&BucketExplanation>,
        place: fmt::Arguments<'_>,
    ) -> fmt::Result {
        let bucket = bucket.cloned().unwrap_or_default();
        let told = Bucket(&bucket);
        match bucket.bucket {
            Some(_) => self.line(format_args!("{what}: {told} {place}")),
            None => self.line(format_args!("{what}: {told}")),
        }
    }

    fn condition(&mut self, condition: &ConditionExplanation) -> fmt::Result {
        let mark = mark(condition.outcome);
        let (what, nested) = match &condition.kind {
            Some(Asked::Clause(clause)) => return self.clause(mark, clause),
            Some(Asked::Segment(segments)) => {
                let segments = segments.segments.iter().map(|it| {
                    let not = if it.contains { "" } else { "not " };
                    format!("{not}in segment {}", Name(&it.segment_key))
                });
                let segments = listed(segments, ", ");
                return self.line(format_args!("{mark} {segments}"));
            }
            Some(Asked::All(all)) => ("all of", all.conditions.as_slice()),
            Some(Asked::Any(any)) => ("any of", any.conditions.as_slice()),
            Some(Asked::Not(not)) => ("not", std::slice::from_ref(&**not)),
            None => return Ok(()),
        };
        self.line(format_args!("{mark} {what}"))?;
        self.within(|lines| nested.iter().try_for_each(|nested| lines.condition(nested)))
    }

    fn clause(&mut self, mark: &str, clause: &ClauseExplanation) -> fmt::Result {
        let attribute = Name(&clause.attribute);
        let operator = bare(clause.operator().as_str_name(), "OPERATOR_");
        let case = if clause.ignore_case {
            " (A-Z folded)"
        } else {
            ""
        };
        if self.truncated && clause.seen.is_none() && clause.values.is_empty() {
            return self.line(format_args!("{mark} {attribute} {operator}{case} …"));
        }
        let wanted = listed(
            clause.values.iter().map(|value| Json(value).to_string()),
            " or ",
        );
        let blank = if wanted.is_empty() { "" } else { " " };
        let seen = clause.seen.as_ref();
        let seen = seen.map_or_else(|| "nothing".to_owned(), |seen| Json(seen).to_string());
        self.line(format_args!(
            "{mark} {attribute} {operator}{blank}{wanted}{case}: saw {seen}"
        ))
    }

    fn segment(&mut self, segment: &SegmentExplanation) -> fmt::Result {
        let (mark, key) = (mark(segment.contains), Name(&segment.segment_key));
        let attribute = attribute(&segment.attribute);
        let (list, found) = match (&segment.excluded, &segment.included) {
            (Some(key), _) => ("excluded", Some(key)),
            (None, Some(key)) => ("included", Some(key)),
            (None, None) => ("", None),
        };
        match found {
            _ if segment.missing => self.line(format_args!(
                "{mark} segment {key}: there is no such segment"
            )),
            Some(found) => self.line(format_args!(
                "{mark} segment {key}: {attribute} {} is {list}",
                Text(found)
            )),
            None => self.line(format_args!(
                "{mark} segment {key}: {attribute} is on neither list"
            )),
        }?;
        self.within(|lines| match &segment.condition {
            Some(condition) => lines.condition(condition),
            None => Ok(()),
        })
    }
}
