//! `config.json`, read strictly: a field that changes the mathematics is either understood or refused.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{ModelError, read_json};

/// A family of models whose forward pass is implemented here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Architecture {
    /// RMSNorm, rotary positions, grouped-query attention, SwiGLU; no biases.
    #[serde(rename = "LlamaForCausalLM")]
    Llama,
}

impl Architecture {
    pub(crate) const SUPPORTED: &'static str = "LlamaForCausalLM";

    fn parse(name: &str) -> Option<Self> {
        match name {
            "LlamaForCausalLM" => Some(Self::Llama),
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
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
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
    rope_parameters: Option<RopeParameters>,
    rope_scaling: Option<serde_json::Value>,
    max_position_embeddings: Option<u64>,
    tie_word_embeddings: Option<bool>,
    eos_token_id: Option<OneOrMany>,
    hidden_act: Option<String>,
    attention_bias: Option<bool>,
    mlp_bias: Option<bool>,
    sliding_window: Option<u64>,
    use_sliding_window: Option<bool>,
    quantization_config: Option<serde_json::Value>,
    torch_dtype: Option<String>,
    dtype: Option<String>,
}

#[derive(Deserialize)]
struct RopeParameters {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(u32),
    Many(Vec<u32>),
}

/// The largest `config.json` that is read.
const FILE_LIMIT: u64 = 1 << 20;

impl ModelConfig {
    /// Upper bounds of the sizes, by field: large enough for any published model, small enough that products of two
    /// fit 64 bits with room to spare.
    pub const LIMITS: [(&'static str, u64); 8] = [
        ("vocab_size", 1 << 22),
        ("hidden_size", 1 << 16),
        ("intermediate_size", 1 << 20),
        ("num_hidden_layers", 1 << 10),
        ("num_attention_heads", 1 << 10),
        ("num_key_value_heads", 1 << 10),
        ("head_dim", 1 << 10),
        ("max_position_embeddings", 1 << 24),
    ];

    /// Reads and checks `path`.
    ///
    /// # Errors
    /// [`ModelError::Architecture`], or [`ModelError::Config`] naming the field.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let wrong = |reason: String| ModelError::Config { path: path.to_owned(), reason };
        let raw: Raw = read_json(path, FILE_LIMIT)?.map_err(wrong)?;
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
        if raw.head_dim.is_none() && !hidden_size.is_multiple_of(heads) {
            return Err(format!("num_attention_heads {heads} does not divide hidden_size {hidden_size}"));
        }
        if !head_dim.is_multiple_of(2) {
            return Err(format!("head_dim {head_dim} is odd"));
        }
        let vocab_size = size("vocab_size", raw.vocab_size)?;
        let eos_token_ids = match raw.eos_token_id {
            None => vec![],
            Some(OneOrMany::One(id)) => vec![id],
            Some(OneOrMany::Many(ids)) => ids,
        };
        if let Some(id) = eos_token_ids.iter().find(|&&id| id as usize >= vocab_size) {
            return Err(format!("eos_token_id {id} is not below vocab_size {vocab_size}"));
        }
        let rope = raw.rope_parameters.as_ref().and_then(|p| p.rope_theta);
        Ok(Self {
            architecture,
            vocab_size,
            hidden_size,
            intermediate_size: size("intermediate_size", raw.intermediate_size)?,
            layers: size("num_hidden_layers", raw.num_hidden_layers)?,
            heads,
            kv_heads,
            head_dim,
            rms_norm_eps: between("rms_norm_eps", raw.rms_norm_eps.unwrap_or(1e-6), 0.0, 1.0)? as f32,
            rope_theta: between("rope_theta", raw.rope_theta.or(rope).unwrap_or(10_000.0), 1.0, 1e12)?,
            max_positions: size("max_position_embeddings", raw.max_position_embeddings)?,
            tie_word_embeddings: raw.tie_word_embeddings.unwrap_or(false),
            eos_token_ids,
        })
    }

    /// Number of parameters, norms included.
    pub fn parameters(&self) -> u64 {
        let [vocab, hidden, ff, layers, heads, kv, dim] = [
            self.vocab_size,
            self.hidden_size,
            self.intermediate_size,
            self.layers,
            self.heads,
            self.kv_heads,
            self.head_dim,
        ]
        .map(|n| n as u64);
        let attention = 2 * hidden * heads * dim + 2 * hidden * kv * dim;
        let matrices = if self.tie_word_embeddings { 1 } else { 2 };
        matrices * vocab * hidden + layers * (attention + 3 * hidden * ff + 2 * hidden) + hidden
    }

    /// Whether `token` ends an answer.
    pub fn is_eos(&self, token: u32) -> bool {
        self.eos_token_ids.contains(&token)
    }
}

fn refuse_unsupported(raw: &Raw) -> Result<(), String> {
    let unsupported = |field: &str, value: &str| Err(format!("{field} {value} is not supported"));
    let rope_type = raw.rope_parameters.as_ref().and_then(|p| p.rope_type.as_deref());
    let window = raw.sliding_window.filter(|_| raw.use_sliding_window != Some(false));
    let dtype = raw.dtype.as_deref().or(raw.torch_dtype.as_deref()).unwrap_or("bfloat16");
    match raw {
        Raw { hidden_act: Some(act), .. } if act != "silu" => unsupported("hidden_act", act),
        Raw { attention_bias: Some(true), .. } => unsupported("attention_bias", "true"),
        Raw { mlp_bias: Some(true), .. } => unsupported("mlp_bias", "true"),
        Raw { quantization_config: Some(_), .. } => unsupported("quantization_config", "(quantized weights)"),
        Raw { rope_scaling: Some(scaling), .. } => unsupported("rope_scaling", &scaling.to_string()),
        _ if rope_type.is_some_and(|t| t != "default") => unsupported("rope_type", rope_type.unwrap_or_default()),
        _ if window.is_some() => unsupported("sliding_window", &window.unwrap_or_default().to_string()),
        _ if dtype != "bfloat16" => unsupported("dtype", dtype),
        _ => Ok(()),
    }
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
