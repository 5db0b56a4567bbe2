//! The decision core, sentence by sentence.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256};
use tandem_keeper::{
    chain::{KeeperSetFacts, OracleState, ReportRef, ReportStatus},
    decide::{Action, KnownProposal, View, Work, decide, working_epoch},
    rows::{proposer, turn_of},
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
        proposals: Vec::new(),
        chosen: None,
        attested: None,
        attestations: BTreeMap::new(),
        quorum_since: None,
    }
}

fn list(round: u32, seq: Option<u32>) -> KnownProposal {
    KnownProposal {
        round,
        proposer: proposer(&set(), EPOCH, round).unwrap(),
        content: B256::repeat_byte(0xc0 + round as u8),
        rows: seq.map(|seq| ((1, Address::repeat_byte(0x11)), seq)).into_iter().collect(),
    }
}

/// What keeper `me` does about `work` so many seconds after the deadline; jobs are out and all is settled.
fn actions(me: Address, after: u64, work: &Work, change: impl FnOnce(&mut View<'_>)) -> Vec<Action> {
    let set = set();
    let mut view = View {
        now: deadline() + after,
        clock: network().clock,
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
    let clock = network().clock;
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
    let propose = Action::Propose { epoch: EPOCH, attempt: 0, round: 0 };
    assert_eq!(actions(at_turn(0), 0, &work(), unchanged), vec![propose.clone()]);
    let unheard = Work { peers_heard: 1, ..work() };
    assert_eq!(actions(at_turn(0), 0, &unheard, unchanged), []);
    assert_eq!(actions(at_turn(0), policy().collect_wait, &unheard, unchanged), [propose]);
    assert_eq!(actions(at_turn(1), 0, &work(), unchanged), []);
}

#[test]
fn after_a_time_out_the_next_keeper_proposes_and_nobody_before() {
    let timeout = policy().proposer_timeout;
    let second = Action::Propose { epoch: EPOCH, attempt: 0, round: 1 };
    assert_eq!(actions(at_turn(1), timeout - 1, &work(), unchanged), []);
    assert_eq!(actions(at_turn(1), timeout, &work(), unchanged), [second]);
    assert_eq!(actions(at_turn(0), timeout, &work(), unchanged), []);
    let again = Action::Propose { epoch: EPOCH, attempt: 0, round: 3 };
    assert_eq!(actions(at_turn(0), 3 * timeout, &work(), unchanged), [again]);
}

#[test]
fn a_list_that_leaves_out_a_row_this_keeper_holds_is_not_signed_but_replaced() {
    let attest = |round: u8| Action::Attest { epoch: EPOCH, attempt: 0, content: B256::repeat_byte(0xc0 + round) };
    for complete in [Some(4), Some(5)] {
        let work = Work { proposals: vec![list(0, complete)], ..work() };
        assert_eq!(actions(at_turn(1), 1, &work, unchanged), [attest(0)]);
    }
    for lacking in [None, Some(3)] {
        let work = Work { proposals: vec![list(0, lacking)], ..work() };
        assert_eq!(actions(at_turn(1), 1, &work, unchanged), []);
        let timeout = policy().proposer_timeout;
        let propose = Action::Propose { epoch: EPOCH, attempt: 0, round: 1 };
        assert_eq!(actions(at_turn(1), timeout, &work, unchanged), [propose]);
        let replaced = Work { proposals: vec![list(0, lacking), list(1, Some(4))], ..work };
        assert_eq!(actions(at_turn(2), timeout, &replaced, unchanged), [attest(1)]);
    }
}

#[test]
fn of_two_good_lists_the_earlier_round_wins_and_a_round_to_come_counts_for_nothing() {
    let both = Work { proposals: vec![list(1, Some(4)), list(0, Some(4))], ..work() };
    let first = Action::Attest { epoch: EPOCH, attempt: 0, content: B256::repeat_byte(0xc0) };
    assert_eq!(actions(at_turn(2), policy().proposer_timeout, &both, unchanged), [first]);
    let early = Work { proposals: vec![list(1, Some(4))], ..work() };
    assert_eq!(actions(at_turn(2), 0, &early, unchanged), []);
}

/// `[KP-1]`
#[test]
fn a_decision_on_disk_is_kept_whatever_is_known_since() {
    let content = B256::repeat_byte(0xc1);
    let work = Work { chosen: Some(content), proposals: vec![list(0, Some(4)), list(1, Some(4))], ..work() };
    assert_eq!(actions(at_turn(2), 1, &work, unchanged), [Action::Attest { epoch: EPOCH, attempt: 0, content }]);
}

#[test]
fn nothing_is_signed_before_inputs_are_final_and_the_epoch_is_settled() {
    let work = Work { proposals: vec![list(0, Some(4))], ..work() };
    let early = Work { inputs_known: false, ..work.clone() };
    assert_eq!(actions(at_turn(2), 1, &early, unchanged), []);
    let unsettled = actions(next_at_turn(0), 1, &work, |view| view.oracle.settled_through = EPOCH);
    assert_eq!(unsettled, [Action::Settle]);
}

#[test]
fn while_the_epoch_before_may_still_be_posted_nothing_is_signed_on_top_of_an_older_one() {
    let work = Work { proposals: vec![list(0, Some(4))], ..work() };
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
    let work = Work { proposals: vec![list(0, Some(4))], ..work() };
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

#[test]
fn who_is_no_keeper_hands_out_jobs_but_signs_and_sends_nothing() {
    let work = Work { proposals: vec![list(0, Some(4))], ..work() };
    let stranger = Address::repeat_byte(0xff);
    let everything_due = |view: &mut View<'_>| {
        view.jobs_of = None;
        view.oracle.settled_through = 0;
        view.oracle.next_activation = Some((1, 0));
    };
    assert_eq!(actions(stranger, 1, &work, everything_due), [Action::PublishJobs { epoch: EPOCH + 1 }]);
}
