//! Rows of many sequences in one pass over the weights.
//!
//! A pass goes through the layers one by one, and through each layer chunk by chunk: a chunk's keys and values are written
//! before its queries look back, so that chunks bound the memory of a layer's intermediate results, and a sequence may reach
//! over several. What kernels need to know about rows is uploaded once, before the pass.

use std::sync::Arc;

use bytemuck::NoUninit;

use crate::device::{Buffer, Device, DeviceError};

/// Where a sequence's keys and values lie: a row of `kv_heads × dim` elements per position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Address of the keys of the first layer.
    pub(crate) cache: u64,
    /// Bytes from the keys of a layer to those of the next.
    pub(crate) layer_bytes: u64,
    /// Bytes from the keys of a layer to its values.
    pub(crate) value_bytes: u64,
}

/// Tokens of one sequence that are part of a pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    pub(crate) place: Place,
    /// Position of the first token.
    pub(crate) first: usize,
    pub(crate) tokens: &'a [u32],
}

/// Consecutive rows of one sequence in a chunk: twin of the kernels' structure.
#[repr(C)]
#[derive(Clone, Copy, Debug, NoUninit)]
pub struct Piece {
    /// Address of the keys of layer 0.
    pub cache: u64,
    /// Bytes from the keys of a layer to those of the next.
    pub layer_bytes: u64,
    /// Bytes from the keys of a layer to its values.
    pub value_bytes: u64,
    /// First row in the chunk.
    pub first_row: u32,
    /// Rows.
    pub rows: u32,
    /// Position of the first row.
    pub first_position: u32,
    /// Nothing.
    pub pad: u32,
}

/// Rows of a piece that one block of an attention kernel works for: twin of the kernels' structure.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, NoUninit)]
pub struct Tile {
    /// Index of the piece in its chunk.
    pub piece: u32,
    /// Where it begins in the piece, in units of the kernel.
    pub first: u32,
}

/// Tiles of a numeric mode, of whatever type its kernels take.
#[derive(Clone, Debug)]
pub(crate) struct List {
    bytes: Vec<u8>,
    count: u32,
}

impl List {
    pub(crate) fn of<T: NoUninit>(tiles: &[T]) -> Self {
        Self { bytes: bytemuck::cast_slice(tiles).to_vec(), count: tiles.len() as u32 }
    }
}

/// Tiles on the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tiles {
    /// Where they begin.
    pub address: u64,
    /// How many there are.
    pub count: u32,
}

/// Rows that go through one layer together. All addresses are of this chunk's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunk {
    /// First row in the pass.
    pub(crate) first: u32,
    pub(crate) rows: u32,
    /// u32 per row.
    pub(crate) tokens: u64,
    /// u32 per row.
    pub(crate) positions: u64,
    /// u32 per row: the index of its piece.
    pub(crate) owners: u64,
    /// [`Piece`]s.
    pub(crate) pieces: u64,
    /// The lists that a numeric mode cut.
    pub(crate) tiles: Vec<Tiles>,
}

/// How a numeric mode cuts the pieces of a chunk into lists of tiles.
pub(crate) type Cut<'a> = &'a dyn Fn(&[Piece]) -> Vec<List>;

/// A pass, described on the device.
#[derive(Debug)]
pub(crate) struct Pack {
    pub(crate) chunks: Vec<Chunk>,
    /// What the chunks' addresses point into.
    _buffer: Buffer,
}

impl Pack {
    /// Packs `segments` in their order into chunks of at most `most` rows.
    pub(crate) fn new(
        device: &Arc<dyn Device>,
        segments: &[Segment<'_>],
        most: usize,
        cut: Cut<'_>,
    ) -> Result<Self, DeviceError> {
        let mut bytes = Staging::default();
        let mut chunks = Vec::new();
        let mut rest = segments.iter().copied().filter(|segment| !segment.tokens.is_empty()).collect::<Vec<_>>();
        rest.reverse();
        let mut first = 0;
        while !rest.is_empty() {
            let mut chunk = Rows::default();
            while let Some(segment) = rest.pop() {
                let (now, later) = segment.tokens.split_at(segment.tokens.len().min(most - chunk.tokens.len()));
                chunk.add(&Segment { tokens: now, ..segment });
                if !later.is_empty() {
                    rest.push(Segment { first: segment.first + now.len(), tokens: later, ..segment });
                }
                if chunk.tokens.len() == most {
                    break;
                }
            }
            let tiles = cut(&chunk.pieces);
            chunks.push(Chunk {
                first,
                rows: chunk.tokens.len() as u32,
                tokens: bytes.add(&chunk.tokens),
                positions: bytes.add(&chunk.positions),
                owners: bytes.add(&chunk.owners),
                pieces: bytes.add(&chunk.pieces),
                tiles: tiles.iter().map(|t| Tiles { address: bytes.add(&t.bytes), count: t.count }).collect(),
            });
            first += chunk.tokens.len() as u32;
        }
        let buffer = Buffer::from(device, &bytes.0)?;
        for chunk in &mut chunks {
            let offsets = [&mut chunk.tokens, &mut chunk.positions, &mut chunk.owners, &mut chunk.pieces];
            let tiles = chunk.tiles.iter_mut().map(|tiles| &mut tiles.address);
            offsets.into_iter().chain(tiles).for_each(|offset| *offset += buffer.address());
        }
        Ok(Self { chunks, _buffer: buffer })
    }
}

/// Rows of a chunk while they are gathered.
#[derive(Default)]
struct Rows {
    tokens: Vec<u32>,
    positions: Vec<u32>,
    owners: Vec<u32>,
    pieces: Vec<Piece>,
}

impl Rows {
    fn add(&mut self, segment: &Segment<'_>) {
        let Segment { place: Place { cache, layer_bytes, value_bytes }, first, tokens } = *segment;
        let (first_row, rows) = (self.tokens.len() as u32, tokens.len() as u32);
        let first_position = first as u32;
        self.owners.extend(tokens.iter().map(|_| self.pieces.len() as u32));
        self.positions.extend(first_position..first_position + rows);
        self.tokens.extend_from_slice(tokens);
        self.pieces.push(Piece { cache, layer_bytes, value_bytes, first_row, rows, first_position, pad: 0 });
    }
}

/// What goes to the device in one copy; offsets are multiples of 16.
#[derive(Default)]
struct Staging(Vec<u8>);

impl Staging {
    fn add<T: NoUninit>(&mut self, values: &[T]) -> u64 {
        self.0.resize(self.0.len().next_multiple_of(16), 0);
        let offset = self.0.len() as u64;
        self.0.extend_from_slice(bytemuck::cast_slice(values));
        offset
    }
}

/// Tiles of `height` units that cover `pieces`, each row of which has `units` of them.
pub(crate) fn tiles(pieces: impl Iterator<Item = (usize, Piece)>, height: u32, units: u32) -> Vec<Tile> {
    pieces
        .flat_map(|(index, piece)| {
            let starts = (0..piece.rows * units).step_by(height as usize);
            starts.map(move |first| Tile { piece: index as u32, first })
        })
        .collect()
}
