//! Tokens per second of the CPU backend, on one thread: prompts of 256 tokens at once, and one token at a time after a
//! prompt, for the test network's model and a larger one. `cargo xtask bench model`
//!
//! Time is the thread's own on the processor, and each figure the best of several runs, because other programs only ever make
//! a run slower. Folders of models given as arguments are measured too.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and stops where something fails")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tandem_model::backend::{self, Feed, Numerics, Options};
use tandem_model::model::ModelFiles;
use tandem_model::testmodel::{self, Size};

const PROMPT: usize = 256;
const DECODED: usize = 32;
const TOGETHER: usize = 6;
const RUNS: usize = 9;

/// About ten million parameters.
const LARGER: &str = r#"{ "architectures": ["LlamaForCausalLM"], "vocab_size": 2048, "hidden_size": 384,
    "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 6, "num_key_value_heads": 2,
    "head_dim": 64, "max_position_embeddings": 2048, "rope_theta": 10000.0, "tie_word_embeddings": true }"#;

fn best(mut run: impl FnMut() -> Duration) -> Duration {
    (0..RUNS).map(|_| run()).min().unwrap_or_default()
}

fn timed(work: impl FnOnce()) -> Duration {
    let now = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
    let start = now();
    work();
    now() - start
}

fn measure(dir: &Path, numerics: Numerics) {
    let files = ModelFiles::open(dir).unwrap();
    let backend = backend::open(&files, &Options { numerics, ..Options::default() }).unwrap();
    let vocab = files.config().vocab_size as u32;
    let tokens: Vec<u32> = (0..PROMPT as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 7) % vocab).collect();

    let prefill = best(|| timed(|| drop(backend.prefill(&tokens).unwrap())));
    // A token costs its forward pass and the logits of its row.
    let decode = best(|| {
        let mut session = backend.start().unwrap();
        session.feed(&tokens).unwrap();
        timed(|| {
            for token in &tokens[..DECODED] {
                let states = session.feed(&[*token]).unwrap();
                backend.logits(states.bits()).unwrap();
            }
        })
    });
    let together = best(|| {
        let mut sessions: Vec<_> = (0..TOGETHER).map(|_| backend.start().unwrap()).collect();
        sessions.iter_mut().for_each(|session| drop(session.feed(&tokens).unwrap()));
        timed(|| {
            for token in tokens[..DECODED].chunks(1) {
                let mut batch: Vec<Feed<'_>> =
                    sessions.iter_mut().map(|session| Feed { session: session.as_mut(), tokens: token }).collect();
                let states = backend.feed(&mut batch).unwrap();
                let rows: Vec<u16> = states.iter().flat_map(|states| states.bits()).copied().collect();
                backend.logits(&rows).unwrap();
            }
        })
    });
    let rate = |tokens: usize, time: Duration| format!("{:.0}", tokens as f64 / time.as_secs_f64());
    println!(
        "{:>7.2} M  {:?}  prefill {:>7}/s  decode {:>6}/s  {TOGETHER} together {:>6}/s  {}",
        files.config().parameters() as f64 / 1e6,
        numerics,
        rate(PROMPT, prefill),
        rate(DECODED, decode),
        rate(DECODED * TOGETHER, together),
        dir.display(),
    );
}

fn main() {
    let dir = std::env::temp_dir().join(format!("tandem-bench-{}", std::process::id()));
    testmodel::write(dir.join("test"), 1, Size::Full).unwrap();
    testmodel::write_config(dir.join("larger"), 1, LARGER).unwrap();
    let given = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).map(PathBuf::from);
    for model in [dir.join("test"), dir.join("larger")].into_iter().chain(given) {
        for numerics in [Numerics::Exact, Numerics::Fast] {
            measure(&model, numerics);
        }
    }
    std::fs::remove_dir_all(dir).unwrap();
}
