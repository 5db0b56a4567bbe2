//! Models shared by the tests of one process.

use std::sync::{Arc, LazyLock};

use tandem_verifier::backend::{self, Backend, Options};
use tandem_verifier::generate::{Completion, Request, run};
use tandem_verifier::model::ModelFiles;
use tandem_verifier::testmodel::{self, Size};
use tandem_verifier::verdict::{Policy, ResponseVerdict};
use tandem_verifier::verify::{Claim, ResponseFeatures, verify_response};
use tempfile::TempDir;

pub(crate) static FULL: LazyLock<Arc<dyn Backend>> = LazyLock::new(|| load(1, Size::Full));
pub(crate) static SMALL: LazyLock<Arc<dyn Backend>> = LazyLock::new(|| load(1, Size::Small));

pub(crate) fn written(seed: u64, size: Size) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    testmodel::write(dir.path(), seed, size).unwrap();
    dir
}

fn load(seed: u64, size: Size) -> Arc<dyn Backend> {
    let dir = written(seed, size);
    backend::open(&ModelFiles::open(dir.path()).unwrap(), &Options::default()).unwrap()
}

pub(crate) fn prompt(seed: u32, length: usize) -> Vec<u32> {
    let byte = |i: u32| (i.wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(40_503)) >> 7) % 256;
    std::iter::once(256).chain((1..length as u32).map(byte)).collect()
}

pub(crate) fn request(seed: u32, max_tokens: usize, temperature: f32) -> Request {
    Request { prompt: prompt(seed, 20), max_tokens, seed: u64::from(seed) << 32 | 77, temperature }
}

pub(crate) fn answer(backend: &Arc<dyn Backend>, request: &Request) -> Completion {
    run(backend.as_ref(), request).unwrap()
}

pub(crate) fn check(request: &Request, output: &[u32], proofs: &[String]) -> (ResponseFeatures, ResponseVerdict) {
    let features = verify_response(FULL.as_ref(), &Claim { request, output, proofs }).unwrap();
    let verdict = Policy::default().judge(&features);
    (features, verdict)
}
