//! One epoch of 64 validators and 192 miners, every weight set. `cargo bench -p yuma`
#![allow(missing_docs, reason = "the macros of criterion make undocumented functions")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use yuma::{Epoch, Hyperparameters, Neuron, Rules};

const VALIDATORS: u16 = 64;
const MINERS: u16 = 192;

/// Validators that agree but for a little noise, in the second epoch of their bonds.
fn dense(params: &Hyperparameters) -> Epoch {
    let mut state = 1u64;
    let mut noise = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let quality: Vec<u64> = (0..MINERS).map(|_| 1_000 + noise(50_000)).collect();
    let validator = |_| Neuron {
        stake: 1 + u128::from(noise(1_000)),
        permit: true,
        last_update: 1,
        weights: (VALIDATORS..).zip(&quality).map(|(uid, quality)| (uid, (quality + noise(5_000)) as u16)).collect(),
        ..Neuron::default()
    };
    let mut neurons: Vec<Neuron> = (0..VALIDATORS).map(validator).collect();
    neurons.resize(usize::from(VALIDATORS + MINERS), Neuron::default());
    let mut epoch = Epoch { now: 1, bonds_since: 1, owner: None, neurons };
    let bonds = epoch.run(params).expect("the input is well formed").bonds;
    epoch.neurons.iter_mut().zip(bonds).for_each(|(neuron, bonds)| neuron.bonds = bonds);
    epoch
}

fn epoch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("64x192 dense");
    for rules in [Rules::Yuma2, Rules::Yuma3] {
        let params = Hyperparameters::subtensor(rules);
        let epoch = dense(&params);
        group.bench_function(format!("{rules:?}"), |bencher| bencher.iter(|| black_box(&epoch).run(&params)));
    }
    group.finish();
}

criterion_group!(benches, epoch);
criterion_main!(benches);
