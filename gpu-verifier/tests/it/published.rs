//! Configurations as published models have them.

use serde_json::{Value, json};
use tandem_verifier::model::{Architecture, ModelConfig, Rope, RopeScaling};

fn read(config: &Value) -> ModelConfig {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    std::fs::write(&path, config.to_string()).unwrap();
    ModelConfig::read(&path).unwrap()
}

fn llama_3_2_1b() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 128000,
        "eos_token_id": [128001, 128008, 128009], "head_dim": 64, "hidden_act": "silu", "hidden_size": 2048,
        "initializer_range": 0.02, "intermediate_size": 8192, "max_position_embeddings": 131072, "mlp_bias": false,
        "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8,
        "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "tie_word_embeddings": true,
        "rope_scaling": {
            "factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3"
        },
        "torch_dtype": "bfloat16", "transformers_version": "4.45.0.dev0", "use_cache": true, "vocab_size": 128256
    })
}

fn qwen_2_5(sizes: [u64; 5], tied: bool, more: Value) -> Value {
    let [hidden, feed_forward, layers, heads, vocab] = sizes;
    let mut config = json!({
        "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151645,
        "hidden_act": "silu", "hidden_size": hidden, "initializer_range": 0.02, "intermediate_size": feed_forward,
        "max_position_embeddings": 32768, "max_window_layers": 21, "model_type": "qwen2", "num_attention_heads": heads,
        "num_hidden_layers": layers, "num_key_value_heads": heads / 7, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
        "sliding_window": 32768, "tie_word_embeddings": tied, "torch_dtype": "bfloat16", "use_cache": true,
        "use_sliding_window": false, "vocab_size": vocab
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

fn qwen3_0_6b() -> Value {
    json!({
        "architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 151643,
        "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024, "initializer_range": 0.02,
        "intermediate_size": 3072, "max_position_embeddings": 40960, "max_window_layers": 28, "model_type": "qwen3",
        "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-06,
        "rope_scaling": null, "rope_theta": 1000000, "sliding_window": null, "tie_word_embeddings": true,
        "torch_dtype": "bfloat16", "use_cache": true, "use_sliding_window": false, "vocab_size": 151936
    })
}

/// The numbers are those that the models' authors publish; one tensor too many or of another shape would change them.
#[test]
fn published_models_have_their_published_number_of_parameters() {
    for (config, architecture, parameters) in [
        (llama_3_2_1b(), Architecture::Llama, 1_235_814_400),
        (qwen_2_5([896, 4_864, 24, 14, 151_936], true, json!({})), Architecture::Qwen2, 494_032_768),
        (qwen_2_5([3_584, 18_944, 28, 28, 152_064], false, json!({})), Architecture::Qwen2, 7_615_616_512),
        (qwen3_0_6b(), Architecture::Qwen3, 596_049_920),
    ] {
        let config = read(&config);
        assert_eq!((config.architecture, config.parameters()), (architecture, parameters));
        assert_eq!(config.qk_norm, architecture == Architecture::Qwen3);
        assert_eq!((config.qkv_bias, config.output_bias), (architecture == Architecture::Qwen2, false));
        assert!(config.windows.iter().all(Option::is_none) && config.windows.len() == config.layers);
    }
}

#[test]
fn positions_are_scaled_as_the_configuration_says_in_either_spelling() {
    let llama3 = RopeScaling::Llama3 {
        factor: 32.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 8_192.0,
    };
    assert_eq!(read(&llama_3_2_1b()).rope, Rope { theta: 500_000.0, scaling: llama3 });

    let mut newer = llama_3_2_1b();
    let fields = newer.as_object_mut().unwrap();
    let mut parameters = fields.remove("rope_scaling").unwrap();
    parameters["rope_theta"] = fields.remove("rope_theta").unwrap();
    fields.insert("rope_parameters".to_owned(), parameters);
    let dtype = fields.remove("torch_dtype").unwrap();
    fields.insert("dtype".to_owned(), dtype);
    assert_eq!(read(&newer), read(&llama_3_2_1b()));

    // As Qwen2.5 tells its users to write it.
    let scaling = json!({ "factor": 4.0, "original_max_position_embeddings": 32768, "type": "yarn" });
    let yarn = read(&qwen_2_5([896, 4_864, 24, 14, 151_936], true, json!({ "rope_scaling": scaling })));
    let RopeScaling::Yarn { attention_factor, beta_fast, beta_slow, truncate, .. } = yarn.rope.scaling else {
        panic!("{:?}", yarn.rope)
    };
    assert!((attention_factor - 1.138_629_436_111_989).abs() < 1e-15, "{attention_factor}");
    assert_eq!((beta_fast, beta_slow, truncate), (32.0, 1.0, true));
    assert_eq!(yarn.rope.table(64).magnitude, 1.138_629_4);
}

#[test]
fn windows_are_used_in_the_layers_that_the_configuration_says_and_only_if_it_says_so() {
    let sizes = [896, 4_864, 24, 14, 151_936];
    let on = read(&qwen_2_5(sizes, true, json!({ "use_sliding_window": true, "sliding_window": 4096 })));
    assert_eq!(on.windows, [vec![None; 21], vec![Some(4_096); 3]].concat());
    let kinds: Vec<&str> = (0..24).map(|i| if i % 6 == 5 { "full_attention" } else { "sliding_attention" }).collect();
    let typed = json!({ "use_sliding_window": true, "sliding_window": 512, "layer_types": kinds });
    let windows = read(&qwen_2_5(sizes, true, typed)).windows;
    assert!(windows.iter().enumerate().all(|(i, window)| window.is_none() == (i % 6 == 5)));
    let mut llama = llama_3_2_1b();
    llama["sliding_window"] = json!(512);
    llama["layer_types"] = json!(kinds[..16]);
    assert_eq!(read(&llama).windows[..6], [Some(512), Some(512), Some(512), Some(512), Some(512), None]);
}
