//! What any store must do; each test opens one of its own.

use alloy_primitives::{Address, B256};
use tandem_keeper::store::{
    CommitOutcome, Cursor, Cursors, JobOutcome, LeaseQuery, MAX_COMMITS, NewTx, Outbox, SqliteStore, Store, StoreError,
    TxAttempt, TxState,
};
use tandem_protocol::{
    api::{Attestation, AuditOutcome, JobFailure, JobResult, Proposal, Verdict, Vote},
    jobs::{Job, jobs},
    messages::{EpochReport, ListVote, RowList, rows_hash},
    signed::Signed,
};

use crate::support::{commit, keeper_keys, key, network, reveal};

const VALIDATOR: Address = Address::repeat_byte(0x11);
const OTHER: Address = Address::repeat_byte(0x12);

fn lease(limit: u16, now_ms: u64) -> LeaseQuery {
    LeaseQuery { validator: VALIDATOR, epoch: 3, limit, now_ms, until_ms: now_ms + 100, max_attempts: 3 }
}

fn result(job: &Job, attempt: u32, verdict: Verdict) -> JobResult {
    let outcome =
        AuditOutcome { verdict, tokens_audited: 10, speed_class: 1_000, commitment: None, detail: String::new() };
    JobResult { job: job.id, attempt, outcome }
}

async fn open() -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("keeper.sqlite")).await.unwrap();
    (folder, store)
}

#[tokio::test]
async fn a_job_is_leased_to_its_validator_alone_and_to_one_worker_at_a_time() {
    let (_folder, store) = open().await;
    let list = jobs(B256::ZERO, VALIDATOR, 3, 1, &[4, 5], 2);
    assert_eq!(store.add_jobs(VALIDATOR, &list).await.unwrap(), 4);
    assert_eq!(store.add_jobs(VALIDATOR, &list).await.unwrap(), 0);
    assert!(store.lease_jobs(LeaseQuery { validator: OTHER, ..lease(9, 0) }).await.unwrap().is_empty());
    assert!(store.lease_jobs(LeaseQuery { epoch: 2, ..lease(9, 0) }).await.unwrap().is_empty());
    let first = store.lease_jobs(lease(3, 0)).await.unwrap();
    assert_eq!(first.iter().map(|leased| leased.job.clone()).collect::<Vec<_>>(), list[..3]);
    assert_eq!(store.lease_jobs(lease(9, 1)).await.unwrap().len(), 1);
    assert!(store.lease_jobs(lease(9, 99)).await.unwrap().is_empty());
    let again = store.lease_jobs(lease(9, 100)).await.unwrap();
    assert_eq!(again.iter().map(|leased| leased.attempt).collect::<Vec<_>>(), [2, 2, 2]);
}

#[tokio::test]
async fn only_the_holder_of_the_current_lease_is_heard() {
    let (_folder, store) = open().await;
    let list = jobs(B256::ZERO, VALIDATOR, 3, 1, &[4], 1);
    store.add_jobs(VALIDATOR, &list).await.unwrap();
    let job = &list[0];
    let complete = |validator, attempt, verdict| {
        let (store, result) = (&store, result(job, attempt, verdict));
        async move { store.complete_job(validator, &result, 5).await.unwrap() }
    };
    assert_eq!(complete(VALIDATOR, 0, Verdict::Pass).await, JobOutcome::Late);
    store.lease_jobs(lease(1, 0)).await.unwrap();
    assert!(store.extend_lease(VALIDATOR, job.id, 1, 50, 150).await.unwrap());
    assert!(!store.extend_lease(OTHER, job.id, 1, 50, 150).await.unwrap());
    assert!(!store.extend_lease(VALIDATOR, job.id, 1, 151, 300).await.unwrap());
    assert!(store.lease_jobs(lease(1, 120)).await.unwrap().is_empty());
    assert_eq!(store.lease_jobs(lease(1, 150)).await.unwrap()[0].attempt, 2);

    assert_eq!(complete(VALIDATOR, 1, Verdict::Pass).await, JobOutcome::Late);
    assert_eq!(complete(OTHER, 2, Verdict::Pass).await, JobOutcome::Unknown);
    assert_eq!(complete(VALIDATOR, 2, Verdict::Fail).await, JobOutcome::Applied);
    assert_eq!(complete(VALIDATOR, 2, Verdict::Fail).await, JobOutcome::Duplicate);
    assert_eq!(complete(VALIDATOR, 2, Verdict::Pass).await, JobOutcome::Late);
    let audits = store.audits(3).await.unwrap();
    assert_eq!((audits.len(), audits[0].uid, audits[0].verdicts, audits[0].tokens_audited), (1, 4, [0, 1, 0, 0], 10));
    let kinds: Vec<_> = store.evidence(3).await.unwrap().into_iter().map(|evidence| evidence.kind).collect();
    assert_eq!(kinds, ["late_result", "late_result", "late_result"]);
}

#[tokio::test]
async fn a_job_that_is_given_back_is_tried_again_but_not_for_ever() {
    let (_folder, store) = open().await;
    let list = jobs(B256::ZERO, VALIDATOR, 3, 1, &[4], 1);
    store.add_jobs(VALIDATOR, &list).await.unwrap();
    let patient = |now| LeaseQuery { max_attempts: 6, ..lease(1, now) };
    let mut now = 1_000;
    for (attempt, pause) in (1..).zip([500, 2_000, 8_000, 32_000, 60_000, 60_000]) {
        assert_eq!(store.lease_jobs(patient(now)).await.unwrap()[0].attempt, attempt);
        let failure = JobFailure { job: list[0].id, attempt, reason: "no answer".into() };
        assert_eq!(store.fail_job(VALIDATOR, &failure, now).await.unwrap(), JobOutcome::Applied);
        assert!(store.lease_jobs(patient(now + pause - 1)).await.unwrap().is_empty());
        now += pause;
    }
    assert!(store.lease_jobs(patient(now + 1_000_000)).await.unwrap().is_empty());
}

#[tokio::test]
async fn old_jobs_are_forgotten_and_newer_ones_stay() {
    let (_folder, store) = open().await;
    for epoch in 1..=4u8 {
        let beacon = B256::repeat_byte(epoch);
        store.add_jobs(VALIDATOR, &jobs(beacon, VALIDATOR, epoch.into(), 1, &[4, 5], 1)).await.unwrap();
    }
    assert_eq!(store.prune_jobs(3).await.unwrap(), 4);
    assert_eq!(store.prune_jobs(3).await.unwrap(), 0);
    assert!(store.lease_jobs(LeaseQuery { epoch: 2, ..lease(9, 0) }).await.unwrap().is_empty());
    assert_eq!(store.lease_jobs(lease(9, 0)).await.unwrap().len(), 2);
}

#[tokio::test]
async fn sequence_numbers_rise_and_two_commits_of_one_number_are_evidence() {
    let (folder, store) = open().await;
    let (network, validator) = (network(), key(11));
    let put = |seq, row: &'static [(u16, u16)]| {
        let (store, commit) = (store.clone(), commit(&network, &validator, 3, 1, seq, row));
        async move { store.put_commit(&commit).await.unwrap() }
    };
    assert_eq!(put(2, &[(4, 1)]).await, CommitOutcome::Stored);
    assert_eq!(put(2, &[(4, 1)]).await, CommitOutcome::Stored);
    assert_eq!(put(1, &[(4, 1)]).await, CommitOutcome::Stale { last: 2 });
    assert_eq!(put(2, &[(4, 2)]).await, CommitOutcome::Equivocation);
    assert_eq!(put(3, &[(4, 2)]).await, CommitOutcome::Stored);
    let evidence = store.evidence(3).await.unwrap();
    assert_eq!(
        (evidence.len(), evidence[0].kind.as_str(), evidence[0].subject),
        (1, "double_commit", validator.address())
    );
    for seq in 4..60 {
        put(seq, &[(4, 2)]).await;
    }
    for seq in 60..(MAX_COMMITS as u32 + 10) {
        put(seq, &[(4, 2)]).await;
    }
    assert_eq!(put(200, &[(4, 2)]).await, CommitOutcome::TooMany);
    store.close().await;
    let store = SqliteStore::open(&folder.path().join("keeper.sqlite")).await.unwrap();
    let old = commit(&network, &validator, 3, 1, 1, &[(4, 1)]);
    assert!(matches!(store.put_commit(&old).await.unwrap(), CommitOutcome::Stale { .. }));
}

#[tokio::test]
async fn the_better_reveal_of_a_validator_is_kept_whichever_comes_first() {
    let network = network();
    let keepers = keeper_keys();
    let first = commit(&network, &key(11), 3, 1, 1, &[(4, 1)]);
    let second = commit(&network, &key(11), 3, 1, 2, &[(4, 2)]);
    let poor = reveal(&network, &second, &[(4, 2)], &keepers[..1]);
    let good = reveal(&network, &first, &[(4, 1)], &keepers[..2]);
    let best = reveal(&network, &second, &[(4, 2)], &keepers[1..]);
    for order in [[&poor, &good, &best], [&best, &good, &poor], [&good, &best, &poor]] {
        let (_folder, store) = open().await;
        for reveal in order {
            let fault = (reveal.receipts.len() < 2).then_some("too few");
            store.put_reveal(reveal, fault).await.unwrap();
        }
        let kept = store.reveals(3).await.unwrap();
        assert_eq!((kept.len(), &kept[0].reveal, &kept[0].fault), (1, &best, &None));
    }
}

/// `[KP-1]`
#[tokio::test]
async fn a_cursor_is_where_it_was_last_put_forwards_or_back() {
    let (folder, store) = open().await;
    let at = |number| Cursor { number, hash: B256::with_last_byte(number as u8) };
    assert_eq!(store.cursor("commits").await.unwrap(), None);
    store.put_cursor("commits", at(9)).await.unwrap();
    store.put_cursor("reports", at(4)).await.unwrap();
    store.put_cursor("commits", at(7)).await.unwrap();
    store.close().await;
    let store = SqliteStore::open(&folder.path().join("keeper.sqlite")).await.unwrap();
    assert_eq!(store.cursor("commits").await.unwrap(), Some(at(7)));
    assert_eq!(store.cursor("reports").await.unwrap(), Some(at(4)));
}

#[tokio::test]
async fn a_list_is_kept_under_its_name_in_its_epoch() {
    let (_folder, store) = open().await;
    let network = network();
    let row = [(4, 2)];
    let rows = vec![reveal(&network, &commit(&network, &key(11), 3, 1, 1, &row), &row, &keeper_keys())];
    let name = rows_hash(&rows);
    assert_eq!(store.list(3, name).await.unwrap(), None);
    for _ in 0..2 {
        store.put_list(3, name, &rows).await.unwrap();
    }
    assert_eq!(store.list(3, name).await.unwrap(), Some(rows));
    assert_eq!(store.list(4, name).await.unwrap(), None);
    store.put_list(4, rows_hash(&[]), &[]).await.unwrap();
    assert_eq!(store.list(4, rows_hash(&[])).await.unwrap(), Some(Vec::new()));
}

/// `[KP-1]`
#[tokio::test]
async fn the_first_decision_stands() {
    let (folder, store) = open().await;
    let (first, second) = (B256::repeat_byte(1), B256::repeat_byte(2));
    assert_eq!(store.chosen(3, 0).await.unwrap(), None);
    assert_eq!(store.choose(3, 0, first).await.unwrap(), first);
    store.close().await;
    let store = SqliteStore::open(&folder.path().join("keeper.sqlite")).await.unwrap();
    assert_eq!(store.choose(3, 0, second).await.unwrap(), first);
    assert_eq!(store.choose(3, 1, second).await.unwrap(), second);
}

#[tokio::test]
async fn contradicting_keepers_are_kept_as_evidence() {
    let (_folder, store) = open().await;
    let (network, keeper) = (network(), key(1));
    for rows in [1, 2] {
        let list = RowList { epoch: 3, attempt: 0, round: 1, rowsHash: B256::repeat_byte(rows) };
        let list = Signed::new(list, &network.domain(), &keeper).unwrap();
        store.put_proposal(&Proposal { proposer: keeper.address(), list }).await.unwrap();
        let vote = ListVote { epoch: 3, attempt: 0, round: 1, step: 2, rowsHash: B256::repeat_byte(rows) };
        let vote = Signed::new(vote, &network.domain(), &keeper).unwrap();
        let taken = store.put_vote(&Vote { keeper: keeper.address(), vote }, false).await.unwrap();
        assert_eq!(taken, rows == 1);
        let report = EpochReport {
            epoch: 3,
            attempt: 0,
            configDigest: B256::ZERO,
            inputsBlock: B256::ZERO,
            previousReport: B256::ZERO,
            subnetsRoot: B256::ZERO,
            rewardsRoot: B256::repeat_byte(rows),
            bundleHash: B256::ZERO,
            rulesVersion: 1,
        };
        let report = Signed::new(report, &network.domain(), &keeper).unwrap();
        store.put_attestation(&Attestation { keeper: keeper.address(), report }).await.unwrap();
    }
    let kinds: Vec<_> = store.evidence(3).await.unwrap().into_iter().map(|evidence| evidence.kind).collect();
    assert_eq!(kinds, ["double_attestation", "double_proposal", "double_vote"]);
    let votes = store.votes(3, 0).await.unwrap();
    assert_eq!((votes.len(), votes[0].vote.message.rowsHash), (1, B256::repeat_byte(1)));
    assert!(store.put_vote(&votes[0], false).await.unwrap(), "the same again is no contradiction");
    let other = ListVote { rowsHash: B256::repeat_byte(9), ..votes[0].vote.message.clone() };
    let other = Vote { keeper: keeper.address(), vote: Signed::new(other, &network.domain(), &keeper).unwrap() };
    assert!(store.put_vote(&other, true).await.unwrap());
    assert_eq!(store.votes(3, 0).await.unwrap(), [votes[0].clone(), other]);
    assert_eq!(store.votes(3, 1).await.unwrap(), []);
    assert_eq!(store.proposals(3, 0).await.unwrap().len(), 1);
    let held = store.attestations(3).await.unwrap();
    assert_eq!((held.len(), held[0].report.message.rewardsRoot), (1, B256::repeat_byte(1)));
    assert_eq!(store.last_attested(keeper.address()).await.unwrap(), Some(3));
    assert_eq!(store.last_attested(OTHER).await.unwrap(), None);
}

/// `[KP-1]`
#[tokio::test]
async fn a_signed_transaction_survives_and_keeps_its_key_to_itself() {
    let (folder, store) = open().await;
    let attempt = |byte| TxAttempt {
        hash: B256::repeat_byte(byte),
        raw: vec![byte; 100],
        max_fee: u128::MAX,
        tip: 1,
        signed_ms: 5,
    };
    let new = |sender| NewTx {
        sender,
        purpose: "settle".into(),
        to: OTHER,
        data: vec![1, 2],
        nonce: 7,
        gas_limit: 21_000,
        first: attempt(1),
    };
    let id = store.put_tx(&new(VALIDATOR)).await.unwrap();
    assert!(matches!(store.put_tx(&new(VALIDATOR)).await, Err(StoreError::InFlight(_))));
    store.put_tx(&new(OTHER)).await.unwrap();
    store.set_tx_state(id, TxState::Broadcast).await.unwrap();
    store.put_attempt(id, &attempt(2)).await.unwrap();
    store.close().await;

    let store = SqliteStore::open(&folder.path().join("keeper.sqlite")).await.unwrap();
    let open = store.open_txs(VALIDATOR).await.unwrap();
    assert_eq!((open.len(), open[0].nonce, open[0].state), (1, 7, TxState::Signed));
    assert_eq!(open[0].attempts, [attempt(1), attempt(2)]);
    store.set_tx_state(id, TxState::Mined).await.unwrap();
    store.put_tx(&new(VALIDATOR)).await.unwrap();
    store.set_tx_state(id, TxState::Final).await.unwrap();
    assert_eq!(store.open_txs(VALIDATOR).await.unwrap().len(), 1);
}
