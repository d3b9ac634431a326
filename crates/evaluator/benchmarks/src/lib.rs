//! The same flags in Burgee's evaluator and in the published engines of others,
//! each expressed as that engine would have it, so that they can be measured side
//! by side. `make bench` does so.

pub mod burgee;
pub mod case;
pub mod eppo;
pub mod report;
pub mod yggdrasil;

use std::hint::black_box;

use crate::burgee::Burgee;
use crate::case::Case;
use crate::eppo::Eppo;
use crate::yggdrasil::Yggdrasil;

/// For whom every flag is evaluated: the last of a segment's keys.
pub const USER: &str = "user-9999";
/// The plan of that user, which the last of five rules asks for.
pub const PLAN: &str = "plan-4";
/// The country of that user, which all of the five rules ask for.
pub const COUNTRY: &str = "FI";
/// What else is known of the user and no rule asks for.
pub const MORE_ATTRIBUTES: [(&str, &str); 3] = [
    ("email", "alice@example.com"),
    ("device", "phone"),
    ("appVersion", "4.11.0"),
];
/// How many rules there are in [`Shape::FiveRules`].
pub const RULES: usize = 5;

/// What a flag asks. Whatever it is, the answer is on or off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// On for everybody.
    Boolean,
    /// On for the country and one of five plans, each a rule of two clauses; off
    /// else.
    FiveRules,
    /// On for one half of all users.
    Split,
    /// On for the segment of the environment; off else.
    Segment,
    /// On if another flag is.
    Needs(String),
}

/// One flag of an environment.
#[derive(Clone, Debug)]
pub struct Flag {
    /// Names it.
    pub key: String,
    /// What it asks.
    pub shape: Shape,
}

impl Flag {
    fn new(key: impl Into<String>, shape: Shape) -> Self {
        Self {
            key: key.into(),
            shape,
        }
    }
}

/// What an engine is given: some flags, and one segment that they may ask about.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The flags, by key.
    pub flags: Vec<Flag>,
    /// The keys of the segment.
    pub segment: Vec<String>,
}

impl Environment {
    /// A flag of each shape, a segment of 10,000 keys, and a flag that needs
    /// another, which needs another, five times.
    pub fn of_each_shape() -> Self {
        let mut flags = vec![
            Flag::new("boolean", Shape::Boolean),
            Flag::new("five-rules", Shape::FiveRules),
            Flag::new("split", Shape::Split),
            Flag::new("segment", Shape::Segment),
            Flag::new("needs-0", Shape::Boolean),
        ];
        flags.extend((1..=5).map(|depth| {
            let needed = format!("needs-{}", depth - 1);
            Flag::new(format!("needs-{depth}"), Shape::Needs(needed))
        }));
        Self {
            flags,
            segment: users(0..10_000),
        }
    }

    /// Many flags, a quarter each of the four shapes that all engines know, and a
    /// segment of 100 keys.
    pub fn of(flags: usize) -> Self {
        let shapes = [
            Shape::Boolean,
            Shape::FiveRules,
            Shape::Split,
            Shape::Segment,
        ];
        let flag = |index: usize| Flag::new(format!("flag-{index:04}"), shapes[index % 4].clone());
        Self {
            flags: (0..flags).map(flag).collect(),
            segment: users(9_900..10_000),
        }
    }

    /// A flag by its key.
    pub fn flag(&self, key: &str) -> &Flag {
        let found = self.flags.iter().find(|flag| flag.key == key);
        found.expect("a flag of this environment")
    }
}

fn users(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("user-{number}")).collect()
}

/// A flag engine, measured from what its server ships on.
pub trait Engine: Sized {
    /// As in the table.
    const NAME: &'static str;
    /// What the server ships of an environment.
    type Shipped;
    /// What the server ships when one flag has changed.
    type Change;
    /// For whom flags are evaluated, made once.
    type Context;

    /// Whether it has the notion that a case is about.
    fn has(case: Case) -> bool;

    /// Expresses an environment as its server would.
    fn ship(environment: &Environment) -> Self::Shipped;

    /// Expresses the change of one flag.
    fn ship_change(flag: &Flag) -> Self::Change;

    /// Makes what was shipped ready to be evaluated.
    fn compile(shipped: &Self::Shipped) -> Self;

    /// The user of the given key, with the attributes of [`USER`].
    fn context(user: &str) -> Self::Context;

    /// Whether a flag is on for a user, by the call that fits its shape.
    fn is_on(&self, flag: &Flag, context: &Self::Context) -> bool;

    /// How many of all flags are on.
    fn count_on(&self, flags: &[Flag], context: &Self::Context) -> usize {
        let is_on = |flag: &&Flag| self.is_on(flag, context);
        flags.iter().filter(is_on).count()
    }

    /// Takes a change in. What comes of it is dropped, so that the next change
    /// finds the same engine.
    fn change(&self, change: &Self::Change);
}

/// The share of users that a split is on for must be near to a half, and all
/// other flags on for [`USER`]: else the engines are not asked the same.
///
/// # Panics
///
/// If they are not.
pub fn check<E: Engine>() {
    let environment = Environment::of_each_shape();
    let engine = E::compile(&E::ship(&environment));
    let (user, stranger) = (E::context(USER), E::context("stranger"));
    for case in Case::ALL.into_iter().filter(|case| E::has(*case)) {
        let Some(flag) = case.flag_key().map(|key| environment.flag(key)) else {
            continue;
        };
        if flag.shape == Shape::Split {
            let users = (0..1000).map(|number| E::context(&format!("user-{number}")));
            let on = users.filter(|user| engine.is_on(flag, user)).count();
            assert!((440..560).contains(&on), "{}: {on} of 1000", E::NAME);
        } else {
            assert!(engine.is_on(flag, &user), "{}: {}", E::NAME, flag.key);
        }
    }
    let segment = environment.flag("segment");
    assert!(!engine.is_on(segment, &stranger), "{}", E::NAME);
}

/// Takes the time of a call, or counts what it allocates.
pub trait Meter {
    /// Measures one call of one engine.
    fn measure(&mut self, case: Case, engine: &str, call: impl FnMut());
}

/// Measures every case in every engine that has it, case by case, so that what
/// else the machine does is shared by those that are compared.
pub fn measure_all(meter: &mut impl Meter) {
    check::<Burgee>();
    check::<Yggdrasil>();
    check::<Eppo>();
    for case in Case::ALL {
        measure::<Burgee>(case, meter);
        measure::<Yggdrasil>(case, meter);
        measure::<Eppo>(case, meter);
    }
}

fn measure<E: Engine>(case: Case, meter: &mut impl Meter) {
    if !E::has(case) {
        return;
    }
    let environment = case.environment();
    let shipped = E::ship(&environment);
    if case == Case::Compile {
        // With what it takes to drop it again.
        return meter.measure(case, E::NAME, || drop(E::compile(black_box(&shipped))));
    }
    let engine = E::compile(&shipped);
    let user = E::context(USER);
    match case.flag_key() {
        Some(key) => {
            let flag = environment.flag(key);
            meter.measure(case, E::NAME, || {
                black_box(engine.is_on(black_box(flag), black_box(&user)));
            });
        }
        None if case == Case::All => meter.measure(case, E::NAME, || {
            black_box(engine.count_on(black_box(&environment.flags), black_box(&user)));
        }),
        None => {
            let changed = Flag::new("flag-2501", Shape::Split);
            let change = E::ship_change(&changed);
            meter.measure(case, E::NAME, || engine.change(black_box(&change)));
        }
    }
}
