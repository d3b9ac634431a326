//! Takes the time of each call with criterion, and closes with a table of
//! everything.

use std::path::Path;
use std::time::Duration;

use burgee_evaluator_benchmarks::case::Case;
use burgee_evaluator_benchmarks::{Meter, measure_all, report};
use criterion::Criterion;

/// Short, as neighbours come and go: what is compared is measured within a few
/// seconds.
const WARM_UP: Duration = Duration::from_millis(300);
const MEASUREMENT: Duration = Duration::from_secs(1);
const SAMPLES: usize = 50;
/// Of what takes milliseconds.
const FEW_SAMPLES: usize = 10;

struct Timer(Criterion);

impl Meter for Timer {
    fn measure(&mut self, case: Case, engine: &str, mut call: impl FnMut()) {
        let mut group = self.0.benchmark_group(case.id());
        if matches!(case, Case::Compile | Case::Change) {
            group.sample_size(FEW_SAMPLES);
        }
        group.bench_function(engine, |bencher| bencher.iter(&mut call));
        group.finish();
    }
}

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let criterion = Criterion::default()
        .output_directory(folder)
        .warm_up_time(WARM_UP)
        .measurement_time(MEASUREMENT)
        .sample_size(SAMPLES)
        .configure_from_args();
    measure_all(&mut Timer(criterion));
    report::print(folder)
}
