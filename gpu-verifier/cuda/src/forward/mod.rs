//! The layers, in the arithmetic of a numeric mode.

mod exact;
mod fast;

use std::sync::Arc;

use crate::device::{Buffer, Device, DeviceError, Shape, launch};
use crate::kernels::Arguments;
use crate::kernels::rows::{Angles, Embed};
use crate::model::Model;
use crate::pack::{Chunk, List, Pack, Piece};

pub(crate) use exact::Exact;
pub(crate) use fast::Fast;

/// A model, and the device that it is on.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) device: Arc<dyn Device>,
    pub(crate) model: Model,
}

impl Context {
    pub(crate) fn launch<A: Arguments>(&self, shape: Shape, arguments: &A) -> Result<(), DeviceError> {
        launch(self.device.as_ref(), shape, arguments)
    }

    /// Room for `rows × width` elements.
    pub(crate) fn room<T>(&self, rows: usize, width: usize) -> Result<Buffer, DeviceError> {
        Buffer::of::<T>(&self.device, rows.saturating_mul(width))
    }
}

/// A numeric mode: how the operations of a layer are computed, with the memory that their results need. Operations are
/// asked for in order, and none of these waits for the device.
pub(crate) trait Mode: Sized {
    /// Bytes of an element of keys and values.
    const ELEMENT: u64;

    /// How attention's work is cut.
    fn cut(model: &Model, pieces: &[Piece]) -> Vec<List>;

    /// Allocates for passes of up to `rows` rows, in chunks of up to `chunk`.
    fn allocate(context: &Context, rows: usize, chunk: usize) -> Result<Self, DeviceError>;

    /// Where the residual stream begins with a chunk's tokens.
    fn embed(&self, context: &Context, chunk: &Chunk) -> Result<(), DeviceError>;

    /// Takes a chunk through a layer; `angles` are its rows' cosines and sines. The chunks of a sequence come in order.
    fn layer(&self, context: &Context, index: usize, chunk: &Chunk, angles: u64) -> Result<(), DeviceError>;

    /// The last norm: a chunk's final hidden states, bf16, to `out`.
    fn finish(&self, context: &Context, chunk: &Chunk, out: u64) -> Result<(), DeviceError>;

    /// Logits, f32, of `rows` rows of final hidden states, bf16, to `out`.
    fn logits(context: &Context, states: u64, rows: u32, out: u64) -> Result<(), DeviceError>;
}

/// f32: the residual stream of all rows of a pass.
#[derive(Debug)]
pub(crate) struct Stream(Buffer);

impl Stream {
    fn allocate(context: &Context, rows: usize) -> Result<Self, DeviceError> {
        context.room::<f32>(rows, context.model.config.hidden_size).map(Self)
    }

    /// The address of a chunk's rows.
    fn at(&self, context: &Context, chunk: &Chunk) -> u64 {
        self.0.address() + u64::from(chunk.first) * context.model.config.hidden_size as u64 * 4
    }

    /// Lets a chunk's rows be their tokens'.
    fn begin(&self, context: &Context, chunk: &Chunk) -> Result<(), DeviceError> {
        let arguments = Embed {
            table: context.model.embedding().address(),
            tokens: chunk.tokens,
            out: self.at(context, chunk),
            hidden: context.model.config.hidden_size as u32,
            rows: chunk.rows,
        };
        context.launch(Shape::line(chunk.rows, 256), &arguments)
    }
}

/// Memory for passes, whichever the mode.
#[derive(Debug)]
pub(crate) struct Space<M> {
    mode: M,
    /// f32, per row the cosines and then the sines of its position's angles, which all heads and layers share.
    angles: Buffer,
    /// bf16, `rows × hidden`: what a pass leaves behind.
    pub(crate) states: Buffer,
}

impl<M: Mode> Space<M> {
    /// For passes of up to `rows` rows, in chunks of up to `chunk`.
    pub(crate) fn allocate(context: &Context, rows: usize, chunk: usize) -> Result<Self, DeviceError> {
        let config = &context.model.config;
        Ok(Self {
            mode: M::allocate(context, rows, chunk.min(rows))?,
            angles: context.room::<f32>(rows, config.head_dim)?,
            states: context.room::<u16>(rows, config.hidden_size)?,
        })
    }

    /// Takes a pass through all layers, without waiting for it.
    pub(crate) fn run(&self, context: &Context, pack: &Pack) -> Result<(), DeviceError> {
        let model = &context.model;
        let dim = model.config.head_dim as u64;
        let angles = |chunk: &Chunk| self.angles.address() + u64::from(chunk.first) * dim * 4;
        for chunk in &pack.chunks {
            let arguments = Angles {
                positions: chunk.positions,
                frequencies: model.frequencies.address(),
                out: angles(chunk),
                pairs: (dim / 2) as u32,
                magnitude: model.magnitude,
            };
            context.launch(Shape::line(chunk.rows, 64), &arguments)?;
            self.mode.embed(context, chunk)?;
        }
        for index in 0..model.layers.len() {
            for chunk in &pack.chunks {
                self.mode.layer(context, index, chunk, angles(chunk))?;
            }
        }
        for chunk in &pack.chunks {
            let out = self.states.address() + u64::from(chunk.first) * model.config.hidden_size as u64 * 2;
            self.mode.finish(context, chunk, out)?;
        }
        Ok(())
    }
}
