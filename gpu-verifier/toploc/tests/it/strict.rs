//! The defects that crash or mislead the Python library 0.1.6, each as a regression test, and fuzz. `[VF-1]`

use proptest::prelude::*;
use toploc::{ActivationError, Activations, BuildError, PRIME, Params, ParseError, Proof, Thresholds, VerifyError};

use crate::common::{SplitMix64, activations};

const HIDDEN: usize = 256;
const PARAMS: Params = Params { topk: 128, block_rows: 32 };

fn wire(modulus: u16, coefficients: impl IntoIterator<Item = u16>) -> Vec<u8> {
    std::iter::once(modulus).chain(coefficients).flat_map(u16::to_be_bytes).collect()
}

fn prove(bits: &[u16]) -> Vec<Proof> {
    toploc::build(Activations::new(bits, HIDDEN).unwrap(), PARAMS).unwrap()
}

/// The library forgets to fold indices on one of its two paths, so that honest proofs with a smaller modulus fail.
#[test]
fn honest_proofs_pass_whatever_their_modulus() {
    let params = Params { topk: 128, block_rows: 32 };
    let mut smaller = 0;
    for seed in 0..40 {
        let bits = activations(1_000 + seed, 32 * 4_096);
        let matrix = Activations::new(&bits, 4_096).unwrap();
        let proofs = toploc::build(matrix, params).unwrap();
        smaller += usize::from(u32::from(proofs[0].modulus()) < PRIME);
        let report = &toploc::verify(matrix, &proofs, params).unwrap()[0];
        assert_eq!(Thresholds::exact().judge(report), []);
    }
    assert!(smaller > 0, "no block needed a smaller modulus, so nothing was tested");
}

/// The library's own error value divides by zero in its verifier.
#[test]
fn the_null_proof_is_refused() {
    assert_eq!(Proof::parse(&[0; 258], 128), Err(ParseError::Null));
    assert_eq!(Proof::parse(&wire(65_497, [0; 128]), 128), Err(ParseError::Null));
}

/// A proof without coefficients crashes the library.
#[test]
fn proofs_of_any_other_length_are_refused() {
    let good = prove(&activations(1, 32 * HIDDEN))[0].to_bytes();
    for length in (0..good.len()).chain([good.len() + 1, good.len() + 2, 10_000]) {
        let mut bytes = good.clone();
        bytes.resize(length, 1);
        assert_eq!(Proof::parse(&bytes, 128), Err(ParseError::Length { topk: 128, expected: 258, got: length }));
    }
}

/// More proofs than blocks end the library's process; fewer are verified in silence.
#[test]
fn the_number_of_proofs_must_be_exact() {
    let bits = activations(2, 70 * HIDDEN);
    let matrix = Activations::new(&bits, HIDDEN).unwrap();
    let proofs = prove(&bits);
    assert_eq!(proofs.len(), 3);
    for count in [0, 1, 2, 4, 7] {
        let given: Vec<Proof> = proofs.iter().cycle().take(count).cloned().collect();
        assert_eq!(toploc::verify(matrix, &given, PARAMS), Err(VerifyError::Count { expected: 3, got: count }));
    }
}

#[test]
fn a_modulus_outside_the_honest_range_is_refused() {
    for modulus in [0, 1, 2, 128, 32_767, 32_768, 65_498, u16::MAX] {
        assert_eq!(Proof::parse(&wire(modulus, [7; 128]), 128), Err(ParseError::Modulus(modulus)));
    }
    for modulus in [32_769, 65_497] {
        assert!(Proof::parse(&wire(modulus, [7; 128]), 128).is_ok());
    }
}

#[test]
fn a_second_spelling_of_a_coefficient_is_refused() {
    for value in [65_497, 65_498, u16::MAX] {
        let mut coefficients = [7; 128];
        coefficients[100] = value;
        assert_eq!(Proof::parse(&wire(65_497, coefficients), 128), Err(ParseError::Coefficient { index: 100, value }));
    }
}

#[test]
fn base64_must_be_canonical() {
    let good = prove(&activations(1, 32 * HIDDEN))[0].to_base64();
    assert!(Proof::parse_base64(&good, 128).is_ok());
    for bad in [good.replacen('A', "!", 1), good.replace('=', "A"), format!("{} ", &good[..good.len() - 1])] {
        assert!(bad == good || Proof::parse_base64(&bad, 128).is_err());
    }
    assert!(matches!(Proof::parse_base64(&good[1..], 128), Err(ParseError::Length { .. })));
    assert!(matches!(Proof::parse_base64("", 128), Err(ParseError::Length { .. })));
}

/// Ties at the k-th place are decided differently by different machines; all choices must pass.
#[test]
fn any_choice_among_tied_elements_passes_without_an_error() {
    let mut bits = activations(3, 32 * HIDDEN);
    // Everything above 2.0 becomes one of eight values, so that the boundary is one large tie.
    for b in &mut bits {
        if *b & 0x7fff >= 0x4000 {
            *b &= 0xfff0;
        }
    }
    let mut order: Vec<usize> = (0..bits.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(bits[i] & 0x7fff), std::cmp::Reverse(i)));
    let highest = toploc::build_from_indices(&bits, &order[..128], PARAMS).unwrap();
    let lowest = toploc::build_block(&bits, PARAMS).unwrap();
    assert_ne!(highest, lowest, "the data had no tie");
    for proof in [highest, lowest] {
        let report = toploc::verify_block(&bits, &proof, PARAMS).unwrap();
        assert!(report.candidates > report.points);
        assert_eq!(Thresholds::exact().judge(&report), []);
    }
}

#[test]
fn a_block_smaller_than_the_top_k_commits_all_of_it_and_pads_with_zeros() {
    let bits = activations(4, 64);
    let proof = toploc::build_block(&bits, PARAMS).unwrap();
    assert_eq!(proof.to_bytes().len(), 258);
    assert!(proof.coefficients()[64..].iter().all(|&c| c == 0));
    let report = toploc::verify_block(&bits, &proof, PARAMS).unwrap();
    assert_eq!((report.points, report.exp_mismatches), (64, 0));

    let mut bytes = proof.to_bytes();
    bytes[257] = 1;
    let padded = Proof::parse(&bytes, 128).unwrap();
    let refused = toploc::verify_block(&bits, &padded, PARAMS);
    assert_eq!(refused, Err(VerifyError::Padding { index: 0, points: 64 }));
}

/// Equally large elements of both signs: an honest prover may have committed those of one sign, which is a constant.
#[test]
fn a_constant_is_no_forgery_where_the_largest_elements_are_all_equally_large() {
    let bits: Vec<u16> = (0..32 * HIDDEN).map(|i| if i % 3 == 0 { 0xc040 } else { 0x4040 }).collect();
    let positive: Vec<usize> = (0..bits.len()).filter(|i| i % 3 != 0).take(128).collect();
    let proof = toploc::build_from_indices(&bits, &positive, PARAMS).unwrap();
    assert_eq!(proof.coefficients()[1..], [0; 127]);
    let report = toploc::verify_block(&bits, &proof, PARAMS).unwrap();
    assert_eq!(Thresholds::exact().judge(&report), []);
}

#[test]
fn broken_activations_are_an_error_that_does_not_blame_the_prover() {
    let proof = prove(&activations(5, 32 * HIDDEN));
    for poison in [0x7f80, 0xff80, 0x7fc0, 0xffff] {
        let mut bits = activations(5, 32 * HIDDEN);
        bits[77] = poison;
        let matrix = Activations::new(&bits, HIDDEN).unwrap();
        assert_eq!(
            toploc::build(matrix, PARAMS),
            Err(BuildError::Activations(ActivationError::NotFinite { block: 0 }))
        );
        let error = toploc::verify(matrix, &proof, PARAMS).unwrap_err();
        assert!(!error.blames_prover());
    }
    assert_eq!(toploc::build_block(&[0; 4_096], PARAMS), Err(BuildError::AllZero(0)));
    assert!(Activations::new(&[1, 2, 3], 2).is_err());
    assert!(Activations::new(&[], 0).is_err());
    let silly = Params { topk: 0, block_rows: 32 };
    assert!(matches!(
        toploc::build_block(&[1, 2], silly),
        Err(BuildError::Activations(ActivationError::Params { .. }))
    ));
}

#[test]
fn no_rows_need_no_proofs() {
    let matrix = Activations::new(&[], HIDDEN).unwrap();
    assert_eq!(toploc::build(matrix, PARAMS), Ok(vec![]));
    assert_eq!(toploc::verify(matrix, &[], PARAMS), Ok(vec![]));
}

/// Random well-formed proofs, some mutated from an honest proof of *other* activations.
#[test]
fn no_random_proof_passes() {
    let rounds = if cfg!(feature = "deep") { 200_000 } else { 3_000 };
    let bits = activations(6, 32 * 64);
    let honest_elsewhere = toploc::build_block(&activations(7, 32 * 64), PARAMS).unwrap().to_bytes();
    let mut rng = SplitMix64(8);
    for round in 0..rounds {
        let mut bytes = honest_elsewhere.clone();
        for byte in &mut bytes {
            if round % 2 == 0 || rng.next().is_multiple_of(16) {
                *byte = rng.next() as u8;
            }
        }
        if let Ok(proof) = Proof::parse(&bytes, PARAMS.topk) {
            let report = toploc::verify_block(&bits, &proof, PARAMS).unwrap();
            assert_ne!(Thresholds::default().judge(&report), [], "round {round} passed");
        }
    }
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
