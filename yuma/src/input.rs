//! What an epoch is computed from, and the checks it must pass first.

use alloc::vec::Vec;

use crate::LiquidAlpha;
use crate::error::{Error, Table};

/// The version of Yuma by which bonds and dividends are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rules {
    /// Bonds are shares of a column, weighted by stake and normalised on the way in and out.
    Yuma2,
    /// Bonds are per-pair scales in `0..=1` without stake; stake enters the dividend directly.
    Yuma3,
}

/// Whose arithmetic and whose defaults decide where the two differ; the crate's page lists every difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// The chain, bit for bit, with its floors and its fallbacks.
    Subtensor,
    /// The safe default: shares and payouts are exact to the last unit, an unearned pot is carried.
    Tandem,
}

/// The parameters of a subnet that the epoch reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hyperparameters {
    /// Version of Yuma.
    pub rules: Rules,
    /// Whether, and how, each bond has an α of its own. [`Rules::Yuma2`] has none: there this is not read, and in
    /// [`Rules::Yuma3`] it is set aside in an epoch whose consensus is zero for all.
    pub liquid_alpha: Option<LiquidAlpha>,
    /// Where the chain and Tandem differ, which of them to follow.
    pub profile: Profile,
    /// κ in 1/65535: the share of active stake that must support a weight for it to count.
    pub kappa: u16,
    /// Share of the old bond that survives an epoch, in parts per million (at most 1,000,000); α is what is left to 1.
    pub bonds_moving_average: u32,
    /// In 1/65535: 0 lets bonds grow by the weights as set, 65535 by the weights as clipped.
    pub bonds_penalty: u16,
    /// K: how many uids get a permit.
    pub max_validators: u16,
    /// Ticks after its last update for which a validator still counts as active.
    pub activity_cutoff: u64,
    /// Stake below this counts as none (the owner's excepted), in the unit of [`Neuron::stake`].
    pub stake_threshold: u128,
    /// Ticks for which bonds outlive the permit, in [`Profile::Tandem`] (the chain ends them at once). If not 0, bonds of a
    /// validator without a permit decay by α, neither earn nor count for others, and are there when the permit is back.
    pub permit_grace: u64,
}

impl Hyperparameters {
    /// What a new subnet starts with on Subtensor, where a tick is a block of 12 seconds.
    pub const fn subtensor(rules: Rules) -> Self {
        Self {
            rules,
            liquid_alpha: None,
            profile: Profile::Subtensor,
            kappa: 32_767,
            bonds_moving_average: 900_000,
            bonds_penalty: u16::MAX,
            max_validators: 64,
            activity_cutoff: 5_000,
            stake_threshold: 0,
            permit_grace: 0,
        }
    }

    /// Subtensor's activity cutoff in blocks: `factor` thousandths of a tempo, at least one block.
    pub const fn activity_cutoff(factor: u32, tempo: u16) -> u64 {
        let cutoff = factor as u64 * tempo as u64 / 1_000;
        if cutoff == 0 { 1 } else { cutoff }
    }
}

/// Yuma3 in Tandem's profile, where a tick is a second: the activity cutoff is 60,000 of them, and bonds outlive the permit by
/// a day.
impl Default for Hyperparameters {
    fn default() -> Self {
        Self {
            profile: Profile::Tandem,
            activity_cutoff: 60_000,
            permit_grace: 86_400,
            ..Self::subtensor(Rules::Yuma3)
        }
    }
}

/// A sparse row: `(uid, value)` with strictly ascending uids; a uid that is left out has the value 0.
pub type Row<'a> = &'a [(u16, u16)];

/// Everything the epoch reads about one uid, which is its place in [`Epoch::neurons`].
///
/// Rows are sparse lists of `(uid, value)` with strictly ascending uids; a uid that is left out has the value 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Neuron {
    /// Stake in the token's base units. Only ratios matter: it is normalised exactly, `⌊stake · 2³² / total⌋`, which
    /// needs the total over all uids to stay below 2⁹⁶ (79 billion tokens of 18 decimals).
    pub stake: u128,
    /// Whether the previous epoch granted the present holder of the uid a permit.
    pub permit: bool,
    /// Tick at which the last epoch began in which the present holder had a permit; read only while it has none, for
    /// [`Hyperparameters::permit_grace`].
    pub permitted_at: u64,
    /// Tick at which the weights were set (or committed, where they are committed first).
    pub last_update: u64,
    /// Tick of the earliest commit of weights that is still to be revealed. Weights do not count for a uid that registered
    /// after it: whoever takes a uid over must not meet what was meant for its former holder.
    pub committed: Option<u64>,
    /// Tick at which the present holder of the uid registered. Weights that are not newer do not count for it, and
    /// bonds of or on a former holder end.
    pub registered: u64,
    /// Weights on other uids, of any scale: the row is normalised.
    pub weights: Vec<(u16, u16)>,
    /// The row of [`Outcome::bonds`](crate::Outcome::bonds) that the previous epoch left.
    pub bonds: Vec<(u16, u16)>,
}

/// One epoch of one subnet. Ticks are any clock the caller likes, as long as all of them are of the same one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epoch {
    /// Tick of this epoch, against which activity is measured.
    pub now: u64,
    /// Bonds of and on uids that registered at this tick or later are dropped. On Subtensor one block after the
    /// previous epoch's; where epochs read their inputs as of a boundary, the previous boundary.
    pub bonds_since: u64,
    /// The subnet owner's uid: always permitted, never below the stake threshold, and may weigh itself.
    pub owner: Option<u16>,
    /// All uids from 0, at most 65,536.
    pub neurons: Vec<Neuron>,
}

/// One epoch of one subnet in which activity and permits are known, and no uid has changed hands: what the chain's epoch
/// is without its bookkeeping. Borrowed row by row, so that nothing is copied.
///
/// The permits are those of this epoch and of the next. Weights on oneself do not count.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    /// Stake by uid, see [`Neuron::stake`].
    pub stakes: &'a [u128],
    /// Who votes in this epoch and keeps bonds for the next.
    pub permits: &'a [bool],
    /// Whose stake votes.
    pub active: &'a [bool],
    /// Weights by uid.
    pub weights: &'a [Row<'a>],
    /// Bonds by uid, as the previous epoch left them.
    pub bonds: &'a [Row<'a>],
}

/// Totals of stake from here on would overflow when normalised.
const STAKE_LIMIT: u128 = 1 << 96;

impl Hyperparameters {
    /// Refuses what makes no sense.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if self.bonds_moving_average > 1_000_000 {
            return Err(Error::BondsMovingAverage { given: self.bonds_moving_average });
        }
        match self.liquid_alpha {
            Some(LiquidAlpha { low, high, .. }) if low > high => Err(Error::AlphaRange { low, high }),
            _ => Ok(()),
        }
    }
}

/// Refuses more uids than there are, and stakes that could not be normalised exactly.
pub(crate) fn validate_stakes(stakes: impl ExactSizeIterator<Item = u128>) -> Result<(), Error> {
    let count = stakes.len();
    if count > 1 << 16 {
        return Err(Error::TooManyNeurons { count });
    }
    let mut total = 0u128;
    for (uid, stake) in stakes.enumerate() {
        total = total
            .checked_add(stake)
            .filter(|&total| total < STAKE_LIMIT)
            .ok_or(Error::StakeTooLarge { uid: uid as u16 })?;
    }
    Ok(())
}

/// Refuses a row whose uids do not ascend or do not exist, naming the place.
pub(crate) fn validate_row(table: Table, row: u16, cells: Row<'_>, count: usize) -> Result<(), Error> {
    // All differences at once and without early exit: the compiler looks at several cells together.
    let after = cells.get(1..).unwrap_or_default();
    let ascends = cells.iter().zip(after).fold(-1, |sign, (a, b)| sign & (i32::from(a.0) - i32::from(b.0))) < 0;
    let exists = cells.last().is_none_or(|&(uid, _)| usize::from(uid) < count);
    if ascends && exists { Ok(()) } else { Err(fault(table, row, cells, count)) }
}

#[cold]
fn fault(table: Table, row: u16, cells: Row<'_>, count: usize) -> Error {
    let unsorted = cells.windows(2).position(|pair| pair[0].0 >= pair[1].0);
    let foreign = cells.iter().position(|&(uid, _)| usize::from(uid) >= count);
    match unsorted {
        Some(position) => {
            let (previous, uid, position) = (cells[position].0, cells[position + 1].0, position + 1);
            match previous == uid {
                true => Error::DuplicateUid { table, row, position, uid },
                false => Error::UnsortedUid { table, row, position, uid, previous },
            }
        }
        None => {
            let position = foreign.unwrap_or_default();
            Error::UidOutOfRange { table, row, position, uid: cells[position].0, count }
        }
    }
}
