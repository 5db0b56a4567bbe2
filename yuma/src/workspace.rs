//! Memory that epochs can share.

use alloc::vec::Vec;

use crate::ballot::Copies;
use crate::divide::{Sum, Whole};
use crate::median::Columns;

/// Scratch memory. Reused from one epoch to the next, it spares all allocations but those of the outcome; what an epoch
/// leaves in it has no influence on the next one.
#[derive(Debug, Default)]
pub struct Workspace {
    pub(crate) copies: Copies,
    pub(crate) scratch: Scratch,
}

impl Workspace {
    /// An empty workspace.
    pub fn new() -> Self {
        Self::default()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) medians: Columns,
    pub(crate) columns: Vec<Column>,
    pub(crate) quotes: Vec<Quote>,
    pub(crate) trades: Trades,
    /// For Yuma2, new bonds by place in the rows of weights.
    pub(crate) deltas: Vec<u64>,
    pub(crate) old: Vec<u32>,
    pub(crate) intakes: Vec<Intake>,
    pub(crate) peaks: Vec<Peak>,
    /// Sum of a column's bonds, its largest share, and its incentive.
    pub(crate) offers: Vec<(Sum, Sum, u64)>,
}

/// What is summed up per miner, in Q32.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Column {
    pub(crate) consensus: u64,
    pub(crate) rank: u64,
    /// What the rank would be without clipping.
    pub(crate) unclipped: u64,
    /// Sum of all bonds, for Yuma2 of the new ones.
    pub(crate) bonds: u64,
}

/// What a bond with a miner is worth.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quote {
    /// Sum of all bonds with it.
    pub(crate) bonds: Sum,
    pub(crate) incentive: u64,
}

/// What the bonds with a miner are shares of, in Yuma2.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Intake {
    pub(crate) new: Sum,
    pub(crate) old: Whole,
}

/// What bonds with a miner come to, in Yuma2.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Peak {
    pub(crate) sum: u64,
    pub(crate) most: u64,
}

/// Bonds of this epoch in Q32, row by row, and 0 wherever a bond ended.
#[derive(Debug, Default)]
pub(crate) struct Trades {
    pub(crate) uids: Vec<u16>,
    pub(crate) values: Vec<u64>,
    /// Who has a row, where it ends, and whether all of its bonds are above 0.
    pub(crate) rows: Vec<TradeRow>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct TradeRow {
    pub(crate) uid: u16,
    pub(crate) end: usize,
    pub(crate) whole: bool,
}

impl Trades {
    pub(crate) fn clear(&mut self) {
        self.uids.clear();
        self.values.clear();
        self.rows.clear();
    }

    /// Makes room for one more row.
    pub(crate) fn reserve(&mut self, cells: usize) {
        self.uids.reserve(cells);
        self.values.reserve(cells);
    }

    /// Ends the row that began after the last one's end.
    pub(crate) fn end_row(&mut self, uid: u16, whole: bool) {
        self.rows.push(TradeRow { uid, end: self.values.len(), whole });
    }
}
