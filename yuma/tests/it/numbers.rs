//! The number of the engine, at its edges; what else is computed from a few numbers.

use yuma::{Epoch, Hyperparameters, LiquidAlpha, Neuron, Q32};

const ONE: u64 = 1 << 32;

/// Subtensor's fixed-point numbers are cut off, not rounded, and saturate.
#[test]
fn scores_are_floored_to_u16_and_saturate() {
    let stored = |raw| Q32::from_raw(raw).to_u16();
    assert_eq!(
        [0, 65_537, 65_538, ONE - 1, ONE, ONE + 1, 2 * ONE, u64::MAX].map(stored),
        [0, 0, 1, 65_534, 65_535, 65_535, 65_535, 65_535]
    );
    for value in 0..=u16::MAX {
        let read = Q32::from_u16(value);
        assert_eq!(read.raw(), (u64::from(value) << 32) / 65_535);
        // One unit is lost on the way, but for the ends.
        let expected = if value == 0 || value == u16::MAX { value } else { value - 1 };
        assert_eq!(read.to_u16(), expected);
        assert_eq!(Q32::from_raw(read.raw() + 1).to_u16(), value);
    }
}

#[test]
fn numbers_are_written_with_ten_decimals_cut_off() {
    let written = |raw| Q32::from_raw(raw).to_string();
    assert_eq!(written(0), "0.0000000000");
    assert_eq!(written(1), "0.0000000002");
    assert_eq!(written(ONE / 2), "0.5000000000");
    assert_eq!(written(ONE - 1), "0.9999999997");
    assert_eq!(written(7 * ONE + ONE / 3), "7.3333333332");
    assert_eq!(format!("{:?}", Q32::ONE), "Q32(1.0000000000)");
}

/// Thousandths of a tempo, and never no block at all. The chain's default is 13,889.
#[test]
fn the_activity_cutoff_is_a_part_of_the_tempo() {
    assert_eq!(Hyperparameters::activity_cutoff(13_889, 360), 5_000);
    assert_eq!(Hyperparameters::activity_cutoff(999, 1), 1);
    assert_eq!(Hyperparameters::activity_cutoff(0, 360), 1);
    assert_eq!(Hyperparameters::activity_cutoff(2_000, 1), 2);
    assert_eq!(Hyperparameters::activity_cutoff(u32::MAX, u16::MAX), u64::from(u32::MAX) * 65_535 / 1_000);
}

/// Weight, bond and liquid α all exactly 1, or α exactly 0 and the bond exactly 1: products that need 65 bits. Two validators,
/// so that no stake is 1 as well.
#[test]
fn a_liquid_alpha_of_exactly_one_or_zero_leaves_a_whole_bond_whole() {
    for (low, high, bond) in [(u16::MAX, u16::MAX, 0), (u16::MAX, u16::MAX, u16::MAX), (0, 1, u16::MAX)] {
        let liquid = LiquidAlpha { low, high, steepness: i16::MAX };
        let params = Hyperparameters { liquid_alpha: Some(liquid), ..Hyperparameters::default() };
        for count in [3, 40] {
            let mut neurons = vec![Neuron::default(); count];
            for neuron in &mut neurons[..2] {
                let bonds = if bond == 0 { Vec::new() } else { vec![(2, bond)] };
                let weights = vec![(2, 1)];
                *neuron = Neuron { stake: 1, permit: true, last_update: 1, weights, bonds, ..Neuron::default() };
            }
            let epoch = Epoch { now: 1, bonds_since: 1, owner: None, neurons };
            let outcome = epoch.run(&params).unwrap();
            assert_eq!(outcome.bonds[..2], [[(2, u16::MAX)], [(2, u16::MAX)]], "low {low}, bond {bond}");
        }
    }
}
