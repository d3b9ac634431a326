//! Conditions, compiled: a tree of clauses and segments.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use burgee_proto::types::v1 as message;
use burgee_proto::types::v1::condition::Kind;

use crate::attribute::{AttributeName, Name};
use crate::context::Context;
use crate::operators::Test;
use crate::problem::Problem;
use crate::segment::Segment;
use crate::trace::{Note, Trace};

/// How deep conditions and JSON values may be nested before they count as not
/// understood. Decoding stops at 100 messages, so this bounds messages that were
/// made in memory.
pub(crate) const NESTING_MAX: usize = 100;

/// A question about a context.
#[derive(Debug)]
pub(crate) enum Condition {
    /// A test of an attribute; false where it is absent.
    Clause(Name, Test),
    /// In any of some segments, by their place in the flag's list.
    Segments(Box<[usize]>),
    All(Box<[Condition]>),
    Any(Box<[Condition]>),
    Not(Box<Condition>),
}

impl Condition {
    /// Whether it is true. `segments` are those that the flag names, in the
    /// order of [`Scope::into_segments`]; one that is missing contains nobody.
    #[inline]
    pub(crate) fn is_true<'a>(
        &'a self,
        context: &'a Context,
        segments: &'a [Option<Arc<Segment>>],
        trace: &mut impl Trace<'a>,
    ) -> bool {
        let outcome = match self {
            Self::Clause(name, test) => {
                let attribute = context.get(name);
                trace.note(Note::Clause(attribute));
                attribute.is_some_and(|attribute| test.holds(attribute))
            }
            _ => self.is_tree_true(context, segments, trace),
        };
        trace.note(Note::Condition(outcome));
        outcome
    }

    /// All but clauses: apart, so that asking a clause is not a call of its own.
    fn is_tree_true<'a>(
        &'a self,
        context: &'a Context,
        segments: &'a [Option<Arc<Segment>>],
        trace: &mut impl Trace<'a>,
    ) -> bool {
        match self {
            Self::Clause(..) => self.is_true(context, segments, trace),
            Self::Segments(places) => is_decided(places, true, trace, |place, trace| {
                let segment = segments.get(*place).and_then(Option::as_deref);
                is_member(segment, context, trace)
            }),
            Self::All(conditions) => !is_decided(conditions, false, trace, |it, trace| {
                it.is_true(context, segments, trace)
            }),
            Self::Any(conditions) => is_decided(conditions, true, trace, |it, trace| {
                it.is_true(context, segments, trace)
            }),
            Self::Not(condition) => !condition.is_true(context, segments, trace),
        }
    }

    /// # Errors
    ///
    /// What is not understood: a choice that is not set, an unknown operator, a
    /// pattern that does not compile, a segment named inside a segment.
    pub(crate) fn compile(
        condition: &message::Condition,
        scope: &mut Scope<'_>,
    ) -> Result<Self, Problem> {
        Self::compile_nested(condition, scope, 1)
    }

    fn compile_nested(
        condition: &message::Condition,
        scope: &mut Scope<'_>,
        depth: usize,
    ) -> Result<Self, Problem> {
        if depth > NESTING_MAX {
            return Err(Problem::new("", "the condition is nested too deeply"));
        }
        let kind = condition.kind.as_ref();
        match kind.ok_or_else(|| Problem::new("", "nothing is asked; set one kind"))? {
            Kind::Clause(clause) => {
                let test = Test::compile(clause).map_err(|problem| problem.within("clause"))?;
                Ok(Self::Clause(scope.names.name(&clause.attribute), test))
            }
            Kind::Segment(segment) => scope
                .places(&segment.keys)
                .map(Self::Segments)
                .map_err(|problem| problem.within("segment")),
            Kind::All(all) => Self::compile_list(&all.conditions, scope, depth)
                .map(Self::All)
                .map_err(|problem| problem.within("all")),
            Kind::Any(any) => Self::compile_list(&any.conditions, scope, depth)
                .map(Self::Any)
                .map_err(|problem| problem.within("any")),
            Kind::Not(not) => {
                let inner = not.condition.as_deref();
                inner
                    .ok_or_else(|| Problem::new("condition", "set the condition to negate"))
                    .and_then(|inner| {
                        Self::compile_nested(inner, scope, depth + 1)
                            .map_err(|problem| problem.within("condition"))
                    })
                    .map(|inner| Self::Not(Box::new(inner)))
                    .map_err(|problem| problem.within("not"))
            }
        }
    }

    fn compile_list(
        conditions: &[message::Condition],
        scope: &mut Scope<'_>,
        depth: usize,
    ) -> Result<Box<[Self]>, Problem> {
        let compile = |(index, condition)| {
            Self::compile_nested(condition, scope, depth + 1)
                .map_err(|problem| problem.within(format!("conditions[{index}]")))
        };
        conditions.iter().enumerate().map(compile).collect()
    }
}

/// Whether one of several answers is the one that decides.
fn is_decided<'a, Q, T: Trace<'a>>(
    questions: &'a [Q],
    deciding: bool,
    trace: &mut T,
    mut ask: impl FnMut(&'a Q, &mut T) -> bool,
) -> bool {
    let mut decided = false;
    for question in questions {
        decided |= ask(question, trace) == deciding;
        if decided && !T::TO_THE_END {
            break;
        }
    }
    decided
}

/// A segment that is missing contains nobody.
fn is_member<'a, T: Trace<'a>>(
    segment: Option<&'a Segment>,
    context: &'a Context,
    trace: &mut T,
) -> bool {
    let contains = segment
        .is_some_and(|segment| trace.membership(segment, |trace| segment.contains(context, trace)));
    trace.note(Note::Membership(contains));
    contains
}

/// The names of attributes, each kept once.
#[derive(Debug, Default)]
pub(crate) struct Names(HashSet<Arc<str>>);

impl Names {
    /// A name as clauses and `bucket_by` write it.
    pub(crate) fn name(&mut self, name: &str) -> Name {
        let known = self.0.get(name).cloned();
        let text = known.unwrap_or_else(|| {
            let new: Arc<str> = name.into();
            self.0.insert(new.clone());
            new
        });
        let attribute = AttributeName::new(text);
        if name == Name::TARGETING_KEY {
            Name::TargetingKeyOr(attribute)
        } else {
            Name::Attribute(attribute)
        }
    }

    /// A name as targets and segments write it: empty is the targeting key.
    pub(crate) fn key_name(&mut self, name: &str) -> Name {
        if name.is_empty() {
            Name::TargetingKey
        } else {
            self.name(name)
        }
    }
}

/// What conditions are compiled within: a flag, or a segment.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) names: &'a mut Names,
    /// The segments that the flag names, with their places. None: within a
    /// segment, which may name none.
    segments: Option<HashMap<Box<str>, usize>>,
}

impl<'a> Scope<'a> {
    pub(crate) fn flag(names: &'a mut Names) -> Self {
        Self {
            names,
            segments: Some(HashMap::new()),
        }
    }

    pub(crate) fn segment(names: &'a mut Names) -> Self {
        Self {
            names,
            segments: None,
        }
    }

    /// The keys of the segments that were named, by place.
    pub(crate) fn into_segments(self) -> Box<[Box<str>]> {
        let mut named: Vec<_> = self.segments.into_iter().flatten().collect();
        named.sort_by_key(|(_, place)| *place);
        named.into_iter().map(|(key, _)| key).collect()
    }

    fn places(&mut self, keys: &[String]) -> Result<Box<[usize]>, Problem> {
        let Some(segments) = &mut self.segments else {
            return Err(Problem::new("", "a segment cannot refer to segments"));
        };
        let place = |key: &String| {
            let next = segments.len();
            *segments.entry(key.as_str().into()).or_insert(next)
        };
        Ok(keys.iter().map(place).collect())
    }
}
