//! Every step of an evaluation, told.
//!
//! The decision code tells a [`Recorder`] terse notes while it evaluates; a
//! [`Narrator`] then walks the message of each flag along them. It decides
//! nothing itself.

mod condition;
mod narrator;

use std::collections::HashMap;

use burgee_proto::types::v1::{ErrorCode, Evaluation, Explanation, FlagType, Position, ValueType};

use crate::context::Context;
use crate::evaluate::{Evaluated, Outcome};
use crate::ruleset::{Ruleset, SlotIndex};
use crate::segment::Segment;
use crate::trace::{Note, Trace};

use self::narrator::Narrator;

/// Bytes of what clauses saw and wanted, in one explanation. One attribute of a
/// context may be asked for thousands of times.
pub const VALUES_BYTES_MAX: usize = 1 << 20;

impl Ruleset {
    /// Evaluates a flag, and tells every step. The result is that of
    /// [`Ruleset::evaluate`], as the same code makes it.
    ///
    /// Takes time and memory for every condition that is reached, asked to its
    /// end; what clauses saw and wanted is left out beyond
    /// [`VALUES_BYTES_MAX`].
    pub fn explain(
        &self,
        flag_key: &str,
        context: &Context,
        wanted: ValueType,
        position: Position,
    ) -> Explanation {
        let mut recorder = Recorder::default();
        let evaluated = self.evaluate_telling(flag_key, context, wanted, &mut recorder);
        let mut narrator = Narrator::new(self);
        let told = recorder.decided().map(|flag| narrator.flag(flag));
        // The flag that was asked for is decided last.
        let mut flags: Vec<_> = told.collect();
        let flag = flags.pop();
        Explanation {
            evaluation: Some(evaluated.to_message(position)),
            problem: self.error_text(&evaluated, wanted),
            flag,
            prerequisites: flags,
            truncated: narrator.is_truncated(),
            segments: narrator.into_segments(),
        }
    }

    /// What an error is about, for a person.
    fn error_text(&self, evaluated: &Evaluated<'_>, wanted: ValueType) -> String {
        let key = evaluated.flag_key;
        match evaluated.error_code {
            ErrorCode::FlagNotFound => "there is no such flag here".to_owned(),
            ErrorCode::ParseError => self.problem(key).unwrap_or_default().to_owned(),
            ErrorCode::TypeMismatch => self.mismatch(key, wanted),
            _ => String::new(),
        }
    }

    fn mismatch(&self, flag_key: &str, wanted: ValueType) -> String {
        let found = self.find(flag_key).and_then(|index| self.understood(index));
        let flag_type = found.map_or(FlagType::Unspecified, |(_, flag)| flag.flag_type);
        let wanted_name = wanted.as_str_name().trim_start_matches("VALUE_TYPE_");
        let type_name = flag_type.as_str_name().trim_start_matches("FLAG_TYPE_");
        if wanted == ValueType::Integer && flag_type == FlagType::Number {
            "wanted INTEGER, but the value is not integral within ±(2^53−1)".to_owned()
        } else {
            format!("wanted {wanted_name}, but the flag is of type {type_name}")
        }
    }
}

/// The explanation of an error that no step led to: a context that exceeds a
/// limit (INVALID_CONTEXT), a caller without a ruleset (PROVIDER_NOT_READY).
pub fn error(
    flag_key: &str,
    error_code: ErrorCode,
    problem: impl ToString,
    position: Option<Position>,
) -> Explanation {
    let evaluated = Evaluated::error(flag_key, error_code);
    Explanation {
        evaluation: Some(Evaluation {
            position,
            ..evaluated.to_message(Position::default())
        }),
        problem: problem.to_string(),
        ..Explanation::default()
    }
}

/// Writes down what an evaluation tells.
#[derive(Default)]
struct Recorder<'a> {
    flags: Vec<Recorded<'a>>,
    /// Places in `flags`.
    by_slot: HashMap<SlotIndex, usize>,
    /// The flags that are being evaluated, as places in `flags`.
    current: Vec<usize>,
    /// Places in `flags`, in the order in which they were decided.
    decided: Vec<usize>,
    /// The segments that were asked for, by their addresses: there may be
    /// thousands of conditions that ask for one.
    segments: HashMap<*const Segment, bool>,
}

/// What was told of one flag.
struct Recorded<'a> {
    flag: SlotIndex,
    notes: Vec<Note<'a>>,
    outcome: Option<Outcome>,
}

impl<'a> Recorder<'a> {
    /// In the order in which they were decided.
    fn decided(&self) -> impl Iterator<Item = &Recorded<'a>> {
        self.decided
            .iter()
            .filter_map(|place| self.flags.get(*place))
    }
}

impl<'a> Trace<'a> for Recorder<'a> {
    const TO_THE_END: bool = true;

    fn enter(&mut self, flag: SlotIndex) {
        let place = *self.by_slot.entry(flag).or_insert_with(|| {
            self.flags.push(Recorded {
                flag,
                notes: Vec::new(),
                outcome: None,
            });
            self.flags.len() - 1
        });
        self.current.push(place);
    }

    fn leave(&mut self, decided: Option<Outcome>) {
        let Some(place) = self.current.pop() else {
            return;
        };
        if decided.is_some()
            && let Some(recorded) = self.flags.get_mut(place)
        {
            recorded.outcome = decided;
            self.decided.push(place);
        }
    }

    fn note(&mut self, note: Note<'a>) {
        let current = self.current.last();
        if let Some(recorded) = current.and_then(|place| self.flags.get_mut(*place)) {
            recorded.notes.push(note);
        }
    }

    fn membership(
        &mut self,
        segment: &'a Segment,
        contains: impl FnOnce(&mut Self) -> bool,
    ) -> bool {
        if let Some(known) = self.segments.get(&std::ptr::from_ref(segment)) {
            return *known;
        }
        let contains = contains(self);
        self.segments.insert(segment, contains);
        contains
    }
}
