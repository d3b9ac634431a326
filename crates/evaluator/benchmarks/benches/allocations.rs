//! Counts what each engine allocates for one call, with an allocator that counts.
//! Leaves the numbers for the table that `times` closes with.

use burgee_evaluator_benchmarks::case::Case;
use burgee_evaluator_benchmarks::report::Allocations;
use burgee_evaluator_benchmarks::{Meter, measure_all};

struct Counter(Allocations);

impl Meter for Counter {
    fn measure(&mut self, case: Case, engine: &str, mut call: impl FnMut()) {
        // What is made at the first use, and kept.
        call();
        let counted = allocation_counter::measure(call);
        self.0.insert(case, engine, counted.count_total);
    }
}

fn main() -> std::io::Result<()> {
    let mut counter = Counter(Allocations::default());
    measure_all(&mut counter);
    counter.0.write(env!("CARGO_TARGET_TMPDIR").as_ref())
}
