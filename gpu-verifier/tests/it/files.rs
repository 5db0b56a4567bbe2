//! Hostile and broken model files: an error that names the thing, never a panic.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::json;
use tandem_verifier::backend::{self, Options};
use tandem_verifier::model::ModelFiles;
use tandem_verifier::testmodel::Size;

use crate::common::{FULL, prompt, written};

fn load(dir: &Path) -> Result<(), String> {
    let files = ModelFiles::open(dir).map_err(|e| e.to_string())?;
    backend::open(&files, &Options::default()).map_err(|e| e.to_string())?;
    files.tokenizer().map_err(|e| e.to_string())?;
    Ok(())
}

/// Loads a small model after `edit` has changed the text of one of its files.
fn load_edited(file: &str, edit: impl Fn(String) -> String) -> Result<(), String> {
    let dir = written(1, Size::Small);
    let path = dir.path().join(file);
    let text = edit(fs::read_to_string(&path).unwrap());
    fs::write(path, text).unwrap();
    load(dir.path())
}

fn assert_names(result: Result<(), String>, words: &[&str]) {
    let error = result.expect_err("a broken model was accepted");
    for word in words {
        assert!(error.contains(word), "{error:?} does not name {word}");
    }
}

#[test]
fn a_missing_file_is_named() {
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        let dir = written(1, Size::Small);
        fs::remove_file(dir.path().join(file)).unwrap();
        assert_names(load(dir.path()), &["cannot read", file]);
    }
}

#[test]
fn an_unknown_architecture_is_named() {
    let result = load_edited("config.json", |text| text.replace("LlamaForCausalLM", "MambaForCausalLM"));
    assert_names(result, &["MambaForCausalLM", "LlamaForCausalLM", "config.json"]);
}

#[test]
fn a_configuration_that_makes_no_sense_or_asks_for_more_is_refused_by_field() {
    for (from, to, words) in [
        ("\"hidden_size\": 128", "\"hidden_size\": 0", ["hidden_size", "0"]),
        ("\"hidden_size\": 128", "\"hidden_size\": 18446744073709551615", ["hidden_size", "65536"]),
        ("\"hidden_size\": 128", "\"hidden_size\": -4", ["config.json", "-4"]),
        ("\"hidden_size\": 128,", "", ["hidden_size", "missing"]),
        ("\"vocab_size\": 288", "\"vocab_size\": 99999999", ["vocab_size", "99999999"]),
        ("\"num_attention_heads\": 4", "\"num_attention_heads\": 3", ["num_key_value_heads", "3"]),
        ("\"head_dim\": 32", "\"head_dim\": 31", ["head_dim", "31"]),
        ("\"rms_norm_eps\": 1e-5", "\"rms_norm_eps\": -1", ["rms_norm_eps", "-1"]),
        ("\"rope_theta\": 10000.0", "\"rope_theta\": 0.0", ["rope_theta", "0"]),
        ("\"rope_theta\": 10000.0", "\"rope_theta\": \"x\"", ["config.json", "x"]),
        ("\"rope_theta\": 10000.0", "\"sliding_window\": 64", ["sliding_window 64", "LlamaForCausalLM"]),
        ("\"rope_theta\": 10000.0", "\"partial_rotary_factor\": 0.5", ["partial_rotary_factor", "0.5"]),
        ("\"rope_theta\": 10000.0", "\"rope_interleaved\": true", ["rope_interleaved", "true"]),
        ("\"rope_theta\": 10000.0", "\"quantization_config\": {}", ["quantization_config", "quantized"]),
        ("\"silu\"", "\"gelu\"", ["hidden_act", "gelu"]),
        ("\"bfloat16\"", "\"float16\"", ["dtype", "float16"]),
        ("\"eos_token_id\": 257", "\"eos_token_id\": [1, 288]", ["eos_token_id", "288"]),
        ("\"architectures\": [\"LlamaForCausalLM\"],", "", ["architectures", "exactly one"]),
        ("{", "[", ["config.json", "line"]),
    ] {
        let result = load_edited("config.json", |text| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        assert_names(result, &words);
    }
    let huge = load_edited("config.json", |text| text + &" ".repeat(2 << 20));
    assert_names(huge, &["config.json", "larger than"]);
}

/// The standard configuration with some fields set, as text.
fn config_with(fields: &[(&str, serde_json::Value)]) -> String {
    let dir = written(1, Size::Small);
    let text = fs::read_to_string(dir.path().join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (field, value) in fields {
        config[field] = value.clone();
    }
    config.to_string()
}

#[test]
fn a_way_of_scaling_positions_that_is_unknown_incomplete_or_contradictory_is_refused_by_name() {
    let yarn = json!({ "rope_type": "yarn", "factor": 4.0 });
    for (scaling, words) in [
        (json!({ "type": "longrope", "factor": 4.0 }), ["rope_scaling.rope_type", "longrope"]),
        (json!({ "rope_type": "mrope", "mrope_section": [1] }), ["rope_type", "mrope"]),
        (json!({ "factor": 4.0 }), ["rope_scaling.factor", "default"]),
        (json!({ "type": 7 }), ["rope_scaling", "rope_type"]),
        (json!({ "type": "linear", "rope_type": "yarn" }), ["rope_scaling", "single rope_type"]),
        (json!({ "type": "linear" }), ["rope_scaling.factor", "missing"]),
        (json!({ "type": "linear", "factor": 0.5 }), ["rope_scaling.factor", "0.5"]),
        (json!({ "type": "linear", "factor": "4" }), ["rope_scaling.factor", "4"]),
        (json!({ "type": "linear", "factor": 1e300 }), ["rope_scaling.factor", "1e+300"]),
        (json!({ "type": "linear", "factor": 2.0, "mscale": 1.0 }), ["rope_scaling.mscale", "linear"]),
        (
            json!({ "type": "dynamic", "factor": 2.0, "original_max_position_embeddings": 64 }),
            ["original_max", "is not"],
        ),
        (json!({ "type": "llama3", "factor": 8.0 }), ["rope_scaling.low_freq_factor", "missing"]),
        (
            json!({ "type": "llama3", "factor": 8.0, "low_freq_factor": 4.0, "high_freq_factor": 4.0 }),
            ["high_freq_factor", "low_freq_factor"],
        ),
        (json!({ "type": "yarn", "factor": 8.0, "truncate": 1 }), ["rope_scaling.truncate", "1"]),
        (json!({ "type": "yarn", "factor": 8.0, "mscale_all_dim": 1.0 }), ["rope_scaling.mscale_all_dim", "yarn"]),
        (json!("yarn"), ["config.json", "yarn"]),
    ] {
        let config = config_with(&[("rope_scaling", scaling)]);
        assert_names(load_edited("config.json", |_| config.clone()), &words);
    }
    for (fields, words) in [
        (
            vec![("rope_scaling", yarn.clone()), ("rope_parameters", json!({ "rope_theta": 1e4 }))],
            ["contradicts", "rope"],
        ),
        (vec![("rope_parameters", json!({ "rope_theta": 5e5 }))], ["rope_theta", "twice"]),
        (vec![("rope_scaling", yarn), ("rope_theta", json!(1.0))], ["rope_theta", "1"]),
    ] {
        let config = config_with(&fields);
        assert_names(load_edited("config.json", |_| config.clone()), &words);
    }
}

#[test]
fn what_a_family_cannot_have_is_refused_by_field() {
    let qwen = |name: &str| ("architectures", json!([format!("{name}ForCausalLM")]));
    let mut windows = vec![("use_sliding_window", json!(true)), ("sliding_window", json!(8))];
    for (mut fields, words) in [
        (vec![qwen("Qwen2"), ("attention_bias", json!(false))], ["attention_bias", "Qwen2ForCausalLM"]),
        (vec![qwen("Qwen2"), ("attention_bias", json!(true)), ("mlp_bias", json!(true))], ["mlp_bias", "true"]),
        (vec![qwen("Qwen3"), ("head_dim", serde_json::Value::Null)], ["head_dim", "missing"]),
        (vec![qwen("Qwen3"), ("layer_types", json!(["full_attention"]))], ["layer_types", "1 entries"]),
        (
            vec![qwen("Qwen3"), ("layer_types", json!(["full_attention", "linear_attention"]))],
            ["layer_types", "linear_att"],
        ),
        (vec![qwen("Qwen3"), ("sliding_window", json!(0))], ["sliding_window", "0"]),
        (vec![qwen("Qwen3Moe")], ["Qwen3MoeForCausalLM", "Qwen3ForCausalLM"]),
    ] {
        fields.splice(0..0, windows.clone());
        let config = config_with(&fields);
        assert_names(load_edited("config.json", |_| config.clone()), &words);
    }
    windows = vec![qwen("Qwen3"), ("layer_types", json!(["full_attention", "sliding_attention"]))];
    let config = config_with(&windows);
    assert_names(load_edited("config.json", |_| config.clone()), &["layer_types", "no sliding_window"]);
}

/// Each family asks for its own tensors, and none is left over: an unread bias or norm would be another model's.
#[test]
fn a_tensor_that_the_family_needs_or_has_no_use_for_is_named() {
    let family = |name: &str| {
        let config = config_with(&[("architectures", json!([name])), ("attention_bias", serde_json::Value::Null)]);
        load_edited("config.json", |_| config.clone())
    };
    assert_names(family("Qwen2ForCausalLM"), &["model.layers.0.self_attn.q_proj.bias", "missing"]);
    assert_names(family("Qwen3ForCausalLM"), &["model.layers.0.self_attn.q_norm.weight", "missing"]);

    let dir = tempfile::tempdir().unwrap();
    let qwen = config_with(&[("architectures", json!(["Qwen3ForCausalLM"])), ("attention_bias", json!(true))]);
    tandem_verifier::testmodel::write_config(dir.path(), 1, &qwen).unwrap();
    load(dir.path()).unwrap();
    let without = |field: &str, value: &str| {
        let config = qwen.replace(field, value);
        assert_ne!(config, qwen);
        fs::write(dir.path().join("config.json"), config).unwrap();
        load(dir.path())
    };
    assert_names(without("Qwen3ForCausalLM", "LlamaForCausalLM"), &["_norm.weight", "no use"]);
    assert_names(without("\"attention_bias\":true", "\"attention_bias\":false"), &["_proj.bias", "no use"]);
    assert_names(without("\"num_hidden_layers\":2", "\"num_hidden_layers\":1"), &["model.layers.1.", "no use"]);
    assert_names(without("\"head_dim\":32", "\"head_dim\":64"), &["model.layers.0.self_attn", "[64]"]);
}

/// Sizes that a stranger's configuration claims are compared with the file before anything is allocated or multiplied.
#[test]
fn the_largest_claims_of_all_sizes_at_once_are_refused_without_allocation() {
    let fields: Vec<(&str, serde_json::Value)> = tandem_verifier::model::ModelConfig::LIMITS
        .iter()
        .map(|&(field, limit)| (field, json!(limit)))
        .chain([("architectures", json!(["Qwen3ForCausalLM"]))])
        .collect();
    let config = config_with(&fields);
    assert_names(load_edited("config.json", |_| config.clone()), &["tensor model.embed_tokens.weight", "4194304"]);
    let dir = tempfile::tempdir().unwrap();
    let refused = tandem_verifier::testmodel::write_config(dir.path(), 1, &config).unwrap_err().to_string();
    assert!(refused.contains("parameters are above"), "{refused}");
}

#[test]
fn a_tensor_that_is_missing_or_of_another_shape_or_type_is_named() {
    let layers =
        |n: u32| move |text: String| text.replace("\"num_hidden_layers\": 2", &format!("\"num_hidden_layers\": {n}"));
    assert_names(load_edited("config.json", layers(3)), &["model.layers.2.input_layernorm.weight", "missing"]);
    let wide = |text: String| text.replace("\"intermediate_size\": 352", "\"intermediate_size\": 353");
    assert_names(load_edited("config.json", wide), &["model.layers.0.mlp.gate_proj.weight", "352", "353"]);
    // The largest sizes that a configuration may claim are compared with the file before anything is allocated.
    let vast = |text: String| text.replace("\"vocab_size\": 288", "\"vocab_size\": 4194304");
    assert_names(load_edited("config.json", vast), &["model.embed_tokens.weight", "4194304"]);

    let dir = written(1, Size::Small);
    let path = dir.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let header = String::from_utf8_lossy(&bytes[8..5_000]).into_owned();
    assert!(header.contains("BF16"));
    let at = header.find("BF16").unwrap() + 8;
    let mut typed = bytes.clone();
    typed[at..at + 4].copy_from_slice(b"F16\"");
    typed[at + 4] = b' ';
    fs::write(&path, typed).unwrap();
    assert_names(load(dir.path()), &["type F16, not BF16", "tensor "]);
}

#[test]
fn a_truncated_extended_or_scrambled_weights_file_is_named() {
    let dir = written(1, Size::Small);
    let path = dir.path().join("model.safetensors");
    let good = fs::read(&path).unwrap();
    for length in [0, 1, 7, 8, 9, 100, good.len() / 2, good.len() - 1] {
        fs::write(&path, &good[..length]).unwrap();
        assert_names(load(dir.path()), &["model.safetensors", "not a whole safetensors file"]);
    }
    fs::write(&path, [good.as_slice(), &[0]].concat()).unwrap();
    assert_names(load(dir.path()), &["not a whole safetensors file"]);
    for huge in [u64::MAX, 1 << 40, good.len() as u64] {
        let mut bytes = good.clone();
        bytes[..8].copy_from_slice(&huge.to_le_bytes());
        fs::write(&path, bytes).unwrap();
        assert_names(load(dir.path()), &["model.safetensors"]);
    }
}

#[test]
fn a_tokenizer_that_is_broken_or_too_large_for_the_model_is_refused() {
    assert_names(load_edited("tokenizer.json", |text| text.replace("\"BPE\"", "\"Magic\"")), &["tokenizer.json"]);
    assert_names(load_edited("tokenizer.json", |_| String::new()), &["tokenizer.json"]);
    let beyond = |text: String| text.replace("\"a\":97", "\"a\":9999");
    assert_names(load_edited("tokenizer.json", beyond), &["tokenizer.json", "9999", "288"]);
}

#[test]
fn prompts_are_neither_cut_nor_filled_up_whatever_the_tokenizers_file_says() {
    let dir = written(1, Size::Small);
    let path = dir.path().join("tokenizer.json");
    let plain = fs::read_to_string(&path).unwrap();
    let encode = || ModelFiles::open(dir.path()).unwrap().tokenizer().unwrap().encode("Hello there").unwrap();
    let expected = encode();
    let truncation = r#""truncation":{"direction":"Right","max_length":3,"strategy":"LongestFirst","stride":0}"#;
    let padding = r#""padding":{"strategy":{"Fixed":64},"direction":"Right","pad_to_multiple_of":null,"pad_id":0,"pad_type_id":0,"pad_token":"a"}"#;
    let edited = plain.replace(r#""truncation":null"#, truncation).replace(r#""padding":null"#, padding);
    assert_ne!(edited, plain);
    fs::write(&path, edited).unwrap();
    assert_eq!(encode(), expected);
    fs::File::options().write(true).open(&path).unwrap().set_len((256 << 20) + 1).unwrap();
    let refused = ModelFiles::open(dir.path()).unwrap().tokenizer().map(drop).map_err(|error| error.to_string());
    assert_names(refused, &["tokenizer.json", "larger than"]);
}

/// Splits the one file of the seeded model into two with an index, as large models come.
#[test]
fn sharded_weights_give_the_same_model_and_a_bad_index_is_refused() {
    let dir = written(1, Size::Full);
    let single = dir.path().join("model.safetensors");
    let bytes = fs::read(&single).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut map = serde_json::Map::new();
    for shard in 0..2 {
        let file = format!("model-{shard}.safetensors");
        let part: Vec<_> = tensors.tensors().into_iter().enumerate().filter(|(i, _)| i % 2 == shard).collect();
        map.extend(part.iter().map(|(_, (name, _))| (name.clone(), file.clone().into())));
        let part = part.into_iter().map(|(_, tensor)| tensor);
        fs::write(dir.path().join(&file), safetensors::serialize(part, None).unwrap()).unwrap();
    }
    fs::remove_file(&single).unwrap();
    let index = dir.path().join("model.safetensors.index.json");
    let text = serde_json::json!({ "weight_map": map }).to_string();
    fs::write(&index, &text).unwrap();
    let files = ModelFiles::open(dir.path()).unwrap();
    let sharded = backend::open(&files, &Options::default()).unwrap();
    let tokens = prompt(1, 30);
    assert_eq!(sharded.prefill(&tokens), FULL.prefill(&tokens));

    for (from, to, words) in [
        ("model-1.safetensors", "../model-1.safetensors", ["plain file name", "../"]),
        ("model-1.safetensors", "/etc/passwd", ["plain file name", "passwd"]),
        ("model-1.safetensors", "..", ["plain file name", ".."]),
        ("model-1.safetensors", "model-9.safetensors", ["cannot read", "model-9"]),
        ("lm_head.weight", "lm_foot.weight", ["lm_head.weight", "not in the index"]),
        ("weight_map", "weights", ["index.json", "weight_map"]),
    ] {
        fs::write(&index, text.replace(from, to)).unwrap();
        assert_names(load(dir.path()), &words);
    }
    fs::write(&index, r#"{"weight_map":{}}"#).unwrap();
    assert_names(load(dir.path()), &["not in the index"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(feature = "deep") { 5_000 } else { 40 }))]

    #[test]
    fn flipped_bytes_in_any_header_or_configuration_never_panic(
        file in proptest::sample::select(vec!["config.json", "model.safetensors", "tokenizer.json"]),
        changes in proptest::collection::vec((0_usize..3_000, any::<u8>()), 1..6),
    ) {
        let dir = written(1, Size::Small);
        let path = dir.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        fs::write(&path, bytes).unwrap();
        let _ = load(dir.path());
    }
}
