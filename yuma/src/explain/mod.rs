//! Why everybody got what it got.

mod text;

use alloc::vec::Vec;

use crate::ballot::{Ballot, Copies};
use crate::payout::floored_shares;
use crate::standing::Standing;
use crate::{Epoch, Error, Hyperparameters, Outcome, Q32, Row, Rules, Snapshot, Workspace};

impl Epoch {
    /// Computes the epoch and keeps what its outcome came from.
    ///
    /// # Errors
    /// As [`Epoch::run`].
    pub fn explain(&self, params: &Hyperparameters) -> Result<Explainer<'_>, Error> {
        let mut workspace = Workspace::new();
        let outcome = self.run_in(params, &mut workspace)?;
        let (standing, mut copies) = (Standing::of_epoch(self, params)?, Copies::default());
        let ballot = Ballot::of_epoch(self, params, &standing, &mut copies)?;
        let rows =
            |pick: fn(&crate::Neuron) -> &Vec<(u16, u16)>| self.neurons.iter().map(|n| pick(n).as_slice()).collect();
        let (given, bonds) = (rows(|neuron| &neuron.weights), rows(|neuron| &neuron.bonds));
        Ok(Explainer::new(params, outcome, standing.permitted.clone(), &ballot, given, bonds, &workspace))
    }
}

impl<'a> Snapshot<'a> {
    /// Computes the epoch and keeps what its outcome came from.
    ///
    /// # Errors
    /// As [`Snapshot::run`].
    pub fn explain(&self, params: &Hyperparameters) -> Result<Explainer<'a>, Error> {
        let mut workspace = Workspace::new();
        let outcome = self.run_in(params, &mut workspace)?;
        let (standing, mut copies) = (Standing::of_snapshot(self)?, Copies::default());
        let ballot = Ballot::of_snapshot(self, &standing, &mut copies)?;
        let (given, bonds) = (self.weights.to_vec(), self.bonds.to_vec());
        Ok(Explainer::new(params, outcome, standing.permitted.clone(), &ballot, given, bonds, &workspace))
    }
}

/// An epoch that was computed, ready to be asked about any uid.
///
/// ```
/// use yuma::{Hyperparameters, Rules, Snapshot};
///
/// let weights: [&[(u16, u16)]; 4] = [&[(2, 3), (3, 1)], &[(2, 1), (3, 3)], &[], &[]];
/// let epoch = Snapshot {
///     stakes: &[600, 400, 0, 0],
///     permits: &[true, true, false, false],
///     active: &[true; 4],
///     weights: &weights,
///     bonds: &[&[]; 4],
/// };
/// let explainer = epoch.explain(&Hyperparameters::subtensor(Rules::Yuma3))?;
///
/// // Uid 1 weighs uid 3 with three quarters, but only 40 % of the stake does so: a quarter is what counts.
/// let miner = explainer.uid(3).unwrap().miner;
/// assert_eq!((miner.supporters[0].validator, miner.supporters[0].weight.to_u16()), (1, 49_151));
/// assert_eq!(miner.supporters[0].counted, miner.consensus);
/// assert!(miner.above < miner.kappa && miner.kappa <= miner.reached);
/// # Ok::<(), yuma::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Explainer<'a> {
    /// What the epoch decides.
    pub outcome: Outcome,
    params: Hyperparameters,
    permitted: Vec<bool>,
    /// Active stake as the consensus counts it: normalised once more, as on the chain.
    voting: Vec<Q32>,
    /// Incentives as dividends are computed from them: floored in either profile.
    incentive: Vec<Q32>,
    given: Vec<Row<'a>>,
    /// Weights that count.
    weights: Vec<Vec<(u16, u16)>>,
    old: Vec<Row<'a>>,
    bonds: Vec<Vec<(u16, u64)>>,
    /// Sums of bonds by miner.
    sums: Vec<u64>,
}

/// Why a uid got what it got, as a miner and as a validator. Written out in words by [`Display`](core::fmt::Display).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Who.
    pub uid: u16,
    /// What others think of it.
    pub miner: Miner,
    /// What it thinks of others, and what that earned.
    pub validator: Validator,
}

/// A uid as a miner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miner {
    /// `C`: the largest weight that κ of the active stake supports.
    pub consensus: Q32,
    /// κ.
    pub kappa: Q32,
    /// Share of the active stake whose weight is the consensus or more.
    pub reached: Q32,
    /// Share of the active stake whose weight is more than the consensus; it is less than κ.
    pub above: Q32,
    /// `R`: the sum of what the supporters add.
    pub rank: Q32,
    /// What clipping took from the rank.
    pub clipped: Q32,
    /// `I`: share of what miners are paid.
    pub incentive: Q32,
    /// Who weighs it and has active stake, the largest weight first, among equals the lower uid.
    pub supporters: Vec<Supporter>,
}

/// What a validator does for a miner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supporter {
    /// Who.
    pub validator: u16,
    /// Its share of the active stake.
    pub stake: Q32,
    /// `W`: share of its row.
    pub weight: Q32,
    /// `W̄`: what counts of it, at most the consensus.
    pub counted: Q32,
    /// What it adds to the rank.
    pub adds: Q32,
    /// What clipping took from that.
    pub clipped: Q32,
    /// Share of the active stake from the largest weight down to this one: where it first reaches κ, the consensus falls.
    pub reached: Q32,
}

/// A uid as a validator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    /// Whether it was active.
    pub active: bool,
    /// Whether it has a permit in this epoch.
    pub permitted: bool,
    /// Whether it has one in the next.
    pub permit: bool,
    /// Share of all stake.
    pub stake: Q32,
    /// Share of the stake that votes.
    pub active_stake: Q32,
    /// `Tv`: how much of its weights survived clipping.
    pub trust: Q32,
    /// How much of its weights did not.
    pub lost: Q32,
    /// `Σ_j |W − C|` over all uids.
    pub distance: Q32,
    /// What its bonds earned, before dividends are made shares of the sum over all validators; with Yuma3 weighed by its
    /// stake.
    pub earned: Q32,
    /// `D`: share of what validators are paid.
    pub dividends: Q32,
    /// Uids that it weighs in vain: itself, those that registered later, or all for want of a permit.
    pub left_out: Vec<u16>,
    /// Its weights that count, and its bonds, by miner.
    pub votes: Vec<Vote>,
}

/// What a validator has to do with a miner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Who.
    pub miner: u16,
    /// `W`: share of the row.
    pub weight: Q32,
    /// `C`.
    pub consensus: Q32,
    /// `W̄`: what counts of the weight, at most the consensus.
    pub counted: Q32,
    /// The bond of the epoch before, as it was stored.
    pub old_bond: u16,
    /// The bond of this epoch.
    pub bond: Q32,
    /// Share of all bonds with this miner.
    pub share: Q32,
    /// That share of the miner's incentive.
    pub earned: Q32,
}

fn ratio(part: u64, whole: u64) -> Q32 {
    Q32::from_raw(((u128::from(part) << 32) / u128::from(whole.max(1))) as u64)
}

fn product(a: Q32, b: Q32) -> Q32 {
    Q32::from_raw(((u128::from(a.raw()) * u128::from(b.raw())) >> 32) as u64)
}

fn find<T: Copy + Default>(row: &[(u16, T)], uid: u16) -> T {
    row.binary_search_by_key(&uid, |cell| cell.0).map_or(T::default(), |place| row[place].1)
}

fn sum(row: Row<'_>) -> u64 {
    row.iter().map(|cell| u64::from(cell.1)).sum()
}

impl<'a> Explainer<'a> {
    fn new(
        params: &Hyperparameters,
        outcome: Outcome,
        permitted: Vec<bool>,
        ballot: &Ballot<'_>,
        given: Vec<Row<'a>>,
        old: Vec<Row<'a>>,
        workspace: &Workspace,
    ) -> Self {
        let uids = outcome.stake.len();
        let (mut bonds, mut sums) = (alloc::vec![Vec::new(); uids], alloc::vec![0u64; uids]);
        let (trades, mut start) = (&workspace.scratch.trades, 0);
        for row in &trades.rows {
            let cells = trades.uids[start..row.end].iter().copied().zip(trades.values[start..row.end].iter().copied());
            start = row.end;
            cells.clone().for_each(|(miner, bond)| sums[usize::from(miner)] += bond);
            bonds[usize::from(row.uid)] = cells.collect();
        }
        Self {
            params: params.clone(),
            permitted,
            voting: floored_shares(&outcome.active_stake),
            incentive: floored_shares(&outcome.rank),
            given,
            weights: ballot.weights.iter().map(|row| row.to_vec()).collect(),
            old,
            bonds,
            sums,
            outcome,
        }
    }

    /// All about one uid; `None` if there is no such uid.
    pub fn uid(&self, uid: u16) -> Option<Explanation> {
        let exists = usize::from(uid) < self.outcome.stake.len();
        exists.then(|| Explanation { uid, miner: self.miner(uid), validator: self.validator(uid) })
    }

    fn miner(&self, uid: u16) -> Miner {
        let place = usize::from(uid);
        let outcome = &self.outcome;
        let consensus = outcome.consensus[place];
        let mut supporters: Vec<Supporter> = (0..=u16::MAX)
            .zip(&self.weights)
            .filter_map(|(validator, row)| {
                let stake = outcome.active_stake[usize::from(validator)];
                let weight = find(row, uid);
                if weight == 0 || stake == Q32::ZERO {
                    return None;
                }
                let weight = ratio(weight.into(), sum(row));
                let counted = weight.min(consensus);
                let adds = product(stake, counted);
                let clipped = product(stake, weight) - adds;
                Some(Supporter { validator, stake, weight, counted, adds, clipped, reached: Q32::ZERO })
            })
            .collect();
        supporters.sort_by_key(|supporter| (core::cmp::Reverse(supporter.weight), supporter.validator));
        let (mut reached, mut above) = (Q32::ZERO, Q32::ZERO);
        for supporter in &mut supporters {
            let stake = self.voting[usize::from(supporter.validator)];
            reached += stake;
            supporter.reached = reached;
            if supporter.weight > consensus {
                above += stake;
            }
        }
        // Whoever says nothing says 0.
        let from = |supporter: &&Supporter| supporter.weight >= consensus;
        Miner {
            consensus,
            kappa: Q32::from_u16(self.params.kappa),
            reached: match consensus {
                Q32::ZERO => self.voting.iter().copied().sum(),
                _ => supporters.iter().rfind(from).map_or(Q32::ZERO, |last| last.reached),
            },
            above,
            rank: outcome.rank[place],
            clipped: outcome.clipped[place],
            incentive: outcome.incentive[place],
            supporters,
        }
    }

    fn validator(&self, uid: u16) -> Validator {
        let place = usize::from(uid);
        let outcome = &self.outcome;
        let (weights, bonds, old) = (&self.weights[place], &self.bonds[place], self.old[place]);
        let whole = sum(weights);
        let mut miners: Vec<u16> = weights.iter().map(|cell| cell.0).chain(bonds.iter().map(|cell| cell.0)).collect();
        miners.sort_unstable();
        miners.dedup();
        let votes: Vec<Vote> = miners
            .into_iter()
            .map(|miner| {
                let column = usize::from(miner);
                let (consensus, bond) = (outcome.consensus[column], find(bonds, miner));
                let weight = ratio(find(weights, miner).into(), whole);
                let share = ratio(bond, self.sums[column]);
                Vote {
                    miner,
                    weight,
                    consensus,
                    counted: weight.min(consensus),
                    old_bond: find(old, miner),
                    bond: Q32::from_raw(bond),
                    share,
                    earned: product(share, self.incentive[column]),
                }
            })
            .collect();
        let earned = votes.iter().map(|vote| vote.earned).sum();
        let admitted = |miner: u16| weights.binary_search_by_key(&miner, |cell| cell.0).is_ok();
        Validator {
            active: outcome.active[place],
            permitted: self.permitted[place],
            permit: outcome.permits[place],
            stake: outcome.stake[place],
            active_stake: outcome.active_stake[place],
            trust: outcome.validator_trust[place],
            lost: votes.iter().map(|vote| vote.weight - vote.counted).sum(),
            distance: outcome.distance[place],
            earned: match self.params.rules {
                Rules::Yuma2 => earned,
                Rules::Yuma3 => product(earned, outcome.active_stake[place]),
            },
            dividends: outcome.dividends[place],
            left_out: self.given[place].iter().map(|cell| cell.0).filter(|&miner| !admitted(miner)).collect(),
            votes,
        }
    }
}
