//! Byte for byte against proofs made by the Python library `toploc` 0.1.6.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use toploc::{Activations, Params, Proof};

use crate::common::activations;

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    seed: u64,
    rows: usize,
    hidden: usize,
    decode_batching_size: usize,
    topk: usize,
    overrides: Vec<(usize, u16)>,
    act_sha256: String,
    chunks: Vec<Chunk>,
    perturbed_results: Vec<Perturbed>,
}

#[derive(Deserialize)]
struct Chunk {
    proof_b64: String,
    modulus: u16,
    topk_indices: Vec<usize>,
    tie_at_boundary: bool,
}

#[derive(Deserialize)]
struct Perturbed {
    exp_mismatches: usize,
    mant_err_mean: f64,
    mant_err_median: f64,
}

fn cases() -> Vec<(Case, Vec<u16>, Params)> {
    let file: File = serde_json::from_str(include_str!("../vectors/toploc.json")).unwrap();
    let expand = |case: Case| {
        let mut bits = activations(case.seed, case.rows * case.hidden);
        for &(index, value) in &case.overrides {
            bits[index] = value;
        }
        let bytes: Vec<u8> = bits.iter().flat_map(|b| b.to_le_bytes()).collect();
        let digest: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(digest, case.act_sha256, "{}: the generator differs", case.name);
        let params = Params { topk: case.topk, block_rows: case.decode_batching_size };
        (case, bits, params)
    };
    file.cases.into_iter().map(expand).collect()
}

/// `[VF-1]`
#[test]
fn proofs_are_the_python_librarys_bytes_for_the_same_elements() {
    let mut compared = 0;
    for (case, bits, params) in cases() {
        let activations = Activations::new(&bits, case.hidden).unwrap();
        let own = toploc::build(activations, params).unwrap();
        assert_eq!(own.len(), case.chunks.len());
        for ((block, chunk), own) in activations.blocks(params).zip(&case.chunks).zip(&own) {
            let proof = toploc::build_from_indices(block, &chunk.topk_indices, params).unwrap();
            assert_eq!(proof.to_base64(), chunk.proof_b64, "{}", case.name);
            assert_eq!(proof.modulus(), chunk.modulus);
            assert_eq!(Proof::parse_base64(&chunk.proof_b64, params.topk).unwrap(), proof);
            if !chunk.tie_at_boundary {
                assert_eq!(own.to_base64(), chunk.proof_b64, "{}", case.name);
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 7, "proofs of the file compared");
}

/// `[VF-1]` Ties at the boundary made the Python library report mismatches on equal data; here none are.
#[test]
fn the_python_librarys_proofs_match_their_own_activations_without_a_single_error() {
    for (case, bits, params) in cases() {
        let proofs: Vec<&str> = case.chunks.iter().map(|c| c.proof_b64.as_str()).collect();
        let reports = toploc::verify_base64(Activations::new(&bits, case.hidden).unwrap(), &proofs, params).unwrap();
        for report in reports {
            assert_eq!((report.exp_mismatches, report.sign_mismatches), (0, 0), "{}", case.name);
            assert_eq!((report.mant_err_mean, report.mant_err_median), (0.0, 0.0), "{}", case.name);
            assert!(report.decoy_hits <= report.decoy_limit, "{}", case.name);
        }
    }
}

/// `[VF-1]` Where no tie lets the two differ, the numbers are equal; elsewhere ours can only be kinder by a few.
#[test]
fn the_measurements_of_perturbed_activations_are_the_python_librarys() {
    let mut exact = 0;
    for (case, mut bits, params) in cases() {
        for (index, value) in bits.iter_mut().enumerate() {
            if index.is_multiple_of(7) && *value & 0x7f != 0x7f {
                *value += 1;
            }
        }
        let proofs: Vec<&str> = case.chunks.iter().map(|c| c.proof_b64.as_str()).collect();
        let reports = toploc::verify_base64(Activations::new(&bits, case.hidden).unwrap(), &proofs, params).unwrap();
        for (report, theirs) in reports.iter().zip(&case.perturbed_results) {
            if report.exp_mismatches == theirs.exp_mismatches && report.candidates == report.points {
                assert_eq!(report.mant_err_mean, theirs.mant_err_mean, "{}", case.name);
                assert_eq!(report.mant_err_median, theirs.mant_err_median, "{}", case.name);
                exact += 1;
            } else {
                assert!(report.candidates > report.points, "{}: numbers differ without a tie", case.name);
            }
            assert!(report.exp_mismatches <= theirs.exp_mismatches, "{}", case.name);
            assert!(theirs.exp_mismatches - report.exp_mismatches <= 3, "{}", case.name);
            assert!((report.mant_err_mean - theirs.mant_err_mean).abs() < 0.1, "{}", case.name);
        }
    }
    assert!(exact >= 3, "only {exact} blocks without ties");
}
