//! The measurements behind `bench gpu`, of a model small enough for the emulated device: that they run and add up, not what
//! they come to.

use serde_json::json;
use tandem_cuda::Options;
use tandem_cuda::measure::{Plan, activations, measure, operations};
use tandem_model::model::ModelConfig;

use crate::common::{config, device, written};
use crate::ledger::Ledger;

#[test]
fn every_measurement_is_taken_and_memory_does_not_grow() {
    let (_dir, files) = written(1, &config("LlamaForCausalLM", json!({})));
    let plan = Plan {
        matrix: 48,
        prefill: vec![20, 70],
        packed: vec![9, 30, 17],
        response: (6, 5),
        batches: vec![1, 3],
        exact: 20,
        stream: 8,
        runs: 1,
    };
    let mut steps = Vec::new();
    let report = measure(&device(), files.config(), &plan, &mut |step| steps.push(step.to_owned())).unwrap();
    assert_eq!(steps.len(), 9, "{steps:?}");
    assert_eq!(report.prefill.iter().map(|pass| pass.tokens).collect::<Vec<_>>(), plan.prefill);
    assert_eq!((report.packed.tokens, report.packed.sequences), (56, 3));
    assert_eq!(report.responses.iter().map(|response| response.batch).collect::<Vec<_>>(), plan.batches);
    assert!(report.prefill.iter().all(|pass| pass.seconds > 0.0 && pass.teraflops > 0.0));
    assert!(report.exact_of_fast > 0.0 && report.check_of_prefill > -1.0);
    assert!(report.memory.loaded >= report.memory.weights);
    let memory = &report.memory;
    assert_eq!(memory.first, memory.last);
    assert!(memory.peak > memory.last && memory.activations > 0, "{memory:?}");
}

fn llama_8b() -> ModelConfig {
    let text = json!({
        "architectures": ["LlamaForCausalLM"], "vocab_size": 128_256, "hidden_size": 4_096, "intermediate_size": 14_336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
        "max_position_embeddings": 32_768, "eos_token_id": 128_001,
    });
    ModelConfig::parse(&text.to_string()).unwrap()
}

/// The whole plan at its real size, where nothing is computed: what it allocates is the same as on a card.
#[test]
fn a_thousand_audits_of_eight_billion_parameters_take_a_tenth_more_than_they_need_at_most() {
    let plan = Plan { prefill: vec![2_048], batches: vec![1], response: (64, 4), runs: 1, ..Plan::full() };
    let memory = measure(&Ledger::open(), &llama_8b(), &plan, &mut |_| {}).unwrap().memory;
    assert_eq!(memory.first, memory.last);
    let needed = memory.weights + memory.activations;
    assert!(memory.peak >= memory.weights && memory.loaded >= memory.weights, "{memory:?}");
    assert!(memory.peak as f64 <= 1.1 * needed as f64, "{memory:?}");
    // Neither of the two is more than what is there: the bound is one.
    assert!(memory.peak as f64 >= 0.9 * needed as f64, "{memory:?}");
}

/// What the test above would see of memory that is not given back.
#[test]
fn memory_that_stays_shows_as_growth() {
    let device = Ledger::leaking(16 << 20);
    let plan = Plan { prefill: vec![64], batches: vec![], runs: 1, stream: 200, ..Plan::full() };
    let memory = measure(&device, &llama_8b(), &plan, &mut |_| {}).unwrap().memory;
    assert!(memory.last > memory.first, "{memory:?}");
    assert!(memory.peak as f64 > 1.1 * (memory.weights + memory.activations) as f64, "{memory:?}");
}

/// Counted by hand: 7 rows of width 64, four query and two key heads of 16, a feed-forward of 96; chunks of 5 rows, logits of 2
/// at a time.
#[test]
fn activations_are_counted_as_documented() {
    let of = |vocabulary: usize, bounds: &Options| {
        let text = config("LlamaForCausalLM", json!({ "vocab_size": vocabulary })).to_string();
        activations(&ModelConfig::parse(&text).unwrap(), bounds, 7)
    };
    let bounds = Options { pass: 100, chunk: 5, logits: 2 };
    let states = 3 * 7 * 2 * 64;
    let in_layers = 7 * (4 * 64 + 4 * 32) + 5 * (2 * 64 + 2 * (64 + 64) + 6 * 96);
    assert_eq!(of(288, &bounds), states + in_layers);
    // Logits of all rows are more than what is in the layers.
    assert_eq!(of(6_000, &Options { chunk: 50, logits: 50, ..bounds }), states + 7 * 4 * 6_000);
}

/// Counted by hand: two layers of matrices of 16 × 8 (queries), 8 × 8 twice (keys, values), 8 × 16 (output), 12 × 8 twice and
/// 8 × 12; two heads of width 8; a sequence of 3 tokens sees 1 + 2 + 3 positions.
#[test]
fn operations_are_counted_as_documented() {
    let fields = json!({
        "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 1, "head_dim": 8,
    });
    let (_dir, files) = written(1, &config("LlamaForCausalLM", fields));
    let matrices = 2 * (16 * 8 + 2 * 8 * 8 + 8 * 16 + 2 * 12 * 8 + 8 * 12);
    let attention = 4 * 2 * 2 * 8 * 6;
    assert_eq!(operations(files.config(), &[3]), f64::from(2 * 3 * matrices + attention));
    assert_eq!(operations(files.config(), &[3, 3]), f64::from(2 * (2 * 3 * matrices + attention)));
}
