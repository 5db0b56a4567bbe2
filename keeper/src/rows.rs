//! Which rows count: the rules of commit and reveal intake and of the proposer's list, as pure functions.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{PoisonError, RwLock},
};

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::{Eip712Domain, SolStruct};
use rayon::prelude::*;
use tandem_protocol::{
    api::{Proposal, Vote},
    bundle::DroppedRow,
    messages::{SignatureBytes, WeightsCommit, row_hash, rows_hash},
    reveal::{Reveal, RevealRules, RowFault},
    signed::{Signed, recover},
};

use crate::{
    agree::Step,
    chain::{EpochFacts, KeeperSetFacts, Schedule, SubnetFacts, is_committed},
    network::Network,
};

/// A row is known by its subnet and validator.
pub type RowKey = (u16, Address);

/// Entries of a row beyond which it is refused unread: no subnet has more uids.
pub const MAX_ROW: usize = 1_024;

/// Why a commit or a reveal is not taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntakeFault {
    /// Not the epoch that is open.
    #[error("epoch {given} is not open; {open}")]
    WrongEpoch {
        /// Epoch given.
        given: u64,
        /// Which one is.
        open: String,
    },
    /// Too early or too late.
    #[error("chain time {now} is not between {from} and {until}")]
    NotNow {
        /// Chain time.
        now: u64,
        /// First second.
        from: u64,
        /// First second after.
        until: u64,
    },
    /// No such subnet in this epoch.
    #[error("subnet {0} does not exist in this epoch")]
    UnknownSubnet(u16),
    /// The validator held no uid at the epoch's start.
    #[error("{0} held no uid in this subnet when the epoch began")]
    UnknownValidator(Address),
    /// Not signed by the validator it names.
    #[error("the commit is not signed by {0}")]
    Unsigned(Address),
    /// More entries than any subnet has uids.
    #[error("a row of {0} entries is longer than {MAX_ROW}")]
    TooLong(usize),
    /// More receipts than there are keepers.
    #[error("{given} receipts from {keepers} keepers")]
    TooManyReceipts {
        /// Receipts given.
        given: usize,
        /// Keepers of the epoch.
        keepers: usize,
    },
}

/// Whether `commit` may be stored and receipted at chain time `now`.
pub fn check_commit(
    commit: &Signed<WeightsCommit>,
    domain: &Eip712Domain,
    clock: &Schedule,
    facts: &EpochFacts,
    now: u64,
) -> Result<(), IntakeFault> {
    let message = &commit.message;
    let epoch = message.epoch;
    // Where deadlines were moved, two epochs may be open at once.
    if clock.epoch_at(now).is_none_or(|current| current < epoch) || facts.epoch != epoch {
        let open = match clock.epoch_at(now) {
            Some(current) => format!("commits of epoch {current} are taken now"),
            None => "the network has not begun".to_owned(),
        };
        return Err(IntakeFault::WrongEpoch { given: epoch, open });
    }
    let (from, until) = (clock.start_of(epoch), clock.commit_deadline(epoch));
    if now >= until {
        return Err(IntakeFault::NotNow { now, from, until });
    }
    let subnet = facts.subnet(message.netuid).ok_or(IntakeFault::UnknownSubnet(message.netuid))?;
    holds_uid(subnet, message.validator)?;
    commit.verify(domain, message.validator).map_err(|_| IntakeFault::Unsigned(message.validator))
}

/// Whether `reveal` may be stored at chain time `now`, and if so, why it does not count (if it does not). Only what the
/// validator itself signed is stored, so that nobody can have another's row dropped.
pub fn check_reveal(
    reveal: &Reveal,
    network: &Network,
    clock: &Schedule,
    facts: &EpochFacts,
    sound: &SoundRows,
    now: u64,
) -> Result<Result<(), RowFault>, IntakeFault> {
    let epoch = reveal.epoch;
    let (from, until) = (clock.commit_deadline(epoch), clock.reveal_deadline(epoch));
    if facts.epoch != epoch {
        return Err(IntakeFault::WrongEpoch { given: epoch, open: format!("reveals of {} are taken", facts.epoch) });
    }
    if !(from..until).contains(&now) {
        return Err(IntakeFault::NotNow { now, from, until });
    }
    judge_row(reveal, network, &network.domain(), facts, sound)
}

/// Rows whose signatures, the validator's and every receipt's, were found to be those of whom they name. Checking them is
/// nearly all that judging a row costs, and the same row comes when it is revealed, in lists and at the computation. A row
/// is known by all its bytes, so that nothing else that it is judged by, the keepers of the set above all, is remembered.
#[derive(Debug, Default)]
pub struct SoundRows(RwLock<BTreeMap<u64, HashSet<B256>>>);

/// Epochs of which sound rows are remembered.
const SOUND_EPOCHS: usize = 3;
/// Rows of each; beyond, they are checked again. The largest network has an eighth of it.
const SOUND_ROWS: usize = 1 << 17;

impl SoundRows {
    fn has(&self, epoch: u64, row: B256) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&epoch).is_some_and(|rows| rows.contains(&row))
    }

    fn add(&self, epoch: u64, row: B256) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let rows = known.entry(epoch).or_default();
        if rows.len() < SOUND_ROWS {
            rows.insert(row);
        }
        while known.len() > SOUND_EPOCHS {
            known.pop_first();
        }
    }
}

/// As [`check_reveal`], whatever the time.
pub fn judge_row(
    reveal: &Reveal,
    network: &Network,
    domain: &Eip712Domain,
    facts: &EpochFacts,
    sound: &SoundRows,
) -> Result<Result<(), RowFault>, IntakeFault> {
    if reveal.row.len() > MAX_ROW {
        return Err(IntakeFault::TooLong(reveal.row.len()));
    }
    let keepers = &facts.keeper_set.keepers;
    if reveal.receipts.len() > keepers.len() {
        return Err(IntakeFault::TooManyReceipts { given: reveal.receipts.len(), keepers: keepers.len() });
    }
    let subnet = facts.subnet(reveal.netuid).ok_or(IntakeFault::UnknownSubnet(reveal.netuid))?;
    holds_uid(subnet, reveal.validator)?;
    let rules = RevealRules {
        chain_id: network.chain_id,
        oracle: network.oracle,
        domain,
        epoch: facts.epoch,
        hotkeys: &subnet.hotkeys(),
        keepers,
        threshold: facts.keeper_set.threshold,
    };
    let commit = reveal.commit(network.chain_id, network.oracle);
    let committed = is_committed(&facts.committed, reveal, commit.commitHash);
    // The chain took it from the validator itself. One form only, or anybody could make many of one row.
    if committed && reveal.signature == SignatureBytes::ZERO && reveal.receipts.is_empty() {
        return Ok(reveal.check_form(&rules));
    }
    let row = row_hash(reveal);
    let known = sound.has(facts.epoch, row);
    if !known && recover(commit.eip712_signing_hash(domain), &reveal.signature) != Ok(reveal.validator) {
        return Err(IntakeFault::Unsigned(reveal.validator));
    }
    let verdict = reveal.check_form(&rules).and_then(|()| reveal.check_receipts(&commit, &rules, known));
    if verdict.is_ok() && !known {
        sound.add(facts.epoch, row);
    }
    match verdict {
        // What the receipts would show, the chain does.
        Err(RowFault::TooFewReceipts { .. }) if committed => Ok(Ok(())),
        verdict => Ok(verdict),
    }
}

fn holds_uid(subnet: &SubnetFacts, validator: Address) -> Result<(), IntakeFault> {
    if subnet.neurons.iter().any(|neuron| neuron.input.hotkey == validator) {
        return Ok(());
    }
    Err(IntakeFault::UnknownValidator(validator))
}

/// Which of two reveals of one validator is put forward: one that counts before one that does not, then the higher
/// sequence number, then more receipts, then, so that every keeper chooses alike, the smaller hash.
pub fn better<'a>(one: (&'a Reveal, bool), other: (&'a Reveal, bool)) -> &'a Reveal {
    let rank = |(reveal, counts): (&Reveal, bool)| (counts, reveal.seq, reveal.receipts.len());
    let (first, second) = (rank(one), rank(other));
    if first != second {
        return if first > second { one.0 } else { other.0 };
    }
    if row_hash(one.0) <= row_hash(other.0) { one.0 } else { other.0 }
}

/// The rows of one subnet as a bundle holds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubnetRows {
    /// Rows that count, ascending by validator.
    pub rows: Vec<Reveal>,
    /// Rows that do not, ascending by validator.
    pub dropped: Vec<DroppedRow>,
}

/// Sorts a list into rows that count and rows that do not, by subnet.
pub fn sort_rows(
    reveals: &[Reveal],
    network: &Network,
    facts: &EpochFacts,
    sound: &SoundRows,
) -> Result<BTreeMap<u16, SubnetRows>, IntakeFault> {
    let domain = network.domain();
    let judged: Vec<_> = reveals.par_iter().map(|reveal| judge_row(reveal, network, &domain, facts, sound)).collect();
    let mut sorted: BTreeMap<u16, SubnetRows> = BTreeMap::new();
    for (reveal, verdict) in reveals.iter().zip(judged) {
        let verdict = verdict?;
        let subnet = sorted.entry(reveal.netuid).or_default();
        match verdict {
            Ok(()) => subnet.rows.push(reveal.clone()),
            Err(fault) => {
                subnet.dropped.push(DroppedRow { validator: reveal.validator, reason: fault.to_string() });
            }
        }
    }
    Ok(sorted)
}

/// Why a proposal, a list or a vote is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposalFault {
    /// For another epoch or attempt.
    #[error("it is for epoch {epoch}, attempt {attempt}")]
    WrongEpoch {
        /// Epoch named.
        epoch: u64,
        /// Attempt named.
        attempt: u32,
    },
    /// Not this keeper's turn.
    #[error("{found} proposes in round {round}, which is {expected}'s")]
    NotItsTurn {
        /// Who proposes.
        found: Address,
        /// Round named.
        round: u32,
        /// Whose turn it is.
        expected: Address,
    },
    /// A round that chain time has not come to yet.
    #[error("it is for round {round}, in round {now}")]
    TooEarly {
        /// Round named.
        round: u32,
        /// Round by chain time.
        now: u32,
    },
    /// The signature does not fit.
    #[error("it is not signed by {0}")]
    Unsigned(Address),
    /// A vote of somebody else.
    #[error("{0} is no keeper of this epoch")]
    NoKeeper(Address),
    /// A vote that says nothing known.
    #[error("there is no step {0}")]
    UnknownStep(u8),
    /// Rows and name differ, or a row is another epoch's.
    #[error("the rows are not those of the list that was asked for")]
    WrongRows,
    /// Rows out of order or twice.
    #[error("row {0} does not come after its predecessor")]
    NotAscending(usize),
    /// A row that no keeper could have taken in.
    #[error("row of {validator}: {fault}")]
    Row {
        /// Whose.
        validator: Address,
        /// What is wrong.
        fault: IntakeFault,
    },
}

/// Who proposes in `round`: keepers take turns from the one that configuration and epoch point to.
pub fn proposer(set: &KeeperSetFacts, epoch: u64, round: u32) -> Option<Address> {
    let count = set.keepers.len();
    if count == 0 {
        return None;
    }
    Some(set.keepers[(first_turn(set, epoch) + round as usize % count) % count])
}

/// How many keepers have their turn before `keeper` in `epoch`.
pub fn turn_of(set: &KeeperSetFacts, epoch: u64, keeper: Address) -> Option<u64> {
    let count = set.keepers.len();
    let position = set.keepers.iter().position(|candidate| *candidate == keeper)?;
    Some(((position + count - first_turn(set, epoch)) % count) as u64)
}

/// `keccak256(configDigest ‖ epoch) mod n`.
fn first_turn(set: &KeeperSetFacts, epoch: u64) -> usize {
    let seed = keccak256([set.config_digest.as_slice(), &epoch.to_be_bytes()].concat());
    let turn = U256::from_be_bytes(seed.0) % U256::from(set.keepers.len());
    turn.saturating_to()
}

/// Checks that a proposal is the rightful proposer's, for a round no later than the one after `round` (clocks of two
/// keepers may see different heads).
pub fn check_proposal(
    proposal: &Proposal,
    attempt: u32,
    round: u32,
    domain: &Eip712Domain,
    facts: &EpochFacts,
) -> Result<(), ProposalFault> {
    let list = &proposal.list.message;
    timely((list.epoch, list.attempt, list.round), attempt, round, facts)?;
    match proposer(&facts.keeper_set, facts.epoch, list.round) {
        Some(expected) if expected == proposal.proposer => {}
        expected => {
            return Err(ProposalFault::NotItsTurn {
                found: proposal.proposer,
                round: list.round,
                expected: expected.unwrap_or_default(),
            });
        }
    }
    proposal.list.verify(domain, proposal.proposer).map_err(|_| ProposalFault::Unsigned(proposal.proposer))
}

/// Checks that a vote is a keeper's, for a round no later than the one after `round`.
pub fn check_vote(
    vote: &Vote,
    attempt: u32,
    round: u32,
    domain: &Eip712Domain,
    facts: &EpochFacts,
) -> Result<(), ProposalFault> {
    let message = &vote.vote.message;
    timely((message.epoch, message.attempt, message.round), attempt, round, facts)?;
    if Step::from_number(message.step).is_none() {
        return Err(ProposalFault::UnknownStep(message.step));
    }
    if !facts.keeper_set.keepers.contains(&vote.keeper) {
        return Err(ProposalFault::NoKeeper(vote.keeper));
    }
    vote.vote.verify(domain, vote.keeper).map_err(|_| ProposalFault::Unsigned(vote.keeper))
}

fn timely(
    (epoch, given_attempt, given_round): (u64, u32, u32),
    attempt: u32,
    round: u32,
    facts: &EpochFacts,
) -> Result<(), ProposalFault> {
    if (epoch, given_attempt) != (facts.epoch, attempt) {
        return Err(ProposalFault::WrongEpoch { epoch, attempt: given_attempt });
    }
    if given_round > round.saturating_add(1) {
        return Err(ProposalFault::TooEarly { round: given_round, now: round });
    }
    Ok(())
}

/// Checks that rows are the list of that name, ascending by (netuid, validator), and by `judge` ([`judge_row`]) that every
/// row is its validator's own. Answers the sequence numbers of those that count.
pub fn check_list(
    content: B256,
    reveals: &[Reveal],
    epoch: u64,
    judge: impl Fn(&Reveal) -> Result<bool, IntakeFault> + Send + Sync,
) -> Result<BTreeMap<RowKey, u32>, ProposalFault> {
    let keys = |reveal: &Reveal| (reveal.netuid, reveal.validator);
    if let Some(at) = reveals.windows(2).position(|pair| keys(&pair[0]) >= keys(&pair[1])) {
        return Err(ProposalFault::NotAscending(at + 1));
    }
    if rows_hash(reveals) != content || reveals.iter().any(|reveal| reveal.epoch != epoch) {
        return Err(ProposalFault::WrongRows);
    }
    let judged: Vec<_> = reveals.par_iter().map(judge).collect();
    let mut counting = BTreeMap::new();
    for (reveal, counts) in reveals.iter().zip(judged) {
        if counts.map_err(|fault| ProposalFault::Row { validator: reveal.validator, fault })? {
            counting.insert(keys(reveal), reveal.seq);
        }
    }
    Ok(counting)
}
