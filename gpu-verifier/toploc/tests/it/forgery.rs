//! Proofs made without running the model.

use toploc::{Activations, Fault, Proof, Thresholds};

use crate::common::{PARAMS, SplitMix64, activations, bf16, wire};

const HIDDEN: usize = 4_096;

fn constant(value: u16) -> Proof {
    Proof::parse(&wire(65_497, (0..128).map(|j| if j == 0 { value } else { 0 })), 128).unwrap()
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

/// What this format cannot see by itself: if a few dimensions are huge and hardly vary, their public means are a proof. That
/// is why a response is also checked by its tokens. Where they do vary, the proof fails.
#[test]
fn the_means_of_static_outliers_pass_where_they_do_not_vary_and_only_there() {
    for (variation, passes) in [(0.01, true), (0.25, false)] {
        let mut rng = SplitMix64(34);
        let mut bits = activations(35, 32 * HIDDEN);
        let mut means = bits.clone();
        for dim in 0..4 {
            let mean = 40.0 + 20.0 * dim as f32;
            for row in 0..32 {
                let at = row * HIDDEN + 1_000 * dim + 17;
                bits[at] = bf16(mean * (1.0 + variation * rng.gaussian()));
                means[at] = bf16(mean);
            }
        }
        let forged = toploc::build_block(&means, PARAMS).unwrap();
        let report = toploc::verify_block(&bits, &forged, PARAMS).unwrap();
        assert_eq!(Thresholds::default().judge(&report).is_empty(), passes, "{variation}: {report:?}");
    }
}
