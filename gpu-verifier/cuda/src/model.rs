//! A model's weights on the device: bf16 as they are in its files, little-endian as every device that this runs on.

use std::sync::Arc;

use tandem_model::model::{ModelConfig, ModelFiles};

use crate::backend::LoadError;
use crate::device::{Buffer, Device, DeviceError, Shape, launch};
use crate::kernels::sampling::FillNoise;

/// A model on a device.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) config: ModelConfig,
    embedding: Buffer,
    pub(crate) layers: Vec<Layer>,
    /// Weight of the last norm.
    pub(crate) norm: Buffer,
    /// The output matrix, where it is not the embedding.
    head: Option<Buffer>,
    /// f32, per pair of a head's dimensions.
    pub(crate) frequencies: Buffer,
    pub(crate) magnitude: f32,
}

/// A layer's weights.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) attention_norm: Buffer,
    /// Queries, then keys, then values: one product gives all three.
    pub(crate) qkv: Matrix,
    /// Weights of the norms of queries and keys, in families that have them.
    pub(crate) head_norms: Option<[Buffer; 2]>,
    pub(crate) output: Matrix,
    pub(crate) feed_forward_norm: Buffer,
    /// Gates, then what they let through.
    pub(crate) gate_up: Matrix,
    pub(crate) down: Matrix,
    /// Positions seen, the own included.
    pub(crate) window: u32,
}

/// A matrix `outputs × inputs`, and perhaps a bias per output.
#[derive(Debug)]
pub(crate) struct Matrix {
    pub(crate) weights: Buffer,
    pub(crate) bias: Option<Buffer>,
    pub(crate) outputs: u32,
    pub(crate) inputs: u32,
}

impl Model {
    /// Puts all `weights` of a model of the shape `config` on the device.
    pub(crate) fn load(
        device: &Arc<dyn Device>,
        weights: &Weights<'_>,
        config: &ModelConfig,
    ) -> Result<Self, LoadError> {
        if let Weights::Files(files) = weights {
            // Before anything of a size that a configuration claims is allocated.
            files.check_tensors()?;
        }
        let config = config.clone();
        let loader = Loader { device, weights };
        let (vocab, hidden) = (config.vocab_size, config.hidden_size);
        let rope = config.rope.table(config.head_dim);
        let head =
            (!config.tie_word_embeddings).then(|| loader.place("lm_head.weight", &[vocab, hidden])).transpose()?;
        Ok(Self {
            embedding: loader.place("model.embed_tokens.weight", &[vocab, hidden])?,
            layers: (0..config.layers).map(|index| loader.layer(&config, index)).collect::<Result<_, _>>()?,
            norm: loader.place("model.norm.weight", &[hidden])?,
            head,
            frequencies: Buffer::from(device, &rope.frequencies)?,
            magnitude: rope.magnitude,
            config,
        })
    }

    /// The embedding matrix, `vocabulary × hidden`.
    pub(crate) fn embedding(&self) -> &Buffer {
        &self.embedding
    }

    /// The output matrix, `vocabulary × hidden`.
    pub(crate) fn head(&self) -> &Buffer {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// Elements of a row of keys, or of values.
    pub(crate) fn kv_width(&self) -> usize {
        self.config.kv_heads * self.config.head_dim
    }
}

/// Where weights come from.
#[derive(Debug)]
pub(crate) enum Weights<'a> {
    /// A model's files.
    Files(&'a ModelFiles),
    /// Noise of a size that keeps results in range.
    Noise,
}

struct Loader<'a> {
    device: &'a Arc<dyn Device>,
    weights: &'a Weights<'a>,
}

impl Loader<'_> {
    fn place(&self, name: &str, shape: &[usize]) -> Result<Buffer, LoadError> {
        self.join(&[(name.to_owned(), shape.to_vec())])
    }

    /// Tensors one behind the other.
    fn join(&self, parts: &[(String, Vec<usize>)]) -> Result<Buffer, LoadError> {
        let length = parts.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        let buffer = Buffer::of::<u16>(self.device, length)?;
        let mut at = buffer.address();
        for (name, shape) in parts {
            match self.weights {
                Weights::Files(files) => self.device.upload(at, files.weights().bf16(name, shape)?)?,
                Weights::Noise => fill(self.device.as_ref(), at, name, shape)?,
            }
            at += 2 * shape.iter().product::<usize>() as u64;
        }
        Ok(buffer)
    }

    fn layer(&self, config: &ModelConfig, index: usize) -> Result<Layer, LoadError> {
        let (hidden, ff, dim) = (config.hidden_size, config.intermediate_size, config.head_dim);
        let (q, kv) = (config.heads * dim, config.kv_heads * dim);
        let name = |part: &str, kind: &str| format!("model.layers.{index}.{part}.{kind}");
        let norm = |part: &str, width: usize| self.place(&name(part, "weight"), &[width]);
        let matrix = |parts: &[(&str, usize)], inputs: usize, bias: bool| -> Result<Matrix, LoadError> {
            let weights: Vec<_> = parts.iter().map(|&(part, n)| (name(part, "weight"), vec![n, inputs])).collect();
            let biases: Vec<_> = parts.iter().map(|&(part, n)| (name(part, "bias"), vec![n])).collect();
            Ok(Matrix {
                weights: self.join(&weights)?,
                bias: bias.then(|| self.join(&biases)).transpose()?,
                outputs: parts.iter().map(|&(_, n)| n as u32).sum(),
                inputs: inputs as u32,
            })
        };
        let head_norms = match config.qk_norm {
            true => Some([norm("self_attn.q_norm", dim)?, norm("self_attn.k_norm", dim)?]),
            false => None,
        };
        let qkv = [("self_attn.q_proj", q), ("self_attn.k_proj", kv), ("self_attn.v_proj", kv)];
        let window = config.windows.get(index).copied().flatten();
        Ok(Layer {
            attention_norm: norm("input_layernorm", hidden)?,
            qkv: matrix(&qkv, hidden, config.qkv_bias)?,
            head_norms,
            output: matrix(&[("self_attn.o_proj", hidden)], q, config.output_bias)?,
            feed_forward_norm: norm("post_attention_layernorm", hidden)?,
            gate_up: matrix(&[("mlp.gate_proj", ff), ("mlp.up_proj", ff)], hidden, config.mlp_bias)?,
            down: matrix(&[("mlp.down_proj", hidden)], ff, config.mlp_bias)?,
            window: window.and_then(|window| u32::try_from(window).ok()).unwrap_or(u32::MAX),
        })
    }
}

/// Noise for the tensor `name`: norms around 1, matrices such that inputs of unit size give outputs of unit size.
fn fill(device: &dyn Device, out: u64, name: &str, shape: &[usize]) -> Result<(), DeviceError> {
    let seed = name.bytes().fold(0_u64, |seed, byte| seed.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte));
    let (mean, deviation) = match shape {
        [_] if name.ends_with("norm.weight") => (1.0, 0.1),
        [_] => (0.0, 0.1),
        [.., inputs] => (0.0, 1.0 / (*inputs as f32).sqrt()),
        [] => (0.0, 0.0),
    };
    noise(device, out, shape.iter().product(), seed, mean, deviation)
}

/// `count` bf16 values of noise at `out`.
pub(crate) fn noise(
    device: &dyn Device,
    out: u64,
    count: usize,
    seed: u64,
    mean: f32,
    deviation: f32,
) -> Result<(), DeviceError> {
    let blocks = count.div_ceil(256) as u32;
    launch(device, Shape::line(blocks, 256), &FillNoise { out, count: count as u64, seed, mean, deviation })
}
