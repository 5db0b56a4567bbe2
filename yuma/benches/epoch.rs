//! The engine beside a plain dense computation, on the cases that Subtensor's own epoch was measured with.
//! `cargo bench -p yuma --bench epoch`
#![allow(missing_docs, reason = "the macros of criterion make undocumented functions")]
#![allow(clippy::unwrap_used, reason = "the lint spares tests, but not what tests share with benches")]

mod cases;
#[path = "../tests/it/plain.rs"]
#[allow(dead_code, reason = "the tests read more of it")]
mod plain;

use std::hint::black_box;
use std::time::Duration;

use cases::{CASES, RULES, weights};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use plain::plain;
use yuma::Workspace;

fn epoch(criterion: &mut Criterion) {
    for case in &CASES {
        let mut group = criterion.benchmark_group(case.name);
        group.sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
        for (name, rules, liquid) in RULES {
            let params = case.parameters(rules, liquid);
            let epoch = case.epoch(&params);
            group.throughput(Throughput::Elements(weights(&epoch)));
            let mut workspace = Workspace::new();
            group.bench_function(name, |bencher| bencher.iter(|| black_box(&epoch).run_in(&params, &mut workspace)));
            // The largest subnet is too large for dense tables.
            if epoch.neurons.len() < 10_000 {
                group.sample_size(10);
                group.bench_function(format!("{name} plain"), |bencher| {
                    bencher.iter(|| plain(black_box(&epoch), &params))
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, epoch);
criterion_main!(benches);
