//! Attention in fast mode: how the queries of packed sequences are cut into patches, and the launches that follow.
//!
//! The query heads that share a key-value head stand side by side in a patch, so that a group's keys and values are loaded
//! once. Prompts make wide patches, whose warps share the keys and have queries of their own; next tokens make narrow ones, whose
//! warps share the queries and have keys of their own. Where all patches together would leave a card idle, they are split
//! over their keys, and one more launch brings the parts together.

use std::f64::consts::LOG2_E;

use crate::device::{Device, DeviceError, Shape, launch};
use crate::kernels::attention::{ATTEND_THREADS, Attend, Combine, Merge, Patch, WHOLE};
use crate::pack::{Piece, Tiles};

/// Queries of a narrow patch.
const NARROW: u32 = 16;

/// Pieces with at most so many queries per key-value head are cut into narrow patches.
const NARROW_LIMIT: u32 = 2 * NARROW;

/// Keys that a narrow patch loads at a time.
const NARROW_KEYS: u32 = 64;

/// Blocks that keep a large card busy: two on each of 132 multiprocessors.
const BUSY: u32 = 264;

/// No part of a split patch has fewer keys: to load them costs more than to bring parts together.
const LEAST_KEYS: u32 = 256;

/// Parts have multiples of so many keys.
const KEY_STEP: u32 = 64;

/// Heads of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Query heads.
    pub query: u32,
    /// Key-value heads; divides `query`.
    pub kv: u32,
    /// Width of a head.
    pub dim: u32,
}

impl Heads {
    /// Query heads that share a key-value head.
    pub const fn group(self) -> u32 {
        self.query / self.kv
    }

    /// Kernels for this width; `None` where only the plain one will do.
    const fn tensor(self) -> Option<Tensor> {
        let (wide, narrow) = match self.dim {
            32 => ("fast_attend_wide_32", "fast_attend_narrow_32"),
            64 => ("fast_attend_wide_64", "fast_attend_narrow_64"),
            80 => ("fast_attend_wide_80", "fast_attend_narrow_80"),
            96 => ("fast_attend_wide_96", "fast_attend_narrow_96"),
            128 => ("fast_attend_wide_128", "fast_attend_narrow_128"),
            256 => ("fast_attend_wide_256", "fast_attend_narrow_256"),
            _ => return None,
        };
        // As in the instances in attention.cu: what registers and 99 KiB of shared memory hold.
        let (queries, keys) = if self.dim == 256 { (64, 32) } else { (128, 64) };
        Some(Tensor { wide, narrow, queries, keys, dim: self.dim })
    }

    /// Patches that keep a card busy: each is a block for every key-value head.
    const fn busy(self) -> u32 {
        BUSY / self.kv
    }

    /// Largest [`Schedule::partial_rows`] of a chunk of `rows` rows.
    pub fn most_partial_rows(self, rows: u32) -> u32 {
        let patch = self.tensor().map_or(0, |tensor| tensor.queries.min(rows * self.group()));
        // Fewer patches than keep a card busy, each with its share of these parts, rounded up.
        2 * self.busy() * patch
    }
}

/// Kernels on tensor cores for one width of heads.
#[derive(Clone, Copy, Debug)]
struct Tensor {
    wide: &'static str,
    narrow: &'static str,
    /// Queries of a wide patch.
    queries: u32,
    /// Keys that a wide patch loads at a time.
    keys: u32,
    dim: u32,
}

impl Tensor {
    /// Bytes of shared memory for `queries` queries, and `keys` keys and values; rows have eight elements more than a head.
    const fn shared(self, queries: u32, keys: u32) -> u32 {
        (queries + 2 * keys) * (self.dim + 8) * 2
    }
}

/// The patches of one chunk for one window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// For the wide kernel, those with most keys first.
    pub wide: Vec<Patch>,
    /// For the narrow kernel, those with most keys first.
    pub narrow: Vec<Patch>,
    /// What is split.
    pub merges: Vec<Merge>,
    /// Rows of partial sums.
    pub partial_rows: u32,
}

impl Schedule {
    /// Cuts the queries of `pieces` into patches, each with the keys that any of its queries sees through a `window`. Empty for
    /// heads of a width that the plain kernel attends for.
    pub fn of(pieces: &[Piece], heads: Heads, window: u32) -> Self {
        let group = heads.group();
        let mut schedule = Self::default();
        let Some(tensor) = heads.tensor() else { return schedule };
        for (index, piece) in (0..).zip(pieces) {
            let all = piece.rows * group;
            let (size, patches) = match all {
                ..=NARROW_LIMIT => (NARROW, &mut schedule.narrow),
                _ => (tensor.queries, &mut schedule.wide),
            };
            patches.extend((0..all).step_by(size as usize).map(|first| {
                let count = size.min(all - first);
                let end = |query: u32| piece.first_position + query / group + 1;
                let (from, to) = (end(first).saturating_sub(window), end(first + count - 1));
                Patch { piece: index, first, count, from, to, partial: WHOLE }
            }));
        }
        schedule.split(heads.busy());
        for patches in [&mut schedule.wide, &mut schedule.narrow] {
            patches.sort_by_key(|patch| std::cmp::Reverse(patch.to - patch.from));
        }
        schedule
    }

    /// Splits patches over their keys, in proportion to these, where there are fewer than `busy`.
    fn split(&mut self, busy: u32) {
        let all = || self.wide.iter().chain(&self.narrow);
        let keys: u64 = all().map(|patch| u64::from(patch.to - patch.from)).sum();
        if all().count() >= busy as usize {
            return;
        }
        let (merges, partial_rows) = (&mut self.merges, &mut self.partial_rows);
        for patches in [&mut self.wide, &mut self.narrow] {
            for whole in std::mem::take(patches) {
                let own = whole.to - whole.from;
                let share = (u64::from(busy) * u64::from(own)).div_ceil(keys) as u32;
                let length = own.div_ceil(share).max(LEAST_KEYS).next_multiple_of(KEY_STEP);
                if length >= own {
                    patches.push(whole);
                    continue;
                }
                let Patch { piece, first, count, .. } = whole;
                merges.push(Merge { piece, first, count, partial: *partial_rows, parts: own.div_ceil(length), pad: 0 });
                for from in (whole.from..whole.to).step_by(length as usize) {
                    patches.push(Patch { from, to: whole.to.min(from + length), partial: *partial_rows, ..whole });
                    *partial_rows += count;
                }
            }
        }
    }
}

/// Shared memory of a block that every supported card has: 99 KiB on compute capability 8.9.
const MOST_SHARED: u32 = 99 << 10;

// At compile time: every block fits.
const _: () = {
    const WIDTHS: [u32; 6] = [32, 64, 80, 96, 128, 256];
    let mut i = 0;
    while i < WIDTHS.len() {
        let Some(tensor) = (Heads { query: 1, kv: 1, dim: WIDTHS[i] }).tensor() else {
            panic!("a width without kernels")
        };
        assert!(tensor.shared(tensor.queries, tensor.keys) <= MOST_SHARED);
        assert!(tensor.shared(NARROW, NARROW_KEYS) <= MOST_SHARED);
        i += 1;
    }
};

/// What attention in one layer reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Rows.
    pub rows: u32,
    /// Address of u32 per row.
    pub positions: u64,
    /// Address of u32 per row: the index of its piece.
    pub owners: u64,
    /// Address of the [`Piece`]s, whose keys and values must be there up to the last row's.
    pub pieces: u64,
    /// The [`Schedule`] for the window: wide patches, narrow ones, merges.
    pub patches: [Tiles; 3],
    /// Address of f32, rows of partial sums of all key-value heads, `dim + 2` each.
    pub partial: u64,
    /// Address of bf16, `rows × stride`; the first elements of a row are its queries.
    pub queries: u64,
    /// Elements from one row of queries to the next.
    pub stride: u32,
    /// Address of bf16, `rows × heads · dim`.
    pub out: u64,
    /// Layer of the keys and values.
    pub layer: u32,
    /// Positions seen, the own included.
    pub window: u32,
}

/// Attends in one layer.
///
/// # Errors
/// [`DeviceError`].
pub fn attend(device: &dyn Device, heads: Heads, call: &Call) -> Result<(), DeviceError> {
    let Heads { query, kv: kv_heads, dim } = heads;
    let [wide, narrow, merges] = call.patches;
    let mut arguments = Attend {
        queries: call.queries,
        out: call.out,
        positions: call.positions,
        owners: call.owners,
        pieces: call.pieces,
        patches: wide.address,
        partial: call.partial,
        query_stride: call.stride,
        heads: query,
        kv_heads,
        dim,
        layer: call.layer,
        window: call.window,
        scale: (LOG2_E / f64::from(dim).sqrt()) as f32,
        pad: 0,
    };
    let block = [ATTEND_THREADS, 1, 1];
    let Some(tensor) = heads.tensor() else {
        let shape = Shape { grid: [call.rows, query, 1], block, shared: (5 * dim + 8) * 4 };
        return launch(device, shape, &arguments);
    };
    let launches = [
        (tensor.wide, wide, tensor.shared(tensor.queries, tensor.keys)),
        (tensor.narrow, narrow, tensor.shared(NARROW, NARROW_KEYS)),
    ];
    for (kernel, Tiles { address, count }, shared) in launches {
        arguments.patches = address;
        if count > 0 {
            let shape = Shape { grid: [count, kv_heads, 1], block, shared };
            device.launch(kernel, shape, bytemuck::bytes_of(&arguments))?;
        }
    }
    let (partial, out, pieces) = (call.partial, call.out, call.pieces);
    let combine = Combine { partial, out, pieces, merges: merges.address, heads: query, kv_heads, dim, pad: 0 };
    launch(device, Shape { grid: [merges.count, kv_heads, 1], block, shared: 0 }, &combine)
}
