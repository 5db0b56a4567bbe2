//! Many subnets at once.

use yuma::{Epoch, Error, Hyperparameters, LiquidAlpha, Neuron, Outcome, Rules, run_many};

fn subnet(seed: u64, validators: u16, miners: u16) -> Epoch {
    let mut state = seed;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut neurons = Vec::new();
    for _ in 0..validators {
        let weights = (validators..validators + miners).map(|uid| (uid, random(65_536) as u16)).collect();
        let bonds = (validators..validators + miners).map(|uid| (uid, random(65_536) as u16)).collect();
        let stake = 1 + u128::from(random(1_000));
        neurons.push(Neuron { stake, permit: true, last_update: 1, weights, bonds, ..Neuron::default() });
    }
    neurons.resize(usize::from(validators + miners), Neuron::default());
    Epoch { now: 1, bonds_since: 1, owner: None, neurons }
}

/// 256 subnets of 64 validators and 256 miners, one after the other and on any number of threads.
#[test]
fn many_subnets_have_the_outcomes_they_have_one_by_one() {
    let mut epochs: Vec<Epoch> = (0..256).map(|seed| subnet(seed, 64, 256)).collect();
    // One that is refused spoils no other.
    epochs[5].neurons[0].weights.push((0, 1));
    let liquid = Hyperparameters { liquid_alpha: Some(LiquidAlpha::default()), ..Hyperparameters::default() };
    let params = [Hyperparameters::subtensor(Rules::Yuma2), Hyperparameters::subtensor(Rules::Yuma3), liquid];
    let subnets: Vec<(&Epoch, &Hyperparameters)> = epochs.iter().zip(params.iter().cycle()).collect();
    let alone: Vec<Result<Outcome, Error>> = subnets.iter().map(|(epoch, params)| epoch.run(params)).collect();
    assert_eq!(alone.iter().filter(|outcome| outcome.is_err()).count(), 1);
    assert!(run_many(&subnets) == alone);
    #[cfg(feature = "rayon")]
    for threads in [1, 2, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(pool.install(|| run_many(&subnets)) == alone, "{threads} threads");
    }
}
