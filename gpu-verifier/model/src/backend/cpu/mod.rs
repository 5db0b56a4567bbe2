//! The reference backend: the CPU.
//!
//! # Exact mode
//! Weights are bf16, everything between them single precision, the final hidden states rounded to bf16. All operations are
//! those of IEEE 754 in single precision, rounded to nearest, ties to even; `fma` is fused. The order of each is fixed, so
//! that another backend that follows it has the same bits. `sum a_i` below means: start at 0 and add in ascending `i`,
//! each product by `fma(a, b, sum)`.
//!
//! 1. *Embedding*: the token's row, widened.
//! 2. In each layer, with `norm`, then attention, then `norm`, then the feed-forward layer:
//!    - `norm(x)`: `s = sum x_i·x_i`; `r = 1 / sqrt(s / n + eps)`, three roundings; `(x_i · r) · w_i`.
//!    - *linear*: `y_j = sum_k x_k·W_jk`, then `+ b_j` where there is a bias.
//!    - queries and keys: linear; `norm` over each head where the family has it; turned by position.
//!    - *turning* pair `i` of `h` at position `p`: `a = p · f_i`, rounded; `c = cos a · m` and `s = sin a · m`, with sine and
//!      cosine rounded before the product; `x' = fma(x, c, -(y·s))` and `y' = fma(y, c, x·s)` for `x = v_i`, `y = v_(i+h)`.
//!      Frequencies `f` and magnitude `m` are those of [`Rope::table`](crate::model::Rope::table).
//!    - *attention* of a query head over the positions `j` that it sees, ascending: `z_j = (sum_d q_d·k_jd) · (1 / sqrt(d))`;
//!      `e_j = exp(z_j - max z)`; `t = sum e_j` by additions; `(sum_j e_j·v_jd) / t`. Query head `h` of `H` reads key-value
//!      head `⌊h·K / H⌋` of `K`.
//!    - the output's linear is added to the residual stream, `x_i + y_i`.
//!    - *feed-forward*: `g` and `u` linear; `silu(g_i) · u_i` with `silu(x) = x / (1 + exp(-x))`; linear; added to the stream.
//! 3. `norm`, and rounding to bf16: the hidden states that are committed.
//! 4. *Logits*: linear of the rounded hidden states with the output matrix.
//!
//! `exp`, `sin` and `cos` are those of [`numeric`](crate::numeric). No operation looks at another sequence, and a row sees
//! others of its own sequence only through their keys and values. So hidden states have the same bits on every machine,
//! with any number of threads, and however sequences are grouped or cut: a verifier's prefill reproduces a contributor's
//! decoding.
//!
//! # Fast mode
//! The same, except that three long sums of a row run in several accumulators: those of a linear layer where a call brings
//! a single row, of `norm`, and `t`. Results then depend on how rows are grouped, and on the processor.

mod cache;
mod isa;
mod kernels;
mod linear;

use std::any::Any;
use std::sync::Arc;

use half::bf16;

use super::{Backend, BackendError, Feed, HiddenStates, Numerics, Options, Session};
use crate::model::{ModelConfig, ModelError, ModelFiles, RopeTable, Weights};
use crate::numeric::sin_cos;
use cache::LayerCache;
use isa::Isa;
use linear::{Linear, Machine, vector, words};

/// Rows that go through the layers together; bounds memory, changes no result.
const CHUNK: usize = 128;

/// A model on the CPU.
#[derive(Clone, Debug)]
pub struct CpuBackend(Arc<Model>);

/// What a machine does to values between operations; by default nothing. For measuring how far other machines, and cheats,
/// are from this one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quirks {
    /// Done to what every operation leaves behind: rows of states, queries, keys, values, logits.
    pub results: Option<fn(&mut [f32])>,
    /// Done to the key and to the value of each head and position before they are cached.
    pub cache: Option<fn(&mut [f32])>,
}

#[derive(Debug)]
struct Model {
    config: ModelConfig,
    machine: Machine,
    embedding: Vec<u16>,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    head: Linear,
    rope: RopeTable,
}

#[derive(Debug)]
struct Layer {
    attention_norm: Vec<f32>,
    query: Linear,
    key: Linear,
    value: Linear,
    /// Weights of the norms of queries and keys, in families that have them.
    head_norms: Option<[Vec<f32>; 2]>,
    output: Linear,
    feed_forward_norm: Vec<f32>,
    gate: Linear,
    up: Linear,
    down: Linear,
    /// Positions seen, the own included.
    window: usize,
}

impl CpuBackend {
    /// Loads and packs all weights of `files`.
    ///
    /// # Errors
    /// [`ModelError`] naming the tensor that is missing, misshapen or superfluous.
    pub fn load(files: &ModelFiles, options: &Options) -> Result<Self, ModelError> {
        Self::load_with(files, options, Quirks::default())
    }

    /// As [`load`](Self::load), for a machine with `quirks`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(files: &ModelFiles, options: &Options, quirks: Quirks) -> Result<Self, ModelError> {
        Self::load_for(files, options, Isa::detect(), quirks)
    }

    /// As [`load`](Self::load), but with the loops that run on any processor. Results are the same in exact mode.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_portable(files: &ModelFiles, options: &Options) -> Result<Self, ModelError> {
        Self::load_for(files, options, Isa::portable(), Quirks::default())
    }

    /// As [`load`](Self::load), but without the widest loops. Results are the same in exact mode.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    #[cfg(target_arch = "x86_64")]
    pub fn load_avx2(files: &ModelFiles, options: &Options) -> Result<Self, ModelError> {
        Self::load_for(files, options, Isa::at_most_avx2(), Quirks::default())
    }

    fn load_for(files: &ModelFiles, options: &Options, isa: Isa, quirks: Quirks) -> Result<Self, ModelError> {
        // Before anything of a size that a configuration claims is allocated.
        files.check_tensors()?;
        let (config, weights) = (files.config().clone(), files.weights());
        let machine = Machine::new(isa, options.numerics, options.threads, quirks)
            .map_err(|error| ModelError::Read { path: files.dir().to_owned(), error: std::io::Error::other(error) })?;
        let (vocab, hidden) = (config.vocab_size, config.hidden_size);
        let head_name = if config.tie_word_embeddings { "model.embed_tokens" } else { "lm_head" };
        Ok(Self(Arc::new(Model {
            machine,
            embedding: words(weights.bf16("model.embed_tokens.weight", &[vocab, hidden])?).collect(),
            layers: (0..config.layers).map(|i| Layer::load(weights, &config, i)).collect::<Result<_, _>>()?,
            norm: vector(weights, "model.norm.weight", hidden)?,
            head: Linear::load(weights, head_name, vocab, hidden, false)?,
            rope: config.rope.table(config.head_dim),
            config,
        })))
    }
}

impl Layer {
    fn load(weights: &Weights, config: &ModelConfig, index: usize) -> Result<Self, ModelError> {
        let (hidden, ff, dim) = (config.hidden_size, config.intermediate_size, config.head_dim);
        let (q, kv) = (config.heads * dim, config.kv_heads * dim);
        let name = |part: &str| format!("model.layers.{index}.{part}");
        let linear = |part: &str, outputs, inputs, bias| Linear::load(weights, &name(part), outputs, inputs, bias);
        let norm = |part: &str, width| vector(weights, &format!("{}.weight", name(part)), width);
        let head_norms = match config.qk_norm {
            true => Some([norm("self_attn.q_norm", dim)?, norm("self_attn.k_norm", dim)?]),
            false => None,
        };
        Ok(Self {
            attention_norm: norm("input_layernorm", hidden)?,
            query: linear("self_attn.q_proj", q, hidden, config.qkv_bias)?,
            key: linear("self_attn.k_proj", kv, hidden, config.qkv_bias)?,
            value: linear("self_attn.v_proj", kv, hidden, config.qkv_bias)?,
            head_norms,
            output: linear("self_attn.o_proj", hidden, q, config.output_bias)?,
            feed_forward_norm: norm("post_attention_layernorm", hidden)?,
            gate: linear("mlp.gate_proj", ff, hidden, config.mlp_bias)?,
            up: linear("mlp.up_proj", ff, hidden, config.mlp_bias)?,
            down: linear("mlp.down_proj", hidden, ff, config.mlp_bias)?,
            window: config.windows.get(index).copied().flatten().unwrap_or(usize::MAX),
        })
    }
}

impl Backend for CpuBackend {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn numerics(&self) -> Numerics {
        self.0.machine.numerics
    }

    fn config(&self) -> &ModelConfig {
        &self.0.config
    }

    fn start(&self) -> Result<Box<dyn Session>, BackendError> {
        let config = &self.0.config;
        let layers = (0..config.layers).map(|_| LayerCache::new(config.kv_heads, config.head_dim)).collect();
        Ok(Box::new(CpuSession { model: Arc::clone(&self.0), sequence: Sequence { layers, position: 0 } }))
    }

    fn feed(&self, batch: &mut [Feed<'_>]) -> Result<Vec<HiddenStates>, BackendError> {
        let mut jobs = Vec::with_capacity(batch.len());
        for feed in batch {
            let session: &mut dyn Any = feed.session;
            match session.downcast_mut::<CpuSession>() {
                Some(session) if Arc::ptr_eq(&session.model, &self.0) => {
                    jobs.push((&mut session.sequence, feed.tokens))
                }
                _ => return Err(BackendError::Foreign),
            }
        }
        self.0.feed(&mut jobs)
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
    sequence: Sequence,
}

struct Sequence {
    layers: Vec<LayerCache>,
    position: usize,
}

impl Session for CpuSession {
    fn position(&self) -> usize {
        self.sequence.position
    }

    fn feed(&mut self, tokens: &[u32]) -> Result<HiddenStates, BackendError> {
        let states = self.model.feed(&mut [(&mut self.sequence, tokens)])?;
        let hidden = self.model.config.hidden_size;
        states.into_iter().next().map_or_else(|| HiddenStates::new(hidden, Vec::new()), Ok)
    }
}

/// Tokens of one sequence that go through the layers with others'.
struct Piece<'a> {
    layers: &'a mut [LayerCache],
    first: usize,
    tokens: &'a [u32],
}

impl Model {
    /// Appends tokens to sequences. The rows of all are packed into chunks that go through the layers together.
    fn feed(&self, jobs: &mut [(&mut Sequence, &[u32])]) -> Result<Vec<HiddenStates>, BackendError> {
        let (vocab, max) = (self.config.vocab_size, self.config.max_positions);
        for (sequence, tokens) in jobs.iter() {
            if let Some(&token) = tokens.iter().find(|&&token| token as usize >= vocab) {
                return Err(BackendError::Token { token, vocab });
            }
            let positions = sequence.position.saturating_add(tokens.len());
            if positions > max {
                return Err(BackendError::TooLong { positions, max });
            }
        }
        let hidden = self.config.hidden_size;
        let mut bits: Vec<Vec<u16>> =
            jobs.iter().map(|(_, tokens)| Vec::with_capacity(tokens.len() * hidden)).collect();
        loop {
            let mut room = CHUNK;
            let mut pieces = Vec::new();
            let mut owners = Vec::new();
            for (owner, (sequence, tokens)) in jobs.iter_mut().enumerate() {
                let count = tokens.len().min(room);
                if count > 0 {
                    let (now, later) = tokens.split_at(count);
                    pieces.push(Piece { layers: &mut sequence.layers, first: sequence.position, tokens: now });
                    owners.push((owner, count));
                    (*tokens, sequence.position, room) = (later, sequence.position + count, room - count);
                }
            }
            if pieces.is_empty() {
                break;
            }
            let mut states = self.forward(&mut pieces).into_iter().map(|value| bf16::from_f32(value).to_bits());
            for (owner, count) in owners {
                bits[owner].extend(states.by_ref().take(count * hidden));
            }
        }
        bits.into_iter().map(|bits| HiddenStates::new(hidden, bits)).collect()
    }

    /// Final hidden states, in single precision, of all pieces' tokens in order.
    fn forward(&self, pieces: &mut [Piece<'_>]) -> Vec<f32> {
        let hidden = self.config.hidden_size;
        let embed = |&token: &u32| &self.embedding[token as usize * hidden..(token as usize + 1) * hidden];
        let tokens = pieces.iter().flat_map(|piece| piece.tokens);
        let mut states: Vec<f32> = tokens.flat_map(embed).map(|&bits| bf16::from_bits(bits).to_f32()).collect();
        let angles = self.angles(pieces);
        for (index, layer) in self.layers.iter().enumerate() {
            let x = self.norm(states.clone(), &layer.attention_norm);
            let attended = self.attention(index, pieces, &x, &angles);
            self.add(&mut states, &layer.output.apply(&self.machine, &attended));

            let x = self.norm(states.clone(), &layer.feed_forward_norm);
            let mut gate = layer.gate.apply(&self.machine, &x);
            kernels::silu_product(self.machine.isa, &mut gate, &layer.up.apply(&self.machine, &x));
            self.machine.leave(&mut gate);
            self.add(&mut states, &layer.down.apply(&self.machine, &gate));
        }
        self.norm(states, &self.norm)
    }

    fn norm(&self, mut x: Vec<f32>, weight: &[f32]) -> Vec<f32> {
        let norm = match self.machine.numerics {
            Numerics::Exact => kernels::rms_norm,
            Numerics::Fast => kernels::rms_norm_fast,
        };
        norm(self.machine.isa, &mut x, weight, self.config.rms_norm_eps);
        self.machine.leave(&mut x);
        x
    }

    /// Per row the cosines and then the sines of its position's angles, which all heads and layers share.
    fn angles(&self, pieces: &[Piece<'_>]) -> Vec<f32> {
        let RopeTable { frequencies, magnitude } = &self.rope;
        let mut angles = Vec::new();
        for position in pieces.iter().flat_map(|piece| piece.first..piece.first + piece.tokens.len()) {
            let turn = |f: &f32| sin_cos(position as f32 * f);
            let (sines, cosines): (Vec<f32>, Vec<f32>) = frequencies.iter().map(turn).unzip();
            angles.extend(cosines.into_iter().chain(sines).map(|value| value * magnitude));
        }
        self.machine.leave(&mut angles);
        angles
    }

    fn attention(&self, index: usize, pieces: &mut [Piece<'_>], x: &[f32], angles: &[f32]) -> Vec<f32> {
        let (layer, machine, dim) = (&self.layers[index], &self.machine, self.config.head_dim);
        let (heads, kv_heads) = (self.config.heads, self.config.kv_heads);
        let mut queries = layer.query.apply(machine, x);
        let mut keys = layer.key.apply(machine, x);
        let mut values = layer.value.apply(machine, x);
        if let Some([query, key]) = &layer.head_norms {
            queries = self.norm(queries, query);
            keys = self.norm(keys, key);
        }
        kernels::rotate(machine.isa, &mut queries, heads * dim, dim, angles);
        kernels::rotate(machine.isa, &mut keys, kv_heads * dim, dim, angles);
        machine.leave(&mut queries);
        machine.leave(&mut keys);
        if let Some(quirk) = machine.quirks.cache {
            keys.chunks_exact_mut(dim).for_each(quirk);
            values.chunks_exact_mut(dim).for_each(quirk);
        }

        // By piece and head, so that each is one contiguous part; back to rows afterwards.
        let mut by_head = Vec::with_capacity(queries.len());
        let (mut queries, mut keys, mut values) = (queries.as_slice(), keys.as_slice(), values.as_slice());
        for piece in pieces.iter_mut() {
            let rows = piece.tokens.len();
            let width = rows * kv_heads * dim;
            piece.layers[index].append(take(&mut keys, width), take(&mut values, width));
            by_head.extend(transpose(take(&mut queries, rows * heads * dim), rows, heads, dim));
        }
        let mut out = vec![0.0; by_head.len()];
        let mut parts = Vec::with_capacity(pieces.len() * heads);
        let (mut rest, mut queries) = (out.as_mut_slice(), by_head.as_slice());
        for piece in pieces.iter() {
            let size = piece.tokens.len() * dim;
            let cache = &piece.layers[index];
            for head in 0..heads {
                let (out, others) = rest.split_at_mut(size);
                rest = others;
                parts.push((cache.head(head / (heads / kv_heads)), piece.first, take(&mut queries, size), out));
            }
        }
        let attend = match machine.numerics {
            Numerics::Exact => kernels::attend,
            Numerics::Fast => kernels::attend_fast,
        };
        machine.each(parts, |(kv, first, queries, out)| {
            let (keys, values) = (kv.keys.as_slice(), kv.values.as_slice());
            let head = kernels::Head { keys, values, head_dim: dim, first, window: layer.window };
            attend(machine.isa, &head, queries, out);
        });

        let mut by_row = Vec::with_capacity(out.len());
        let mut rest = out.as_slice();
        for piece in pieces.iter() {
            let rows = piece.tokens.len();
            by_row.extend(transpose(take(&mut rest, rows * heads * dim), heads, rows, dim));
        }
        machine.leave(&mut by_row);
        by_row
    }

    fn add(&self, states: &mut [f32], delta: &[f32]) {
        for (state, delta) in states.iter_mut().zip(delta) {
            *state += delta;
        }
        self.machine.leave(states);
    }
}

/// The first `count` values, which `rest` then lacks.
fn take<'a>(rest: &mut &'a [f32], count: usize) -> &'a [f32] {
    let (now, later) = rest.split_at(count);
    *rest = later;
    now
}

/// `a × b` vectors of `dim` values, reordered to `b × a`.
fn transpose(x: &[f32], a: usize, b: usize, dim: usize) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    for (i, out) in out.chunks_exact_mut(dim).enumerate() {
        out.copy_from_slice(&x[(i % a * b + i / a) * dim..][..dim]);
    }
    out
}
