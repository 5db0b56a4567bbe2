//! Attention in fast mode: how the queries of packed sequences are cut into tiles, and the launches that follow.
//!
//! The query heads that share a key-value head stand side by side in a tile, so that a group's keys and values are loaded
//! once. Prompts make wide tiles, whose warps share the keys and have queries of their own; next tokens make narrow ones, whose
//! warps share the queries and have keys of their own. Where all tiles together would leave a card idle, they are split
//! over their keys, and a second launch brings the parts together.

use std::f64::consts::LOG2_E;
use std::sync::Arc;

use crate::device::{Buffer, Device, DeviceError, Shape, launch};
use crate::kernels::fast::{ATTEND_THREADS, Attend, Combine, Merge, Row, Span, Tile, WHOLE};

/// Queries of a narrow tile.
const NARROW: u32 = 16;

/// Sequences with at most so many queries per key-value head are cut into narrow tiles.
const NARROW_LIMIT: u32 = 2 * NARROW;

/// Keys that a narrow tile loads at a time.
const NARROW_KEYS: u32 = 64;

/// Blocks that keep a large card busy: two on each of 132 multiprocessors.
const BUSY: u32 = 264;

/// No part of a split tile has fewer keys: to load them costs more than to bring parts together.
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
    pub fn group(self) -> u32 {
        self.query / self.kv
    }

    /// Kernels for this width; `None` where only the plain one will do.
    fn tensor(self) -> Option<Tensor> {
        let (wide, narrow) = match self.dim {
            32 => ("fast_attend_wide_32", "fast_attend_narrow_32"),
            64 => ("fast_attend_wide_64", "fast_attend_narrow_64"),
            80 => ("fast_attend_wide_80", "fast_attend_narrow_80"),
            96 => ("fast_attend_wide_96", "fast_attend_narrow_96"),
            128 => ("fast_attend_wide_128", "fast_attend_narrow_128"),
            256 => ("fast_attend_wide_256", "fast_attend_narrow_256"),
            _ => return None,
        };
        // As in the instances at the end of fast.cu: what registers and 99 KiB of shared memory hold.
        let (queries, keys) = if self.dim == 256 { (64, 32) } else { (128, 64) };
        Some(Tensor { wide, narrow, queries, keys, dim: self.dim })
    }
}

/// Kernels on tensor cores for one width of heads.
#[derive(Clone, Copy, Debug)]
struct Tensor {
    wide: &'static str,
    narrow: &'static str,
    /// Queries of a wide tile.
    queries: u32,
    /// Keys that a wide tile loads at a time.
    keys: u32,
    dim: u32,
}

impl Tensor {
    /// Bytes of shared memory for `queries` queries, and `keys` keys and values; rows have eight elements more than a head.
    fn shared(self, queries: u32, keys: u32) -> u32 {
        (queries + 2 * keys) * (self.dim + 8) * 2
    }
}

/// A sequence's part of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its caches, whose content from the span's position on is written by the pass, and its first row.
    pub span: Span,
    /// Its rows; none is no error.
    pub rows: u32,
}

/// The tiles of one window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// For the wide kernel, the longest first.
    pub wide: Vec<Tile>,
    /// For the narrow kernel, the longest first.
    pub narrow: Vec<Tile>,
    /// What is split.
    pub merges: Vec<Merge>,
    /// Rows of partial sums.
    pub partial_rows: u32,
}

impl Schedule {
    /// Cuts the queries of `parts` into tiles of `queries` or of 16, each with the keys that any of its queries sees through a
    /// `window`.
    pub fn of(parts: &[Part], heads: Heads, window: u32, queries: u32) -> Self {
        let group = heads.group();
        let mut schedule = Self::default();
        for (span, part) in (0..).zip(parts) {
            let all = part.rows * group;
            let (size, tiles) = match all {
                ..=NARROW_LIMIT => (NARROW, &mut schedule.narrow),
                _ => (queries, &mut schedule.wide),
            };
            let cut = (0..all).step_by(size as usize).map(|first| {
                let count = size.min(all - first);
                let end = |query: u32| part.span.position + query / group + 1;
                let (from, to) = (end(first).saturating_sub(window), end(first + count - 1));
                Tile { span, first, count, from, to, partial: WHOLE }
            });
            tiles.extend(cut);
        }
        schedule.split(heads.kv);
        for tiles in [&mut schedule.wide, &mut schedule.narrow] {
            tiles.sort_by_key(|tile| std::cmp::Reverse(tile.to - tile.from));
        }
        schedule
    }

    /// Splits tiles over their keys, in proportion to these, where the blocks would not keep a card busy.
    fn split(&mut self, kv_heads: u32) {
        let room = BUSY / kv_heads;
        let tiles = || self.wide.iter().chain(&self.narrow);
        let keys: u64 = tiles().map(|tile| u64::from(tile.to - tile.from)).sum();
        if tiles().count() >= room as usize {
            return;
        }
        let (merges, partial_rows) = (&mut self.merges, &mut self.partial_rows);
        for tiles in [&mut self.wide, &mut self.narrow] {
            let whole = std::mem::take(tiles);
            for tile in whole {
                let own = tile.to - tile.from;
                let share = (u64::from(room) * u64::from(own)).div_ceil(keys) as u32;
                let length = own.div_ceil(share).max(LEAST_KEYS).next_multiple_of(KEY_STEP);
                if length >= own {
                    tiles.push(tile);
                    continue;
                }
                let Tile { span, first, count, .. } = tile;
                let parts = own.div_ceil(length);
                merges.push(Merge { span, first, count, partial: *partial_rows, parts, pad: 0 });
                for from in (tile.from..tile.to).step_by(length as usize) {
                    tiles.push(Tile { from, to: tile.to.min(from + length), partial: *partial_rows, ..tile });
                    *partial_rows += count;
                }
            }
        }
    }
}

/// What all layers of a pass attend with, on the device.
#[derive(Debug)]
pub struct Attention {
    heads: Heads,
    tensor: Option<Tensor>,
    spans: Buffer,
    rows: Buffer,
    row_count: u32,
    windows: Vec<Window>,
    partial: Buffer,
}

/// The tiles of one window, on the device: the wide ones first.
#[derive(Debug)]
struct Window {
    window: u32,
    tiles: Buffer,
    wide: u32,
    narrow: u32,
    merges: Buffer,
    merge_count: u32,
}

impl Attention {
    /// Prepares a pass over `parts`, whose rows follow each other, in layers that see `windows` positions (their own included;
    /// each mentioned once).
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn new(device: &Arc<dyn Device>, parts: &[Part], heads: Heads, windows: &[u32]) -> Result<Self, DeviceError> {
        let spans: Vec<Span> = parts.iter().map(|part| part.span).collect();
        let rows: Vec<Row> = (0..)
            .zip(parts)
            .flat_map(|(span, part)| (0..part.rows).map(move |i| Row { span, position: part.span.position + i }))
            .collect();
        let tensor = heads.tensor();
        let schedule = |&window: &u32| {
            (window, tensor.map_or_else(Schedule::default, |tensor| Schedule::of(parts, heads, window, tensor.queries)))
        };
        let schedules: Vec<(u32, Schedule)> = windows.iter().map(schedule).collect();
        let partial_rows = schedules.iter().map(|(_, schedule)| schedule.partial_rows).max().unwrap_or(0);
        let upload = |(window, schedule): &(u32, Schedule)| {
            Ok(Window {
                window: *window,
                tiles: Buffer::from(device, &[schedule.wide.as_slice(), &schedule.narrow].concat())?,
                wide: schedule.wide.len() as u32,
                narrow: schedule.narrow.len() as u32,
                merges: Buffer::from(device, &schedule.merges)?,
                merge_count: schedule.merges.len() as u32,
            })
        };
        Ok(Self {
            heads,
            tensor,
            spans: Buffer::from(device, &spans)?,
            row_count: rows.len() as u32,
            rows: Buffer::from(device, &rows)?,
            windows: schedules.iter().map(upload).collect::<Result<_, DeviceError>>()?,
            partial: Buffer::of::<f32>(device, partial_rows as usize * (heads.kv * (heads.dim + 2)) as usize)?,
        })
    }

    /// Address of the [`Span`]s.
    pub fn spans(&self) -> u64 {
        self.spans.address()
    }

    /// Address of the [`Row`]s.
    pub fn rows(&self) -> u64 {
        self.rows.address()
    }

    /// Attends in one layer: from `queries`, bf16 with `stride` elements from row to row, to `out`, bf16 and dense. Keys and
    /// values of the pass must be in the caches.
    ///
    /// # Errors
    /// [`DeviceError`], also for a window that [`new`](Self::new) was not told of.
    pub fn run(
        &self,
        device: &dyn Device,
        layer: u32,
        window: u32,
        (queries, stride): (u64, u32),
        out: u64,
    ) -> Result<(), DeviceError> {
        let Heads { query: heads, kv: kv_heads, dim } = self.heads;
        let known = self.windows.iter().find(|known| known.window == window);
        let known = known.ok_or_else(|| DeviceError::Failed(format!("no tiles for a window of {window}")))?;
        let mut arguments = Attend {
            queries,
            out,
            spans: self.spans.address(),
            tiles: known.tiles.address(),
            rows: self.rows.address(),
            partial: self.partial.address(),
            query_stride: stride,
            heads,
            kv_heads,
            dim,
            layer,
            window,
            scale: (LOG2_E / f64::from(dim).sqrt()) as f32,
            pad: 0,
        };
        let block = [ATTEND_THREADS, 1, 1];
        let Some(tensor) = self.tensor else {
            let shape = Shape { grid: [self.row_count, heads, 1], block, shared: (5 * dim + 8) * 4 };
            return launch(device, shape, &arguments);
        };
        let launches = [
            (tensor.wide, known.wide, tensor.shared(tensor.queries, tensor.keys)),
            (tensor.narrow, known.narrow, tensor.shared(NARROW, NARROW_KEYS)),
        ];
        for (kernel, tiles, shared) in launches {
            if tiles > 0 {
                let shape = Shape { grid: [tiles, kv_heads, 1], block, shared };
                device.launch(kernel, shape, bytemuck::bytes_of(&arguments))?;
            }
            arguments.tiles += u64::from(tiles) * size_of::<Tile>() as u64;
        }
        let combine = Combine {
            partial: self.partial.address(),
            out,
            spans: self.spans.address(),
            merges: known.merges.address(),
            heads,
            kv_heads,
            dim,
            pad: 0,
        };
        launch(device, Shape { grid: [known.merge_count, kv_heads, 1], block, shared: 0 }, &combine)
    }
}
