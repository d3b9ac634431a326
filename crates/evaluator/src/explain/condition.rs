//! Walks conditions and segments along the notes of an evaluation.

use burgee_proto::types::v1 as message;
use burgee_proto::types::v1::condition::Kind as Asked;
use burgee_proto::types::v1::condition_explanation::Kind as Told;
use burgee_proto::types::v1::{
    ClauseExplanation, ConditionExplanation, ConditionsExplanation, SegmentExplanation,
    SegmentMatchExplanation, SegmentMembership,
};
use prost::Message as _;

use super::narrator::{Narrator, Notes};
use crate::attribute::Attribute;
use crate::trace::Note;

impl Narrator<'_> {
    /// A condition, with what it is made of.
    pub(super) fn condition(
        &mut self,
        asked: &message::Condition,
        notes: &mut Notes<'_, '_>,
    ) -> ConditionExplanation {
        let kind = asked.kind.as_ref().map(|kind| match kind {
            Asked::Clause(clause) => Told::Clause(self.clause(clause, notes)),
            Asked::Segment(segments) => {
                let told = segments.keys.iter().map(|key| self.membership(key, notes));
                Told::Segment(SegmentMatchExplanation {
                    segments: told.collect(),
                })
            }
            Asked::All(all) => Told::All(self.conditions(&all.conditions, notes)),
            Asked::Any(any) => Told::Any(self.conditions(&any.conditions, notes)),
            Asked::Not(not) => {
                let inner = not.condition.as_deref();
                let told = inner.map(|inner| self.condition(inner, notes));
                Told::Not(Box::new(told.unwrap_or_default()))
            }
        });
        ConditionExplanation {
            outcome: matches!(notes.next(), Some(Note::Condition(true))),
            kind,
        }
    }

    fn conditions(
        &mut self,
        asked: &[message::Condition],
        notes: &mut Notes<'_, '_>,
    ) -> ConditionsExplanation {
        let told = asked.iter().map(|asked| self.condition(asked, notes));
        ConditionsExplanation {
            conditions: told.collect(),
        }
    }

    fn clause(&mut self, clause: &message::Clause, notes: &mut Notes<'_, '_>) -> ClauseExplanation {
        let seen = match notes.next() {
            Some(Note::Clause(attribute)) => attribute.map(Attribute::to_value),
            _ => None,
        };
        let mut told = ClauseExplanation {
            attribute: clause.attribute.clone(),
            operator: clause.operator,
            seen,
            values: clause.values.clone(),
            ignore_case: clause.ignore_case,
        };
        let values = told.seen.iter().chain(&told.values);
        if !self.take(values.map(prost_types::Value::encoded_len).sum()) {
            told.seen = None;
            told.values = Vec::new();
        }
        told
    }

    /// Membership in a segment. Its own steps are told the first time that it
    /// is asked for.
    fn membership(&mut self, key: &str, notes: &mut Notes<'_, '_>) -> SegmentMembership {
        let steps = self
            .told
            .insert(key.to_owned())
            .then(|| self.segment(key, notes));
        let contains = matches!(notes.next(), Some(Note::Membership(true)));
        let told = steps.map(|steps| SegmentExplanation { contains, ..steps });
        self.segments.extend(told);
        SegmentMembership {
            segment_key: key.to_owned(),
            contains,
        }
    }

    fn segment(&mut self, key: &str, notes: &mut Notes<'_, '_>) -> SegmentExplanation {
        let mut told = SegmentExplanation {
            segment_key: key.to_owned(),
            ..SegmentExplanation::default()
        };
        let Some(definition) = self.ruleset.segment(key) else {
            told.missing = true;
            return told;
        };
        let Some(Note::SegmentLists { excluded, included }) = notes.next() else {
            return told;
        };
        told.excluded = excluded.map(str::to_owned);
        told.included = included.map(str::to_owned);
        let Some(segment) = definition.source.message() else {
            return told;
        };
        told.attribute.clone_from(&segment.attribute);
        if excluded.is_none()
            && included.is_none()
            && let Some(asked) = &segment.condition
        {
            told.condition = Some(self.condition(asked, notes));
        }
        told
    }
}
