//! `config.json`, read strictly: a field that changes the mathematics is either understood or refused.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::rope::{self, Rope, RopeScaling};
use super::{ModelError, read_json};

/// A family of models whose forward pass is implemented here: RMSNorm, rotary positions, grouped-query attention, SwiGLU,
/// and what is said of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Architecture {
    /// Biases where the configuration asks for them.
    #[serde(rename = "LlamaForCausalLM")]
    Llama,
    /// Biases on queries, keys and values; a sliding window in upper layers where the configuration asks for it.
    #[serde(rename = "Qwen2ForCausalLM")]
    Qwen2,
    /// Queries and keys are normalised by head; biases and sliding windows where the configuration asks for them.
    #[serde(rename = "Qwen3ForCausalLM")]
    Qwen3,
}

impl Architecture {
    pub(crate) const SUPPORTED: &'static str = "LlamaForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM";

    fn parse(name: &str) -> Option<Self> {
        match name {
            "LlamaForCausalLM" => Some(Self::Llama),
            "Qwen2ForCausalLM" => Some(Self::Qwen2),
            "Qwen3ForCausalLM" => Some(Self::Qwen3),
            _ => None,
        }
    }
}

/// The shape of a model, validated: every number is within [`ModelConfig::LIMITS`], heads divide as they must.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelConfig {
    /// The family.
    pub architecture: Architecture,
    /// Tokens known; logits per row.
    pub vocab_size: usize,
    /// Width of the residual stream and of the committed hidden states.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Number of layers.
    pub layers: usize,
    /// Query heads per layer.
    pub heads: usize,
    /// Key and value heads per layer; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head; even.
    pub head_dim: usize,
    /// Added to the mean square before the root.
    pub rms_norm_eps: f32,
    /// Rotary positions.
    pub rope: Rope,
    /// Whether queries, keys and values have biases.
    pub qkv_bias: bool,
    /// Whether the output of attention has a bias.
    pub output_bias: bool,
    /// Whether the three matrices of the feed-forward layer have biases.
    pub mlp_bias: bool,
    /// Whether queries and keys are normalised by head before they are turned.
    pub qk_norm: bool,
    /// How many positions each layer looks back over, its own included; all of them where there is none.
    pub windows: Vec<Option<usize>>,
    /// Longest sequence, prompt and output together.
    pub max_positions: usize,
    /// Whether the output matrix is the embedding matrix.
    pub tie_word_embeddings: bool,
    /// Tokens that end an answer.
    pub eos_token_ids: Vec<u32>,
}

#[derive(Deserialize)]
struct Raw {
    architectures: Option<Vec<String>>,
    vocab_size: Option<u64>,
    hidden_size: Option<u64>,
    intermediate_size: Option<u64>,
    num_hidden_layers: Option<u64>,
    num_attention_heads: Option<u64>,
    num_key_value_heads: Option<u64>,
    head_dim: Option<u64>,
    rms_norm_eps: Option<f64>,
    rope_theta: Option<f64>,
    rope_parameters: Option<Map<String, Value>>,
    rope_scaling: Option<Map<String, Value>>,
    partial_rotary_factor: Option<f64>,
    rope_interleaved: Option<bool>,
    max_position_embeddings: Option<u64>,
    tie_word_embeddings: Option<bool>,
    eos_token_id: Option<OneOrMany>,
    hidden_act: Option<String>,
    attention_bias: Option<bool>,
    mlp_bias: Option<bool>,
    sliding_window: Option<u64>,
    use_sliding_window: Option<bool>,
    max_window_layers: Option<u64>,
    layer_types: Option<Vec<String>>,
    quantization_config: Option<Value>,
    torch_dtype: Option<String>,
    dtype: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(u32),
    Many(Vec<u32>),
}

/// The largest `config.json` that is read.
const FILE_LIMIT: u64 = 1 << 20;

/// From which layer on a Qwen2 or Qwen3 model with a sliding window uses it, if its configuration does not say.
const MAX_WINDOW_LAYERS: u64 = 28;

impl ModelConfig {
    /// Upper bounds of the sizes, by field: large enough for any published model, small enough that products of two
    /// fit 64 bits with room to spare.
    pub const LIMITS: [(&'static str, u64); 9] = [
        ("vocab_size", 1 << 22),
        ("hidden_size", 1 << 16),
        ("intermediate_size", 1 << 20),
        ("num_hidden_layers", 1 << 10),
        ("num_attention_heads", 1 << 10),
        ("num_key_value_heads", 1 << 10),
        ("head_dim", 1 << 10),
        ("max_position_embeddings", 1 << 24),
        ("sliding_window", 1 << 24),
    ];

    /// Reads and checks `path`.
    ///
    /// # Errors
    /// [`ModelError::Architecture`], or [`ModelError::Config`] naming the field.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let wrong = |reason: String| ModelError::Config { path: path.to_owned(), reason };
        Self::of(read_json(path, FILE_LIMIT)?.map_err(wrong)?, path)
    }

    /// Checks the text of a `config.json`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(text: &str) -> Result<Self, ModelError> {
        let path = Path::new("config.json");
        let wrong = |error: serde_json::Error| ModelError::Config { path: path.to_owned(), reason: error.to_string() };
        Self::of(serde_json::from_str(text).map_err(wrong)?, path)
    }

    fn of(raw: Raw, path: &Path) -> Result<Self, ModelError> {
        let wrong = |reason: String| ModelError::Config { path: path.to_owned(), reason };
        let names = raw.architectures.as_deref().unwrap_or_default();
        let [name] = names else {
            return Err(wrong(format!("architectures must name exactly one architecture, not {}", names.len())));
        };
        let architecture = Architecture::parse(name)
            .ok_or_else(|| ModelError::Architecture { path: path.to_owned(), name: name.clone() })?;
        Self::from_raw(architecture, raw).map_err(wrong)
    }

    fn from_raw(architecture: Architecture, raw: Raw) -> Result<Self, String> {
        refuse_unsupported(&raw)?;
        let heads = size("num_attention_heads", raw.num_attention_heads)?;
        let hidden_size = size("hidden_size", raw.hidden_size)?;
        let kv_heads = size("num_key_value_heads", raw.num_key_value_heads.or(raw.num_attention_heads))?;
        let head_dim = size("head_dim", raw.head_dim.or(Some((hidden_size / heads) as u64)))?;
        if !heads.is_multiple_of(kv_heads) {
            return Err(format!("num_key_value_heads {kv_heads} does not divide num_attention_heads {heads}"));
        }
        if raw.head_dim.is_none() && architecture == Architecture::Qwen3 {
            // Its published default is a constant, others derive one: too easy to get wrong in silence.
            return Err("head_dim is missing".to_owned());
        }
        if raw.head_dim.is_none() && !hidden_size.is_multiple_of(heads) {
            return Err(format!("num_attention_heads {heads} does not divide hidden_size {hidden_size}"));
        }
        if !head_dim.is_multiple_of(2) {
            return Err(format!("head_dim {head_dim} is odd"));
        }
        let vocab_size = size("vocab_size", raw.vocab_size)?;
        let layers = size("num_hidden_layers", raw.num_hidden_layers)?;
        let max_positions = size("max_position_embeddings", raw.max_position_embeddings)?;
        let rope = rope(&raw, max_positions)?;
        let windows = windows(architecture, &raw, layers)?;
        let biases = raw.attention_bias.unwrap_or(architecture == Architecture::Qwen2);
        if architecture == Architecture::Qwen2 && !biases {
            return Err("attention_bias false is not supported for Qwen2ForCausalLM".to_owned());
        }
        if architecture != Architecture::Llama && raw.mlp_bias == Some(true) {
            return Err("mlp_bias true is not supported for this architecture".to_owned());
        }
        let eos_token_ids = end_tokens(raw.eos_token_id, vocab_size)?;
        Ok(Self {
            architecture,
            vocab_size,
            hidden_size,
            intermediate_size: size("intermediate_size", raw.intermediate_size)?,
            layers,
            heads,
            kv_heads,
            head_dim,
            rms_norm_eps: between("rms_norm_eps", raw.rms_norm_eps.unwrap_or(1e-6), 0.0, 1.0)? as f32,
            rope,
            qkv_bias: biases,
            output_bias: biases && architecture != Architecture::Qwen2,
            mlp_bias: raw.mlp_bias == Some(true),
            qk_norm: architecture == Architecture::Qwen3,
            windows,
            max_positions,
            tie_word_embeddings: raw.tie_word_embeddings.unwrap_or(false),
            eos_token_ids,
        })
    }

    /// Adds the tokens that end an answer by `generation_config.json`, if there is such a file: many models name some there alone.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming the field.
    pub fn add_generation(&mut self, path: &Path) -> Result<(), ModelError> {
        #[derive(Deserialize)]
        struct Generation {
            eos_token_id: Option<OneOrMany>,
        }
        if !path.try_exists().unwrap_or(true) {
            return Ok(());
        }
        let wrong = |reason: String| ModelError::Config { path: path.to_owned(), reason };
        let generation: Generation = read_json(path, FILE_LIMIT)?.map_err(wrong)?;
        let more = end_tokens(generation.eos_token_id, self.vocab_size).map_err(wrong)?;
        self.eos_token_ids.extend(more);
        self.eos_token_ids.sort_unstable();
        self.eos_token_ids.dedup();
        Ok(())
    }

    /// Names and shapes of all tensors of such a model, as its files must hold them.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (hidden, ff, dim) = (self.hidden_size, self.intermediate_size, self.head_dim);
        let (q, kv) = (self.heads * dim, self.kv_heads * dim);
        let mut all = vec![
            ("model.embed_tokens.weight".to_owned(), vec![self.vocab_size, hidden]),
            ("model.norm.weight".to_owned(), vec![hidden]),
        ];
        if !self.tie_word_embeddings {
            all.push(("lm_head.weight".to_owned(), vec![self.vocab_size, hidden]));
        }
        for layer in 0..self.layers {
            let mut add = |part: &str, kind: &str, shape: &[usize]| {
                all.push((format!("model.layers.{layer}.{part}.{kind}"), shape.to_vec()));
            };
            for norm in ["input_layernorm", "post_attention_layernorm"] {
                add(norm, "weight", &[hidden]);
            }
            if self.qk_norm {
                add("self_attn.q_norm", "weight", &[dim]);
                add("self_attn.k_norm", "weight", &[dim]);
            }
            for (part, outputs, inputs, bias) in [
                ("self_attn.q_proj", q, hidden, self.qkv_bias),
                ("self_attn.k_proj", kv, hidden, self.qkv_bias),
                ("self_attn.v_proj", kv, hidden, self.qkv_bias),
                ("self_attn.o_proj", hidden, q, self.output_bias),
                ("mlp.gate_proj", ff, hidden, self.mlp_bias),
                ("mlp.up_proj", ff, hidden, self.mlp_bias),
                ("mlp.down_proj", hidden, ff, self.mlp_bias),
            ] {
                add(part, "weight", &[outputs, inputs]);
                if bias {
                    add(part, "bias", &[outputs]);
                }
            }
        }
        all
    }

    /// Number of parameters, norms and biases included.
    pub fn parameters(&self) -> u64 {
        self.tensors().iter().map(|(_, shape)| shape.iter().map(|&n| n as u64).product::<u64>()).sum()
    }

    /// Whether `token` ends an answer.
    pub fn is_eos(&self, token: u32) -> bool {
        self.eos_token_ids.contains(&token)
    }
}

fn end_tokens(field: Option<OneOrMany>, vocab_size: usize) -> Result<Vec<u32>, String> {
    let ids = match field {
        None => vec![],
        Some(OneOrMany::One(id)) => vec![id],
        Some(OneOrMany::Many(ids)) => ids,
    };
    match ids.iter().find(|&&id| id as usize >= vocab_size) {
        Some(id) => Err(format!("eos_token_id {id} is not below vocab_size {vocab_size}")),
        None => Ok(ids),
    }
}

fn refuse_unsupported(raw: &Raw) -> Result<(), String> {
    let unsupported = |field: &str, value: &str| Err(format!("{field} {value} is not supported"));
    let dtype = raw.dtype.as_deref().or(raw.torch_dtype.as_deref()).unwrap_or("bfloat16");
    match raw {
        Raw { hidden_act: Some(act), .. } if act != "silu" => unsupported("hidden_act", act),
        Raw { quantization_config: Some(_), .. } => unsupported("quantization_config", "(quantized weights)"),
        Raw { partial_rotary_factor: Some(part), .. } if *part != 1.0 => {
            unsupported("partial_rotary_factor", &part.to_string())
        }
        Raw { rope_interleaved: Some(true), .. } => unsupported("rope_interleaved", "true"),
        _ if dtype != "bfloat16" => unsupported("dtype", dtype),
        _ => Ok(()),
    }
}

/// Older files name base and scaling apart, newer ones in one object; one that does both must not contradict itself.
fn rope(raw: &Raw, max_positions: usize) -> Result<Rope, String> {
    let parse = |field: &str, object: &Option<Map<String, Value>>| match object {
        Some(object) if !object.is_empty() => rope::parse(field, object, max_positions as f64).map(Some),
        _ => Ok(None),
    };
    let older = parse("rope_scaling", &raw.rope_scaling)?;
    let newer = parse("rope_parameters", &raw.rope_parameters)?;
    let scaling = match (older, newer) {
        (Some((_, a)), Some((_, b))) if a != b => return Err("rope_scaling contradicts rope_parameters".to_owned()),
        (older, newer) => newer.or(older).map_or(RopeScaling::Default, |(_, scaling)| scaling),
    };
    let mut thetas = [raw.rope_theta, older.and_then(|o| o.0), newer.and_then(|n| n.0)].into_iter().flatten();
    let theta = thetas.next().unwrap_or(10_000.0);
    if thetas.any(|other| other != theta) {
        return Err("rope_theta is given twice and differs".to_owned());
    }
    let least = if matches!(scaling, RopeScaling::Yarn { .. }) { 1.001 } else { 1.0 };
    Ok(Rope { theta: between("rope_theta", theta, least, 1e12)?, scaling })
}

fn windows(architecture: Architecture, raw: &Raw, layers: usize) -> Result<Vec<Option<usize>>, String> {
    let in_use = match architecture {
        Architecture::Llama => raw.use_sliding_window != Some(false),
        Architecture::Qwen2 | Architecture::Qwen3 => raw.use_sliding_window == Some(true),
    };
    let window = match raw.sliding_window.filter(|_| in_use) {
        Some(window) => Some(size("sliding_window", Some(window))?),
        None => None,
    };
    if let Some(types) = &raw.layer_types {
        if types.len() != layers {
            return Err(format!("layer_types has {} entries for num_hidden_layers {layers}", types.len()));
        }
        let of_layer = |kind: &String| match kind.as_str() {
            "full_attention" => Ok(None),
            "sliding_attention" if window.is_some() => Ok(window),
            "sliding_attention" => Err("layer_types has sliding_attention, but no sliding_window is in use".to_owned()),
            other => Err(format!("layer_types {other:?} is not supported")),
        };
        return types.iter().map(of_layer).collect();
    }
    if let (Architecture::Llama, Some(window)) = (architecture, window) {
        // Some implementations apply it to every layer, some to none.
        return Err(format!("sliding_window {window} without layer_types is not supported for LlamaForCausalLM"));
    }
    let first = raw.max_window_layers.unwrap_or(MAX_WINDOW_LAYERS);
    Ok((0..layers as u64).map(|layer| window.filter(|_| layer >= first)).collect())
}

fn size(field: &str, value: Option<u64>) -> Result<usize, String> {
    let value = value.ok_or_else(|| format!("{field} is missing"))?;
    let limit = ModelConfig::LIMITS.iter().find(|(name, _)| *name == field).map_or(u64::MAX, |&(_, limit)| limit);
    if value == 0 || value > limit {
        return Err(format!("{field} is {value}, not 1 to {limit}"));
    }
    usize::try_from(value).map_err(|_| format!("{field} {value} is too large for this machine"))
}

fn between(field: &str, value: f64, low: f64, high: f64) -> Result<f64, String> {
    if (low..=high).contains(&value) { Ok(value) } else { Err(format!("{field} is {value}, not {low} to {high}")) }
}
