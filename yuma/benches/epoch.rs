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

use cases::{CASES, RULES, SUBNET, weights};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use plain::plain;
use yuma::{Epoch, Hyperparameters, Workspace, run_many};

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

/// 256 subnets one after the other, and by [`run_many`] on one thread and on all.
fn many(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(SUBNET.name);
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    for (name, rules, liquid) in RULES {
        let params = SUBNET.parameters(rules, liquid);
        let epochs = vec![SUBNET.epoch(&params); 256];
        let subnets: Vec<(&Epoch, &Hyperparameters)> = epochs.iter().map(|epoch| (epoch, &params)).collect();
        group.throughput(Throughput::Elements(epochs.iter().map(weights).sum()));
        let mut workspace = Workspace::new();
        group.bench_function(format!("{name} in a loop"), |bencher| {
            bencher.iter(|| {
                let run = |(epoch, params): &(&Epoch, &Hyperparameters)| epoch.run_in(params, &mut workspace);
                black_box(&subnets).iter().map(run).collect::<Vec<_>>()
            })
        });
        for (threads, told) in [(1, "1 thread"), (0, "all threads")] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            group.bench_function(format!("{name} on {told}"), |bencher| {
                bencher.iter(|| pool.install(|| run_many(black_box(&subnets))))
            });
        }
    }
    group.finish();
}

criterion_group!(benches, epoch, many);
criterion_main!(benches);
