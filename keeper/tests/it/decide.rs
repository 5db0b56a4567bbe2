//! The decision core, sentence by sentence.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256};
use tandem_keeper::{
    agree::Step,
    chain::{BlockRef, Gap, KeeperSetFacts, OracleState, ReportRef, ReportStatus, Schedule},
    decide::{Action, PROVABLE, View, Work, decide, working_epoch},
    rows::turn_of,
};

use crate::support::{GENESIS, LENGTH, network, policy};

const EPOCH: u64 = 7;

fn set() -> KeeperSetFacts {
    KeeperSetFacts {
        keepers: (1..=3).map(Address::repeat_byte).collect(),
        endpoints: vec![String::new(); 3],
        threshold: 2,
        config_digest: B256::repeat_byte(9),
    }
}

/// Keeper with so many turns before it.
fn at_turn(turn: u64) -> Address {
    *set().keepers.iter().find(|keeper| turn_of(&set(), EPOCH, **keeper) == Some(turn)).unwrap()
}

/// In the epoch after, turns are others.
fn next_at_turn(turn: u64) -> Address {
    *set().keepers.iter().find(|keeper| turn_of(&set(), EPOCH + 1, **keeper) == Some(turn)).unwrap()
}

fn deadline() -> u64 {
    network().clock.reveal_deadline(EPOCH)
}

fn work() -> Work {
    Work {
        epoch: EPOCH,
        attempt: 0,
        status: ReportStatus::None,
        set: set(),
        inputs_known: true,
        rows: BTreeMap::from([((1, Address::repeat_byte(0x11)), 4)]),
        peers_heard: 2,
        proposals: BTreeMap::new(),
        lists: BTreeMap::new(),
        votes: BTreeMap::new(),
        chosen: None,
        attested: None,
        attestations: BTreeMap::new(),
        quorum_since: None,
    }
}

const LIST: B256 = B256::repeat_byte(0xc0);

/// A list, proposed in round 0, with the one row at this sequence number.
fn proposed(seq: Option<u32>) -> Work {
    let rows = seq.map(|seq| ((1, Address::repeat_byte(0x11)), seq)).into_iter().collect();
    Work { proposals: BTreeMap::from([(0, LIST)]), lists: BTreeMap::from([(LIST, rows)]), ..work() }
}

/// That list, decided for by two keepers of three.
fn decided() -> Work {
    let votes = |turns: [u64; 2]| turns.map(|turn| (at_turn(turn), LIST)).into();
    let votes = [((0, Step::Prevote), votes([0, 1])), ((0, Step::Precommit), votes([0, 1]))];
    Work { votes: votes.into(), ..proposed(Some(4)) }
}

fn propose(round: u32, content: Option<B256>) -> Action {
    Action::Propose { epoch: EPOCH, attempt: 0, round, content }
}

fn vote(round: u32, step: Step, content: B256) -> Action {
    Action::Vote { epoch: EPOCH, attempt: 0, round, step, content }
}

fn attest(content: B256) -> Action {
    Action::Attest { epoch: EPOCH, attempt: 0, content }
}

/// What keeper `me` does about `work` so many seconds after the deadline; jobs are out and all is settled.
fn actions(me: Address, after: u64, work: &Work, change: impl FnOnce(&mut View<'_>)) -> Vec<Action> {
    let set = set();
    let mut view = View {
        now: deadline() + after,
        height: 1_000,
        gaps: &[],
        clock: network().clock.into(),
        me,
        policy: policy(),
        oracle: OracleState {
            settled_through: EPOCH + 1,
            last_posted: Some(ReportRef { epoch: EPOCH - 1, hash: B256::repeat_byte(6) }),
            last_active: None,
            next_activation: None,
            held_margin: Vec::new(),
        },
        sending: false,
        current_set: Some(&set),
        jobs_of: Some(EPOCH + 1),
        work: Some(work),
    };
    change(&mut view);
    decide(&view)
}

fn unchanged(_view: &mut View<'_>) {}

#[test]
fn the_epoch_to_agree_on_is_the_last_one_whose_reveal_deadline_has_passed() {
    let clock = Schedule::from(network().clock);
    assert_eq!(working_epoch(&clock, GENESIS - 1), None);
    assert_eq!(working_epoch(&clock, GENESIS + LENGTH), None);
    assert_eq!(working_epoch(&clock, clock.reveal_deadline(0) - 1), None);
    assert_eq!(working_epoch(&clock, clock.reveal_deadline(0)), Some(0));
    assert_eq!(working_epoch(&clock, clock.reveal_deadline(1) - 1), Some(0));
    assert_eq!(working_epoch(&clock, clock.reveal_deadline(9)), Some(9));
}

#[test]
fn jobs_are_published_once_an_epoch() {
    let publish = Action::PublishJobs { epoch: EPOCH + 1 };
    assert_eq!(actions(at_turn(1), 0, &work(), |view| view.jobs_of = None), vec![publish.clone()]);
    assert_eq!(actions(at_turn(1), 0, &work(), |view| view.jobs_of = Some(EPOCH)), [publish]);
    assert_eq!(actions(at_turn(1), 0, &work(), unchanged), []);
    assert_eq!(actions(at_turn(1), 0, &work(), |view| (view.jobs_of, view.current_set) = (None, None)), []);
}

#[test]
fn the_first_in_turn_proposes_when_all_peers_have_shown_their_rows_or_the_wait_is_over() {
    assert_eq!(actions(at_turn(0), 0, &work(), unchanged), [propose(0, None)]);
    let unheard = Work { peers_heard: 1, ..work() };
    assert_eq!(actions(at_turn(0), 0, &unheard, unchanged), []);
    assert_eq!(actions(at_turn(0), policy().collect_wait, &unheard, unchanged), [propose(0, None)]);
    assert_eq!(actions(at_turn(1), 0, &work(), unchanged), []);
}

#[test]
fn after_a_time_out_the_next_keeper_proposes_and_nobody_before_and_time_outs_grow() {
    let timeout = policy().proposer_timeout;
    assert_eq!(actions(at_turn(1), timeout - 1, &work(), unchanged), []);
    assert_eq!(actions(at_turn(1), timeout, &work(), unchanged), [propose(1, None)]);
    assert_eq!(actions(at_turn(0), timeout, &work(), unchanged), []);
    let starts: Vec<_> = (0..5).map(|round| policy().start_of_round(round)).collect();
    assert_eq!(starts, [0, timeout, timeout * 5 / 2, timeout * 9 / 2, timeout * 7]);
    for (round, start) in (0..).zip(starts) {
        assert_eq!(policy().round_at(&network().clock.into(), EPOCH, deadline() + start), round);
        assert_eq!(actions(at_turn(u64::from(round) % 3), start, &work(), unchanged), [propose(round, None)]);
    }
}

#[test]
fn a_list_that_leaves_out_a_row_this_keeper_holds_is_not_voted_for_but_replaced() {
    for complete in [Some(4), Some(5)] {
        assert_eq!(actions(at_turn(1), 1, &proposed(complete), unchanged), [vote(0, Step::Prevote, LIST)]);
    }
    for lacking in [None, Some(3)] {
        assert_eq!(actions(at_turn(1), 1, &proposed(lacking), unchanged), []);
        let next = actions(at_turn(1), policy().proposer_timeout, &proposed(lacking), unchanged);
        assert_eq!(next, [propose(1, None)]);
    }
}

#[test]
fn a_list_whose_rows_are_not_known_or_whose_round_is_over_gets_no_vote() {
    let unread = Work { lists: BTreeMap::new(), ..proposed(Some(4)) };
    assert_eq!(actions(at_turn(1), 1, &unread, unchanged), []);
    assert_eq!(actions(at_turn(2), policy().proposer_timeout, &proposed(Some(4)), unchanged), []);
    let early = Work { proposals: BTreeMap::from([(1, LIST)]), ..proposed(Some(4)) };
    assert_eq!(actions(at_turn(2), 0, &early, unchanged), []);
}

#[test]
fn what_a_quorum_decided_for_is_signed_even_by_who_would_not_have_voted_for_it() {
    assert_eq!(actions(at_turn(2), 1, &decided(), unchanged), [attest(LIST)]);
    let lacking = Work { lists: proposed(None).lists, ..decided() };
    assert_eq!(actions(at_turn(2), 1, &lacking, unchanged), [attest(LIST)]);
    let unread = Work { lists: BTreeMap::new(), ..decided() };
    assert_eq!(actions(at_turn(2), 1, &unread, unchanged), []);
}

/// `[KP-1]`
#[test]
fn a_decision_on_disk_is_kept_whatever_is_known_since() {
    let content = B256::repeat_byte(0xc1);
    let lists = BTreeMap::from([(LIST, BTreeMap::new()), (content, BTreeMap::new())]);
    let work = Work { chosen: Some(content), lists, ..decided() };
    assert_eq!(actions(at_turn(2), 1, &work, unchanged), [attest(content)]);
}

#[test]
fn nothing_is_signed_before_inputs_are_final_and_the_epoch_is_settled() {
    let work = decided();
    let early = Work { inputs_known: false, ..decided() };
    assert_eq!(actions(at_turn(2), 1, &early, unchanged), []);
    let unsettled = actions(next_at_turn(0), 1, &work, |view| view.oracle.settled_through = EPOCH);
    assert_eq!(unsettled, [Action::Settle]);
}

#[test]
fn while_the_epoch_before_may_still_be_posted_nothing_is_signed_on_top_of_an_older_one() {
    let work = decided();
    let older = |view: &mut View<'_>| {
        view.oracle.last_posted = Some(ReportRef { epoch: EPOCH - 2, hash: B256::repeat_byte(5) });
    };
    assert_eq!(actions(at_turn(2), policy().margin - 1, &work, older), []);
    assert_eq!(actions(at_turn(2), policy().margin, &work, older).len(), 1);
}

#[test]
fn keepers_post_one_after_the_other_once_a_quorum_signed_what_they_signed() {
    let (report, previous) = (B256::repeat_byte(0xee), B256::repeat_byte(6));
    let signers =
        |count: usize| BTreeMap::from([(report, set().keepers[..count].iter().copied().collect::<BTreeSet<_>>())]);
    let signed = Work { attested: Some((report, previous)), attestations: signers(1), ..work() };
    assert_eq!(actions(at_turn(0), 3, &signed, unchanged), []);
    let quorum = Work { attestations: signers(2), quorum_since: Some(deadline() + 3), ..signed };
    let post = Action::Post { epoch: EPOCH, attempt: 0, report };
    assert_eq!(actions(at_turn(0), 3, &quorum, unchanged), vec![post.clone()]);
    assert_eq!(actions(at_turn(1), 3, &quorum, unchanged), []);
    assert_eq!(actions(at_turn(1), 3 + policy().stagger, &quorum, unchanged), [post]);
    assert_eq!(actions(at_turn(0), 3, &quorum, |view| view.sending = true), []);
    let moved = |view: &mut View<'_>| view.oracle.last_posted = Some(ReportRef { epoch: EPOCH - 1, hash: B256::ZERO });
    assert_eq!(actions(at_turn(0), 3, &quorum, moved), []);
    for status in [ReportStatus::Pending, ReportStatus::Active] {
        assert_eq!(actions(at_turn(0), 3, &Work { status, ..quorum.clone() }, unchanged), []);
    }
    assert_eq!(actions(at_turn(0), 3, &Work { status: ReportStatus::Void, ..quorum }, unchanged).len(), 1);
}

#[test]
fn shortly_before_the_next_epochs_turn_nothing_is_begun() {
    let end = network().clock.reveal_deadline(EPOCH + 1) - policy().margin - deadline();
    let work = decided();
    let later = |view: &mut View<'_>| (view.jobs_of, view.oracle.settled_through) = (Some(EPOCH + 2), EPOCH + 2);
    assert_eq!(actions(at_turn(2), end - 1, &work, later).len(), 1);
    assert_eq!(actions(at_turn(2), end, &work, later), []);
}

#[test]
fn a_report_is_activated_when_due_one_keeper_after_the_other() {
    let due = deadline() + 5;
    let pending = |view: &mut View<'_>| view.oracle.next_activation = Some((3, due));
    let posted = Work { status: ReportStatus::Pending, ..work() };
    assert_eq!(actions(next_at_turn(0), 4, &posted, pending), []);
    assert_eq!(actions(next_at_turn(0), 5, &posted, pending), [Action::Activate { epoch: 3 }]);
    assert_eq!(actions(next_at_turn(1), 5, &posted, pending), []);
    assert_eq!(actions(next_at_turn(1), 5 + policy().stagger, &posted, pending), [Action::Activate { epoch: 3 }]);
}

/// Money that a voucher earned shortly before the epoch's end belongs to its scores, but a paused USDC must not stop epochs.
#[test]
fn margin_is_sent_on_before_its_epoch_is_settled_but_not_waited_for_for_long() {
    let posted = Work { status: ReportStatus::Active, ..work() };
    let next = |settled_through: u64, held: &[u16], after: u64| {
        actions(next_at_turn(0), 0, &posted, |view| {
            view.oracle.settled_through = settled_through;
            view.oracle.held_margin = held.to_vec();
            view.now = view.clock.end_of(EPOCH) + after;
        })
    };
    assert_eq!(next(EPOCH, &[3, 4], 0), [Action::Forward { netuid: 3 }]);
    assert_eq!(next(EPOCH, &[], 0), [Action::Settle]);
    assert_eq!(next(EPOCH, &[3, 4], policy().forward_wait), [Action::Settle]);
    assert_eq!(next(EPOCH - 1, &[3], 0), [Action::Settle], "an older epoch is open: what is held counts later");
}

/// No block from before the end of the epoch to its reveal deadline.
const GAP: Gap = Gap {
    earlier: BlockRef { number: 990, hash: B256::ZERO, time: GENESIS + (EPOCH + 1) * LENGTH - 30 },
    later: BlockRef { number: 991, hash: B256::ZERO, time: GENESIS + (EPOCH + 1) * LENGTH + 10 },
};

#[test]
fn a_gap_of_blocks_is_recorded_by_one_keeper_after_the_other_before_anything_else_is_sent() {
    const RECORD: Action = Action::RecordOutage { gap: GAP };
    let posted = Work { status: ReportStatus::Pending, ..work() };
    let with_gap = |me, after, change: &dyn Fn(&mut View<'_>)| {
        actions(me, after, &posted, |view| {
            (view.gaps, view.height) = (&[GAP], 991 + after);
            change(view);
        })
    };
    assert_eq!(with_gap(next_at_turn(0), 0, &|_| {}), [RECORD]);
    assert_eq!(with_gap(next_at_turn(1), policy().stagger - 1, &|_| {}), []);
    assert_eq!(with_gap(next_at_turn(1), policy().stagger, &|_| {}), [RECORD]);
    assert_eq!(with_gap(next_at_turn(0), 0, &|view| view.sending = true), []);
    assert_eq!(with_gap(Address::repeat_byte(0xff), 50, &|_| {}), [], "not by strangers");
    let also_due = with_gap(next_at_turn(0), 0, &|view| view.oracle.settled_through = EPOCH);
    assert_eq!(also_due, [RECORD, Action::Settle]);
    let none = with_gap(next_at_turn(0), 0, &|view| view.gaps = &[]);
    assert_eq!(none, []);
}

#[test]
fn where_blocks_come_fast_keepers_do_not_wait_until_the_gap_can_be_shown_no_more() {
    let at = |me, height| {
        actions(me, 0, &Work { status: ReportStatus::Pending, ..work() }, |view| {
            (view.gaps, view.height) = (&[GAP], height);
        })
    };
    const RECORD: Action = Action::RecordOutage { gap: GAP };
    assert_eq!(at(next_at_turn(2), 991 + PROVABLE / 3 - 1), []);
    assert_eq!(at(next_at_turn(2), 991 + PROVABLE / 3), [RECORD]);
    assert_eq!(at(next_at_turn(0), 991 + PROVABLE - 1), [RECORD]);
    assert_eq!(at(next_at_turn(0), 991 + PROVABLE), [], "its hashes are gone");
}

#[test]
fn who_is_no_keeper_hands_out_jobs_but_signs_and_sends_nothing() {
    let work = decided();
    let stranger = Address::repeat_byte(0xff);
    let everything_due = |view: &mut View<'_>| {
        view.jobs_of = None;
        view.oracle.settled_through = 0;
        view.oracle.next_activation = Some((1, 0));
    };
    assert_eq!(actions(stranger, 1, &work, everything_due), [Action::PublishJobs { epoch: EPOCH + 1 }]);
}
