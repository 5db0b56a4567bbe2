//! Why everybody got what they got.

mod text;

use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::ballot::Ballot;
use crate::divide::{Sum, Whole, mul_down};
use crate::payout::floored_shares;
use crate::standing::Standing;
use crate::workspace::Scratch;
use crate::{Hyperparameters, Obstacle, Outcome, Q32, Row, Rules, split_exact};

/// An epoch's outcome with the reasons for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What the epoch decided.
    pub outcome: Outcome,
    basis: Basis,
}

/// What the stories are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Basis {
    kappa: Q32,
    permitted: Vec<bool>,
    /// Admitted weights as shares of their rows.
    weights: Vec<Vec<(u16, Q32)>>,
    ignored: Vec<Vec<Ignored>>,
    /// Bonds that counted.
    bonds: Vec<Vec<(u16, u16)>>,
    /// What they came to in this epoch.
    holdings: Vec<Vec<(u16, Holding)>>,
}

/// A bond among all bonds with a miner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Holding {
    share: Q32,
    /// That share of the miner's incentive, before stake.
    credit: Q32,
}

/// A weight that did not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Who gave it.
    pub validator: u16,
    /// On whom.
    pub miner: u16,
    /// The weight as given.
    pub weight: u16,
    /// Why it did not count.
    pub obstacle: Obstacle,
}

/// Why a miner got its incentive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinerStory {
    /// Whose story it is.
    pub uid: u16,
    /// Where the κ-median fell: the largest weight that κ of the stake supports.
    pub consensus: Q32,
    /// κ.
    pub kappa: Q32,
    /// The stake that gave the consensus or more.
    pub in_favour: Q32,
    /// Clipped weights by stake, `Σ S·min(W, C)`.
    pub rank: Q32,
    /// What clipping took from that.
    pub clipped: Q32,
    /// The miner's share of all ranks.
    pub incentive: Q32,
    /// Who gave it a weight that counts, the largest weight first.
    pub support: Vec<Support>,
    /// Weights that do not count.
    pub ignored: Vec<Ignored>,
}

/// A weight on a miner, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Support {
    /// Who gave it.
    pub validator: u16,
    /// Share of the voting stake; 0 if the validator is inactive.
    pub stake: Q32,
    /// Share of the validator's weights.
    pub weight: Q32,
    /// What clipping left of the weight.
    pub counted: Q32,
    /// What it brought to the rank, `S·min(W, C)`.
    pub rank: Q32,
    /// What clipping took from that, `S·W − S·min(W, C)`.
    pub clipped: Q32,
    /// The stake that gave this weight or more.
    pub in_favour: Q32,
}

/// What a validator's weights were worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidatorStory {
    /// Whose story it is.
    pub uid: u16,
    /// Whether it counts as active.
    pub active: bool,
    /// Whether it had a permit in this epoch.
    pub permitted: bool,
    /// Whether it has one in the next.
    pub permit: bool,
    /// Share of all stake.
    pub stake: Q32,
    /// Share of the stake that votes.
    pub active_stake: Q32,
    /// How much of its weights survived clipping.
    pub trust: Q32,
    /// How much of them was clipped.
    pub clipped: Q32,
    /// How far its weights are from the consensus, see [`Outcome::distance`].
    pub distance: Q32,
    /// Its share of what validators are paid.
    pub dividends: Q32,
    /// Its weights and bonds, by miner. What the bonds earned sums to exactly the dividends.
    pub positions: Vec<Position>,
    /// Its weights that do not count.
    pub ignored: Vec<Ignored>,
}

/// What a validator holds with a miner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// With whom.
    pub miner: u16,
    /// The weight as a share of the row; 0 if it is left out.
    pub weight: Q32,
    /// What all agree on.
    pub consensus: Q32,
    /// What of the weight is above that, and lost.
    pub clipped: Q32,
    /// The bond before, as stored; 0 if there was none that counts.
    pub bond_before: u16,
    /// The bond after, as stored; 0 if there is none.
    pub bond_after: u16,
    /// The bond's share of all bonds with the miner, in Yuma2 weighed by stake.
    pub share: Q32,
    /// What the miner earned.
    pub incentive: Q32,
    /// What the bond earned of the dividends: their part by share and incentive, to the last unit by largest remainder.
    pub earned: Q32,
}

impl Basis {
    pub(crate) fn new<'a>(
        params: &Hyperparameters,
        standing: &Standing,
        ballot: &Ballot<'_>,
        given: impl Iterator<Item = Row<'a>>,
        obstacle: impl Fn(u16, u16) -> Option<Obstacle>,
    ) -> Self {
        let shares = |row: &Row<'_>| {
            let whole = Whole::of(row.iter().map(|cell| u32::from(cell.1)).sum());
            row.iter().map(|&(miner, weight)| (miner, Q32::from_raw(whole.share(weight)))).collect()
        };
        let ignored = |(validator, row): (u16, Row<'a>)| {
            let permitted = standing.permitted[usize::from(validator)];
            let ignored = |&(miner, weight): &(u16, u16)| {
                let obstacle = if permitted { obstacle(validator, miner)? } else { Obstacle::NoPermit };
                Some(Ignored { validator, miner, weight, obstacle })
            };
            row.iter().filter_map(ignored).collect()
        };
        Self {
            kappa: Q32::from_u16(params.kappa),
            permitted: standing.permitted.clone(),
            weights: ballot.weights.iter().map(shares).collect(),
            ignored: (0..=u16::MAX).zip(given).map(ignored).collect(),
            bonds: ballot.bonds.iter().map(|row| row.to_vec()).collect(),
            holdings: Vec::new(),
        }
    }

    /// `scratch` is what the epoch left there.
    pub(crate) fn explain(mut self, outcome: Outcome, rules: Rules, scratch: &Scratch) -> Explanation {
        // As dividends were computed: by the floored incentives in either profile.
        let incentive = floored_shares(&outcome.rank);
        let all: Vec<Sum> = match rules {
            Rules::Yuma2 => scratch.peaks.iter().map(|peak| Sum::of(peak.sum)).collect(),
            Rules::Yuma3 => scratch.columns.iter().map(|column| Sum::of(column.bonds)).collect(),
        };
        self.holdings.resize(outcome.bonds.len(), Vec::new());
        for (uid, bonds) in scratch.trades.bonds() {
            let holding = |(miner, bond)| {
                let share = all[usize::from(miner)].share(bond);
                let credit = mul_down::<true>(share, incentive[usize::from(miner)].raw());
                (miner, Holding { share: Q32::from_raw(share), credit: Q32::from_raw(credit) })
            };
            self.holdings[usize::from(uid)] = bonds.into_iter().map(holding).collect();
        }
        Explanation { outcome, basis: self }
    }
}

impl Explanation {
    /// Why a miner got what it got; `None` for a uid that is not in the subnet.
    pub fn miner(&self, uid: u16) -> Option<MinerStory> {
        let (outcome, place) = (&self.outcome, usize::from(uid));
        let consensus = *outcome.consensus.get(place)?;
        let mut support: Vec<Support> = (0..=u16::MAX)
            .zip(&self.basis.weights)
            .filter_map(|(validator, row)| {
                let (stake, weight) = (outcome.active_stake[usize::from(validator)], value(row, uid)?);
                let counted = weight.min(consensus);
                let by_stake = |weight: Q32| Q32::from_raw(mul_down::<true>(stake.raw(), weight.raw()));
                let (rank, clipped) = (by_stake(counted), by_stake(weight) - by_stake(counted));
                Some(Support { validator, stake, weight, counted, rank, clipped, in_favour: Q32::ZERO })
            })
            .collect();
        support.sort_by_key(|support| Reverse(support.weight));
        let all: Q32 = outcome.active_stake.iter().copied().sum();
        let mut in_favour = Q32::ZERO;
        for group in support.chunk_by_mut(|a, b| a.weight == b.weight) {
            in_favour += group.iter().map(|support| support.stake).sum();
            // Whoever said nothing gave 0, as all do at least.
            let weightless = group[0].weight == Q32::ZERO;
            group.iter_mut().for_each(|support| support.in_favour = if weightless { all } else { in_favour });
        }
        let least = support.iter().rev().find(|support| support.weight >= consensus);
        Some(MinerStory {
            uid,
            consensus,
            kappa: self.basis.kappa,
            in_favour: if consensus == Q32::ZERO { all } else { least.map_or(Q32::ZERO, |support| support.in_favour) },
            rank: outcome.rank[place],
            clipped: outcome.clipped[place],
            incentive: outcome.incentive[place],
            support,
            ignored: self.basis.ignored.iter().flatten().filter(|ignored| ignored.miner == uid).copied().collect(),
        })
    }

    /// What a validator's weights were worth; `None` for a uid that is not in the subnet.
    pub fn validator(&self, uid: u16) -> Option<ValidatorStory> {
        let (outcome, place) = (&self.outcome, usize::from(uid));
        let (weights, before) = (self.basis.weights.get(place)?, &self.basis.bonds[place]);
        let (after, holdings) = (&outcome.bonds[place], &self.basis.holdings[place]);
        let mut miners: Vec<u16> = weights.iter().map(|cell| cell.0).collect();
        miners.extend(before.iter().chain(after).map(|cell| cell.0));
        miners.sort_unstable();
        miners.dedup();
        let holding = |&miner: &u16| value(holdings, miner).unwrap_or_default();
        let credits: Vec<Q32> = miners.iter().map(|miner| holding(miner).credit).collect();
        let earned = split_exact(outcome.dividends[place].raw().into(), &credits);
        let position = |(miner, earned): (u16, u128)| {
            let weight = value(weights, miner).unwrap_or_default();
            let consensus = outcome.consensus[usize::from(miner)];
            Position {
                miner,
                weight,
                consensus,
                clipped: weight - weight.min(consensus),
                bond_before: value(before, miner).unwrap_or_default(),
                bond_after: value(after, miner).unwrap_or_default(),
                share: holding(&miner).share,
                incentive: outcome.incentive[usize::from(miner)],
                earned: Q32::from_raw(earned as u64),
            }
        };
        let positions: Vec<Position> = miners.into_iter().zip(earned).map(position).collect();
        Some(ValidatorStory {
            uid,
            active: outcome.active[place],
            permitted: self.basis.permitted[place],
            permit: outcome.permits[place],
            stake: outcome.stake[place],
            active_stake: outcome.active_stake[place],
            trust: outcome.validator_trust[place],
            clipped: positions.iter().map(|position| position.clipped).sum(),
            distance: outcome.distance[place],
            dividends: outcome.dividends[place],
            positions,
            ignored: self.basis.ignored[place].clone(),
        })
    }
}

fn value<T: Copy>(row: &[(u16, T)], uid: u16) -> Option<T> {
    row.binary_search_by_key(&uid, |cell| cell.0).ok().map(|place| row[place].1)
}
