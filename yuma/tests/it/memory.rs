//! What an epoch takes from the heap, as an allocator counts it.

use allocation_counter::measure;
use yuma::{Epoch, Hyperparameters, LiquidAlpha, Neuron, Profile, Rules, Workspace};

/// Bytes on top of the input, which is borrowed: per weight or bond of the input, and per uid.
const PER_ENTRY: u64 = 24;
const PER_UID: u64 = 512;
/// Bytes of a bond in the outcome.
const BOND: u64 = 4;

/// Whether a validator weighs a miner, and has a bond with it.
type Shape = fn(u16, u16) -> (bool, bool);

const SHAPES: [(&str, Shape); 7] = [
    ("everybody on everybody", |_, _| (true, true)),
    ("with gaps", |validator, miner| ((validator ^ miner) % 2 == 0, (validator ^ miner) % 2 == 0)),
    ("bonds beside the weights", |validator, miner| ((validator ^ miner) % 2 == 0, (validator ^ miner) % 2 == 1)),
    ("weights without bonds", |_, miner| (miner % 2 == 0, false)),
    ("weights without bonds or gaps", |_, _| (true, false)),
    ("bonds without weights", |_, miner| (false, miner % 2 == 0)),
    ("more bonds than weights", |validator, miner| ((validator ^ miner) % 8 == 0, (validator ^ miner) % 4 != 1)),
];

fn subnet(shape: Shape, validators: u16, miners: u16) -> Epoch {
    let neuron = |uid: u16| {
        let chosen = |pick: fn((bool, bool)) -> bool| -> Vec<(u16, u16)> {
            let miners = validators..=validators - 1 + miners;
            miners.filter(|&miner| pick(shape(uid, miner))).map(|miner| (miner, 1 + miner % 1_000)).collect()
        };
        let (weights, bonds) = (chosen(|(weight, _)| weight), chosen(|(_, bond)| bond));
        Neuron { stake: 1, permit: true, last_update: 9, weights, bonds, ..Neuron::default() }
    };
    let mut neurons: Vec<Neuron> = (0..validators).map(neuron).collect();
    neurons.resize(usize::from(validators) + usize::from(miners), Neuron::default());
    Epoch { now: 9, bonds_since: 5, owner: None, neurons }
}

fn entries(epoch: &Epoch) -> u64 {
    epoch.neurons.iter().map(|neuron| (neuron.weights.len() + neuron.bonds.len()) as u64).sum()
}

fn rules() -> impl Iterator<Item = Hyperparameters> {
    let rules = [(Rules::Yuma2, None), (Rules::Yuma3, None), (Rules::Yuma3, Some(LiquidAlpha::default()))];
    rules.into_iter().flat_map(|(rules, liquid_alpha)| {
        [Profile::Subtensor, Profile::Tandem].map(|profile| Hyperparameters {
            profile,
            liquid_alpha,
            max_validators: u16::MAX,
            ..Hyperparameters::subtensor(rules)
        })
    })
}

/// Bytes at most at a time, and how often some were asked for.
fn taken(epoch: &Epoch, params: &Hyperparameters, workspace: &mut Workspace) -> (u64, u64) {
    let mut outcome = None;
    let taken = measure(|| outcome = Some(epoch.run_in(params, workspace)));
    assert!(outcome.is_some_and(|outcome| outcome.is_ok()));
    (taken.bytes_max, taken.count_total)
}

/// The most take weights without bonds if something of every row is left out, so that all are copied.
#[test]
fn no_shape_of_weights_and_bonds_takes_more_than_24_bytes_per_entry() {
    for (name, shape) in SHAPES {
        for newcomer in [false, true] {
            let mut epoch = subnet(shape, 256, 1_024);
            if newcomer {
                // Weights and bonds on this one do not count.
                epoch.neurons[1_000].registered = 9;
            }
            let (entries, uids) = (entries(&epoch), epoch.neurons.len() as u64);
            for params in rules() {
                let mut workspace = Workspace::new();
                let (first, _) = taken(&epoch, &params, &mut workspace);
                assert!(first <= PER_ENTRY * entries + PER_UID * uids, "{name} {newcomer} {params:?}: {first} bytes");
                // With memory that was used before, the new bonds are what is left.
                let (second, _) = taken(&epoch, &params, &mut workspace);
                assert!(second <= BOND * entries + PER_UID * uids, "{name} {newcomer} {params:?}: {second} bytes");
            }
        }
    }
}

#[test]
fn how_often_memory_is_asked_for_does_not_depend_on_the_weights() {
    for (name, shape) in SHAPES {
        for params in rules() {
            let counts = [100, 4_000].map(|miners| {
                let (epoch, mut workspace) = (subnet(shape, 64, miners), Workspace::new());
                taken(&epoch, &params, &mut workspace);
                taken(&epoch, &params, &mut workspace).1
            });
            assert_eq!(counts[0], counts[1], "{name} {params:?}");
        }
    }
}

/// A mebibyte is 2²⁰ bytes.
#[test]
fn the_largest_subnet_takes_128_mebibytes_with_its_input() {
    let hundredth: Shape = |validator, miner| {
        let chosen = (u64::from(validator) * 7_919 + u64::from(miner) * 104_729) % 1_009 < 10;
        (chosen, chosen)
    };
    let mut weights = 0;
    for params in rules().filter(|params| params.profile == Profile::Tandem && params.liquid_alpha.is_none()) {
        let taken = measure(|| {
            let epoch = subnet(hundredth, 1_024, 64_512);
            weights = entries(&epoch) / 2;
            assert!(epoch.run(&params).is_ok());
        });
        assert!(weights > 650_000 && taken.bytes_max < 128 << 20, "{weights} weights, {} bytes", taken.bytes_max);
    }
}
