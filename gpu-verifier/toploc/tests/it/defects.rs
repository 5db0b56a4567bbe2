//! The six defects of the Python library 0.1.6, each as regression tests. `[VF-1]`

use toploc::{Activations, PRIME, Params, ParseError, Proof, Thresholds, VerifyError};

use crate::common::{HIDDEN, PARAMS, activations, wire};

fn prove(bits: &[u16]) -> Vec<Proof> {
    toploc::build(Activations::new(bits, HIDDEN).unwrap(), PARAMS).unwrap()
}

/// One of the library's two paths does not fold indices, so that honest proofs with a smaller modulus fail there.
#[test]
fn defect_1_indices_are_folded_so_honest_proofs_pass_whatever_their_modulus() {
    let mut smaller = 0;
    for seed in 0..40 {
        let bits = activations(1_000 + seed, 32 * 4_096);
        let matrix = Activations::new(&bits, 4_096).unwrap();
        let proofs = toploc::build(matrix, PARAMS).unwrap();
        smaller += usize::from(u32::from(proofs[0].modulus()) < PRIME);
        let report = &toploc::verify(matrix, &proofs, PARAMS).unwrap()[0];
        assert_eq!(Thresholds::exact().judge(report), []);
    }
    assert!(smaller > 0, "no block needed a smaller modulus, so nothing was tested");
}

/// The library's own error value divides by zero in its verifier and ends the process.
#[test]
fn defect_2_the_null_proof_is_refused() {
    assert_eq!(Proof::parse(&[0; 258], 128), Err(ParseError::Null));
    assert_eq!(Proof::parse(&wire(65_497, [0; 128]), 128), Err(ParseError::Null));
    let null = "A".repeat(344);
    let bits = activations(1, 32 * HIDDEN);
    let refused = toploc::verify_base64(Activations::new(&bits, HIDDEN).unwrap(), &[null], PARAMS).unwrap_err();
    assert_eq!(refused, VerifyError::Malformed { index: 0, error: ParseError::Null });
    assert!(refused.blames_prover());
}

/// A proof of two bytes, without coefficients, crashes the library.
#[test]
fn defect_3_a_proof_without_coefficients_or_of_any_other_length_is_refused() {
    let good = prove(&activations(1, 32 * HIDDEN))[0].to_bytes();
    for length in (0..good.len()).chain([good.len() + 1, good.len() + 2, 10_000]) {
        let mut bytes = good.clone();
        bytes.resize(length, 1);
        assert_eq!(Proof::parse(&bytes, 128), Err(ParseError::Length { topk: 128, expected: 258, got: length }));
    }
    assert!(Proof::parse(&[0xff, 0xd9], 0).is_err(), "nothing is proved by no elements");
    assert!(matches!(Proof::parse_base64("/9k=", 128), Err(ParseError::Length { .. })));
}

/// More proofs than blocks end the library's process; fewer are verified in silence.
#[test]
fn defect_4_the_number_of_proofs_must_be_exact() {
    let bits = activations(2, 70 * HIDDEN);
    let matrix = Activations::new(&bits, HIDDEN).unwrap();
    let proofs = prove(&bits);
    assert_eq!(proofs.len(), 3);
    for count in [0, 1, 2, 4, 7] {
        let given: Vec<Proof> = proofs.iter().cycle().take(count).cloned().collect();
        assert_eq!(toploc::verify(matrix, &given, PARAMS), Err(VerifyError::Count { expected: 3, got: count }));
        // Counted before anything is parsed, so that rubbish costs nothing.
        let rubbish = vec!["?"; count];
        let refused = toploc::verify_base64(matrix, &rubbish, PARAMS);
        assert_eq!(refused, Err(VerifyError::Count { expected: 3, got: count }));
    }
}

/// The library takes any modulus: with 1 a single coefficient answers for every index.
#[test]
fn defect_5_a_modulus_outside_the_honest_range_is_refused() {
    for modulus in [0, 1, 2, 128, 32_767, 32_768, 65_498, u16::MAX] {
        assert_eq!(Proof::parse(&wire(modulus, [7; 128]), 128), Err(ParseError::Modulus(modulus)));
    }
    for modulus in [32_769, 65_497] {
        assert!(Proof::parse(&wire(modulus, [7; 128]), 128).is_ok());
    }
}

/// Where no two indices can meet, the search for a modulus ends where it began; any other is a second spelling.
#[test]
fn defect_5_a_modulus_that_no_search_can_have_found_is_refused() {
    let bits = activations(9, 32 * HIDDEN);
    let mut bytes = prove(&bits)[0].to_bytes();
    assert_eq!(bytes[..2], [0xff, 0xd9]);
    bytes[1] -= 1;
    let other = Proof::parse(&bytes, 128).unwrap();
    let refused = toploc::verify_block(&bits, &other, PARAMS).unwrap_err();
    assert_eq!(refused, VerifyError::Modulus { index: 0, modulus: 65_496, elements: 32 * HIDDEN });
    assert!(refused.blames_prover());
}

/// More coefficients than points give a forger room; the library counts whatever comes.
#[test]
fn defect_5_more_or_fewer_coefficients_than_points_are_refused() {
    let bits = activations(10, 32 * HIDDEN);
    for topk in [127, 129, 256] {
        let other = toploc::build_block(&bits, Params { topk, ..PARAMS }).unwrap();
        assert!(matches!(Proof::parse(&other.to_bytes(), 128), Err(ParseError::Length { .. })));
        assert!(matches!(toploc::verify_block(&bits, &other, PARAMS), Err(VerifyError::Malformed { .. })));
    }
}

/// The library reduces coefficients in silence, so that one polynomial has many spellings.
#[test]
fn defect_5_a_second_spelling_of_a_coefficient_is_refused() {
    for value in [65_497, 65_498, u16::MAX] {
        for index in [0, 100, 127] {
            let mut coefficients = [7; 128];
            coefficients[index] = value;
            let refused = Proof::parse(&wire(65_497, coefficients), 128);
            assert_eq!(refused, Err(ParseError::Coefficient { index, value }));
        }
    }
}

/// Ties at the k-th place are decided differently by different machines; all choices must pass.
#[test]
fn defect_6_any_choice_among_tied_elements_passes_without_an_error() {
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

/// Tied elements are the prover's choice only where they tie: above them nothing may be missing.
#[test]
fn defect_6_the_choice_ends_at_the_tie() {
    let bits = activations(4, 32 * HIDDEN);
    let mut order: Vec<usize> = (0..bits.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(bits[i] & 0x7fff), i));
    // The two largest are left out for two that are far from the top.
    let chosen: Vec<usize> = order[2..128].iter().chain(&order[4_000..4_002]).copied().collect();
    let proof = toploc::build_from_indices(&bits, &chosen, PARAMS).unwrap();
    let report = toploc::verify_block(&bits, &proof, PARAMS).unwrap();
    assert_ne!(Thresholds::exact().judge(&report), []);
}
