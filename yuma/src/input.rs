//! What an epoch is computed from, and the checks it must pass first.

use alloc::vec::Vec;

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
}

impl Hyperparameters {
    /// What a new subnet starts with on Subtensor, where a tick is a block of 12 seconds.
    pub const fn subtensor(rules: Rules) -> Self {
        Self {
            rules,
            profile: Profile::Subtensor,
            kappa: 32_767,
            bonds_moving_average: 900_000,
            bonds_penalty: u16::MAX,
            max_validators: 64,
            activity_cutoff: 5_000,
            stake_threshold: 0,
        }
    }
}

/// Yuma3 in Tandem's profile, where a tick is a second and the activity cutoff is therefore 60,000 of them.
impl Default for Hyperparameters {
    fn default() -> Self {
        Self { profile: Profile::Tandem, activity_cutoff: 60_000, ..Self::subtensor(Rules::Yuma3) }
    }
}

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
    /// Tick at which the weights were set (or committed, where they are committed first).
    pub last_update: u64,
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

/// Totals of stake from here on would overflow when normalised.
pub(crate) const STAKE_LIMIT: u128 = 1 << 96;

/// Refuses what the engine could not compute exactly, naming the place.
pub(crate) fn validate(epoch: &Epoch, params: &Hyperparameters) -> Result<(), Error> {
    let count = epoch.neurons.len();
    if count > 1 << 16 {
        return Err(Error::TooManyNeurons { count });
    }
    if params.bonds_moving_average > 1_000_000 {
        return Err(Error::BondsMovingAverage { given: params.bonds_moving_average });
    }
    if let Some(uid) = epoch.owner.filter(|&uid| usize::from(uid) >= count) {
        return Err(Error::Owner { uid, count });
    }
    let mut total = 0u128;
    for (row, neuron) in epoch.neurons.iter().enumerate() {
        total = total
            .checked_add(neuron.stake)
            .filter(|&total| total < STAKE_LIMIT)
            .ok_or(Error::StakeTooLarge { uid: row as u16 })?;
        validate_row(Table::Weights, row as u16, &neuron.weights, count)?;
        validate_row(Table::Bonds, row as u16, &neuron.bonds, count)?;
    }
    Ok(())
}

fn validate_row(table: Table, row: u16, cells: &[(u16, u16)], count: usize) -> Result<(), Error> {
    for (position, window) in cells.windows(2).enumerate() {
        let (previous, uid) = (window[0].0, window[1].0);
        let position = position + 1;
        if uid == previous {
            return Err(Error::DuplicateUid { table, row, position, uid });
        }
        if uid < previous {
            return Err(Error::UnsortedUid { table, row, position, uid, previous });
        }
    }
    // Ascending, so the last is the largest.
    match cells.last() {
        Some(&(uid, _)) if usize::from(uid) >= count => {
            let position = cells.partition_point(|&(uid, _)| usize::from(uid) < count);
            Err(Error::UidOutOfRange { table, row, position, uid: cells[position].0, count })
        }
        _ => Ok(()),
    }
}
