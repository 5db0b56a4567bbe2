//! The measurements behind `bench gpu`, of a model small enough for the emulated device: that they run and add up, not what
//! they come to.

use serde_json::json;
use tandem_cuda::measure::{Plan, measure, operations};

use crate::common::{config, device, written};

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
    assert_eq!(report.memory.first, report.memory.last);
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
