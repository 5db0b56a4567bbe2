//! Exact mode on the emulated device: the bits of the CPU. `[VF-3]`

use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
#[cfg(feature = "deep")]
use tandem_cuda::CudaBackend;
use tandem_cuda::device::Device;
#[cfg(feature = "deep")]
use tandem_model::backend::Numerics;
use tandem_model::backend::{Backend, HiddenStates};
use tandem_model::testmodel::Size;

use crate::common::{config, cpu, devices, exact, goldens, one_order, prompt, seeded, written};
use crate::shared::fed_side_by_side;

/// What the CPU's tests freeze, too.
const FROZEN: &str = include_str!("../../../tests/golden/exact.txt");

fn frozen(name: &str) -> &'static str {
    FROZEN.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap()
}

fn digest(states: &HiddenStates) -> String {
    hex::encode(Sha256::digest(states.bits().iter().flat_map(|bits| bits.to_le_bytes()).collect::<Vec<u8>>()))
}

#[test]
fn hidden_states_of_every_family_are_the_frozen_ones() {
    let goldens = goldens();
    assert_eq!(goldens.len(), 14);
    for (name, golden) in goldens {
        let (_dir, files) = golden.write();
        for device in devices() {
            let states = exact(&device, &files).prefill(&golden.tokens).unwrap();
            assert_eq!(digest(&states), frozen(&name), "{name}");
        }
    }
}

#[test]
fn hidden_states_of_the_seeded_models_are_the_frozen_ones() {
    for (name, size) in [("seeded_full", Size::Full), ("seeded_small", Size::Small)] {
        let (_dir, files) = seeded(size);
        for device in devices() {
            let states = exact(&device, &files).prefill(&prompt(1, 150)).unwrap();
            assert_eq!(digest(&states), frozen(name), "{name}");
        }
    }
}

/// Hidden states and logits of a sequence, whole and one token at a time.
fn agrees(name: &str, config: &Value, length: usize, devices: Vec<Arc<dyn Device>>) {
    let (_dir, files) = written(7, config);
    let cpu = cpu(&files);
    let tokens = prompt(5, length);
    let expected = cpu.prefill(&tokens).unwrap();
    let logits = cpu.logits(expected.bits()).unwrap();
    assert!(logits.iter().all(|logit| logit.is_finite()), "{name}");
    for device in devices {
        let backend = exact(&device, &files);
        assert!(backend.prefill(&tokens).unwrap() == expected, "{name}");
        assert!(backend.logits(expected.bits()).unwrap() == logits, "{name}");
        let mut session = backend.start().unwrap();
        let mut decoded = session.feed(&tokens[..length / 2]).unwrap().bits().to_vec();
        for token in &tokens[length / 2..] {
            decoded.extend_from_slice(session.feed(&[*token]).unwrap().bits());
        }
        assert!(decoded == expected.bits(), "{name}");
    }
}

/// Sizes that no tile, no vector and no block divides; heads wider than what a block sums; rows longer than what a norm
/// stages; groups of heads that divide no tile.
#[test]
fn sizes_that_fit_nothing_change_no_bit() {
    let yarn = json!({ "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64 });
    for (name, architecture, fields) in [
        (
            "odd",
            "Qwen3ForCausalLM",
            json!({ "vocab_size": 301, "hidden_size": 75, "intermediate_size": 101, "num_attention_heads": 9,
                "num_key_value_heads": 3, "head_dim": 18, "num_hidden_layers": 2, "tie_word_embeddings": true }),
        ),
        (
            "two dimensions",
            "LlamaForCausalLM",
            json!({ "hidden_size": 33, "intermediate_size": 7, "num_attention_heads": 5, "num_key_value_heads": 1,
                "head_dim": 2, "attention_bias": true, "mlp_bias": true }),
        ),
        (
            "wide heads",
            "LlamaForCausalLM",
            json!({ "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 162, "rope_scaling": yarn }),
        ),
        (
            "wide rows",
            "Qwen2ForCausalLM",
            json!({ "hidden_size": 1_030, "intermediate_size": 300, "num_key_value_heads": 4, "sliding_window": 5,
                "use_sliding_window": true, "max_window_layers": 0 }),
        ),
        (
            "a window of one",
            "Qwen3ForCausalLM",
            json!({ "layer_types": ["sliding_attention"], "sliding_window": 1,
            "use_sliding_window": true, "attention_bias": true }),
        ),
        (
            "many heads",
            "LlamaForCausalLM",
            json!({ "num_attention_heads": 70, "num_key_value_heads": 1, "head_dim": 4 }),
        ),
    ] {
        agrees(name, &config(architecture, fields), 45, devices());
    }
}

/// Longer than two blocks of keys of either kernel, with a window that begins in the middle of one.
#[test]
fn long_sequences_change_no_bit() {
    let fields = json!({ "num_hidden_layers": 2, "layer_types": ["full_attention", "sliding_attention"],
        "sliding_window": 300, "use_sliding_window": true, "max_position_embeddings": 1_024 });
    let (_dir, files) = written(3, &config("Qwen3ForCausalLM", fields));
    let tokens = prompt(9, 530);
    let expected = cpu(&files).prefill(&tokens).unwrap();
    for device in one_order(false) {
        assert!(exact(&device, &files).prefill(&tokens).unwrap() == expected);
    }
    for device in one_order(true) {
        let backend = exact(&device, &files);
        let mut session = backend.start().unwrap();
        let mut bits = Vec::new();
        for part in [&tokens[..527], &tokens[527..528], &tokens[528..]] {
            bits.extend_from_slice(session.feed(part).unwrap().bits());
        }
        assert!(bits == expected.bits());
    }
}

/// Sequences of every length, prompts beside answers under way, in one call or in many: the same bits as each alone.
#[test]
fn what_else_is_in_the_batch_changes_no_bit() {
    const LENGTHS: [usize; 7] = [1, 40, 0, 3, 110, 67, 1];
    for (name, backwards) in [("llama", false), ("qwen2_window", true), ("qwen3_biases_and_layer_types", false)] {
        let (_dir, files) = goldens()[name].write();
        let sequences: Vec<Vec<u32>> = LENGTHS.into_iter().zip(1..).map(|(n, seed)| prompt(seed, n)).collect();
        let sequences: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
        let cpu = cpu(&files);
        let expected: Vec<HiddenStates> = sequences.iter().map(|s| cpu.prefill(s).unwrap()).collect();
        for device in one_order(backwards) {
            let backend = exact(&device, &files);
            assert!(backend.prefill_batch(&sequences).unwrap() == expected, "{name}");

            let bits = fed_side_by_side(&backend, &sequences);
            assert!(bits.iter().zip(&expected).all(|(own, expected)| own == expected.bits()), "{name}");
        }
    }
}

/// Random shapes of every family, random prompts, random cuts.
#[cfg(feature = "deep")]
#[test]
fn random_models_and_batches_change_no_bit() {
    use crate::common::Random;

    let mut random = Random(2_026);
    for round in 0..24 {
        let kv_heads = 1 + random.below(4);
        let mut fields = json!({
            "vocab_size": 288 + random.below(300), "hidden_size": 1 + random.below(300),
            "intermediate_size": 1 + random.below(400), "num_hidden_layers": 1 + random.below(3),
            "num_attention_heads": kv_heads * (1 + random.below(6)), "num_key_value_heads": kv_heads,
            "head_dim": 2 + 2 * random.below(80), "tie_word_embeddings": random.below(2) == 0,
            "rope_theta": 100.0 + random.below(1_000_000) as f64,
        });
        let architecture = ["LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"][random.below(3)];
        if architecture != "LlamaForCausalLM" {
            fields["use_sliding_window"] = (random.below(2) == 0).into();
            fields["sliding_window"] = (1 + random.below(90)).into();
            fields["max_window_layers"] = random.below(2).into();
        }
        let (name, length) = (format!("{round} {architecture} {fields}"), 2 + random.below(110));
        agrees(&name, &config(architecture, fields), length, one_order(round % 2 == 1));
    }
}

/// A long prompt through every layer of the larger seeded model, with the bounds that are the default.
#[cfg(feature = "deep")]
#[test]
fn a_thousand_positions_change_no_bit() {
    let (_dir, files) = seeded(Size::Full);
    let tokens = prompt(4, 1_100);
    let expected = cpu(&files).prefill(&tokens).unwrap();
    for device in devices() {
        let backend = CudaBackend::load(device, &files, Numerics::Exact).unwrap();
        assert!(backend.prefill(&tokens).unwrap() == expected);
        let mut session = backend.start().unwrap();
        let mut bits = session.feed(&tokens[..1_085]).unwrap().bits().to_vec();
        for token in &tokens[1_085..] {
            bits.extend_from_slice(session.feed(&[*token]).unwrap().bits());
        }
        assert!(bits == expected.bits());
    }
}
