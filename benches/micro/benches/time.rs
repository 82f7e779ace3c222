//! The time that one of each takes, by criterion. A busy machine changes it: see `micro.rs`.

use std::time::Instant;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use php_event_micro::{ROWS, Side};

fn times(criterion: &mut Criterion) {
    for row in &ROWS {
        let mut group = criterion.benchmark_group(row.name);
        for side in [Side::Ours, Side::Bare] {
            let id = BenchmarkId::from_parameter(format!("{side:?}"));
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|units| {
                    let begun = Instant::now();
                    row.run(side, units).expect("the loop runs");
                    begun.elapsed()
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, times);
criterion_main!(benches);
