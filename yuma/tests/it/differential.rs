//! The engine against the plain computation, to the bit.

use proptest::prelude::*;
use yuma::{Epoch, Hyperparameters, LiquidAlpha, Neuron, Outcome, Profile, Q32, Rules, Workspace};

use crate::plain::plain;
use crate::properties::{epoch, hyperparameters};

fn raw(values: &[Q32]) -> Vec<u64> {
    values.iter().map(|value| value.raw()).collect()
}

/// The engine's answer, after a comparison with the plain one.
fn compare(epoch: &Epoch, params: &Hyperparameters, workspace: &mut Workspace) -> Outcome {
    let outcome = epoch.run_in(params, workspace).unwrap();
    let plain = plain(epoch, params);
    assert_eq!(outcome.permits, plain.permits);
    assert_eq!(raw(&outcome.active_stake), plain.active_stake);
    assert_eq!(raw(&outcome.consensus), plain.consensus);
    assert_eq!(raw(&outcome.rank), plain.rank);
    assert_eq!(raw(&outcome.clipped), plain.clipped);
    assert_eq!(raw(&outcome.validator_trust), plain.trust);
    assert_eq!(raw(&outcome.distance), plain.distance);
    for (given, floored) in [(&outcome.incentive, &plain.incentive), (&outcome.dividends, &plain.dividends)] {
        match params.profile {
            Profile::Subtensor => assert_eq!(&raw(given), floored),
            // The units left over are handed out one by one.
            Profile::Tandem => assert!(raw(given).iter().zip(floored).all(|(given, floored)| given - floored <= 1)),
        }
    }
    assert_eq!(outcome.bonds, plain.bonds);
    outcome
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(feature = "deep") { 20_000 } else { 768 }))]

    /// `[YU-1]`
    #[test]
    fn small_epochs_of_any_shape_equal_the_plain_computation(epoch in epoch(10), params in hyperparameters()) {
        compare(&epoch, &params, &mut Workspace::new());
    }

    /// Memory that was used before, and bonds that epochs left. `[YU-1]`
    #[test]
    fn epochs_in_a_row_equal_the_plain_computation(
        epochs in prop::collection::vec((epoch(6), hyperparameters()), 1..4),
    ) {
        let mut workspace = Workspace::new();
        for (mut epoch, params) in epochs {
            for _ in 0..2 {
                let outcome = compare(&epoch, &params, &mut workspace);
                for (neuron, bonds) in epoch.neurons.iter_mut().zip(outcome.bonds) {
                    neuron.bonds = bonds;
                }
            }
        }
    }
}

/// Enough validators for every way in which a median is found, with weights that agree, tie, or spread over all scales.
#[test]
fn large_epochs_equal_the_plain_computation() {
    let mut state = 7u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut workspace = Workspace::new();
    let sizes = if cfg!(feature = "deep") { &[11, 12, 40, 64, 400, 900][..] } else { &[11, 12, 40, 130, 410] };
    for &validators in sizes {
        for (style, density) in [(0, 100), (1, 100), (2, 100), (3, 30), (4, 8), (5, 60)] {
            let miners = if validators > 200 { 12 } else { 40 };
            let mut value = |uid: u64| match style {
                0 => 20_000 + 100 * (uid % 7) + random(50),
                1 => 1 + random(3),
                2 => 1 << random(16),
                3 => random(65_536),
                4 => 65_535,
                _ => [0, 5, 65_535][random(3) as usize],
            } as u16;
            let mut row = |keep: u64| -> Vec<(u16, u16)> {
                (validators..validators + miners)
                    .map(|uid| (uid as u16, value(uid)))
                    .filter(|cell| (u64::from(cell.0) * 7_919 + keep * 104_729) % 100 < density)
                    .collect()
            };
            let mut neurons: Vec<Neuron> = (0..validators)
                .map(|uid| Neuron {
                    stake: if style == 1 { 5 } else { u128::from(uid * uid % 97) },
                    permit: uid % 11 != 3,
                    last_update: 1,
                    weights: row(uid),
                    bonds: if uid % 5 == 0 { row(uid + 1) } else { row(uid) },
                    ..Neuron::default()
                })
                .collect();
            neurons.resize((validators + miners) as usize, Neuron::default());
            let epoch = Epoch { now: 1, bonds_since: 1, owner: None, neurons };
            for (rules, liquid_alpha) in
                [(Rules::Yuma2, None), (Rules::Yuma3, None), (Rules::Yuma3, Some(LiquidAlpha::default()))]
            {
                for bonds_penalty in [u16::MAX, 30_000] {
                    let params = Hyperparameters { liquid_alpha, bonds_penalty, ..Hyperparameters::subtensor(rules) };
                    compare(&epoch, &params, &mut workspace);
                }
            }
        }
    }
}

/// Stakes that sum to 2³² are their own shares, so that a majority can be exact to the unit.
#[test]
fn exactly_kappa_of_the_stake_lifts_the_consensus_among_many_and_a_unit_less_does_not() {
    let kappa = Q32::from_u16(32_767).raw();
    for (validators, in_favour) in [(3, 1), (15, 4), (64, 20), (64, 40), (500, 260)] {
        for missing in [0, 1] {
            // The last in favour brings what the others lack, the last against brings the rest.
            let against = validators - in_favour;
            let part = |count: u64, whole: u64, place: u64| match place {
                0 => whole - (count - 1) * (whole / (2 * count)),
                _ => whole / (2 * count),
            };
            let mut neurons: Vec<Neuron> = (0..validators)
                .map(|uid: u64| {
                    let (stake, weight) = match uid.checked_sub(against) {
                        Some(place) => (part(in_favour, kappa - missing, place), 9_000 + place as u16),
                        None => (part(against, (1 << 32) - kappa + missing, uid), 1_000 + uid as u16),
                    };
                    let weights = vec![(validators as u16, weight), (validators as u16 + 1, 50_000 - weight)];
                    Neuron { stake: stake.into(), permit: true, last_update: 1, weights, ..Neuron::default() }
                })
                .collect();
            neurons.resize(validators as usize + 2, Neuron::default());
            // Turning the order around must not matter to any sample.
            for turned in [false, true] {
                neurons[..validators as usize].rotate_left(if turned { validators as usize / 3 } else { 0 });
                let epoch = Epoch { now: 1, bonds_since: 1, owner: None, neurons: neurons.clone() };
                let outcome = compare(&epoch, &Hyperparameters::subtensor(Rules::Yuma3), &mut Workspace::new());
                let least = if missing == 0 { 9_000 } else { 1_000 + against as u16 - 1 };
                let expected = (u64::from(least) << 32) / 50_000;
                assert_eq!(
                    outcome.consensus[validators as usize].raw(),
                    expected,
                    "{validators} {in_favour} {missing}"
                );
            }
        }
    }
}
