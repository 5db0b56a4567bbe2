//! Proofs made without running the model.

use toploc::{Activations, Fault, Params, Proof, Thresholds};

use crate::common::{SplitMix64, activations, bf16};

const PARAMS: Params = Params { topk: 128, block_rows: 32 };
const HIDDEN: usize = 4_096;

fn constant(value: u16) -> Proof {
    let mut bytes = vec![0; 258];
    bytes[..2].copy_from_slice(&65_497_u16.to_be_bytes());
    bytes[2..4].copy_from_slice(&value.to_be_bytes());
    Proof::parse(&bytes, 128).unwrap()
}

fn without(mut faults: Vec<Fault>, removed: &[Fault]) -> Vec<Fault> {
    faults.retain(|f| !removed.contains(f));
    faults
}

/// The largest of many Gaussian values share an exponent, so one typical value fools the published thresholds. Decoys
/// and signs see through it, each on its own.
#[test]
fn a_constant_polynomial_is_caught_by_decoys_and_by_signs() {
    let mut fooled = 0;
    for seed in 0..20 {
        let bits = activations(seed, 32 * HIDDEN);
        let mut magnitudes: Vec<u16> = bits.iter().map(|b| b & 0x7fff).collect();
        magnitudes.sort_unstable_by(|a, b| b.cmp(a));
        let report = toploc::verify_block(&bits, &constant(magnitudes[64]), PARAMS).unwrap();
        let faults = Thresholds::default().judge(&report);
        assert!(faults.contains(&Fault::Decoy), "seed {seed}: {report:?}");
        assert!(faults.contains(&Fault::Sign), "seed {seed}: {report:?}");
        fooled += usize::from(without(faults, &[Fault::Decoy, Fault::Sign]).is_empty());
    }
    assert!(fooled >= 10, "the published thresholds alone were fooled only {fooled} times: the test data is too easy");
}

/// The Python library does not compare signs.
#[test]
fn negated_activations_fail_by_their_signs_alone() {
    let bits = activations(30, 32 * HIDDEN);
    let negated: Vec<u16> = bits.iter().map(|b| b ^ 0x8000).collect();
    let proof = toploc::build_block(&negated, PARAMS).unwrap();
    let report = toploc::verify_block(&bits, &proof, PARAMS).unwrap();
    assert_eq!(Thresholds::default().judge(&report), [Fault::Sign]);
}

#[test]
fn proofs_of_other_activations_and_in_another_order_fail() {
    let bits = activations(31, 96 * HIDDEN);
    let matrix = Activations::new(&bits, HIDDEN).unwrap();
    let mut proofs = toploc::build(matrix, PARAMS).unwrap();
    proofs.rotate_left(1);
    for report in toploc::verify(matrix, &proofs, PARAMS).unwrap() {
        assert!(Thresholds::default().judge(&report).contains(&Fault::Exponents));
    }
}

/// Honest noise must not look like a forgery: the limits tolerate about 5 %.
#[test]
fn honest_noise_of_one_percent_passes_and_of_twenty_does_not() {
    let mut noise = SplitMix64(32);
    let mut rng = SplitMix64(33);
    let values: Vec<f32> = (0..32 * HIDDEN).map(|_| rng.gaussian()).collect();
    let mut shaken =
        |scale: f32| -> Vec<u16> { values.iter().map(|v| bf16(v * (1.0 + scale * noise.gaussian()))).collect() };
    let own: Vec<u16> = values.iter().map(|&v| bf16(v)).collect();
    for (scale, passes) in [(0.01, true), (0.2, false)] {
        let proof = toploc::build_block(&shaken(scale), PARAMS).unwrap();
        let report = toploc::verify_block(&own, &proof, PARAMS).unwrap();
        let faults = Thresholds::default().judge(&report);
        assert_eq!(faults.is_empty(), passes, "{scale}: {report:?}");
        assert!(!faults.contains(&Fault::Decoy));
    }
}
