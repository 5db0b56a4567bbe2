//! The backend.

use std::any::Any;
use std::sync::Arc;

use tandem_model::audit::{Audit, UnderWay};
use tandem_model::backend::{Backend, BackendError, Feed, HiddenStates, Numerics, Session};
use tandem_model::model::{ModelConfig, ModelError, ModelFiles};
use tandem_model::sampling::Draw;
use thiserror::Error;

use crate::checks::{Claimed, Draws};
use crate::device::{Buffer, Device, DeviceError};
use crate::forward::{Context, Exact, Fast, Mode, Space};
use crate::model::{Model, Weights};
use crate::pack::{Pack, Place, Segment};
use crate::session::{Cache, CacheShape, CudaSession, Sequence};

/// Why a model could not be put on a device.
#[derive(Debug, Error)]
pub enum LoadError {
    /// Its files are not what they should be.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The device cannot take it.
    #[error("device: {0}")]
    Device(#[from] DeviceError),
}

/// How much is computed at a time. Bounds memory; in exact mode it changes no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Rows that go through the layers in one pass; a longer prefill of one sequence is still one.
    pub pass: usize,
    /// Rows of a pass that go through the operations of a layer together.
    pub chunk: usize,
    /// Rows whose logits are computed together.
    pub logits: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { pass: 16_384, chunk: 4_096, logits: 256 }
    }
}

/// A model on a device.
#[derive(Clone, Debug)]
pub struct CudaBackend(Arc<Engine>);

/// What a backend and its sequences share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) context: Context,
    numerics: Numerics,
    options: Options,
}

/// Calls a function of [`Engine`] for the numeric mode in use.
macro_rules! by_mode {
    ($engine:expr, $function:ident($($argument:expr),*)) => {
        match $engine.numerics {
            Numerics::Exact => $engine.$function::<Exact>($($argument),*),
            Numerics::Fast => $engine.$function::<Fast>($($argument),*),
        }
    };
}

impl CudaBackend {
    /// Puts all weights of `files` on `device`.
    ///
    /// # Errors
    /// [`LoadError`] naming the tensor that is missing, misshapen or superfluous, or what the device cannot do.
    pub fn load(device: Arc<dyn Device>, files: &ModelFiles, numerics: Numerics) -> Result<Self, LoadError> {
        Self::load_with(device, files, numerics, Options::default())
    }

    /// As [`load`](Self::load), with other bounds. Each is at least one.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(
        device: Arc<dyn Device>,
        files: &ModelFiles,
        numerics: Numerics,
        options: Options,
    ) -> Result<Self, LoadError> {
        let model = Model::load(&device, &Weights::Files(files), files.config())?;
        Ok(Self::of(device, model, numerics, options))
    }

    /// A model of the shape `config` whose weights are noise: for measurements.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn noise(device: Arc<dyn Device>, config: &ModelConfig, numerics: Numerics) -> Result<Self, LoadError> {
        let model = Model::load(&device, &Weights::Noise, config)?;
        Ok(Self::of(device, model, numerics, Options::default()))
    }

    /// Takes whole sequences through the layers and waits for them. Nothing comes to the host: for measurements.
    ///
    /// # Errors
    /// As [`prefill_batch`](Backend::prefill_batch).
    pub fn compute(&self, sequences: &[&[u32]]) -> Result<(), BackendError> {
        by_mode!(self.0, compute(sequences))
    }

    /// What it runs on.
    pub(crate) fn device(&self) -> &Arc<dyn Device> {
        &self.0.context.device
    }

    /// Its bounds.
    pub(crate) fn options(&self) -> Options {
        self.0.options
    }

    fn of(device: Arc<dyn Device>, model: Model, numerics: Numerics, options: Options) -> Self {
        let Options { pass, chunk, logits } = options;
        let options = Options { pass: pass.max(1), chunk: chunk.max(1), logits: logits.max(1) };
        Self(Arc::new(Engine { context: Context { device, model }, numerics, options }))
    }
}

impl Backend for CudaBackend {
    fn name(&self) -> &'static str {
        "cuda"
    }

    fn numerics(&self) -> Numerics {
        self.0.numerics
    }

    fn config(&self) -> &ModelConfig {
        &self.0.context.model.config
    }

    fn start(&self) -> Result<Box<dyn Session>, BackendError> {
        Ok(Box::new(CudaSession { engine: Arc::clone(&self.0), sequence: Sequence::default() }))
    }

    fn feed(&self, batch: &mut [Feed<'_>]) -> Result<Vec<HiddenStates>, BackendError> {
        let mut jobs = Vec::with_capacity(batch.len());
        for feed in batch {
            let session: &mut dyn Any = feed.session;
            match session.downcast_mut::<CudaSession>() {
                Some(session) if Arc::ptr_eq(&session.engine, &self.0) => {
                    jobs.push((&mut session.sequence, feed.tokens));
                }
                _ => return Err(BackendError::Foreign),
            }
        }
        self.0.feed(&mut jobs)
    }

    fn prefill(&self, tokens: &[u32]) -> Result<HiddenStates, BackendError> {
        let states = self.prefill_batch(&[tokens])?;
        states.into_iter().next().map_or_else(|| HiddenStates::new(self.config().hidden_size, Vec::new()), Ok)
    }

    /// Keys and values are kept for one layer at a time.
    fn prefill_batch(&self, sequences: &[&[u32]]) -> Result<Vec<HiddenStates>, BackendError> {
        by_mode!(self.0, prefill(sequences))
    }

    fn pass(&self) -> usize {
        self.0.options.pass
    }

    fn begin(&self, audits: Vec<Audit>) -> Result<Box<dyn UnderWay>, BackendError> {
        by_mode!(self.0, begin(audits))
    }

    fn choose(&self, rows: &[u16], draws: &[Draw<'_>]) -> Result<Vec<u32>, BackendError> {
        self.0.whole_rows(rows)?;
        by_mode!(self.0, choose(rows, draws))
    }

    fn logits(&self, rows: &[u16]) -> Result<Vec<f32>, BackendError> {
        self.0.whole_rows(rows)?;
        by_mode!(self.0, logits(rows))
    }
}

impl From<DeviceError> for BackendError {
    fn from(error: DeviceError) -> Self {
        Self::Device(error.to_string())
    }
}

impl Engine {
    pub(crate) fn feed(&self, jobs: &mut [(&mut Sequence, &[u32])]) -> Result<Vec<HiddenStates>, BackendError> {
        by_mode!(self, append(jobs))
    }

    /// Rows whose logits are computed together.
    pub(crate) fn logit_rows(&self) -> usize {
        self.options.logits
    }

    fn whole_rows(&self, rows: &[u16]) -> Result<(), BackendError> {
        let hidden = self.context.model.config.hidden_size;
        if rows.len().is_multiple_of(hidden) {
            Ok(())
        } else {
            Err(BackendError::Shape { elements: rows.len(), hidden })
        }
    }

    fn check(&self, position: usize, tokens: &[u32]) -> Result<(), BackendError> {
        let (vocab, max) = (self.context.model.config.vocab_size, self.context.model.config.max_positions);
        if let Some(&token) = tokens.iter().find(|&&token| token as usize >= vocab) {
            return Err(BackendError::Token { token, vocab });
        }
        match position.saturating_add(tokens.len()) {
            positions if positions > max => Err(BackendError::TooLong { positions, max }),
            _ => Ok(()),
        }
    }

    fn cache_shape<M: Mode>(&self) -> CacheShape {
        let model = &self.context.model;
        let (layers, most) = (model.config.layers, model.config.max_positions);
        CacheShape { layers, width: model.kv_width(), element: M::ELEMENT, most }
    }

    fn pack<M: Mode>(&self, segments: &[Segment<'_>]) -> Result<Pack, DeviceError> {
        let cut = |pieces: &[_]| M::cut(&self.context.model, pieces);
        Pack::new(&self.context.device, segments, self.options.chunk, &cut)
    }

    /// Appends tokens to sequences, whose keys and values of all layers are kept. All memory is taken before anything
    /// changes, and what is written then lies behind the sequences' ends until all is done.
    fn append<M: Mode>(&self, jobs: &mut [(&mut Sequence, &[u32])]) -> Result<Vec<HiddenStates>, BackendError> {
        for (sequence, tokens) in jobs.iter() {
            self.check(sequence.position, tokens)?;
        }
        let hidden = self.context.model.config.hidden_size;
        let total: usize = jobs.iter().map(|(_, tokens)| tokens.len()).sum();
        let mut bits: Vec<Vec<u16>> = jobs.iter().map(|(_, t)| Vec::with_capacity(t.len() * hidden)).collect();
        if total > 0 {
            let device = &self.context.device;
            let shape = self.cache_shape::<M>();
            let space = Space::<M>::allocate(&self.context, total.min(self.options.pass), self.options.chunk)?;
            let grow = |(sequence, tokens): &(&mut Sequence, &[u32])| {
                let end = sequence.position + tokens.len();
                sequence.cache.grown(device, &shape, sequence.position, end)
            };
            let grown: Vec<Option<Cache>> = jobs.iter().map(grow).collect::<Result<_, _>>()?;
            let segments = jobs.iter().zip(&grown).map(|((sequence, tokens), grown)| {
                let place = grown.as_ref().unwrap_or(&sequence.cache).place(&shape);
                Segment { place, first: sequence.position, tokens }
            });
            let passes = self.passes(segments.collect());
            let packs = passes.iter().map(|pass| self.pack::<M>(&pass.segments)).collect::<Result<Vec<_>, _>>()?;
            for ((sequence, _), grown) in jobs.iter_mut().zip(grown) {
                if let Some(cache) = grown {
                    sequence.cache = cache;
                }
            }
            for (pass, pack) in passes.iter().zip(&packs) {
                space.run(&self.context, pack)?;
                let mut states = space.states.read::<u16>(0, pass.rows() * hidden)?.into_iter();
                for (&owner, segment) in pass.owners.iter().zip(&pass.segments) {
                    bits[owner].extend(states.by_ref().take(segment.tokens.len() * hidden));
                }
            }
        }
        for (sequence, tokens) in jobs.iter_mut() {
            sequence.position += tokens.len();
        }
        bits.into_iter().map(|bits| HiddenStates::new(hidden, bits)).collect()
    }

    /// Cuts segments into passes of bounded size.
    fn passes<'a>(&self, segments: Vec<Segment<'a>>) -> Vec<Pass<'a>> {
        let mut passes = vec![Pass::default()];
        for (owner, mut segment) in segments.into_iter().enumerate() {
            while !segment.tokens.is_empty() {
                let room = self.options.pass - passes.last().map_or(0, Pass::rows);
                if room == 0 {
                    passes.push(Pass::default());
                    continue;
                }
                let (now, later) = segment.tokens.split_at(segment.tokens.len().min(room));
                if let Some(pass) = passes.last_mut() {
                    pass.owners.push(owner);
                    pass.segments.push(Segment { tokens: now, ..segment });
                }
                segment = Segment { first: segment.first + now.len(), tokens: later, ..segment };
            }
        }
        passes
    }

    fn compute<M: Mode>(&self, sequences: &[&[u32]]) -> Result<(), BackendError> {
        for group in groups(sequences, self.options.pass) {
            self.states::<M>(group)?;
        }
        Ok(self.context.device.synchronize()?)
    }

    /// Final hidden states of whole sequences, as many of them at a time as a pass has room for.
    fn prefill<M: Mode>(&self, sequences: &[&[u32]]) -> Result<Vec<HiddenStates>, BackendError> {
        for tokens in sequences {
            self.check(0, tokens)?;
        }
        let hidden = self.context.model.config.hidden_size;
        let mut results = Vec::with_capacity(sequences.len());
        for group in groups(sequences, self.options.pass) {
            let rows: usize = group.iter().map(|tokens| tokens.len()).sum();
            let mut bits = self.states::<M>(group)?.read::<u16>(0, rows * hidden)?.into_iter();
            for tokens in group {
                results.push(HiddenStates::new(hidden, bits.by_ref().take(tokens.len() * hidden).collect())?);
            }
        }
        Ok(results)
    }

    /// Takes whole sequences through the layers together. Their final hidden states, bf16, on the device: asked for, not
    /// waited for.
    pub(crate) fn states<M: Mode>(&self, sequences: &[&[u32]]) -> Result<Buffer, BackendError> {
        for tokens in sequences {
            self.check(0, tokens)?;
        }
        let shape = self.cache_shape::<M>();
        let rows = sequences.iter().map(|tokens| tokens.len()).sum();
        let space = Space::<M>::allocate(&self.context, rows, self.options.chunk)?;
        // Each sequence's keys and values begin at a multiple of what vectors of any width are aligned to.
        let aligned = |tokens: &[u32]| shape.bytes(tokens.len()).next_multiple_of(ALIGNMENT);
        let bytes: u64 = sequences.iter().map(|tokens| 2 * aligned(tokens)).sum();
        let cache = Buffer::of::<u8>(&self.context.device, bytes as usize)?;
        let mut at = cache.address();
        let segments = sequences.iter().map(|tokens| {
            let value_bytes = aligned(tokens);
            let place = Place { cache: at, layer_bytes: 0, value_bytes };
            at += 2 * value_bytes;
            Segment { place, first: 0, tokens }
        });
        let pack = self.pack::<M>(&segments.collect::<Vec<_>>())?;
        space.run(&self.context, &pack)?;
        Ok(space.states)
    }

    fn choose<M: Mode>(&self, rows: &[u16], draws: &[Draw<'_>]) -> Result<Vec<u32>, BackendError> {
        let (hidden, vocab) = (self.context.model.config.hidden_size, self.context.model.config.vocab_size);
        let count = draws.len().min(rows.len() / hidden);
        let claims: Vec<Claimed<'_>> = draws[..count]
            .iter()
            .map(|draw| Claimed { sampler: draw.sampler, position: draw.position, token: None })
            .collect();
        if claims.is_empty() {
            return Ok(Vec::new());
        }
        let under_way = Draws::new(&self.context.device, vocab, &claims)?;
        let states = Buffer::from(&self.context.device, &rows[..count * hidden])?;
        let out = self.context.room::<f32>(count.min(self.options.logits), vocab)?;
        for first in (0..count).step_by(self.options.logits) {
            let part = (count - first).min(self.options.logits);
            M::logits(&self.context, states.address() + (2 * first * hidden) as u64, part as u32, out.address())?;
            under_way.judge(out.address(), first, part)?;
        }
        Ok(under_way.tokens(count)?)
    }

    fn logits<M: Mode>(&self, rows: &[u16]) -> Result<Vec<f32>, BackendError> {
        let (hidden, vocab) = (self.context.model.config.hidden_size, self.context.model.config.vocab_size);
        let count = rows.len() / hidden;
        let mut logits = Vec::with_capacity(count * vocab);
        if count > 0 {
            let out = self.context.room::<f32>(count.min(self.options.logits), vocab)?;
            for rows in rows.chunks(self.options.logits * hidden) {
                let states = Buffer::from(&self.context.device, rows)?;
                let count = rows.len() / hidden;
                M::logits(&self.context, states.address(), count as u32, out.address())?;
                logits.extend(out.read::<f32>(0, count * vocab)?);
            }
        }
        Ok(logits)
    }
}

/// Consecutive sequences, as many at a time as have `most` tokens together, and at least one.
fn groups<'a, 'b>(mut sequences: &'a [&'b [u32]], most: usize) -> Vec<&'a [&'b [u32]]> {
    let mut groups = Vec::new();
    while !sequences.is_empty() {
        let mut rows = 0;
        let fits = sequences.iter().take_while(|tokens| {
            rows += tokens.len();
            rows <= most
        });
        let (group, others) = sequences.split_at(fits.count().max(1));
        groups.push(group);
        sequences = others;
    }
    groups
}

/// What each part of a cache is aligned to.
const ALIGNMENT: u64 = 256;

/// Segments that go through the layers together, and to whom they belong.
#[derive(Default)]
struct Pass<'a> {
    owners: Vec<usize>,
    segments: Vec<Segment<'a>>,
}

impl Pass<'_> {
    fn rows(&self) -> usize {
        self.segments.iter().map(|segment| segment.tokens.len()).sum()
    }
}
