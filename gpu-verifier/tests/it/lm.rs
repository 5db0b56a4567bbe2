//! The trained language models of `tests/lm`, and passages of the documentation to ask them about.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use tandem_verifier::backend::{Backend, Options};
use tandem_verifier::cheat::{self, Cheat, Machine, Materials};
use tandem_verifier::engine::{Engine, Next};
use tandem_verifier::generate::{Completion, Request};
use tandem_verifier::model::ModelFiles;
use tandem_verifier::verdict::{Policy, ResponseVerdict};
use tandem_verifier::verify::{Claim, ResponseFeatures, verify_response};

/// The model that is sold.
pub(crate) static BASE: LazyLock<ModelFiles> = LazyLock::new(|| ModelFiles::open(folder("base")).unwrap());
/// A fifth of it, with the same tokenizer.
pub(crate) static LITTLE: LazyLock<ModelFiles> = LazyLock::new(|| ModelFiles::open(folder("small")).unwrap());
/// Who checks.
pub(crate) static VERIFIER: LazyLock<Arc<dyn Backend>> = LazyLock::new(|| Machine::Exact.open(&BASE, 1).unwrap());

static PASSAGES: LazyLock<Vec<Vec<u32>>> = LazyLock::new(|| {
    let text = BASE.tokenizer().unwrap();
    include_str!("../lm/prompts.txt").split("\n\n").map(|passage| text.encode(passage).unwrap()).collect()
});

pub(crate) fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/lm").join(name)
}

/// The first half of a passage, to be gone on from at temperature 0.7.
pub(crate) fn asked(number: usize, max_tokens: usize) -> Request {
    let passage = &PASSAGES[number % PASSAGES.len()];
    let prompt = passage[..passage.len() / 2].to_vec();
    Request { prompt, max_tokens, seed: 0x7a11_0000 + number as u64, temperature: 0.7 }
}

pub(crate) fn made(cheat: Cheat) -> Box<dyn Engine> {
    let materials = Materials { files: &BASE, options: &Options::default(), other: Some(&LITTLE) };
    cheat::build(cheat, &materials).unwrap()
}

pub(crate) fn answered(engine: &dyn Engine, request: &Request) -> Completion {
    engine.answer(request, &mut |_| Next::Continue).unwrap()
}

pub(crate) fn judged(request: &Request, answer: &Completion) -> (ResponseFeatures, ResponseVerdict) {
    let claim = Claim { request, output: &answer.output, proofs: &answer.proofs };
    let features = verify_response(VERIFIER.as_ref(), &claim).unwrap();
    let verdict = Policy::default().judge(&features);
    (features, verdict)
}
