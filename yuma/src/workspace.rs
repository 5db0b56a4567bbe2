//! Memory that epochs can share.

use alloc::vec;
use alloc::vec::Vec;

use crate::ballot::{Ballot, Copies};
use crate::divide::{Sum, Whole};
use crate::median::Columns;
use crate::row::common_run;
use crate::standing::{Fate, Standing};

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
    pub(crate) trades: Trades,
    pub(crate) old: Vec<u32>,
    pub(crate) intakes: Vec<Intake>,
    pub(crate) peaks: Vec<Peak>,
    pub(crate) offers: Vec<Offer>,
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

/// What a bond with a miner is worth, in Yuma2.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Offer {
    /// Sum of all bonds.
    pub(crate) bonds: Sum,
    /// The largest share of that.
    pub(crate) largest: Sum,
    pub(crate) incentive: u64,
}

/// Tells what a bond earned, and how it is stored.
pub(crate) trait Worth {
    fn settle(&self, bond: u64) -> (u64, u16);
}

/// Bonds of this epoch in Q32, row by row, and 0 wherever a bond ended.
#[derive(Debug, Default)]
pub(crate) struct Trades {
    /// Uids of the rows that have gaps.
    pub(crate) uids: Vec<u16>,
    pub(crate) values: Vec<u64>,
    pub(crate) rows: Vec<TradeRow>,
}

/// Whose bonds, and where they end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TradeRow {
    pub(crate) uid: u16,
    pub(crate) end: usize,
    /// The first column of a row without gaps.
    pub(crate) run: Option<u16>,
    /// Whether all of its bonds are above 0.
    pub(crate) whole: bool,
}

impl Trades {
    /// Forgets all rows, and makes room for those of a ballot: at once, since a list that grows as it goes takes twice as much.
    pub(crate) fn begin(&mut self, ballot: &Ballot<'_>) {
        let (mut gapless, mut others) = (0, 0);
        for (weights, bonds) in ballot.weights.iter().zip(&ballot.bonds) {
            match common_run(weights, bonds) {
                Some(run) => gapless += run.len(),
                None => others += (weights.len() + bonds.len()).min(ballot.weights.len()),
            }
        }
        self.uids.clear();
        self.uids.reserve_exact(others);
        self.values.clear();
        self.values.reserve_exact(gapless + others);
        self.rows.clear();
        self.rows.reserve_exact(ballot.weights.len());
    }

    /// Each row's uid and bonds by miner.
    pub(crate) fn bonds(&self) -> impl Iterator<Item = (u16, Vec<(u16, u64)>)> {
        let (mut values, mut uids) = (self.values.iter().copied(), self.uids.iter().copied());
        let mut start = 0;
        self.rows.iter().map(move |row| {
            let bonds = values.by_ref().take(row.end - start);
            start = row.end;
            let bonds = match row.run {
                Some(first) => (first..=u16::MAX).zip(bonds).collect(),
                None => bonds.map(|bond| (uids.next().unwrap_or_default(), bond)).collect(),
            };
            (row.uid, bonds)
        })
    }

    /// Tells `earn` what each uid's bonds earned, and writes down those that stay.
    #[inline(always)]
    pub(crate) fn settle<W: Worth>(
        &self,
        standing: &Standing,
        worth: &[W],
        kept: &mut [Vec<(u16, u16)>],
        mut earn: impl FnMut(usize, u64),
    ) {
        let (mut values, mut uids) = (self.values.as_slice(), self.uids.as_slice());
        let mut start = 0;
        for row in &self.rows {
            let place = usize::from(row.uid);
            let bonds = values.split_off(..row.end - start).unwrap_or_default();
            start = row.end;
            let mut sum = 0;
            let mut stay = vec![(0, 0); bonds.len()];
            let cells = stay.iter_mut().zip(bonds);
            match row.run {
                Some(first) => {
                    let mut uid = first;
                    for ((slot, &bond), worth) in cells.zip(&worth[usize::from(first)..]) {
                        let (earned, stored) = worth.settle(bond);
                        sum += earned;
                        *slot = (uid, stored);
                        uid = uid.wrapping_add(1);
                    }
                }
                None => {
                    for ((slot, &bond), &uid) in cells.zip(uids.split_off(..bonds.len()).unwrap_or_default()) {
                        let (earned, stored) = worth[usize::from(uid)].settle(bond);
                        sum += earned;
                        *slot = (uid, stored);
                    }
                }
            }
            earn(place, sum);
            if standing.fates[place] == Fate::Stay {
                if !row.whole {
                    let mut alive = bonds.iter().map(|&bond| bond > 0);
                    stay.retain(|_| alive.next().unwrap_or_default());
                }
                kept[place] = stay;
            }
        }
    }
}
