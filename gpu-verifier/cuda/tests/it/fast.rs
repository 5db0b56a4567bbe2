//! Fast mode on the emulated device, against the CPU's exact mode: close, and close enough for proofs. `[VF-3]`

use std::sync::Arc;

use half::bf16;
use serde_json::json;
use tandem_cuda::CudaBackend;
use tandem_cuda::device::Device;
use tandem_model::backend::cpu::{CpuBackend, Quirks};
use tandem_model::backend::{Backend, Feed, HiddenStates, Numerics, Options};
use tandem_model::generate::{self, Request};
use tandem_model::model::ModelFiles;
use tandem_model::verify::{Claim, verify_response};
use tempfile::TempDir;
use toploc::Thresholds;

use crate::common::{SMALL, cpu, device, devices, goldens, prompt, written};

/// How far rows of hidden states may be from the exact ones, in relation to what rounding every result to bf16 does on the
/// CPU. That rounds more often, the residual stream too; single rows may still be unlucky.
const TOLERANCE: f64 = 1.5;

/// How far rows may be from each other that differ only in their company, in the same units.
const COMPANY: f64 = 1.0;

/// A model of each family, with heads that tensor cores attend for: the shapes of a real one, small.
fn models() -> Vec<(&'static str, TempDir, ModelFiles)> {
    let configs = [
        json!({ "architectures": ["LlamaForCausalLM"], "num_key_value_heads": 1 }),
        json!({
            "architectures": ["Qwen2ForCausalLM"], "num_key_value_heads": 2,
            "use_sliding_window": true, "sliding_window": 24, "max_window_layers": 1,
        }),
        json!({ "architectures": ["Qwen3ForCausalLM"], "num_key_value_heads": 4, "head_dim": 64, "attention_bias": true }),
    ];
    let names = ["llama", "qwen2 with a window", "qwen3"];
    let written = names.into_iter().zip(configs).map(|(name, own)| {
        let mut config = json!({
            "vocab_size": 288, "hidden_size": 128, "intermediate_size": 176, "num_hidden_layers": 3,
            "num_attention_heads": 4, "hidden_act": "silu", "max_position_embeddings": 512, "rms_norm_eps": 1e-6,
            "rope_theta": 10_000.0, "tie_word_embeddings": false, "eos_token_id": 257, "torch_dtype": "bfloat16",
        });
        config.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        let (dir, files) = written(5, &config);
        (name, dir, files)
    });
    written.collect()
}

/// The CPU's exact states of `tokens`, and how far from them, at most, is a CPU that rounds every result to bf16.
fn exact_and_unit(files: &ModelFiles, tokens: &[u32]) -> (HiddenStates, f64) {
    fn round(values: &mut [f32]) {
        values.iter_mut().for_each(|value| *value = bf16::from_f32(*value).to_f32());
    }
    let quirks = Quirks { results: Some(round), cache: Some(round) };
    let rounded = CpuBackend::load_with(files, &Options::default(), quirks).unwrap().prefill(tokens).unwrap();
    let exact = cpu(files).prefill(tokens).unwrap();
    let unit = gap(&rounded, &exact);
    (exact, unit)
}

fn fast(files: &ModelFiles) -> CudaBackend {
    CudaBackend::load_with(device(), files, Numerics::Fast, SMALL).unwrap()
}

/// Largest distance of two rows, in relation to the size of the second.
fn distance(a: &[u16], b: &[u16], width: usize) -> f64 {
    assert_eq!(a.len(), b.len());
    let of = |bits: u16| bf16::from_bits(bits).to_f64();
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let rows = a.chunks(width).zip(b.chunks(width));
    rows.map(|(a, b)| {
        let difference = norm(&mut a.iter().zip(b).map(|(&a, &b)| of(a) - of(b)));
        difference / norm(&mut b.iter().map(|&b| of(b)))
    })
    .fold(0.0, |most, distance| if distance.is_nan() { f64::INFINITY } else { most.max(distance) })
}

fn gap(a: &HiddenStates, b: &HiddenStates) -> f64 {
    distance(a.bits(), b.bits(), a.hidden())
}

/// Checks a model's states, and the logits of the same states.
fn close(name: &str, files: &ModelFiles, tokens: &[u32]) {
    let (expected, unit) = exact_and_unit(files, tokens);
    let backend = fast(files);
    let states = backend.prefill(tokens).unwrap();
    let apart = gap(&states, &expected);
    eprintln!("{name}: {apart:.4} from the exact states, {unit:.4} with every result rounded");
    assert!(apart > 0.0 && apart < TOLERANCE * unit, "{name}: {apart}, {unit}");
    // Of the same states, logits differ by the order of additions only.
    let [logits, expected] = [&backend as &dyn Backend, &cpu(files)].map(|b| b.logits(states.bits()).unwrap());
    assert_eq!(logits.len(), expected.len());
    assert!(logits.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4), "{name}");
}

#[test]
fn hidden_states_and_logits_are_close_to_the_exact_ones() {
    for (name, _dir, files) in models() {
        close(name, &files, &prompt(7, 110));
    }
}

/// Biases of every kind, tied matrices, stretched positions; heads of 16 dimensions, which no tensor core attends for.
#[test]
fn hidden_states_of_every_frozen_model_are_close_to_the_exact_ones() {
    for (name, golden) in goldens() {
        let (_dir, files) = golden.write();
        let length = if cfg!(feature = "deep") { golden.tokens.len() } else { 12 };
        close(&name, &files, &golden.tokens[..length]);
    }
}

#[test]
fn the_order_of_threads_changes_nothing() {
    for (name, _dir, files) in models() {
        let run = |device: Arc<dyn Device>| {
            let backend = CudaBackend::load_with(device, &files, Numerics::Fast, SMALL).unwrap();
            backend.prefill(&prompt(8, 45)).unwrap()
        };
        let mut results = devices().into_iter().take(2).map(run);
        assert_eq!(results.next(), results.next(), "{name}");
    }
}

/// Token by token, in pieces, in one go and in company: wide and narrow patches, caches that grow, chunks and passes.
#[test]
fn rows_do_not_depend_on_how_tokens_are_fed() {
    for (name, _dir, files) in models() {
        let backend = fast(&files);
        let width = backend.config().hidden_size;
        let sequences = [prompt(1, 75), prompt(2, 1), prompt(3, 40), prompt(4, 0)];
        let (exact, units): (Vec<_>, Vec<_>) = sequences.iter().map(|tokens| exact_and_unit(&files, tokens)).unzip();
        let unit = units.into_iter().fold(0.0, f64::max);
        let alone: Vec<HiddenStates> = sequences.iter().map(|tokens| backend.prefill(tokens).unwrap()).collect();

        let views: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
        let packed = backend.prefill_batch(&views).unwrap();
        for (packed, alone) in packed.iter().zip(&alone) {
            assert_eq!(packed.rows(), alone.rows());
            assert!(gap(packed, alone) < COMPANY * unit, "{name}: {}, {unit}", gap(packed, alone));
        }

        let mut sessions: Vec<_> = sequences.iter().map(|_| backend.start().unwrap()).collect();
        let mut rows = vec![Vec::new(); sequences.len()];
        // A prompt's beginning, then single tokens, while others come with what they have.
        for step in 0..10 {
            let feeds = sessions.iter_mut().zip(&sequences).zip(1..);
            let mut batch: Vec<Feed<'_>> = feeds
                .map(|((session, tokens), pace)| {
                    let from = session.position();
                    let to = if step == 0 { 60 / pace } else { from + 1 + step % pace };
                    Feed { tokens: &tokens[from..to.min(tokens.len()).max(from)], session: session.as_mut() }
                })
                .collect();
            let states = backend.feed(&mut batch).unwrap();
            rows.iter_mut().zip(states).for_each(|(rows, states)| rows.extend_from_slice(states.bits()));
        }
        assert_eq!([0, 1, 2, 3].map(|i| rows[i].len() / width), [69, 1, 38, 0]);
        for ((rows, alone), exact) in rows.iter().zip(&alone).zip(&exact) {
            let (alone, exact) = (&alone.bits()[..rows.len()], &exact.bits()[..rows.len()]);
            assert!(distance(rows, alone, width) < COMPANY * unit, "{name}: {}", distance(rows, alone, width));
            assert!(distance(rows, exact, width) < TOLERANCE * unit, "{name}: {}", distance(rows, exact, width));
        }
    }
}

/// Every way round: the fast device proves and the exact CPU checks, and the other way.
#[test]
fn proofs_pass_between_fast_and_exact() {
    for (index, (name, _dir, files)) in models().into_iter().enumerate() {
        let (fast, exact): (CudaBackend, CpuBackend) = (fast(&files), cpu(&files));
        let request = Request { prompt: prompt(9, 50), max_tokens: 40, seed: 3, temperature: index as f32 * 0.5 };
        for (prover, checker) in [(&fast as &dyn Backend, &exact as &dyn Backend), (&exact, &fast)] {
            let answer = generate::run(prover, &request).unwrap();
            let claim = Claim { request: &request, output: &answer.output, proofs: &answer.proofs };
            let features = verify_response(checker, &claim).unwrap();
            assert_eq!(features.malformed, None);
            assert_eq!(features.blocks.len(), answer.output.len().div_ceil(32));
            for report in &features.blocks {
                assert_eq!(Thresholds::default().judge(report), [], "{name}: {report:?}");
            }
            let sampling = features.sampling.unwrap();
            assert!(sampling.agreeing * 10 >= sampling.tokens * 8, "{name}: {sampling:?}");
            assert!(sampling.mean_margin < 0.05, "{name}: {sampling:?}");
        }
    }
}

/// What the tolerance is worth: it tells a window that is one position shorter.
#[test]
fn one_key_too_few_is_noticed() {
    let models = models();
    let (_, dir, files) = &models[1];
    let (expected, unit) = exact_and_unit(files, &prompt(5, 60));
    let path = dir.path().join("config.json");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace("\"sliding_window\":24", "\"sliding_window\":23")).unwrap();
    let shorter = ModelFiles::open(dir.path()).unwrap();
    assert_eq!(shorter.config().windows[2], Some(23));
    let apart = gap(&fast(&shorter).prefill(&prompt(5, 60)).unwrap(), &expected);
    assert!(apart > 4.0 * TOLERANCE * unit, "{apart}, {unit}");
}
