//! What the tests of the verifier and of the CUDA backend share: the golden files, and how batches are put together.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use tandem_model::backend::{Backend, Feed};

/// All golden files in `folder`, by name.
pub(crate) fn goldens<T: DeserializeOwned>(folder: impl AsRef<Path>) -> BTreeMap<String, T> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    };
    files.map(read).collect()
}

/// Hidden states of `sequences` that are fed side by side: a third of each first, then the rest of some beside single tokens
/// of others.
pub(crate) fn fed_side_by_side(backend: &dyn Backend, sequences: &[&[u32]]) -> Vec<Vec<u16>> {
    let mut sessions: Vec<_> = sequences.iter().map(|_| backend.start().unwrap()).collect();
    let mut bits: Vec<Vec<u16>> = vec![vec![]; sequences.len()];
    for round in 0.. {
        let mut batch = Vec::new();
        let mut owners = Vec::new();
        for (owner, (session, tokens)) in sessions.iter_mut().zip(sequences).enumerate() {
            let at = session.position();
            let count = match (round, (owner + round) % 3) {
                (0, _) => tokens.len() / 3,
                (_, 0) => tokens.len() - at,
                _ => 1.min(tokens.len() - at),
            };
            batch.push(Feed { session: session.as_mut(), tokens: &tokens[at..at + count] });
            owners.push((owner, count));
        }
        if round > 0 && owners.iter().all(|(_, count)| *count == 0) {
            break;
        }
        for ((owner, count), states) in owners.into_iter().zip(backend.feed(&mut batch).unwrap()) {
            assert_eq!(states.rows(), count);
            bits[owner].extend_from_slice(states.bits());
        }
    }
    bits
}
