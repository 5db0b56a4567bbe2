//! Fast mode: the same operations with bf16 between them, and sums in whatever order is fastest. The residual stream and all
//! sums are single precision; factors of products, keys, values, and the weights of values in attention are bf16.
//!
//! A matrix's bias is added by whatever reads the product next, so that products need nothing but a place to add to.

use super::{Context, Mode, Stream};
use crate::device::{Buffer, DeviceError, Element, Product, Shape};
use crate::flash::{self, Call, Schedule};
use crate::kernels::fast::{BLOCK, Heads, Norm, Swiglu, swiglu_pieces};
use crate::model::{Matrix, Model};
use crate::pack::{Chunk, List, Piece, Tiles};

/// Memory of a pass in fast mode.
#[derive(Debug)]
pub(crate) struct Fast {
    /// f32, the residual stream of all rows of a pass.
    stream: Stream,
    /// The rest are of one chunk. bf16, what norms and attention leave behind.
    x: Buffer,
    /// bf16, queries, keys and values.
    qkv: Buffer,
    /// bf16, gates, then what they let through.
    gate_up: Buffer,
    /// bf16, what they let through.
    product: Buffer,
    /// f32, sums of attention that is split over keys.
    partial: Buffer,
    /// Those of [`windows`], in whose order a chunk has its patches.
    windows: Vec<u32>,
}

fn heads(model: &Model) -> flash::Heads {
    let config = &model.config;
    flash::Heads { query: config.heads as u32, kv: config.kv_heads as u32, dim: config.head_dim as u32 }
}

/// Windows of the model's layers, each once.
fn windows(model: &Model) -> Vec<u32> {
    let mut windows: Vec<u32> = model.layers.iter().map(|layer| layer.window).collect();
    windows.sort_unstable();
    windows.dedup();
    windows
}

fn bias(matrix: &Matrix) -> u64 {
    matrix.bias.as_ref().map_or(0, Buffer::address)
}

impl Fast {
    /// Rows of the stream, normalised; `before` is the matrix whose product was added to the stream last.
    fn norm(
        &self,
        context: &Context,
        chunk: &Chunk,
        before: Option<&Matrix>,
        weight: &Buffer,
        out: u64,
    ) -> Result<(), DeviceError> {
        let config = &context.model.config;
        let arguments = Norm {
            states: self.stream.at(context, chunk),
            bias: before.map_or(0, bias),
            weight: weight.address(),
            out,
            width: config.hidden_size as u32,
            rows: chunk.rows,
            eps: config.rms_norm_eps,
            pad: 0,
        };
        context.launch(Shape::line(chunk.rows, BLOCK), &arguments)
    }

    /// From the product of queries, keys and values to the rows that the output matrix takes.
    fn attention(&self, context: &Context, index: usize, chunk: &Chunk, angles: u64) -> Result<(), DeviceError> {
        let (model, layer) = (&context.model, &context.model.layers[index]);
        let flash::Heads { query, kv, dim } = heads(model);
        let norms = layer.head_norms.as_ref().map_or([0; 2], |norms| norms.each_ref().map(Buffer::address));
        let arguments = Heads {
            product: self.qkv.address(),
            bias: bias(&layer.qkv),
            query_norm: norms[0],
            key_norm: norms[1],
            angles,
            positions: chunk.positions,
            owners: chunk.owners,
            pieces: chunk.pieces,
            heads: query,
            kv_heads: kv,
            dim,
            layer: index as u32,
            eps: model.config.rms_norm_eps,
            pad: 0,
        };
        context.launch(Shape::line(chunk.rows, BLOCK), &arguments)?;
        let window = self.windows.iter().position(|&window| window == layer.window).unwrap_or_default();
        let patches = chunk.tiles.get(3 * window..).and_then(|lists| lists.first_chunk::<3>());
        let call = Call {
            rows: chunk.rows,
            positions: chunk.positions,
            owners: chunk.owners,
            pieces: chunk.pieces,
            patches: patches.copied().unwrap_or([Tiles::default(); 3]),
            partial: self.partial.address(),
            queries: self.qkv.address(),
            stride: (query + 2 * kv) * dim,
            out: self.x.address(),
            layer: index as u32,
            window: layer.window,
        };
        flash::attend(context.device.as_ref(), heads(model), &call)
    }
}

/// `out = x · Wᵀ` in bf16, or added to `out` in single precision.
fn multiply(context: &Context, rows: u32, x: &Buffer, matrix: &Matrix, out: u64, add: bool) -> Result<(), DeviceError> {
    context.device.multiply(&Product {
        x: x.address(),
        weights: matrix.weights.address(),
        out,
        rows,
        columns: matrix.outputs,
        depth: matrix.inputs,
        element: if add { Element::F32 } else { Element::Bf16 },
        add,
    })
}

impl Mode for Fast {
    const ELEMENT: u64 = 2;

    fn cut(model: &Model, pieces: &[Piece]) -> Vec<List> {
        let lists = |window| {
            let Schedule { wide, narrow, merges, .. } = Schedule::of(pieces, heads(model), window);
            [List::of(&wide), List::of(&narrow), List::of(&merges)]
        };
        windows(model).into_iter().flat_map(lists).collect()
    }

    fn allocate(context: &Context, rows: usize, chunk: usize) -> Result<Self, DeviceError> {
        let (config, heads) = (&context.model.config, heads(&context.model));
        let (q, kv) = (config.heads * config.head_dim, context.model.kv_width());
        let partial = heads.most_partial_rows(chunk as u32) as usize;
        Ok(Self {
            stream: Stream::allocate(context, rows)?,
            x: context.room::<u16>(chunk, config.hidden_size.max(q))?,
            qkv: context.room::<u16>(chunk, q + 2 * kv)?,
            gate_up: context.room::<u16>(chunk, 2 * config.intermediate_size)?,
            product: context.room::<u16>(chunk, config.intermediate_size)?,
            partial: context.room::<f32>(partial, config.kv_heads * (config.head_dim + 2))?,
            windows: windows(&context.model),
        })
    }

    fn embed(&self, context: &Context, chunk: &Chunk) -> Result<(), DeviceError> {
        self.stream.begin(context, chunk)
    }

    fn layer(&self, context: &Context, index: usize, chunk: &Chunk, angles: u64) -> Result<(), DeviceError> {
        let (rows, layer) = (chunk.rows, &context.model.layers[index]);
        let stream = self.stream.at(context, chunk);
        let before = index.checked_sub(1).map(|before| &context.model.layers[before].down);
        self.norm(context, chunk, before, &layer.attention_norm, self.x.address())?;
        multiply(context, rows, &self.x, &layer.qkv, self.qkv.address(), false)?;
        self.attention(context, index, chunk, angles)?;
        multiply(context, rows, &self.x, &layer.output, stream, true)?;

        self.norm(context, chunk, Some(&layer.output), &layer.feed_forward_norm, self.x.address())?;
        multiply(context, rows, &self.x, &layer.gate_up, self.gate_up.address(), false)?;
        let width = layer.down.inputs;
        let (product, out) = (self.gate_up.address(), self.product.address());
        let arguments = Swiglu { product, bias: bias(&layer.gate_up), out, width, rows };
        let shape = Shape { grid: [rows, swiglu_pieces(width), 1], block: [BLOCK, 1, 1], shared: 0 };
        context.launch(shape, &arguments)?;
        multiply(context, rows, &self.product, &layer.down, stream, true)
    }

    fn finish(&self, context: &Context, chunk: &Chunk, out: u64) -> Result<(), DeviceError> {
        let before = context.model.layers.last().map(|layer| &layer.down);
        self.norm(context, chunk, before, &context.model.norm, out)
    }

    fn logits(context: &Context, states: u64, rows: u32, out: u64) -> Result<(), DeviceError> {
        let config = &context.model.config;
        context.device.multiply(&Product {
            x: states,
            weights: context.model.head().address(),
            out,
            rows,
            columns: config.vocab_size as u32,
            depth: config.hidden_size as u32,
            element: Element::F32,
            add: false,
        })
    }
}
