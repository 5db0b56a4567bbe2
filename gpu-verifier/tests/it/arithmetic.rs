//! Exact arithmetic. `[VF-3]`

use sha2::{Digest as _, Sha256};
use tandem_verifier::backend::cpu::CpuBackend;
use tandem_verifier::backend::{Backend, BackendError, HiddenStates, Options};
use tandem_verifier::model::ModelFiles;
use tandem_verifier::testmodel::Size;

use crate::common::{FULL, SMALL, prompt, written};

fn digest(states: &HiddenStates) -> String {
    hex::encode(Sha256::digest(states.bits().iter().flat_map(|b| b.to_le_bytes()).collect::<Vec<u8>>()))
}

/// Frozen: any machine, any compiler and any backend in exact mode must give these. A change here changes what every
/// contributor's proofs verify against.
#[test]
fn hidden_states_of_the_seeded_models_are_frozen() {
    let tokens = prompt(1, 150);
    let full = digest(&FULL.prefill(&tokens).unwrap());
    let small = digest(&SMALL.prefill(&tokens).unwrap());
    assert_eq!([full.as_str(), small.as_str()], [FROZEN_FULL, FROZEN_SMALL]);
}

const FROZEN_FULL: &str = "44bf97874d455c4e143d6bb511926b655839f33334ea7d2f6492e0b79f0b61c2";
const FROZEN_SMALL: &str = "005c154ad393cf912d3dd61701816bdb0d01f7dc636c65e09006f2cb5692fc14";

#[test]
fn the_files_of_a_seeded_model_are_frozen() {
    for (size, frozen) in [(Size::Full, FROZEN_FILES_FULL), (Size::Small, FROZEN_FILES_SMALL)] {
        let dir = written(1, size);
        let files = ModelFiles::open(dir.path()).unwrap();
        assert_eq!(hex::encode(files.digest().unwrap()), frozen, "{size:?}");
        assert!(files.config().parameters() < 2_000_000);
    }
}

const FROZEN_FILES_FULL: &str = "8d5937e994ab4420a28fd0adaf60d54b5a7008740fdd4cd4af74b210d4363a95";
const FROZEN_FILES_SMALL: &str = "136080c61b9b8e33c143929f14619371844cc3744334cca15e68df6d53c132a0";

#[test]
fn a_prefill_gives_the_bits_of_decoding_whatever_the_batches() {
    let tokens = prompt(2, 150);
    let at_once = FULL.prefill(&tokens).unwrap();
    for sizes in [vec![1; 150], vec![7; 22], vec![33, 64, 1, 2, 50], vec![149, 1]] {
        let mut session = FULL.start().unwrap();
        let mut bits = Vec::new();
        for size in sizes {
            let end = (session.position() + size).min(tokens.len());
            bits.extend_from_slice(session.feed(&tokens[session.position()..end]).unwrap().bits());
        }
        assert_eq!(session.position(), tokens.len());
        assert!(bits == at_once.bits());
    }
}

#[test]
fn threads_and_vector_instructions_change_no_bit() {
    let dir = written(1, Size::Small);
    let files = ModelFiles::open(dir.path()).unwrap();
    let tokens = prompt(3, 40);
    let expected = SMALL.prefill(&tokens).unwrap();
    let logits = SMALL.logits(expected.bits()).unwrap();
    let portable = CpuBackend::load_portable(&files, &Options::default()).unwrap();
    let threaded = CpuBackend::load(&files, &Options { threads: 3 }).unwrap();
    for backend in [portable, threaded] {
        assert!(backend.prefill(&tokens).unwrap() == expected);
        assert!(backend.logits(expected.bits()).unwrap() == logits);
        let row = expected.rows_from(39);
        assert!(backend.logits(row).unwrap() == logits[39 * 288..]);
    }
}

#[test]
fn what_the_model_cannot_take_is_an_error_and_leaves_the_session_as_it_was() {
    let mut session = FULL.start().unwrap();
    let before = session.feed(&[1, 2, 3]).unwrap();
    assert_eq!(session.feed(&[4, 288]), Err(BackendError::Token { token: 288, vocab: 288 }));
    assert_eq!(session.feed(&[5; 2_046]), Err(BackendError::TooLong { positions: 2_049, max: 2_048 }));
    assert_eq!(session.position(), 3);
    assert_eq!(session.feed(&[]).unwrap().rows(), 0);
    let after = session.feed(&[4]).unwrap();
    let whole = FULL.prefill(&[1, 2, 3, 4]).unwrap();
    assert_eq!([before.bits(), after.bits()].concat(), whole.bits());
    assert_eq!(FULL.logits(&[0; 5]), Err(BackendError::Shape { elements: 5, hidden: 128 }));
    assert_eq!(FULL.logits(&[]), Ok(vec![]));
}
