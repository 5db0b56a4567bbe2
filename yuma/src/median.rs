//! The stake-weighted κ-median.

use alloc::vec::Vec;

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
/// Numbers in Q32 are kept in 32 bits. A share that is exactly 1 has no second one beside it that is not 0, and stands as
/// `u32::MAX` among weights (no share is one unit below 1) and as 0 among stakes, whose sums are right modulo 2³².
#[derive(Debug, Default)]
pub(crate) struct Columns {
    /// Per column where its votes begin, then where the next one goes, in the end where they end.
    ends: Vec<u32>,
    keys: Vec<u32>,
    voters: Vec<u16>,
    /// Stake by voter.
    stakes: Vec<u32>,
    /// Stake by place in one column.
    gathered: Vec<u32>,
    /// Votes as `weight << 32 | stake`.
    band: Vec<u64>,
}

impl Columns {
    /// Calls `set` with every column, ascending, and its κ-median. Rows name columns below `columns` and have fewer than 2³²
    /// cells together.
    pub(crate) fn medians(
        &mut self,
        voters: &[Voter<'_>],
        kappa: u64,
        columns: usize,
        mut set: impl FnMut(usize, u64),
    ) {
        let total: u64 = voters.iter().map(|voter| voter.stake).sum();
        self.transpose(voters, columns);
        let mut start = 0;
        for column in 0..columns {
            let end = self.ends[column] as usize;
            let keys = &self.keys[start..end];
            let stakes = if keys.len() == voters.len() {
                // Everybody voted, in order.
                self.stakes.as_slice()
            } else {
                self.gathered.clear();
                self.gathered.extend(self.voters[start..end].iter().map(|&voter| self.stakes[usize::from(voter)]));
                self.gathered.as_slice()
            };
            set(column, median(keys, stakes, total, kappa, &mut self.band));
            start = end;
        }
    }

    fn transpose(&mut self, voters: &[Voter<'_>], columns: usize) {
        self.stakes.clear();
        self.stakes.extend(voters.iter().map(|voter| voter.stake as u32));
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
        let (keys, places) = (&mut self.keys[..cells], &mut self.voters[..cells]);
        for (index, voter) in (0..=u16::MAX).zip(voters) {
            let whole = Whole::of(voter.whole);
            let mut write = |place: &mut u32, weight: u16| {
                let share = whole.share(weight);
                let at = *place as usize;
                *place += 1;
                keys[at] = (share - (share >> 32)) as u32;
                places[at] = index;
            };
            match run(voter.row) {
                Some(columns) => {
                    self.ends[columns].iter_mut().zip(voter.row).for_each(|(place, &(_, weight))| write(place, weight));
                }
                None => voter.row.iter().for_each(|&(uid, weight)| write(&mut self.ends[usize::from(uid)], weight)),
            }
        }
    }
}

fn median(keys: &[u32], stakes: &[u32], total: u64, kappa: u64, band: &mut Vec<u64>) -> u64 {
    if keys.is_empty() {
        return 0;
    }
    // All stake is 2³² at most, so that only a sum of all of it can come out as 0.
    let voted = match stakes.iter().fold(0u32, |sum, &stake| sum.wrapping_add(stake)) {
        0 => 1 << 32,
        voted => u64::from(voted),
    };
    let silent = total - voted;
    let key = match total.checked_sub(silent + kappa) {
        Some(spare) => select(keys, stakes, spare, band),
        None if silent > 0 => 0,
        None => keys.iter().copied().min().unwrap_or_default(),
    };
    u64::from(key) + u64::from(key == u32::MAX)
}

/// The largest key such that all smaller ones have `spare` stake at most.
///
/// A sorted sample narrows it down to a small band of keys, which is then sorted. However unlucky the sample, sorting
/// bounds the cost.
fn select(keys: &[u32], stakes: &[u32], spare: u64, band: &mut Vec<u64>) -> u32 {
    let (mut lowest, mut widest, mut base) = (0, u32::MAX, 0);
    let mut sample = [0; 31];
    let size = match keys.len() {
        0..12 => 0,
        12..40 => 3,
        40..400 => 7,
        400..4_000 => 15,
        _ => 31,
    };
    let sample = &mut sample[..size];
    for (index, place) in sample.iter_mut().enumerate() {
        *place = keys[(2 * index + 1) * keys.len() / (2 * size)];
    }
    sample.sort_unstable();
    let (mut from, mut to) = (0, size);
    while from < to {
        let middle = (from + to) / 2;
        let below = stake_below(keys, stakes, sample[middle]);
        if below <= spare {
            (lowest, base, from) = (sample[middle], below, middle + 1);
        } else {
            (widest, to) = (sample[middle] - 1, middle);
        }
    }
    widest -= lowest;

    if band.len() <= keys.len() {
        band.resize(keys.len() + 1, 0);
    }
    let mut count = 0;
    for (&key, &stake) in keys.iter().zip(stakes) {
        band[count] = u64::from(key) << 32 | u64::from(stake);
        count += usize::from(key.wrapping_sub(lowest) <= widest);
    }
    let band = &mut band[..count];
    band.sort_unstable();
    let mut chosen = lowest;
    for vote in band {
        let key = (*vote >> 32) as u32;
        if base > spare {
            break;
        }
        chosen = key;
        base += *vote & u64::from(u32::MAX);
    }
    chosen
}

/// The stake of all keys below a bound. Less than all stake, if the bound is one of them: it fits.
#[inline]
fn stake_below(keys: &[u32], stakes: &[u32], bound: u32) -> u64 {
    let counted = |(&key, &stake): (&u32, &u32)| if key < bound { stake } else { 0 };
    u64::from(keys.iter().zip(stakes).map(counted).fold(0u32, u32::wrapping_add))
}
