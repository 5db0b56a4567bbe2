//! Exact arithmetic. `[VF-3]`

use sha2::{Digest as _, Sha256};
use tandem_verifier::backend::cpu::CpuBackend;
use tandem_verifier::backend::{self, Backend, BackendError, Feed, HiddenStates, Numerics, Options, Session};
use tandem_verifier::model::ModelFiles;
use tandem_verifier::testmodel::Size;
use tandem_verifier::verdict::{Policy, ResponseVerdict};
use tandem_verifier::verify::{Claim, verify_response};

use crate::common::{FULL, SMALL, answer, prompt, request, written};
use crate::golden::goldens;
use crate::shared::fed_side_by_side;

fn digest(states: &HiddenStates) -> String {
    hex::encode(Sha256::digest(states.bits().iter().flat_map(|b| b.to_le_bytes()).collect::<Vec<u8>>()))
}

/// Frozen: any machine, any compiler and any backend in exact mode must give these, and those of the other backends are
/// tested with the same file. A change there changes what every contributor's proofs verify against.
const FROZEN: &str = include_str!("../golden/exact.txt");

#[test]
fn hidden_states_of_every_family_and_of_the_seeded_models_are_frozen() {
    let tokens = prompt(1, 150);
    let mut found: Vec<String> = goldens()
        .into_iter()
        .map(|(name, golden)| {
            let (_dir, files) = golden.write();
            let backend = CpuBackend::load(&files, &Options::default()).unwrap();
            format!("{name} {}", digest(&backend.prefill(&golden.tokens).unwrap()))
        })
        .collect();
    found.push(format!("seeded_full {}", digest(&FULL.prefill(&tokens).unwrap())));
    found.push(format!("seeded_small {}", digest(&SMALL.prefill(&tokens).unwrap())));
    assert_eq!(found, FROZEN.lines().collect::<Vec<_>>());
}

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

/// Sequences of every length, prompts beside answers under way, in one call or in many, on one thread or three: the same
/// bits as each alone.
#[test]
fn what_else_is_in_the_batch_changes_no_bit() {
    for name in ["llama", "qwen2_window", "qwen3_biases_and_layer_types"] {
        let (_dir, files) = goldens()[name].write();
        let alone = CpuBackend::load(&files, &Options::default()).unwrap();
        let threaded = CpuBackend::load(&files, &Options { threads: 3, ..Options::default() }).unwrap();
        let sequences: Vec<Vec<u32>> =
            [1, 40, 0, 3, 150, 77, 1].into_iter().zip(1..).map(|(length, seed)| prompt(seed, length)).collect();
        let sequences: Vec<&[u32]> = sequences.iter().zip([1, 40, 0, 3, 150, 77, 1]).map(|(s, n)| &s[..n]).collect();
        let expected: Vec<HiddenStates> = sequences.iter().map(|s| alone.prefill(s).unwrap()).collect();
        for backend in [&alone, &threaded] {
            assert!(backend.prefill_batch(&sequences).unwrap() == expected, "{name}");

            let bits = fed_side_by_side(backend, &sequences);
            assert!(bits.iter().zip(&expected).all(|(own, expected)| own == expected.bits()), "{name}");
        }
    }
}

fn feed<'a>(session: &'a mut Box<dyn Session>, tokens: &'a [u32]) -> Feed<'a> {
    Feed { session: session.as_mut(), tokens }
}

#[test]
fn one_bad_sequence_leaves_the_whole_batch_as_it_was() {
    let mut sessions = [FULL.start().unwrap(), FULL.start().unwrap(), SMALL.start().unwrap()];
    let [good, other, foreign] = &mut sessions;
    let first = good.feed(&[1, 2]).unwrap();
    let unknown = FULL.feed(&mut [feed(good, &[3]), feed(other, &[999])]);
    assert_eq!(unknown, Err(BackendError::Token { token: 999, vocab: 288 }));
    let long = FULL.feed(&mut [feed(good, &[3]), feed(other, &[0; 2_049])]);
    assert_eq!(long, Err(BackendError::TooLong { positions: 2_049, max: 2_048 }));
    let mixed = FULL.feed(&mut [feed(good, &[3]), feed(foreign, &[3])]);
    assert_eq!(mixed, Err(BackendError::Foreign));
    assert_eq!(sessions.each_ref().map(|s| s.position()), [2, 0, 0]);
    let second = sessions[0].feed(&[3]).unwrap();
    assert_eq!([first.bits(), second.bits()].concat(), FULL.prefill(&[1, 2, 3]).unwrap().bits());
    assert_eq!(FULL.feed(&mut []), Ok(vec![]));
}

/// One unit of bf16's last place apart at most, and rarely that: far less than any threshold tolerates.
#[test]
fn fast_mode_agrees_with_exact_mode_up_to_rounding() {
    for name in ["llama_llama3", "qwen2_window", "qwen3"] {
        let (_dir, files) = goldens()[name].write();
        let exact = CpuBackend::load(&files, &Options::default()).unwrap();
        let fast = CpuBackend::load(&files, &Options { numerics: Numerics::Fast, ..Options::default() }).unwrap();
        assert_eq!((exact.numerics(), fast.numerics()), (Numerics::Exact, Numerics::Fast));
        let tokens = prompt(4, 120);
        let expected = exact.prefill(&tokens).unwrap();
        let mut session = fast.start().unwrap();
        let mut decoded = session.feed(&tokens[..7]).unwrap().bits().to_vec();
        for token in &tokens[7..] {
            decoded.extend_from_slice(session.feed(&[*token]).unwrap().bits());
        }
        for bits in [fast.prefill(&tokens).unwrap().bits().to_vec(), decoded] {
            let different = bits.iter().zip(expected.bits()).filter(|(a, b)| a != b).count();
            assert!(different * 50 < bits.len(), "{name}: {different} of {}", bits.len());
            for (a, b) in bits.iter().zip(expected.bits()) {
                let [a, b] = [*a, *b].map(|bits| half::bf16::from_bits(bits).to_f32());
                assert!((a - b).abs() <= a.abs().max(b.abs()) / 100.0 + 1e-4, "{name}: {a} {b}");
            }
        }
        let (own, theirs) = (fast.logits(expected.bits()).unwrap(), exact.logits(expected.bits()).unwrap());
        assert!(own.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-4));
        let row = expected.rows_from(119);
        let single = fast.logits(row).unwrap();
        assert!(single.iter().zip(&theirs[119 * 288..]).all(|(a, b)| (a - b).abs() < 1e-4));
    }
}

/// What a contributor computes fast, a validator confirms exactly, and the other way round.
#[test]
fn answers_of_fast_mode_pass_in_exact_mode_and_the_other_way_round() {
    let (_dir, files) = goldens()["qwen3"].write();
    let exact = backend::open(&files, &Options::default()).unwrap();
    let fast = backend::open(&files, &Options { numerics: Numerics::Fast, ..Options::default() }).unwrap();
    for (prover, verifier) in [(&exact, &fast), (&fast, &exact)] {
        for seed in 0..4 {
            let request = request(seed, 70, 1.0);
            let made = answer(prover, &request);
            let claim = Claim { request: &request, output: &made.output, proofs: &made.proofs };
            let features = verify_response(verifier.as_ref(), &claim).unwrap();
            assert_eq!(Policy::default().judge(&features), ResponseVerdict::Pass, "{features:?}");
        }
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
    let threaded = CpuBackend::load(&files, &Options { threads: 3, ..Options::default() }).unwrap();
    #[cfg(target_arch = "x86_64")]
    let narrower = [CpuBackend::load_avx2(&files, &Options::default()).unwrap()];
    #[cfg(not(target_arch = "x86_64"))]
    let narrower = [];
    for backend in [portable, threaded].into_iter().chain(narrower) {
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
