//! The decision core: from what the keeper sees to what it does next. No clock, no I/O, no state: the same view always
//! gives the same actions, and an action that is still due is asked for again, so a crash between decision and deed loses
//! nothing `[KP-1]`.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256};
use tandem_protocol::clock::EpochClock;

use crate::{
    agree::{Ballot, Step, Votes},
    chain::{Gap, KeeperSetFacts, OracleState, ReportStatus, Schedule},
    config::AgreementConfig,
    rows::{RowKey, proposer, turn_of},
};

/// Times of the agreement in seconds of chain time, see [`AgreementConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Length of the first round; each further one is longer by half of it.
    pub proposer_timeout: u64,
    /// A proposer waits at most so long for peers to show their rows.
    pub collect_wait: u64,
    /// Keepers send one after the other, so far apart.
    pub stagger: u64,
    /// No report is signed or posted so shortly before the next epoch's turn.
    pub margin: u64,
    /// An ended epoch is not settled for so long while margin of it can still be sent on.
    pub forward_wait: u64,
}

impl Policy {
    /// What the configuration says, the rest in proportion to the epoch.
    pub fn new(config: &AgreementConfig, clock: &EpochClock) -> Self {
        let length = clock.length();
        let proposer_timeout = config.proposer_timeout_s.unwrap_or((length / 40).max(3)).clamp(1, u64::from(u32::MAX));
        Self {
            proposer_timeout,
            collect_wait: proposer_timeout / 2,
            stagger: config.stagger_s.unwrap_or((length / 120).max(3)),
            margin: config.margin_s.unwrap_or((length / 20).max(2)),
            forward_wait: (length / 20).max(4),
        }
    }

    /// Round of the agreement on `epoch` at chain time `now`.
    pub fn round_at(&self, clock: &Schedule, epoch: u64, now: u64) -> u32 {
        let since = now.saturating_sub(clock.reveal_deadline(epoch));
        // An epoch has few rounds: their lengths add up.
        (0..MAX_ROUNDS).rev().find(|round| self.start_of_round(*round) <= since).unwrap_or_default()
    }

    /// Seconds from the reveal deadline to the start of `round`: rounds grow, so that sooner or later one is longer than
    /// messages take.
    pub fn start_of_round(&self, round: u32) -> u64 {
        let round = u64::from(round);
        self.proposer_timeout.saturating_mul(round.saturating_mul(round.saturating_add(3))) / 4
    }
}

/// Rounds of an agreement that are told apart; no epoch lasts that long.
pub const MAX_ROUNDS: u32 = 256;

/// Blocks in which a gap must be recorded: contracts know the hashes of 256, and a transaction takes a few.
pub const PROVABLE: u64 = 240;

/// The one epoch that is being agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// Epoch; see [`working_epoch`].
    pub epoch: u64,
    /// Attempt that is due.
    pub attempt: u32,
    /// Where its report stands.
    pub status: ReportStatus,
    /// Its keepers.
    pub set: KeeperSetFacts,
    /// The last block before the epoch's end is final and was read.
    pub inputs_known: bool,
    /// Sequence numbers of the rows that count and that this keeper holds.
    pub rows: BTreeMap<RowKey, u32>,
    /// How many other keepers have shown their rows since the deadline.
    pub peers_heard: usize,
    /// Lists (by [`tandem_protocol::messages::rows_hash`]) that their rightful proposers put forward, by round.
    pub proposals: BTreeMap<u32, B256>,
    /// Rows that count of the lists whose rows are known.
    pub lists: BTreeMap<B256, BTreeMap<RowKey, u32>>,
    /// Votes for lists.
    pub votes: Votes,
    /// The content this keeper has decided for, once and for all.
    pub chosen: Option<B256>,
    /// Report (struct hash) that this keeper signed, and the last posted report that it names.
    pub attested: Option<(B256, B256)>,
    /// Who signed which report (struct hash).
    pub attestations: BTreeMap<B256, BTreeSet<Address>>,
    /// Chain time at which this keeper first saw a quorum.
    pub quorum_since: Option<u64>,
}

/// Everything that a decision depends on.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// Timestamp of the newest block.
    pub now: u64,
    /// Number of the newest block.
    pub height: u64,
    /// Gaps of blocks that nobody has recorded yet, ascending. Deadlines in [`Self::clock`] are as if they were.
    pub gaps: &'a [Gap],
    /// Epochs and deadlines.
    pub clock: Schedule,
    /// This keeper.
    pub me: Address,
    /// Times.
    pub policy: Policy,
    /// Oracle and controller.
    pub oracle: OracleState,
    /// A transaction is under way.
    pub sending: bool,
    /// Keeper set of the current epoch, if its facts are known.
    pub current_set: Option<&'a KeeperSetFacts>,
    /// Epoch whose jobs are handed out.
    pub jobs_of: Option<u64>,
    /// The epoch being agreed on, if its facts are known.
    pub work: Option<&'a Work>,
}

impl View<'_> {
    /// The agreement on `work` as this keeper sees it.
    pub fn ballot<'a>(&self, work: &'a Work) -> Ballot<'a> {
        Ballot {
            me: self.me,
            threshold: work.set.threshold,
            round: self.policy.round_at(&self.clock, work.epoch, self.now),
            proposals: &work.proposals,
            lists: &work.lists,
            rows: &work.rows,
            votes: &work.votes,
        }
    }
}

/// Something to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Derive and hand out the audits of the epoch.
    PublishJobs {
        /// Epoch.
        epoch: u64,
    },
    /// Send on the margin of a subnet, so that it counts in the epoch in which it was recognised.
    Forward {
        /// Subnet.
        netuid: u16,
    },
    /// Have a gap of blocks recorded, so that the deadlines in it move.
    RecordOutage {
        /// The gap.
        gap: Gap,
    },
    /// Close ended epochs on chain.
    Settle,
    /// Make the next pending report active.
    Activate {
        /// Its epoch.
        epoch: u64,
    },
    /// Sign and publish a list of rows.
    Propose {
        /// Epoch.
        epoch: u64,
        /// Attempt.
        attempt: u32,
        /// Round.
        round: u32,
        /// The list, if it is not this keeper's own.
        content: Option<B256>,
    },
    /// Sign and publish a vote for a list.
    Vote {
        /// Epoch.
        epoch: u64,
        /// Attempt.
        attempt: u32,
        /// Round.
        round: u32,
        /// What the vote says.
        step: Step,
        /// The list.
        content: B256,
    },
    /// Compute the bundle of the list that was decided for, and sign its report.
    Attest {
        /// Epoch.
        epoch: u64,
        /// Attempt.
        attempt: u32,
        /// The list's content.
        content: B256,
    },
    /// Post the report with a quorum of signatures.
    Post {
        /// Epoch.
        epoch: u64,
        /// Attempt.
        attempt: u32,
        /// Struct hash of the report.
        report: B256,
    },
}

impl Action {
    /// The epoch that it is about, if it is about one.
    pub const fn epoch(&self) -> Option<u64> {
        match self {
            Self::PublishJobs { epoch }
            | Self::Activate { epoch }
            | Self::Propose { epoch, .. }
            | Self::Vote { epoch, .. }
            | Self::Attest { epoch, .. }
            | Self::Post { epoch, .. } => Some(*epoch),
            Self::RecordOutage { .. } | Self::Forward { .. } | Self::Settle => None,
        }
    }

    /// The subnet that it is about, if it is about one.
    pub const fn netuid(&self) -> Option<u16> {
        match self {
            Self::Forward { netuid } => Some(*netuid),
            _ => None,
        }
    }

    /// A word for it, as metrics name it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::PublishJobs { .. } => "publish_jobs",
            Self::Forward { .. } => "forward",
            Self::RecordOutage { .. } => "record_outage",
            Self::Settle => "settle",
            Self::Activate { .. } => "activate",
            Self::Propose { .. } => "propose",
            Self::Vote { .. } => "vote",
            Self::Attest { .. } => "attest",
            Self::Post { .. } => "post",
        }
    }
}

/// The epoch to agree on at chain time `now`: the last one whose reveal deadline has passed. Older ones that were never
/// posted are given up; their budgets carry over to this one `[EP-4]`.
pub fn working_epoch(clock: &Schedule, now: u64) -> Option<u64> {
    clock.last_revealed(now)
}

/// What to do.
pub fn decide(view: &View<'_>) -> Vec<Action> {
    let mut actions = Vec::new();
    actions.extend(publish_jobs(view));
    // Before all else that is sent: it alone can come too late.
    actions.extend(record_outage(view));
    actions.extend(settle(view));
    actions.extend(activate(view));
    if let Some(work) = view.work {
        actions.extend(agree(view, work));
    }
    actions
}

fn publish_jobs(view: &View<'_>) -> Option<Action> {
    let epoch = view.clock.epoch_at(view.now)?;
    view.current_set?;
    (view.jobs_of != Some(epoch)).then_some(Action::PublishJobs { epoch })
}

fn record_outage(view: &View<'_>) -> Option<Action> {
    let gap = view.gaps.iter().find(|gap| is_provable(gap, view.height))?;
    let (set, epoch) = view.current_set.zip(view.clock.epoch_at(view.now))?;
    let turn = turn_of(set, epoch, view.me)?;
    // Where blocks come fast, their hashes are gone before all keepers have waited for each other by time.
    let blocks = PROVABLE / 2 / set.keepers.len() as u64;
    let due = view.now >= gap.later.time.saturating_add(turn * view.policy.stagger)
        || view.height >= gap.later.number.saturating_add(turn * blocks);
    (!view.sending && due).then_some(Action::RecordOutage { gap: *gap })
}

/// Whether a contract can still be shown the gap by the time that block `height` is the newest.
pub const fn is_provable(gap: &Gap, height: u64) -> bool {
    height < gap.later.number.saturating_add(PROVABLE)
}

fn settle(view: &View<'_>) -> Option<Action> {
    let last_ended = view.clock.epoch_at(view.now)?.checked_sub(1)?;
    if view.sending || view.oracle.settled_through > last_ended {
        return None;
    }
    let due = view.clock.end_of(last_ended);
    if !my_turn(view, due) {
        return None;
    }
    // Margin that stays at the desk counts in the next epoch: worth a moment's wait, but nothing to wait for for long, as
    // USDC can be paused.
    let waits = view.now < due.saturating_add(view.policy.forward_wait) && view.oracle.settled_through == last_ended;
    match view.oracle.held_margin.first().filter(|_| waits) {
        Some(netuid) => Some(Action::Forward { netuid: *netuid }),
        None => Some(Action::Settle),
    }
}

fn activate(view: &View<'_>) -> Option<Action> {
    let (epoch, due) = view.oracle.next_activation?;
    (!view.sending && my_turn(view, due)).then_some(Action::Activate { epoch })
}

/// Whether this keeper may send what has been due since `due`.
fn my_turn(view: &View<'_>, due: u64) -> bool {
    let Some((set, epoch)) = view.current_set.zip(view.clock.epoch_at(view.now)) else { return false };
    turn_of(set, epoch, view.me).is_some_and(|turn| view.now >= due.saturating_add(turn * view.policy.stagger))
}

fn agree(view: &View<'_>, work: &Work) -> Option<Action> {
    let turn = turn_of(&work.set, work.epoch, view.me)?;
    let start = view.clock.reveal_deadline(work.epoch);
    let end = view.clock.reveal_deadline(work.epoch.saturating_add(1)).saturating_sub(view.policy.margin);
    let open = matches!(work.status, ReportStatus::None | ReportStatus::Void);
    if !open || view.now < start || view.now >= end {
        return None;
    }
    if let Some((report, previous)) = work.attested {
        return post(view, work, turn, report, previous);
    }
    let ballot = view.ballot(work);
    let decided = work.chosen.or_else(|| ballot.decided()).filter(|content| work.lists.contains_key(content));
    match decided {
        Some(content) => {
            let settled = view.oracle.settled_through > work.epoch;
            let ready = settled && work.inputs_known && previous_is_certain(view, work, start);
            ready.then_some(Action::Attest { epoch: work.epoch, attempt: work.attempt, content })
        }
        None => vote(work, &ballot).or_else(|| propose(view, work, &ballot)),
    }
}

fn vote(work: &Work, ballot: &Ballot<'_>) -> Option<Action> {
    let (step, content) = ballot.vote()?;
    Some(Action::Vote { epoch: work.epoch, attempt: work.attempt, round: ballot.round, step, content })
}

fn propose(view: &View<'_>, work: &Work, ballot: &Ballot<'_>) -> Option<Action> {
    let round = ballot.round;
    if proposer(&work.set, work.epoch, round) != Some(view.me) || work.proposals.contains_key(&round) {
        return None;
    }
    let content = ballot.valid();
    let now = view.now.saturating_sub(view.clock.reveal_deadline(work.epoch));
    let all_heard = work.peers_heard + 1 >= work.set.keepers.len();
    let waited = now >= view.policy.start_of_round(round).saturating_add(view.policy.collect_wait);
    let ready = match content {
        Some(content) => work.lists.contains_key(&content),
        None => all_heard || waited,
    };
    ready.then_some(Action::Propose { epoch: work.epoch, attempt: work.attempt, round, content })
}

/// While the epoch before is unposted, its last transaction may still be under way; a report that names the wrong
/// predecessor could never be posted, and no second one may be signed.
fn previous_is_certain(view: &View<'_>, work: &Work, start: u64) -> bool {
    let expected = work.epoch.checked_sub(1);
    let posted = view.oracle.last_posted.map(|report| report.epoch);
    posted == expected || view.now >= start.saturating_add(view.policy.margin)
}

fn post(view: &View<'_>, work: &Work, turn: u64, report: B256, previous: B256) -> Option<Action> {
    let quorum = work.attestations.get(&report).is_some_and(|signers| signers.len() >= work.set.threshold);
    let fits = view.oracle.last_posted.map_or(B256::ZERO, |last| last.hash) == previous;
    let since = work.quorum_since.filter(|_| quorum && fits)?;
    let due = view.now >= since.saturating_add(turn * view.policy.stagger);
    (!view.sending && due).then_some(Action::Post { epoch: work.epoch, attempt: work.attempt, report })
}
