//! What is measured, and what Burgee aims at.

use crate::Environment;

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// A flag without rules.
    Boolean,
    /// Five rules of two clauses each, of which the fifth matches.
    FiveRules,
    /// One half of the users.
    Split,
    /// A segment of 10,000 keys, of which the last is asked.
    Segment,
    /// A flag that needs a flag that needs a flag, five times.
    Prerequisites,
    /// 1,000 flags for one user.
    All,
    /// 5,000 flags, from what the server ships to the first evaluation.
    Compile,
    /// One flag changes among 5,000.
    Change,
}

impl Case {
    /// In the order of the table.
    pub const ALL: [Self; 8] = [
        Self::Boolean,
        Self::FiveRules,
        Self::Split,
        Self::Segment,
        Self::Prerequisites,
        Self::All,
        Self::Compile,
        Self::Change,
    ];

    /// As in the table.
    pub fn title(self) -> &'static str {
        match self {
            Self::Boolean => "simple boolean",
            Self::FiveRules => "five rules of two clauses, the fifth matches",
            Self::Split => "50:50 split",
            Self::Segment => "segment of 10,000 keys, the last one asked",
            Self::Prerequisites => "chain of 5 prerequisites",
            Self::All => "all of 1,000 flags",
            Self::Compile => "compile 5,000 flags",
            Self::Change => "one flag changes among 5,000",
        }
    }

    /// The name of the group that it is measured in.
    pub fn id(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::FiveRules => "five-rules",
            Self::Split => "split",
            Self::Segment => "segment",
            Self::Prerequisites => "prerequisites",
            Self::All => "all",
            Self::Compile => "compile",
            Self::Change => "change",
        }
    }

    /// The flag that is evaluated, if it is one.
    pub fn flag_key(self) -> Option<&'static str> {
        match self {
            Self::Boolean => Some("boolean"),
            Self::FiveRules => Some("five-rules"),
            Self::Split => Some("split"),
            Self::Segment => Some("segment"),
            Self::Prerequisites => Some("needs-5"),
            Self::All | Self::Compile | Self::Change => None,
        }
    }

    /// What the engines are given.
    pub fn environment(self) -> Environment {
        match self {
            Self::All => Environment::of(1000),
            Self::Compile | Self::Change => Environment::of(5000),
            _ => Environment::of_each_shape(),
        }
    }

    /// The aim: Burgee's share of the time that yggdrasil takes.
    pub fn aim(self) -> Option<f64> {
        match self {
            Self::Boolean | Self::Segment => Some(1.0),
            Self::FiveRules | Self::Split => Some(0.33),
            Self::All => Some(0.25),
            Self::Prerequisites | Self::Compile | Self::Change => None,
        }
    }

    /// Whether the aim is to allocate nothing.
    pub fn is_without_allocation(self) -> bool {
        matches!(
            self,
            Self::Boolean | Self::FiveRules | Self::Split | Self::Segment
        )
    }
}
