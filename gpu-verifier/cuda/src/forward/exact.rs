//! Exact mode: the operations that [`tandem_model::backend::cpu`] lays down, in its order. Everything between two operations
//! is single precision, and so are keys and values.

use tandem_model::numeric::rsqrt;

use super::{Context, Mode, Stream};
use crate::device::{Buffer, DeviceError, Shape};
use crate::kernels::exact::{Attend, Linear};
use crate::kernels::rows::{RmsNorm, SiluProduct, Turn, Widen};
use crate::model::{Matrix, Model};
use crate::pack::{Chunk, List, Piece, tiles};

/// Threads of a block.
const THREADS: u32 = 256;
/// Side of a block of the product of many rows.
const SIDE: u32 = 128;
/// Rows and columns of a block of the product of few rows, and up to how many rows it is the faster one.
const FEW: (u32, u32, u32) = (8, 32, 64);
/// Pairs of a row and a head in a tile of attention, and in a small one.
const TILES: [u32; 2] = [64, 8];
/// Dimensions that a block of attention sums.
const DIMS: u32 = 128;

/// Memory of a pass in exact mode.
#[derive(Debug)]
pub(crate) struct Exact {
    /// The residual stream of all rows of a pass.
    stream: Stream,
    /// The rest are of one chunk. What norms leave behind.
    x: Buffer,
    qkv: Buffer,
    attended: Buffer,
    gate_up: Buffer,
    product: Buffer,
}

impl Exact {
    /// Rows of the stream, normalised.
    fn norm(
        &self,
        context: &Context,
        chunk: &Chunk,
        weight: &Buffer,
        out: u64,
        narrowed: bool,
    ) -> Result<(), DeviceError> {
        let config = &context.model.config;
        let arguments = RmsNorm {
            x: self.stream.at(context, chunk),
            weight: weight.address(),
            out,
            width: config.hidden_size as u32,
            eps: config.rms_norm_eps,
            narrowed: u32::from(narrowed),
            pad: 0,
        };
        context.launch(Shape::line(chunk.rows, THREADS), &arguments)
    }

    fn attention(&self, context: &Context, index: usize, chunk: &Chunk, angles: u64) -> Result<(), DeviceError> {
        let (config, layer) = (&context.model.config, &context.model.layers[index]);
        let (heads, kv_heads, dim) = (config.heads as u32, config.kv_heads as u32, config.head_dim as u32);
        let norms = layer.head_norms.as_ref().map_or([0; 2], |norms| norms.each_ref().map(Buffer::address));
        let turn = Turn {
            qkv: self.qkv.address(),
            angles,
            positions: chunk.positions,
            owners: chunk.owners,
            pieces: chunk.pieces,
            query_norm: norms[0],
            key_norm: norms[1],
            layer: index as u32,
            heads,
            kv_heads,
            dim,
            eps: config.rms_norm_eps,
            pad: 0,
        };
        context.launch(Shape::line(chunk.rows, THREADS), &turn)?;
        for (kernel, tiles) in ["attend", "attend_few"].into_iter().zip(&chunk.tiles) {
            let attend = Attend {
                qkv: self.qkv.address(),
                pieces: chunk.pieces,
                tiles: tiles.address,
                out: self.attended.address(),
                layer: index as u32,
                heads,
                kv_heads,
                dim,
                window: layer.window,
                scale: rsqrt(dim as f32),
            };
            let grid = [tiles.count, kv_heads, dim.div_ceil(DIMS)];
            if tiles.count > 0 {
                let shape = Shape { grid, block: [THREADS, 1, 1], shared: 0 };
                context.device.launch(kernel, shape, bytemuck::bytes_of(&attend))?;
            }
        }
        Ok(())
    }
}

impl Mode for Exact {
    const ELEMENT: u64 = 4;

    fn cut(model: &Model, pieces: &[Piece]) -> Vec<List> {
        let group = (model.config.heads / model.config.kv_heads) as u32;
        let few = |piece: &Piece| piece.rows * group <= TILES[1];
        let pieces = || pieces.iter().copied().enumerate();
        vec![
            List::of(&tiles(pieces().filter(|(_, piece)| !few(piece)), TILES[0], group)),
            List::of(&tiles(pieces().filter(|(_, piece)| few(piece)), TILES[1], group)),
        ]
    }

    fn allocate(context: &Context, rows: usize, chunk: usize) -> Result<Self, DeviceError> {
        let config = &context.model.config;
        let (q, kv) = (config.heads * config.head_dim, context.model.kv_width());
        Ok(Self {
            stream: Stream::allocate(context, rows)?,
            x: context.room::<f32>(chunk, config.hidden_size)?,
            qkv: context.room::<f32>(chunk, q + 2 * kv)?,
            attended: context.room::<f32>(chunk, q)?,
            gate_up: context.room::<f32>(chunk, 2 * config.intermediate_size)?,
            product: context.room::<f32>(chunk, config.intermediate_size)?,
        })
    }

    fn embed(&self, context: &Context, chunk: &Chunk) -> Result<(), DeviceError> {
        self.stream.begin(context, chunk)
    }

    fn layer(&self, context: &Context, index: usize, chunk: &Chunk, angles: u64) -> Result<(), DeviceError> {
        let layer = &context.model.layers[index];
        let (x, stream) = (self.x.address(), self.stream.at(context, chunk));
        let linear = |matrix: &Matrix, from: &Buffer, out, add| {
            let (weights, bias) = (matrix.weights.address(), matrix.bias.as_ref().map_or(0, Buffer::address));
            let (columns, depth, add) = (matrix.outputs, matrix.inputs, u32::from(add));
            multiply(context, &Linear { x: from.address(), weights, bias, out, rows: chunk.rows, columns, depth, add })
        };
        self.norm(context, chunk, &layer.attention_norm, x, false)?;
        linear(&layer.qkv, &self.x, self.qkv.address(), false)?;
        self.attention(context, index, chunk, angles)?;
        linear(&layer.output, &self.attended, stream, true)?;

        self.norm(context, chunk, &layer.feed_forward_norm, x, false)?;
        linear(&layer.gate_up, &self.x, self.gate_up.address(), false)?;
        let width = layer.down.inputs;
        let product = SiluProduct { gate_up: self.gate_up.address(), out: self.product.address(), width, pad: 0 };
        context.launch(Shape::line(chunk.rows * width.div_ceil(THREADS), THREADS), &product)?;
        linear(&layer.down, &self.product, stream, true)
    }

    fn finish(&self, context: &Context, chunk: &Chunk, out: u64) -> Result<(), DeviceError> {
        self.norm(context, chunk, &context.model.norm, out, true)
    }

    fn logits(context: &Context, states: u64, rows: u32, out: u64) -> Result<(), DeviceError> {
        let config = &context.model.config;
        let count = u64::from(rows) * config.hidden_size as u64;
        let x = context.room::<f32>(rows as usize, config.hidden_size)?;
        let widen = Widen { x: states, out: x.address(), count };
        context.launch(Shape::line(count.div_ceil(u64::from(THREADS)) as u32, THREADS), &widen)?;
        let (columns, depth) = (config.vocab_size as u32, config.hidden_size as u32);
        let weights = context.model.head().address();
        multiply(context, &Linear { x: x.address(), weights, bias: 0, out, rows, columns, depth, add: 0 })
    }
}

/// One product, by the kernel that is the faster one for so many rows.
fn multiply(context: &Context, arguments: &Linear) -> Result<(), DeviceError> {
    let (few_rows, few_columns, few) = FEW;
    let (kernel, columns, rows) =
        if arguments.rows <= few { ("linear_few", few_columns, few_rows) } else { ("linear", SIDE, SIDE) };
    let grid = [arguments.columns.div_ceil(columns), arguments.rows.div_ceil(rows), 1];
    context.device.launch(kernel, Shape { grid, block: [THREADS, 1, 1], shared: 0 }, bytemuck::bytes_of(arguments))
}
