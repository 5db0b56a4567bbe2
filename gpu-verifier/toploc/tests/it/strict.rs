//! What is accepted and refused beside the defects of the Python library. `[VF-1]`

use toploc::{ActivationError, Activations, BuildError, Params, ParseError, Proof, Thresholds, VerifyError};

use crate::common::{HIDDEN, PARAMS, activations};

fn prove(bits: &[u16]) -> Vec<Proof> {
    toploc::build(Activations::new(bits, HIDDEN).unwrap(), PARAMS).unwrap()
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
