//! Whole epochs whose inputs and raw outputs come from the chain's own arithmetic.
//!
//! Lines: `S uid stake active_stake`, `W uid (target,weight)*`, `B uid (target,bond)*` before,
//! `O uid consensus vtrust incentive dividend (Q32) server validator combined (rao) and the first four as u16`,
//! `N uid (target,bond)*` after.

use std::io::Read;
use std::str::FromStr;

use yuma::{Epoch, Hyperparameters, LiquidAlpha, Neuron, Outcome, Profile, Q32, Row, Rules, Snapshot, Workspace};

pub(crate) struct Vector {
    pub(crate) rules: Rules,
    pub(crate) liquid_alpha: Option<LiquidAlpha>,
    pub(crate) bonds_moving_average: u32,
    pub(crate) stake: Vec<(u128, u64)>,
    pub(crate) weights: Vec<Vec<(u16, u16)>>,
    pub(crate) bonds: Vec<Vec<(u16, u16)>>,
    pub(crate) output: Vec<[u64; 11]>,
    pub(crate) new_bonds: Vec<Vec<(u16, u16)>>,
}

fn number<T: FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

pub(crate) fn parse(gz: &[u8]) -> Vector {
    let mut text = String::new();
    flate2::read::GzDecoder::new(gz).read_to_string(&mut text).unwrap();
    let header = text.lines().next().unwrap();
    assert!(header.contains("kappa 32767 bonds_penalty 65535") && header.contains("rao 1000000000"), "{header}");
    let after = |key: &str| header.split(key).nth(1).unwrap().split_whitespace().next().unwrap();
    let rules = if after("mode ") == "Yuma2" { Rules::Yuma2 } else { Rules::Yuma3 };
    let uids = text.lines().filter(|line| line.starts_with("S ")).count();
    let mut vector = Vector {
        rules,
        // Made with exactly 0.1 and 0.3, which no u16 is: the nearest ones.
        liquid_alpha: (after("mode ") == "Yuma3Liquid").then_some(LiquidAlpha {
            low: 6_554,
            high: 19_661,
            steepness: 1_000,
        }),
        bonds_moving_average: number(after("bma ")),
        stake: vec![(0, 0); uids],
        weights: vec![Vec::new(); uids],
        bonds: vec![Vec::new(); uids],
        output: vec![[0; 11]; uids],
        new_bonds: vec![Vec::new(); uids],
    };
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split_whitespace();
        let kind = fields.next().unwrap();
        let uid: usize = number(fields.next().unwrap());
        let rest: Vec<&str> = fields.collect();
        let row = || {
            rest.iter()
                .map(|cell| cell.split_once(',').map(|(uid, value)| (number(uid), number(value))).unwrap())
                .collect()
        };
        match kind {
            "S" => vector.stake[uid] = (number(rest[0]), number(rest[1])),
            "W" => vector.weights[uid] = row(),
            "B" => vector.bonds[uid] = row(),
            "N" => vector.new_bonds[uid] = row(),
            "O" => vector.output[uid] = std::array::from_fn(|field| number(rest[field])),
            _ => panic!("unknown line kind {kind}"),
        }
    }
    vector
}

fn run(vector: &Vector, profile: Profile) -> Outcome {
    let neurons = (0..vector.stake.len()).map(|uid| Neuron {
        stake: vector.stake[uid].0,
        permit: vector.stake[uid].0 > 0,
        last_update: 1,
        weights: vector.weights[uid].clone(),
        bonds: vector.bonds[uid].clone(),
        ..Neuron::default()
    });
    let epoch = Epoch { now: 2, bonds_since: 1, owner: None, neurons: neurons.collect() };
    epoch.run(&params(vector, profile)).unwrap()
}

fn params(vector: &Vector, profile: Profile) -> Hyperparameters {
    Hyperparameters {
        profile,
        liquid_alpha: vector.liquid_alpha,
        bonds_moving_average: vector.bonds_moving_average,
        ..Hyperparameters::subtensor(vector.rules)
    }
}

fn check(gz: &[u8]) {
    let vector = parse(gz);
    let outcome = run(&vector, Profile::Subtensor);
    let emission = outcome.emission(1_000_000_000);
    for (uid, expected) in vector.output.iter().enumerate() {
        let scores =
            [outcome.consensus[uid], outcome.validator_trust[uid], outcome.incentive[uid], outcome.dividends[uid]];
        let [consensus, trust, incentive, dividend] = scores.map(Q32::raw);
        let [consensus16, trust16, incentive16, dividend16] = scores.map(|score| u64::from(score.to_u16()));
        let paid = (emission.server[uid], emission.validator[uid], emission.combined[uid]);
        assert_eq!(outcome.active_stake[uid].raw(), vector.stake[uid].1, "active stake of uid {uid}");
        assert_eq!([consensus, trust, incentive, dividend], expected[..4], "scores of uid {uid}");
        assert_eq!([paid.0, paid.1, paid.2], expected[4..7], "emission of uid {uid}");
        assert_eq!([consensus16, incentive16, dividend16, trust16], expected[7..], "u16 scores of uid {uid}");
        assert_eq!(outcome.bonds[uid], vector.new_bonds[uid], "bonds of uid {uid}");
    }
    compare_ways_in(&vector, &outcome);

    let tandem = run(&vector, Profile::Tandem);
    assert_eq!((&tandem.consensus, &tandem.rank, &tandem.bonds), (&outcome.consensus, &outcome.rank, &outcome.bonds));
    for (exact, floored) in [(&tandem.incentive, &outcome.incentive), (&tandem.dividends, &outcome.dividends)] {
        assert_eq!(exact.iter().copied().sum::<Q32>(), Q32::ONE);
        assert!(exact.iter().zip(floored).all(|(exact, floored)| exact.raw() - floored.raw() <= 1));
    }
}

/// `[YU-1]`
#[test]
fn yuma2_with_16_validators_equals_the_chain_to_the_bit() {
    check(include_bytes!("../vectors/16x240-dense-uniform-yuma2.txt.gz"));
}

/// `[YU-1]`
#[test]
fn yuma2_with_64_validators_equals_the_chain_to_the_bit() {
    check(include_bytes!("../vectors/64x192-dense-agree-yuma2.txt.gz"));
}

/// `[YU-1]`
#[test]
fn yuma3_with_64_validators_equals_the_chain_to_the_bit() {
    check(include_bytes!("../vectors/64x192-dense-agree-yuma3.txt.gz"));
}

/// Activity and permits given directly, and memory that another epoch has used, change nothing.
fn compare_ways_in(vector: &Vector, outcome: &Outcome) {
    let stakes: Vec<u128> = vector.stake.iter().map(|stake| stake.0).collect();
    let permits: Vec<bool> = stakes.iter().map(|&stake| stake > 0).collect();
    let weights: Vec<Row<'_>> = vector.weights.iter().map(Vec::as_slice).collect();
    let bonds: Vec<Row<'_>> = vector.bonds.iter().map(Vec::as_slice).collect();
    let active = vec![true; stakes.len()];
    let snapshot = Snapshot { stakes: &stakes, permits: &permits, active: &active, weights: &weights, bonds: &bonds };
    let mut workspace = Workspace::new();
    let other = Snapshot { bonds: &weights, weights: &bonds, ..snapshot };
    for rules in [Rules::Yuma2, Rules::Yuma3] {
        other.run_in(&Hyperparameters::subtensor(rules), &mut workspace).unwrap();
    }
    assert_eq!(snapshot.run_in(&params(vector, Profile::Subtensor), &mut workspace).as_ref(), Ok(outcome));
}

/// The chain's exponential is another one: raw scores to 1e-6, what is stored to one unit. `[YU-1]`
#[test]
fn yuma3_with_liquid_alpha_equals_the_chain_but_for_its_exponential() {
    let vector = parse(include_bytes!("../vectors/64x192-dense-agree-yuma3l.txt.gz"));
    let outcome = run(&vector, Profile::Subtensor);
    compare_ways_in(&vector, &outcome);
    let emission = outcome.emission(1_000_000_000);
    let millionth = (1 << 32) / 1_000_000;
    for (uid, expected) in vector.output.iter().enumerate() {
        let scores =
            [outcome.consensus[uid], outcome.validator_trust[uid], outcome.incentive[uid], outcome.dividends[uid]];
        for (score, expected) in scores.iter().zip(expected) {
            assert!(score.raw().abs_diff(*expected) <= millionth, "scores of uid {uid}");
        }
        // Bonds have no part in these.
        assert_eq!([scores[0], scores[1], scores[2]].map(Q32::raw), expected[..3]);
        let paid = [emission.server[uid], emission.validator[uid], emission.combined[uid]];
        assert!(paid.iter().zip(&expected[4..7]).all(|(paid, expected)| paid.abs_diff(*expected) <= 1_000));
        let stored = [scores[0], scores[2], scores[3], scores[1]].map(|score| u64::from(score.to_u16()));
        assert!(stored.iter().zip(&expected[7..]).all(|(stored, expected)| stored.abs_diff(*expected) <= 1));
        assert_eq!(outcome.bonds[uid].len(), vector.new_bonds[uid].len());
        for (bond, expected) in outcome.bonds[uid].iter().zip(&vector.new_bonds[uid]) {
            assert!(bond.0 == expected.0 && bond.1.abs_diff(expected.1) <= 1, "bond of {uid} on {}", bond.0);
        }
    }
}
