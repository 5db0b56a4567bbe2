//! The agreement of an epoch's keepers on one list of rows, as a pure function of the votes that are known: the rules of
//! Tendermint ([Buchman, Kwon, Milosevic 2018](https://arxiv.org/abs/1807.04938)) with rounds that chain time begins and
//! ends.
//!
//! ```text
//!   round r:  proposal ──▶ prevotes ──▶ a quorum for v ──▶ precommits, locked on v ──▶ a quorum for v ──▶ v is decided
//! ```
//!
//! A keeper proposes, prevotes and precommits at most once a round, only in the round that chain time is in, and votes in no
//! round before one that it voted in: chain time may step back, where a head is replaced or another node asked. It prevotes for a list that leaves out no row it holds, or for which a quorum prevoted before. Once it has precommitted
//! (is *locked*), it prevotes for nothing else, unless a quorum prevoted for that in a round since. A proposer puts forward
//! again what a quorum prevoted for last.
//!
//! * *Safe*: with a threshold `t` of `n` keepers of whom fewer than `2t − n` break the rules, no two lists are ever decided
//!   for one epoch and attempt: after a quorum of precommits in round `r`, a quorum of prevotes for anything else in a later
//!   round would need one of those who are locked. Clocks and delays do not matter to this.
//! * *Live*: as soon as `t` keepers that keep the rules see each other's messages within a round, the next of their
//!   proposals is decided, as rounds grow longer.
//!
//! Only then do keepers compute and sign the epoch's report, of which the guard lets each sign one: because they sign what
//! was decided, their signatures meet.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256};

use crate::rows::RowKey;

/// What a vote says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// For the list that was proposed in the round.
    Prevote,
    /// A quorum has prevoted for it.
    Precommit,
}

impl Step {
    /// As it is signed.
    pub const fn number(self) -> u8 {
        match self {
            Self::Prevote => 1,
            Self::Precommit => 2,
        }
    }

    /// From what was signed.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Prevote),
            2 => Some(Self::Precommit),
            _ => None,
        }
    }
}

/// Votes of one epoch and attempt: by round and step, who voted for which list. Who breaks the rules may be there with
/// several, and counts for each.
pub type Votes = BTreeMap<(u32, Step), BTreeSet<(Address, B256)>>;

/// Which of the checked votes that somebody has `shown` are to be added to those that are `known`: everybody's first in a
/// round and step, and one that contradicts it if so many voted alike that one of them keeps the rules. Otherwise whoever
/// shows two faces could hide a quorum from those who saw the other face first; and there are no more lists in a round
/// than keepers that keep the rules, so nobody fills a store.
pub fn worth_keeping(known: &Votes, shown: &Votes, keepers: usize, threshold: usize) -> Votes {
    let none = BTreeSet::new();
    let mut kept = Votes::new();
    for (slot, shown) in shown {
        let known = known.get(slot).unwrap_or(&none);
        let alike = |content: &B256| {
            let both = known.union(shown).filter(|(_, other)| other == content);
            both.map(|(keeper, _)| keeper).collect::<BTreeSet<_>>().len()
        };
        let mut added = BTreeSet::new();
        for vote in shown.difference(known) {
            let first = known.iter().chain(&added).all(|(keeper, _)| *keeper != vote.0);
            if first || alike(&vote.1) > keepers.saturating_sub(threshold) {
                added.insert(*vote);
            }
        }
        if !added.is_empty() {
            kept.insert(*slot, added);
        }
    }
    kept
}

/// What an agreement looks like from one keeper.
#[derive(Clone, Copy, Debug)]
pub struct Ballot<'a> {
    /// This keeper.
    pub me: Address,
    /// Votes that decide.
    pub threshold: usize,
    /// Round that chain time is in.
    pub round: u32,
    /// What was proposed, by round; at most one list a round, the rightful proposer's.
    pub proposals: &'a BTreeMap<u32, B256>,
    /// Lists whose rows are known, with the sequence numbers of the rows in them that count.
    pub lists: &'a BTreeMap<B256, BTreeMap<RowKey, u32>>,
    /// Rows that count and that this keeper holds.
    pub rows: &'a BTreeMap<RowKey, u32>,
    /// Votes, of keepers of the epoch only.
    pub votes: &'a Votes,
}

impl Ballot<'_> {
    /// The list that a quorum has precommitted to.
    pub fn decided(&self) -> Option<B256> {
        self.quorums(Step::Precommit).map(|(_, content)| content).next()
    }

    /// What to vote now, if anything.
    pub fn vote(&self) -> Option<(Step, B256)> {
        // A later prevote may have been for another list than a precommit now would be: nobody could rely on that lock.
        let voted_later = self
            .votes
            .range((self.round.saturating_add(1), Step::Prevote)..)
            .any(|(slot, _)| self.mine(*slot).is_some());
        if voted_later {
            return None;
        }
        let quorum = self.quorum((self.round, Step::Prevote)).filter(|content| self.lists.contains_key(content));
        if let Some(content) = quorum
            && self.mine((self.round, Step::Precommit)).is_none()
        {
            return Some((Step::Precommit, content));
        }
        let proposed = *self.proposals.get(&self.round)?;
        let free = self.mine((self.round, Step::Prevote)).is_none();
        (free && self.may_prevote(proposed)).then_some((Step::Prevote, proposed))
    }

    /// The list for which a quorum prevoted last before this round: what a proposer has to put forward again.
    pub fn valid(&self) -> Option<B256> {
        let mut before = self.quorums(Step::Prevote).filter(|(round, _)| *round < self.round);
        before.next_back().map(|(_, content)| content)
    }

    /// Lists that matter and whose rows are not known.
    pub fn missing(&self) -> BTreeSet<B256> {
        let quorums = self.quorums(Step::Prevote).chain(self.quorums(Step::Precommit)).map(|(_, content)| content);
        let now = self.proposals.get(&self.round).copied();
        quorums.chain(now).filter(|content| !self.lists.contains_key(content)).collect()
    }

    fn may_prevote(&self, content: B256) -> bool {
        let Some(list) = self.lists.get(&content) else { return false };
        let since = match self.locked() {
            Some((_, locked)) if locked == content => return true,
            Some((round, _)) => round,
            None if complete(list, self.rows) => return true,
            None => 0,
        };
        self.quorums(Step::Prevote).any(|(round, quorum)| (since..self.round).contains(&round) && quorum == content)
    }

    /// What this keeper precommitted to last.
    fn locked(&self) -> Option<(u32, B256)> {
        let precommits = self.votes.keys().rev().filter(|(_, step)| *step == Step::Precommit);
        precommits.filter_map(|slot| Some((slot.0, self.mine(*slot)?))).next()
    }

    fn mine(&self, slot: (u32, Step)) -> Option<B256> {
        self.votes.get(&slot)?.iter().find(|(keeper, _)| *keeper == self.me).map(|(_, content)| *content)
    }

    fn quorum(&self, slot: (u32, Step)) -> Option<B256> {
        let mut counts: BTreeMap<B256, usize> = BTreeMap::new();
        for (_, content) in self.votes.get(&slot)? {
            *counts.entry(*content).or_default() += 1;
        }
        counts.into_iter().find(|(_, count)| *count >= self.threshold.max(1)).map(|(content, _)| content)
    }

    /// Rounds with a quorum of such votes, ascending.
    fn quorums(&self, of: Step) -> impl DoubleEndedIterator<Item = (u32, B256)> {
        let rounds = self.votes.keys().filter(move |(_, step)| *step == of).map(|(round, _)| *round);
        rounds.filter_map(move |round| Some((round, self.quorum((round, of))?)))
    }
}

/// Whether `list` leaves out no row of `rows` and has none of them older.
fn complete(list: &BTreeMap<RowKey, u32>, rows: &BTreeMap<RowKey, u32>) -> bool {
    rows.iter().all(|(key, seq)| list.get(key).is_some_and(|listed| listed >= seq))
}
