//! What is played, and what is counted.

use core::ops::Range;

use super::plays;
use super::world::{EPOCHS, World};
use crate::{Epoch, Hyperparameters, Outcome, Q32};

/// Whose share is counted, and what it is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payee {
    /// The attacker's validators: share of the dividends; due is their share of the stake.
    Validators,
    /// All of the attacker's uids, none of which does a miner's work: share of the incentive; due is nothing.
    Own,
    /// The miner that an attack is to lift: share of the incentive; due is its share of the quality.
    Favourite,
    /// The miner that an attack is to lower, counted in the same way.
    Victim,
    /// Whoever took a miner's uid over and does no work: share of the incentive; due is nothing.
    Heir,
}

/// An attack.
#[derive(Debug)]
pub struct Scenario {
    /// What the attacker does.
    pub name: &'static str,
    /// Whose share is counted.
    pub payee: Payee,
    /// What the attacker's validators have of the stake, in per cent.
    pub stakes: &'static [u8],
    /// Epochs that are counted, of a hundred.
    pub counted: Range<u64>,
    /// Whether bonds grow by weights as they were set, instead of as they were clipped.
    pub unclipped_bonds: bool,
    pub(super) play: fn(&mut Turn<'_>),
}

/// An epoch about to be computed, in which everybody is honest until the attacker changes it.
pub(super) struct Turn<'a> {
    pub(super) number: u64,
    pub(super) world: &'a World,
    pub(super) params: &'a Hyperparameters,
    pub(super) last: Option<&'a Outcome>,
    pub(super) epoch: Epoch,
}

/// Sums over the epochs that count, in units of 2⁻³² of an epoch's pot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// What was paid to the payee.
    pub paid: u64,
    /// What it was due.
    pub due: u64,
    /// What was paid to anybody.
    pub pot: u64,
}

impl Ledger {
    /// Share of the pot that was paid, in hundredths of a per cent, rounded.
    pub fn paid_share(&self) -> u64 {
        share(self.paid, self.pot)
    }

    /// Share of the pot that was due, in hundredths of a per cent, rounded.
    pub fn due_share(&self) -> u64 {
        share(self.due, self.pot)
    }

    /// Whether the attack pays: by more than a fiftieth of what is due, which is beyond the noise of honest play.
    pub fn pays(&self, payee: Payee) -> bool {
        let noise = self.due_share() / 50;
        match payee {
            Payee::Victim => self.paid_share() + noise < self.due_share(),
            _ => self.paid_share() > self.due_share() + noise,
        }
    }
}

fn share(part: u64, whole: u64) -> u64 {
    let whole = u128::from(whole.max(1));
    ((u128::from(part) * 20_000 + whole) / (2 * whole)) as u64
}

impl Scenario {
    /// Plays the attack under a set of rules.
    ///
    /// The engine accepts what is played, or the ledger stays empty.
    pub fn play(&self, params: &Hyperparameters) -> Ledger {
        let world = World::new(self.stakes);
        let bonds_penalty = if self.unclipped_bonds { 0 } else { params.bonds_penalty };
        let params = &Hyperparameters { bonds_penalty, ..params.clone() };
        let (mut ledger, mut last) = (Ledger::default(), None::<Outcome>);
        for number in 0..EPOCHS {
            let epoch = world.epoch(number, last.as_ref());
            let mut turn = Turn { number, world: &world, params, last: last.as_ref(), epoch };
            (self.play)(&mut turn);
            let Ok(outcome) = turn.epoch.run(params) else { return Ledger::default() };
            if self.counted.contains(&number) {
                self.count(&world, number, &outcome, &mut ledger);
            }
            last = Some(outcome);
        }
        ledger
    }

    fn count(&self, world: &World, number: u64, outcome: &Outcome, ledger: &mut Ledger) {
        let sum =
            |scores: &[Q32], uids: &mut dyn Iterator<Item = usize>| uids.map(|uid| scores[uid].raw()).sum::<u64>();
        let target = world.target();
        let (scores, paid, due) = match self.payee {
            Payee::Validators => {
                let dividends = &outcome.dividends;
                (dividends, sum(dividends, &mut world.attackers()), world.stake_share(world.attackers()))
            }
            Payee::Own => {
                let incentive = &outcome.incentive;
                (incentive, sum(incentive, &mut world.attackers().chain([world.idler()])), 0)
            }
            Payee::Favourite | Payee::Victim => {
                (&outcome.incentive, outcome.incentive[target].raw(), world.quality_share(target, number))
            }
            Payee::Heir => (&outcome.incentive, outcome.incentive[world.best(plays::EXIT)].raw(), 0),
        };
        ledger.paid += paid;
        ledger.due += due;
        ledger.pot += sum(scores, &mut (0..scores.len()));
    }
}

/// Epochs in which bonds have become what they stay.
const RIPE: Range<u64> = 20..EPOCHS;
/// What comes of bonds that are no longer earned.
const AFTER: Range<u64> = plays::EXIT..EPOCHS;
/// The epoch in which a uid changes hands.
const HANDOVER: Range<u64> = plays::EXIT..plays::EXIT + 1;

/// All attacks, the honest control first, and last some that show what a defence is for by leaving it out.
pub const SCENARIOS: &[Scenario] = &[
    of("none: votes honestly", Payee::Validators, &[20], RIPE, plays::honest),
    of("copies the consensus of the last epoch", Payee::Validators, &[20], RIPE, plays::copy_late),
    of("copies the consensus of the last epoch", Payee::Validators, &[49], RIPE, plays::copy_late),
    of("clique that weighs itself", Payee::Own, &[5, 5], RIPE, plays::weigh_own),
    of("clique that weighs itself", Payee::Validators, &[5, 5], RIPE, plays::weigh_own),
    of("clique that weighs itself", Payee::Own, &[15, 15], RIPE, plays::weigh_own),
    of("clique that weighs itself", Payee::Validators, &[15, 15], RIPE, plays::weigh_own),
    of("clique that weighs itself", Payee::Own, &[25, 24], RIPE, plays::weigh_own),
    of("clique that weighs itself", Payee::Validators, &[25, 24], RIPE, plays::weigh_own),
    of("κ-majority that weighs itself", Payee::Own, &[26, 25], RIPE, plays::weigh_own),
    of("κ-majority that weighs itself", Payee::Validators, &[26, 25], RIPE, plays::weigh_own),
    of("cartel dumps all its weight on one good miner", Payee::Favourite, &[15, 15], RIPE, plays::dump),
    of("cartel dumps all its weight on one good miner", Payee::Validators, &[15, 15], RIPE, plays::dump),
    of("cartel dumps all its weight on one good miner", Payee::Favourite, &[25, 24], RIPE, plays::dump),
    of("cartel dumps all its weight on one good miner", Payee::Validators, &[25, 24], RIPE, plays::dump),
    of("cartel lets one good miner count double", Payee::Favourite, &[15, 15], RIPE, plays::favour),
    of("cartel lets one good miner count double", Payee::Validators, &[15, 15], RIPE, plays::favour),
    of("cartel lets one good miner count double", Payee::Favourite, &[25, 24], RIPE, plays::favour),
    of("cartel lets one good miner count double", Payee::Validators, &[25, 24], RIPE, plays::favour),
    of("cartel leaves out one good miner", Payee::Victim, &[15, 15], RIPE, plays::shun),
    of("cartel leaves out one good miner", Payee::Validators, &[15, 15], RIPE, plays::shun),
    of("cartel leaves out one good miner", Payee::Victim, &[25, 24], RIPE, plays::shun),
    of("cartel leaves out one good miner", Payee::Validators, &[25, 24], RIPE, plays::shun),
    of("cartel leaves out one good miner", Payee::Victim, &[26, 25], RIPE, plays::shun),
    of("cartel leaves out one good miner", Payee::Validators, &[26, 25], RIPE, plays::shun),
    of("cartel lets one good miner count half", Payee::Victim, &[15, 15], RIPE, plays::belittle),
    of("cartel lets one good miner count half", Payee::Validators, &[15, 15], RIPE, plays::belittle),
    of("cartel lets one good miner count half", Payee::Victim, &[25, 24], RIPE, plays::belittle),
    of("cartel lets one good miner count half", Payee::Validators, &[25, 24], RIPE, plays::belittle),
    of("farms bonds, then votes no more", Payee::Validators, &[20], AFTER, plays::fall_silent),
    of("farms bonds, then repeats its last row", Payee::Validators, &[20], AFTER, plays::repeat),
    of("puts all weight on the best miner", Payee::Validators, &[20], RIPE, plays::concentrate),
    of("puts all weight on another miner each epoch", Payee::Validators, &[20], RIPE, plays::rotate),
    of("weighs all miners alike", Payee::Validators, &[20], RIPE, plays::level),
    of("knows all quality 3 epochs ahead", Payee::Validators, &[20], RIPE, plays::foresee),
    of("moves its stake to whichever of two holds the better bonds", Payee::Validators, &[10, 10], RIPE, plays::hop),
    of("splits its stake over ten validators", Payee::Validators, &[2; 10], RIPE, plays::honest),
    of("takes the best miner's uid over", Payee::Heir, &[], HANDOVER, plays::take_miner),
    of("takes it over between commit and reveal", Payee::Heir, &[], HANDOVER, plays::take_miner_committed),
    of("takes a validator's uid over, with its bonds", Payee::Validators, &[20], HANDOVER, plays::take_validator),
    of("no commit and reveal: copies this epoch's consensus", Payee::Validators, &[20], RIPE, plays::copy_at_once),
    unclipped("no bonds penalty: knows all quality 3 epochs ahead", &[20], plays::foresee),
    unclipped("no bonds penalty: weighs all miners alike", &[20], plays::level),
    unclipped("no bonds penalty: moves its stake to the better bonds", &[10, 10], plays::hop),
    of("no dates on weights: takes the best miner's uid over", Payee::Heir, &[], HANDOVER, plays::honest),
];

const fn of(
    name: &'static str,
    payee: Payee,
    stakes: &'static [u8],
    counted: Range<u64>,
    play: fn(&mut Turn<'_>),
) -> Scenario {
    Scenario { name, payee, stakes, counted, unclipped_bonds: false, play }
}

const fn unclipped(name: &'static str, stakes: &'static [u8], play: fn(&mut Turn<'_>)) -> Scenario {
    Scenario { unclipped_bonds: true, ..of(name, Payee::Validators, stakes, RIPE, play) }
}
