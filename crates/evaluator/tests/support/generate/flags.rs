//! Flags and segments.

use burgee_evaluator::bucket::{BUCKETS, bucket};
use burgee_evaluator::pattern::normalise;
use burgee_proto::types::v1::condition::Kind;
use burgee_proto::types::v1::{
    AllOf, AnyOf, Clause, Condition, Flag, FlagType, Hash, MutualExclusion, NotOf, Operator,
    Prerequisite, Rule, Segment, SegmentMatch, Serve, Slot, Split, SplitPart, Target, Traffic,
    Variant, serve,
};
use prost_types::Value;
use prost_types::value::Kind as ValueKind;

use super::{ATTRIBUTES, FLAGS, Generator, KEYS, SALTS, SEGMENTS, VARIANTS};

/// Beyond what a sound condition has, and what a compiler bears.
const WILD_DEPTH_MAX: usize = 130;

/// What a flag may name.
struct Names<'a> {
    variants: &'a [String],
    segments: bool,
}

impl Generator<'_> {
    /// A flag for the item with this key.
    pub(crate) fn flag(&mut self, key: &str) -> Flag {
        let flag_type = self.variant_of_enum(1, FlagType::Json as i32);
        let count = 1 + self.below(VARIANTS.len());
        let keys: Vec<_> = VARIANTS.iter().take(count).map(|it| (*it).into()).collect();
        let names = Names {
            variants: &keys,
            segments: true,
        };
        let variants = keys.iter().map(|key| self.variant(key, flag_type));
        Flag {
            key: key.to_owned(),
            r#type: flag_type,
            variants: variants.collect(),
            enabled: !self.once_in(8),
            off_variant: self.off_variant(&names),
            prerequisites: self.prerequisites(key),
            mutual_exclusion: self.once_in(4).then(|| self.mutual_exclusion()),
            targets: self.some(2, |it| it.target(&names)),
            rules: self.rules(&names),
            fallthrough: (!self.once_in(8)).then(|| self.serve(&names)),
            client_visible: self.once_in(2),
            metadata: self.once_in(4).then(|| self.object(1)),
        }
    }

    /// A segment for the item with this key.
    pub(crate) fn segment(&mut self, key: &str) -> Segment {
        let names = Names {
            variants: &[],
            segments: false,
        };
        Segment {
            key: key.to_owned(),
            attribute: self.key_attribute(),
            included: self.some(3, Self::key),
            excluded: self.some(2, Self::key),
            condition: self.once_in(2).then(|| self.condition(&names, 2)),
        }
    }

    /// A condition of a rule.
    pub(crate) fn rule_condition(&mut self) -> Condition {
        let names = Names {
            variants: &[],
            segments: true,
        };
        self.condition(&names, 3)
    }

    fn key(&mut self) -> String {
        self.one_of(KEYS)
    }

    /// Often the first, so that conditions and contexts meet.
    fn attribute(&mut self) -> String {
        if self.once_in(3) {
            return ATTRIBUTES[0].to_owned();
        }
        self.one_of(ATTRIBUTES)
    }

    /// Empty for the targeting key.
    fn key_attribute(&mut self) -> String {
        if self.once_in(2) {
            self.attribute()
        } else {
            String::new()
        }
    }

    fn variant(&mut self, key: &str, flag_type: i32) -> Variant {
        let value = match FlagType::try_from(flag_type) {
            _ if self.oddly() => self.value(2),
            Ok(FlagType::Boolean) => ValueKind::BoolValue(self.once_in(2)).into(),
            Ok(FlagType::String) => ValueKind::StringValue(self.text()).into(),
            Ok(FlagType::Number) => ValueKind::NumberValue(self.number()).into(),
            _ => self.value(2),
        };
        Variant {
            key: if self.oddly() {
                self.one_of(VARIANTS)
            } else {
                key.into()
            },
            value: (!self.oddly()).then_some(value),
            ..Variant::default()
        }
    }

    fn off_variant(&mut self, names: &Names<'_>) -> String {
        if self.once_in(4) {
            String::new()
        } else {
            self.variant_key(names)
        }
    }

    fn variant_key(&mut self, names: &Names<'_>) -> String {
        if names.variants.is_empty() || self.oddly() {
            self.one_of(VARIANTS)
        } else {
            self.pick(names.variants)
        }
    }

    /// Of flags before this one, so that there is no cycle; or of any, if
    /// anything goes.
    fn prerequisites(&mut self, key: &str) -> Vec<Prerequisite> {
        let before = FLAGS.iter().take_while(|flag| **flag != key).count();
        let known = match (before, self.wild && self.once_in(4)) {
            (_, true) => FLAGS,
            (0, false) => return Vec::new(),
            (_, false) => &FLAGS[..before],
        };
        if self.once_in(2) {
            return Vec::new();
        }
        self.some(2, |it| Prerequisite {
            flag_key: it.one_of(known),
            variants: it.some(4, |it| it.pick(VARIANTS).to_owned()),
        })
    }

    fn bucket_by(&mut self) -> Vec<String> {
        if self.once_in(2) {
            self.some(3, Self::attribute)
        } else {
            Vec::new()
        }
    }

    /// A bound or weight: 0 to 100000, or oddly any number.
    fn weight(&mut self) -> i32 {
        if self.oddly() {
            return self.integer();
        }
        self.bound().try_into().unwrap_or_default()
    }

    /// 0 to 100000; mostly where somebody's bucket begins or ends.
    fn bound(&mut self) -> usize {
        if self.once_in(4) {
            return self.below(BUCKETS as usize + 1);
        }
        let (salt, key) = (self.pick(SALTS), self.pick(KEYS));
        bucket(Hash::Burgee, salt, key) as usize + self.below(2)
    }

    fn mutual_exclusion(&mut self) -> MutualExclusion {
        MutualExclusion {
            salt: self.one_of(SALTS),
            bucket_by: self.bucket_by(),
            slots: self.some(3, |it| Slot {
                start: it.weight(),
                end: it.weight(),
            }),
        }
    }

    fn target(&mut self, names: &Names<'_>) -> Target {
        Target {
            variant: self.variant_key(names),
            attribute: self.key_attribute(),
            keys: self.some(3, Self::key),
        }
    }

    fn rules(&mut self, names: &Names<'_>) -> Vec<Rule> {
        let count = self.below(4);
        let rules = (0..count).map(|index| Rule {
            id: if self.oddly() {
                String::new()
            } else {
                format!("r{index}")
            },
            condition: (!self.oddly()).then(|| self.condition(names, 3)),
            traffic: self.once_in(3).then(|| Traffic {
                salt: self.one_of(SALTS),
                bucket_by: self.bucket_by(),
                hash: self.hash(),
                weight: self.weight(),
            }),
            serve: (!self.oddly()).then(|| self.serve(names)),
        });
        rules.collect()
    }

    pub(crate) fn hash(&mut self) -> i32 {
        self.variant_of_enum(0, Hash::Launchdarkly as i32)
    }

    fn serve(&mut self, names: &Names<'_>) -> Serve {
        let kind = if self.once_in(2) {
            serve::Kind::Split(self.split(names))
        } else {
            serve::Kind::Variant(self.variant_key(names))
        };
        Serve {
            kind: (!self.oddly()).then_some(kind),
        }
    }

    fn split(&mut self, names: &Names<'_>) -> Split {
        let weights = self.weights();
        let parts = weights.into_iter().map(|weight| SplitPart {
            variant: self.variant_key(names),
            weight,
        });
        Split {
            parts: parts.collect(),
            salt: self.one_of(SALTS),
            bucket_by: self.bucket_by(),
            hash: self.hash(),
        }
    }

    /// Weights that sum to all buckets; oddly any weights.
    pub(crate) fn weights(&mut self) -> Vec<i32> {
        if self.oddly() {
            return self.some(4, Self::integer);
        }
        let mut cuts = self.some(3, Self::bound);
        cuts.push(BUCKETS as usize);
        cuts.sort_unstable();
        let mut start = 0;
        let weights = cuts.into_iter().map(|end| {
            let weight = end - start;
            start = end;
            i32::try_from(weight).unwrap_or_default()
        });
        weights.collect()
    }

    fn condition(&mut self, names: &Names<'_>, depth: usize) -> Condition {
        if self.oddly() {
            return self.odd_condition();
        }
        let kind = match self.below(10) {
            5 | 6 if names.segments => Kind::Segment(SegmentMatch {
                keys: self.some(2, |it| it.one_of(SEGMENTS)),
            }),
            7 if depth > 0 => Kind::All(AllOf {
                conditions: self.some(3, |it| it.condition(names, depth - 1)),
            }),
            8 if depth > 0 => Kind::Any(AnyOf {
                conditions: self.some(3, |it| it.condition(names, depth - 1)),
            }),
            9 if depth > 0 => not(self.condition(names, depth - 1)),
            _ => Kind::Clause(self.clause()),
        };
        Condition { kind: Some(kind) }
    }

    /// Nothing, a choice whose inside is missing, or one that is nested deeply.
    fn odd_condition(&mut self) -> Condition {
        match self.below(4) {
            0 => Condition { kind: None },
            1 => Condition {
                kind: Some(Kind::Not(Box::default())),
            },
            2 => Condition {
                kind: Some(Kind::Segment(SegmentMatch {
                    keys: self.some(2, Self::text),
                })),
            },
            _ => {
                let inner = Condition {
                    kind: Some(Kind::Clause(self.clause())),
                };
                (0..self.below(WILD_DEPTH_MAX)).fold(inner, |inner, _| Condition {
                    kind: Some(not(inner)),
                })
            }
        }
    }

    fn clause(&mut self) -> Clause {
        let operator = self.variant_of_enum(1, Operator::InCidr as i32);
        let values = if operator == Operator::Matches as i32 {
            self.some(2, Self::shipped_pattern)
        } else {
            self.some(4, |it| if it.oddly() { it.value(1) } else { it.scalar() })
        };
        Clause {
            attribute: self.attribute(),
            operator,
            values,
            ignore_case: self.once_in(2),
        }
    }

    /// A pattern as it is shipped.
    fn shipped_pattern(&mut self) -> Value {
        if self.oddly() {
            return self.value(1);
        }
        let pattern = normalise(&self.pattern()).unwrap_or_default();
        ValueKind::StringValue(pattern).into()
    }
}

fn not(condition: Condition) -> Kind {
    Kind::Not(Box::new(NotOf {
        condition: Some(Box::new(condition)),
    }))
}
