//! The reference backend: exact arithmetic on the CPU.
//!
//! Weights are bf16, everything between them single precision, the final hidden states rounded to bf16 (to nearest,
//! ties to even). Every output element has one accumulator that runs over ascending inputs with fused multiply-adds, and
//! no operation looks at another row. So hidden states have the same bits on every machine, with any number of threads,
//! and whether a sequence is fed at once or token by token: a verifier's prefill reproduces a contributor's decoding.

mod cache;
mod isa;
mod kernels;
mod linear;

use std::sync::Arc;

use half::bf16;

use super::{Backend, BackendError, HiddenStates, Options, Session};
use crate::model::{ModelConfig, ModelError, ModelFiles, Weights};
use crate::numeric::{rope_frequencies, sin_cos};
use cache::LayerCache;
use isa::Isa;
use linear::{Linear, Machine};

/// Rows that go through the layers together; bounds memory, changes no result.
const CHUNK: usize = 128;

/// A model on the CPU.
#[derive(Clone, Debug)]
pub struct CpuBackend(Arc<Model>);

#[derive(Debug)]
struct Model {
    config: ModelConfig,
    machine: Machine,
    embedding: Vec<u16>,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    head: Linear,
    frequencies: Vec<f32>,
}

#[derive(Debug)]
struct Layer {
    attention_norm: Vec<f32>,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    feed_forward_norm: Vec<f32>,
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl CpuBackend {
    /// Loads and packs all weights of `files`.
    ///
    /// # Errors
    /// [`ModelError`] naming the tensor that is missing or misshapen.
    pub fn load(files: &ModelFiles, options: &Options) -> Result<Self, ModelError> {
        Self::load_for(files, options, Isa::detect())
    }

    /// As [`load`](Self::load), without vector instructions: slow, for checking that they change no bit.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_portable(files: &ModelFiles, options: &Options) -> Result<Self, ModelError> {
        Self::load_for(files, options, Isa::portable())
    }

    fn load_for(files: &ModelFiles, options: &Options, isa: Isa) -> Result<Self, ModelError> {
        let (config, weights) = (files.config().clone(), files.weights());
        let machine = Machine::new(isa, options.threads)
            .map_err(|error| ModelError::Read { path: files.dir().to_owned(), error: std::io::Error::other(error) })?;
        let (vocab, hidden) = (config.vocab_size, config.hidden_size);
        let embedding = words(weights.bf16("model.embed_tokens.weight", &[vocab, hidden])?).collect();
        let head_name = if config.tie_word_embeddings { "model.embed_tokens.weight" } else { "lm_head.weight" };
        Ok(Self(Arc::new(Model {
            machine,
            embedding,
            layers: (0..config.layers).map(|i| Layer::load(weights, &config, i)).collect::<Result<_, _>>()?,
            norm: vector(weights, "model.norm.weight", hidden)?,
            head: Linear::load(weights, head_name, vocab, hidden)?,
            frequencies: rope_frequencies(config.rope_theta, config.head_dim / 2),
            config,
        })))
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
}

fn vector(weights: &Weights, name: &str, length: usize) -> Result<Vec<f32>, ModelError> {
    Ok(words(weights.bf16(name, &[length])?).map(|bits| bf16::from_bits(bits).to_f32()).collect())
}

impl Layer {
    fn load(weights: &Weights, config: &ModelConfig, index: usize) -> Result<Self, ModelError> {
        let (hidden, ff) = (config.hidden_size, config.intermediate_size);
        let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        let name = |part: &str| format!("model.layers.{index}.{part}.weight");
        let linear = |part: &str, outputs, inputs| Linear::load(weights, &name(part), outputs, inputs);
        Ok(Self {
            attention_norm: vector(weights, &name("input_layernorm"), hidden)?,
            query: linear("self_attn.q_proj", q, hidden)?,
            key: linear("self_attn.k_proj", kv, hidden)?,
            value: linear("self_attn.v_proj", kv, hidden)?,
            output: linear("self_attn.o_proj", hidden, q)?,
            feed_forward_norm: vector(weights, &name("post_attention_layernorm"), hidden)?,
            gate: linear("mlp.gate_proj", ff, hidden)?,
            up: linear("mlp.up_proj", ff, hidden)?,
            down: linear("mlp.down_proj", hidden, ff)?,
        })
    }
}

impl Backend for CpuBackend {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn config(&self) -> &ModelConfig {
        &self.0.config
    }

    fn start(&self) -> Result<Box<dyn Session>, BackendError> {
        let config = &self.0.config;
        let layers = (0..config.layers).map(|_| LayerCache::new(config.kv_heads, config.head_dim)).collect();
        Ok(Box::new(CpuSession { model: Arc::clone(&self.0), layers, position: 0 }))
    }

    fn logits(&self, rows: &[u16]) -> Result<Vec<f32>, BackendError> {
        let hidden = self.0.config.hidden_size;
        if !rows.len().is_multiple_of(hidden) {
            return Err(BackendError::Shape { elements: rows.len(), hidden });
        }
        let x: Vec<f32> = rows.iter().map(|&bits| bf16::from_bits(bits).to_f32()).collect();
        Ok(self.0.head.apply(&self.0.machine, &x))
    }
}

struct CpuSession {
    model: Arc<Model>,
    layers: Vec<LayerCache>,
    position: usize,
}

impl Session for CpuSession {
    fn position(&self) -> usize {
        self.position
    }

    fn feed(&mut self, tokens: &[u32]) -> Result<HiddenStates, BackendError> {
        let config = &self.model.config;
        let vocab = config.vocab_size;
        if let Some(&token) = tokens.iter().find(|&&token| token as usize >= vocab) {
            return Err(BackendError::Token { token, vocab });
        }
        let positions = self.position.saturating_add(tokens.len());
        if positions > config.max_positions {
            return Err(BackendError::TooLong { positions, max: config.max_positions });
        }
        let hidden = config.hidden_size;
        let mut bits = Vec::with_capacity(tokens.len() * hidden);
        for chunk in tokens.chunks(CHUNK) {
            let states = self.model.forward(chunk, self.position, &mut self.layers);
            bits.extend(states.into_iter().map(|value| bf16::from_f32(value).to_bits()));
            self.position += chunk.len();
        }
        HiddenStates::new(hidden, bits)
    }
}

impl Model {
    /// Final hidden states, in single precision, of tokens that stand at `first` and after.
    fn forward(&self, tokens: &[u32], first: usize, caches: &mut [LayerCache]) -> Vec<f32> {
        let hidden = self.config.hidden_size;
        let embed = |&token: &u32| &self.embedding[token as usize * hidden..(token as usize + 1) * hidden];
        let mut states: Vec<f32> = tokens.iter().flat_map(embed).map(|&bits| bf16::from_bits(bits).to_f32()).collect();
        let angles = self.angles(first, tokens.len());
        for (layer, cache) in self.layers.iter().zip(caches) {
            let x = self.norm(&states, &layer.attention_norm);
            let attended = self.attention(layer, cache, &x, first, &angles);
            add(&mut states, &layer.output.apply(&self.machine, &attended));

            let x = self.norm(&states, &layer.feed_forward_norm);
            let mut gate = layer.gate.apply(&self.machine, &x);
            kernels::silu_product(self.machine.isa, &mut gate, &layer.up.apply(&self.machine, &x));
            add(&mut states, &layer.down.apply(&self.machine, &gate));
        }
        self.norm(&states, &self.norm)
    }

    fn norm(&self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; x.len()];
        kernels::rms_norm(self.machine.isa, x, weight, self.config.rms_norm_eps, &mut out);
        out
    }

    /// Per position the cosines and then the sines of its angles, which all heads and layers share.
    fn angles(&self, first: usize, count: usize) -> Vec<f32> {
        let mut angles = Vec::with_capacity(count * self.config.head_dim);
        for position in first..first + count {
            let (sines, cosines): (Vec<f32>, Vec<f32>) =
                self.frequencies.iter().map(|f| sin_cos(position as f32 * f)).unzip();
            angles.extend(cosines);
            angles.extend(sines);
        }
        angles
    }

    fn attention(&self, layer: &Layer, cache: &mut LayerCache, x: &[f32], first: usize, angles: &[f32]) -> Vec<f32> {
        let (isa, dim) = (self.machine.isa, self.config.head_dim);
        let (heads, kv_heads) = (self.config.heads, self.config.kv_heads);
        let mut queries = layer.query.apply(&self.machine, x);
        let mut keys = layer.key.apply(&self.machine, x);
        kernels::rotate(isa, &mut queries, heads * dim, dim, angles);
        kernels::rotate(isa, &mut keys, kv_heads * dim, dim, angles);
        cache.append(&keys, &layer.value.apply(&self.machine, x));

        // By head, so that each is one contiguous part; back to rows afterwards.
        let rows = queries.len() / (heads * dim);
        let by_head = transpose(&queries, rows, heads, dim);
        let mut out = vec![0.0; queries.len()];
        let size = rows * dim;
        let cache = &*cache;
        self.machine.each_part(&mut out, size, |head, out| {
            let kv = cache.head(head / (heads / kv_heads));
            kernels::attend(isa, &by_head[head * size..(head + 1) * size], &kv.keys, &kv.values, first, dim, out);
        });
        transpose(&out, heads, rows, dim)
    }
}

/// `a × b` vectors of `dim` values, reordered to `b × a`.
fn transpose(x: &[f32], a: usize, b: usize, dim: usize) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    for (i, out) in out.chunks_exact_mut(dim).enumerate() {
        out.copy_from_slice(&x[(i % a * b + i / a) * dim..][..dim]);
    }
    out
}

fn add(states: &mut [f32], delta: &[f32]) {
    for (state, delta) in states.iter_mut().zip(delta) {
        *state += delta;
    }
}
