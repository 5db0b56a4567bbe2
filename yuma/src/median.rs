//! The stake-weighted κ-median.

use alloc::vec::Vec;
use core::ops::Range;

use crate::divide::Whole;
use crate::row::run;
use crate::{Q32, Row};

/// The largest weight that validators with at least κ of the stake give or exceed; ties with exactly κ go up.
///
/// `votes` are `(weight, stake)` of those who gave a weight; whoever is missing from `total`, the sum of all voting
/// stake, gave 0. In terms of the cumulative stake `cum`, this is the weight `x` with
/// `cum(< x) <= total − κ < cum(<= x)`; should rounding leave none, the smallest or the largest weight voted for.
/// Sorts `votes` in place; their order has no influence.
///
/// ```
/// use yuma::{Q32, weighted_median};
///
/// let percent = |n: u64| Q32::from_raw((n << 32) / 100);
/// let mut votes = [(percent(50), percent(49)), (percent(100), percent(51))];
/// assert_eq!(weighted_median(&mut votes, percent(100), percent(51)), percent(100));
/// ```
pub fn weighted_median(votes: &mut [(Q32, Q32)], total: Q32, kappa: Q32) -> Q32 {
    votes.sort_unstable();
    let voted: Q32 = votes.iter().map(|&(_, stake)| stake).sum();
    let mut cumulative = Q32::from_raw(total.raw().saturating_sub(voted.raw()));
    if cumulative > Q32::ZERO && cumulative + kappa > total {
        return Q32::ZERO;
    }
    for &(weight, stake) in votes.iter() {
        cumulative += stake;
        if cumulative + kappa > total {
            return weight;
        }
    }
    votes.last().map_or(Q32::ZERO, |&(weight, _)| weight)
}

/// A validator whose stake counts, with its admitted weights.
pub(crate) struct Voter<'a> {
    pub(crate) row: Row<'a>,
    /// The sum of the row.
    pub(crate) whole: u32,
    /// Share of all voting stake, not 0.
    pub(crate) stake: u64,
}

/// Scratch to turn rows of votes into columns.
///
/// Numbers in Q32 are kept in 32 bits. A share that is exactly 1 has no second one beside it that is not 0; it stands as
/// the largest number among weights (no share is one unit below 1) and as 0 among stakes, whose sums are right modulo 2³².
/// Weights are kept with their topmost bit turned, since processors compare signed numbers with more ease.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    /// Stake by voter.
    stakes: Vec<u32>,
    /// Per column where its votes begin, then where the next one goes, in the end where they end.
    ends: Vec<u32>,
    keys: Vec<i32>,
    voters: Vec<u16>,
    /// Stake by place in one column.
    gathered: Vec<u32>,
    /// Which places of a column are in the band that is left, one byte each.
    band: Vec<u8>,
    /// The votes in it as `weight << 32 | stake`.
    votes: Vec<u64>,
}

/// Columns of a full table that are turned together: about as many votes as the nearest cache holds.
const TILE: usize = 4_096;

impl Columns {
    /// Calls `set` with the columns that somebody voted on, ascending, and their κ-medians; those of others are 0. Rows
    /// have fewer than 2³² cells together.
    pub(crate) fn medians(&mut self, voters: &[Voter<'_>], kappa: u64, columns: usize, set: impl FnMut(usize, u64)) {
        let total: u64 = voters.iter().map(|voter| voter.stake).sum();
        self.stakes.clear();
        self.stakes.extend(voters.iter().map(|voter| voter.stake as u32));
        let full = voters.first().and_then(|first| run(first.row));
        match full.filter(|full| voters.iter().all(|voter| run(voter.row).as_ref() == Some(full))) {
            Some(full) => self.full_medians(voters, kappa, total, full, set),
            None => self.sparse_medians(voters, kappa, total, columns, set),
        }
    }

    /// Everybody voted on the same columns, which have no gaps.
    fn full_medians(
        &mut self,
        voters: &[Voter<'_>],
        kappa: u64,
        total: u64,
        columns: Range<usize>,
        mut set: impl FnMut(usize, u64),
    ) {
        let width = (TILE / voters.len()).max(1);
        let mut done = 0;
        while done < columns.len() {
            let cells = done..columns.len().min(done + width);
            self.keys.resize(cells.len() * voters.len(), 0);
            for (index, voter) in voters.iter().enumerate() {
                let whole = Whole::of(voter.whole);
                let row = self.keys.chunks_exact_mut(voters.len()).zip(&voter.row[cells.clone()]);
                // No share is 1 unless one weight is the whole row.
                if voter.whole > u32::from(u16::MAX) {
                    row.for_each(|(keys, cell)| keys[index] = turned(whole.share(cell.1) as u32));
                } else {
                    row.for_each(|(keys, cell)| keys[index] = key(whole.share(cell.1)));
                }
            }
            for (column, keys) in cells.clone().zip(self.keys.chunks_exact(voters.len())) {
                let votes = Votes { keys, stakes: &self.stakes, voted: total as u32 };
                set(columns.start + column, votes.median(total, 0, kappa, &mut self.band, &mut self.votes));
            }
            done = cells.end;
        }
    }

    fn sparse_medians(
        &mut self,
        voters: &[Voter<'_>],
        kappa: u64,
        total: u64,
        columns: usize,
        mut set: impl FnMut(usize, u64),
    ) {
        self.transpose(voters, columns);
        let mut start = 0;
        for column in 0..columns {
            let end = self.ends[column] as usize;
            if start < end {
                self.gathered.clear();
                self.gathered.extend(self.voters[start..end].iter().map(|&voter| self.stakes[usize::from(voter)]));
                let voted = self.gathered.iter().fold(0u32, |sum, &stake| sum.wrapping_add(stake));
                // All stake is 2³² at most, so that only a sum of all of it can come out as 0.
                let silent = total - if voted == 0 { 1 << 32 } else { u64::from(voted) };
                let votes = Votes { keys: &self.keys[start..end], stakes: &self.gathered, voted };
                set(column, votes.median(total, silent, kappa, &mut self.band, &mut self.votes));
            }
            start = end;
        }
    }

    fn transpose(&mut self, voters: &[Voter<'_>], columns: usize) {
        self.ends.clear();
        self.ends.resize(columns, 0);
        for voter in voters {
            match run(voter.row) {
                Some(columns) => self.ends[columns].iter_mut().for_each(|count| *count += 1),
                None => voter.row.iter().for_each(|&(uid, _)| self.ends[usize::from(uid)] += 1),
            }
        }
        let mut sum = 0;
        for end in &mut self.ends {
            sum += core::mem::replace(end, sum);
        }
        let cells = sum as usize;
        // Every cell is written below: what is left from an earlier epoch need not be cleared.
        self.keys.resize(cells, 0);
        self.voters.resize(cells, 0);
        for (index, voter) in (0..=u16::MAX).zip(voters) {
            let whole = Whole::of(voter.whole);
            for &(uid, weight) in voter.row {
                let place = &mut self.ends[usize::from(uid)];
                let at = *place as usize;
                *place += 1;
                self.keys[at] = key(whole.share(weight));
                self.voters[at] = index;
            }
        }
    }
}

fn key(share: u64) -> i32 {
    turned((share - (share >> 32)) as u32)
}

fn turned(share: u32) -> i32 {
    (share ^ 1 << 31) as i32
}

fn share(key: i32) -> u64 {
    let share = key as u32 ^ 1 << 31;
    u64::from(share) + u64::from(share == u32::MAX)
}

/// The votes on one miner.
#[derive(Clone, Copy)]
struct Votes<'a> {
    keys: &'a [i32],
    stakes: &'a [u32],
    /// The sum of all stakes, modulo 2³².
    voted: u32,
}

impl Votes<'_> {
    /// `silent`: the stake of those who did not vote.
    fn median(self, total: u64, silent: u64, kappa: u64, band: &mut Vec<u8>, votes: &mut Vec<u64>) -> u64 {
        match total.checked_sub(silent + kappa) {
            Some(spare) => share(self.select(spare, band, votes)),
            None if silent > 0 => 0,
            None => self.keys.iter().copied().min().map_or(0, share),
        }
    }

    /// The largest key such that all smaller ones have `spare` stake at most.
    ///
    /// A sorted sample narrows it down to a small band of keys, which is then sorted. However unlucky the sample, sorting
    /// bounds the cost.
    fn select(self, spare: u64, band: &mut Vec<u8>, votes: &mut Vec<u64>) -> i32 {
        let keys = self.keys;
        let mut sample = [0; 31];
        let size = match keys.len() {
            0..12 => 0,
            12..40 => 3,
            40..400 => 7,
            400..4_000 => 15,
            _ => 31,
        };
        let sample = &mut sample[..size];
        let step = keys.len().checked_div(size).unwrap_or(1);
        for (place, key) in sample.iter_mut().zip(keys.iter().skip(step / 2).step_by(step)) {
            *place = *key;
        }
        sort(sample);
        let mut bracket = Bracket { lowest: i32::MIN, widest: u32::MAX, base: 0 };
        let (mut from, mut to) = (0, size);
        while from < to {
            let middle = (from + to) / 2;
            if bracket.narrow(self, sample[middle], spare) { from = middle + 1 } else { to = middle }
        }
        // Between neighbours of the sample, keys are spread evenly enough to halve their range instead.
        if to < size {
            for _ in 0..2 {
                bracket.narrow(self, bracket.lowest.wrapping_add_unsigned(bracket.widest.div_ceil(2)), spare);
            }
        }
        let Bracket { lowest, widest, mut base } = bracket;

        // Flags in groups of 16, the last of which may be looked at beyond the last key.
        if band.len() < keys.len() + 16 {
            band.resize(keys.len() + 16, 0);
        }
        band[keys.len()..][..16].fill(0);
        for (flag, key) in band.iter_mut().zip(keys) {
            *flag = u8::from(key.wrapping_sub(lowest) as u32 <= widest);
        }
        votes.clear();
        for (group, flags) in (0..keys.len().div_ceil(16)).zip(band.as_chunks::<16>().0) {
            let mut flags = u128::from_le_bytes(*flags);
            while flags != 0 {
                let place = 16 * group + flags.trailing_zeros() as usize / 8;
                votes.push(u64::from(turned(keys[place] as u32) as u32) << 32 | u64::from(self.stakes[place]));
                flags &= flags - 1;
            }
        }
        sort(votes);
        let mut chosen = lowest;
        for vote in votes {
            if base > spare {
                break;
            }
            chosen = turned((*vote >> 32) as u32);
            base += *vote & u64::from(u32::MAX);
        }
        chosen
    }

    /// The stake of all keys below a bound that is not above all of them: less than all stake, so that it fits.
    #[inline]
    fn stake_below(self, bound: i32) -> u64 {
        let Some(limit) = bound.checked_sub(1) else { return 0 };
        let counted = |(&key, &stake): (&i32, &u32)| if key > limit { stake } else { 0 };
        let rest = self.keys.iter().zip(self.stakes).map(counted).fold(0u32, u32::wrapping_add);
        u64::from(self.voted.wrapping_sub(rest))
    }
}

/// Where the chosen key is: all keys below `lowest` have `base` stake, which is not too much, and all keys below one that
/// is larger than `lowest + widest` have too much.
struct Bracket {
    lowest: i32,
    widest: u32,
    base: u64,
}

impl Bracket {
    /// Decides whether to look from `bound` on or below it.
    #[inline]
    fn narrow(&mut self, votes: Votes<'_>, bound: i32, spare: u64) -> bool {
        let below = votes.stake_below(bound);
        let fits = below <= spare;
        let distance = bound.wrapping_sub(self.lowest) as u32;
        if fits {
            *self = Self { lowest: bound, widest: self.widest - distance, base: below };
        } else {
            self.widest = distance - 1;
        }
        fits
    }
}

/// Sorts what is mostly a handful.
fn sort<T: Copy + Ord>(values: &mut [T]) {
    if values.len() > 20 {
        return values.sort_unstable();
    }
    for end in 1..values.len() {
        let value = values[end];
        let mut place = end;
        while place > 0 && values[place - 1] > value {
            values[place] = values[place - 1];
            place -= 1;
        }
        values[place] = value;
    }
}
