//! The forward pass of every family against the published implementation: `transformers` made the files in
//! `tests/golden`, by the script beside them. Weights are made anew from their seed on both sides.

use std::collections::BTreeMap;
use std::path::Path;

use half::bf16;
use serde::Deserialize;
use tandem_verifier::backend::{self, Options};
use tandem_verifier::model::ModelFiles;
use tandem_verifier::testmodel;
use tempfile::TempDir;

use crate::shared;

#[derive(Deserialize)]
pub(crate) struct Golden {
    pub(crate) config: serde_json::Value,
    seed: u64,
    pub(crate) tokens: Vec<u32>,
    rows: Vec<usize>,
    parameters: u64,
    hidden_bf16: Vec<String>,
    last_logits_f32: String,
}

/// All golden files, by name.
pub(crate) fn goldens() -> BTreeMap<String, Golden> {
    shared::goldens(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"))
}

impl Golden {
    pub(crate) fn write(&self) -> (TempDir, ModelFiles) {
        self.write_with(&self.config)
    }

    /// The same seed under another configuration.
    fn write_with(&self, config: &serde_json::Value) -> (TempDir, ModelFiles) {
        let dir = tempfile::tempdir().unwrap();
        testmodel::write_config(dir.path(), self.seed, &config.to_string()).unwrap();
        let files = ModelFiles::open(dir.path()).unwrap();
        (dir, files)
    }

    /// The share of hidden states that are not the golden ones after rounding to bf16. One that is neither the golden one
    /// nor a neighbour counts as many.
    fn share_of_differences(&self, files: &ModelFiles) -> f64 {
        let backend = backend::open(files, &Options::default()).unwrap();
        let width = files.config().hidden_size;
        let states = backend.prefill(&self.tokens).unwrap();
        let (mut all, mut different) = (0, 0);
        for (&row, golden) in self.rows.iter().zip(&self.hidden_bf16) {
            let golden = words(golden);
            assert_eq!(golden.len(), width);
            for (&own, golden) in states.rows_from(row)[..width].iter().zip(golden) {
                all += 1;
                // Values around zero are as far apart as their place in the order of all values.
                let order = |bits: u16| if bits & 0x8000 == 0 { i32::from(bits) } else { -i32::from(bits & 0x7fff) };
                let small = bf16::from_bits(golden).to_f32().abs() < 1e-3;
                different += match (order(own) - order(golden)).abs() {
                    0 => 0,
                    1 => 1,
                    _ if small && bf16::from_bits(own).to_f32().abs() < 1.1e-3 => 1,
                    _ => 1_000,
                };
            }
        }
        f64::from(different) / f64::from(all)
    }
}

fn words(text: &str) -> Vec<u16> {
    hex::decode(text).unwrap().chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect()
}

/// Single precision in another order moves a value by a few millionths, and so across a rounding boundary of bf16 in less
/// than one case in a hundred.
#[test]
fn hidden_states_and_logits_of_every_family_are_those_of_the_published_implementation() {
    let goldens = goldens();
    assert_eq!(goldens.len(), 14);
    for (name, golden) in goldens {
        let (_dir, files) = golden.write();
        assert_eq!(files.config().parameters(), golden.parameters, "{name}");
        let share = golden.share_of_differences(&files);
        assert!(share < 0.01, "{name}: {share}");

        let backend = backend::open(&files, &Options::default()).unwrap();
        let logits = backend.logits(&words(golden.hidden_bf16.last().unwrap())).unwrap();
        let expected = hex::decode(golden.last_logits_f32).unwrap();
        let (expected, _) = expected.as_chunks::<4>();
        assert_eq!(logits.len(), expected.len());
        for (own, &expected) in logits.into_iter().zip(expected) {
            let expected = f32::from_le_bytes(expected);
            assert!((own - expected).abs() < 1e-5 * expected.abs().max(10.0), "{name}: {own} {expected}");
        }
    }
}

/// Every feature that the golden files are about changes what they hold: leaving it out is noticed.
#[test]
fn a_feature_that_is_left_out_or_changed_is_noticed() {
    let goldens = goldens();
    for (name, field, value) in [
        ("llama", "rope_theta", serde_json::json!(20_000.0)),
        ("llama", "rms_norm_eps", serde_json::json!(0.05)),
        ("llama_tied_linear", "rope_scaling", serde_json::json!({ "type": "linear", "factor": 2.0 })),
        ("llama_llama3", "rope_scaling", serde_json::Value::Null),
        ("llama_yarn_in_full", "rope_scaling", serde_json::Value::Null),
        ("qwen2_window", "sliding_window", serde_json::json!(9)),
        ("qwen2_window", "max_window_layers", serde_json::json!(0)),
        ("qwen2_yarn", "rope_scaling", serde_json::Value::Null),
        ("qwen3", "architectures", serde_json::json!(["LlamaForCausalLM"])),
        ("qwen3_biases_and_layer_types", "attention_bias", serde_json::json!(false)),
        ("qwen3_biases_and_layer_types", "sliding_window", serde_json::json!(6)),
        ("qwen3_rope_parameters", "rope_parameters", serde_json::json!({ "rope_theta": 10_000.0 })),
    ] {
        let golden = &goldens[name];
        let mut config = golden.config.clone();
        assert_ne!(config[field], value);
        config[field] = value;
        if config["architectures"][0] == "LlamaForCausalLM" {
            config["use_sliding_window"] = false.into();
        }
        let (_dir, files) = golden.write_with(&config);
        assert!(golden.share_of_differences(&files) > 1.0, "{name} does not depend on {field}");
    }
}
