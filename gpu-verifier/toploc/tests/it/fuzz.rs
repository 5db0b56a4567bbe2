//! Rubbish and forgeries by the thousand: nothing panics, nothing passes.

use proptest::prelude::*;
use toploc::{Activations, Params, Proof, Thresholds};

use crate::common::{HIDDEN, PARAMS, SplitMix64, activations, wire};

/// Bytes that somebody might send instead of an honest proof of a block, by number of the kind.
fn forged(kind: u64, honest: &[u8], foreign: &[u8], rng: &mut SplitMix64) -> Vec<u8> {
    let mut below = |n: u64| rng.next() % n;
    let coefficient = |value: u64| (value % 65_497) as u16;
    match kind {
        // Noise, and noise that is well formed.
        0 => (0..258).map(|_| below(256) as u8).collect(),
        1 => wire(65_497 - below(4) as u16, (0..128).map(|_| coefficient(below(65_497)))),
        // Another block's proof, whole and damaged.
        2 => foreign.to_vec(),
        3 => foreign.iter().map(|&byte| if below(16) == 0 { below(256) as u8 } else { byte }).collect(),
        // The honest proof with its polynomial changed at a power of one or more, which moves it everywhere but at 0.
        4 => {
            let mut bytes = honest.to_vec();
            bytes[4 + below(254) as usize] ^= 1 << below(8);
            bytes
        }
        // Polynomials of few coefficients, near the values that large elements have.
        5 => {
            let degree = below(4) as usize;
            let value = 0x4000 + below(256);
            wire(
                65_497,
                (0..128).map(|j| if j == 0 || j <= degree { coefficient(value * (j as u64 * 7_919 + 1)) } else { 0 }),
            )
        }
        // Every other length.
        6 => honest.iter().copied().cycle().take(below(600) as usize).filter(|_| below(500) > 0).collect(),
        // Other moduli.
        _ => wire(below(65_536) as u16, (1..129).map(coefficient)),
    }
}

#[test]
fn no_forged_proof_passes_and_none_panics() {
    let rounds = if cfg!(feature = "deep") { 200_000 } else { 4_000 };
    let bits = activations(6, 32 * HIDDEN);
    let honest = toploc::build_block(&bits, PARAMS).unwrap().to_bytes();
    let foreign = toploc::build_block(&activations(7, 32 * HIDDEN), PARAMS).unwrap().to_bytes();
    let mut rng = SplitMix64(8);
    let mut compared = 0;
    for round in 0..rounds {
        let bytes = forged(round % 8, &honest, &foreign, &mut rng);
        if bytes == honest {
            continue;
        }
        let Ok(proof) = Proof::parse(&bytes, PARAMS.topk) else { continue };
        assert_eq!(proof.to_bytes(), bytes, "a second spelling was accepted");
        if let Ok(report) = toploc::verify_block(&bits, &proof, PARAMS) {
            assert_ne!(Thresholds::default().judge(&report), [], "round {round} passed");
            compared += 1;
        }
    }
    assert!(compared > rounds / 3, "only {compared} of {rounds} were well formed: too little was tested");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(feature = "deep") { 20_000 } else { 256 }))]

    #[test]
    fn any_bytes_and_any_text_are_parsed_or_refused_without_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        text in ".{0,400}",
        topk in 0_usize..200,
    ) {
        if let Ok(proof) = Proof::parse(&bytes, topk) {
            prop_assert_eq!(proof.to_bytes(), bytes);
        }
        if let Ok(proof) = Proof::parse_base64(&text, topk) {
            prop_assert_eq!(proof.to_base64(), text);
        }
    }

    #[test]
    fn any_finite_activations_prove_and_pass_and_come_back_from_the_wire(
        seed in any::<u64>(), rows in 1_usize..80, hidden in 1_usize..300, topk in 1_usize..140, block_rows in 1_usize..40,
    ) {
        let mut bits = activations(seed, rows * hidden);
        bits.iter_mut().filter(|b| **b & 0x7fff == 0).for_each(|b| *b = 1);
        let params = Params { topk, block_rows };
        let matrix = Activations::new(&bits, hidden).unwrap();
        let proofs = toploc::build(matrix, params).unwrap();
        let text: Vec<String> = proofs.iter().map(Proof::to_base64).collect();
        for report in toploc::verify_base64(matrix, &text, params).unwrap() {
            prop_assert_eq!(Thresholds::exact().judge(&report), []);
        }
    }

    #[test]
    fn any_activation_bits_are_proved_or_refused_without_panic(
        bits in proptest::collection::vec(any::<u16>(), 1..2_000), other in any::<u64>(),
    ) {
        let made = toploc::build_block(&bits, PARAMS);
        let foreign = toploc::build_block(&activations(other, 4_096), PARAMS).unwrap();
        let seen = toploc::verify_block(&bits, &foreign, PARAMS);
        if made.is_ok() && bits.len() > 128 {
            let report = seen.unwrap();
            prop_assert!(!Thresholds::default().judge(&report).is_empty());
        }
    }
}
