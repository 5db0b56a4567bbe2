//! What any store must do. Every rule is tried out on every adapter; each time in a place of its own.

use std::time::Duration;

use alloy_primitives::B256;
use futures_util::future::join_all;
use tandem_keeper::store::{
    CommitOutcome, Fence, JobOutcome, MAX_COMMITS, NewTx, Retention, StoreError, TxAttempt, TxState,
};
use tandem_protocol::{
    api::{Attestation, Proposal, Verdict, Vote},
    jobs::jobs,
    messages::{EpochReport, ListVote, RowList, WeightsCommit, rows_hash},
    signed::Signed,
};

use crate::{
    store_jobs::{
        MAX_PENDING, OTHER, VALIDATOR, a_job_is_leased_to_its_validator_alone_and_to_one_worker_at_a_time,
        a_job_that_is_given_back_is_tried_again_but_not_for_ever,
        a_job_that_nobody_can_do_is_given_up_with_its_last_reason,
        a_large_network_s_jobs_are_published_in_seconds_and_no_more_than_fit, lease,
        old_jobs_are_forgotten_and_newer_ones_stay, only_the_holder_of_the_current_lease_is_heard, result,
    },
    store_places::Place,
    support::{commit, keeper_keys, key, network, postgres::Cluster, reveal},
};

/// Makes a test of each rule for each adapter.
macro_rules! rules {
    ($($rule:ident),+ $(,)?) => {
        mod memory {
            use super::{MAX_PENDING, Place};
            $(#[tokio::test] async fn $rule() { super::$rule(Place::memory(MAX_PENDING)).await })+
        }

        mod sqlite {
            use super::{MAX_PENDING, Place};
            $(#[tokio::test] async fn $rule() { super::$rule(Place::sqlite(MAX_PENDING)).await })+
        }

        mod postgres {
            use super::{Cluster, MAX_PENDING, Place};

            /// One server for all, a schema for each.
            #[tokio::test]
            async fn every_rule_holds() {
                let cluster = Cluster::start().await;
                let base = cluster.url("postgres");
                $(
                    eprintln!(stringify!($rule));
                    let schema = stringify!($rule).get(..60).unwrap_or(stringify!($rule));
                    cluster.run(&format!("CREATE SCHEMA {schema}")).await;
                    let url = format!("{base}&options[search_path]={schema}");
                    super::$rule(Place::Postgres { url, max_pending: MAX_PENDING }).await;
                )+
            }
        }
    };
}

rules!(
    a_job_is_leased_to_its_validator_alone_and_to_one_worker_at_a_time,
    only_the_holder_of_the_current_lease_is_heard,
    a_job_that_is_given_back_is_tried_again_but_not_for_ever,
    old_jobs_are_forgotten_and_newer_ones_stay,
    sequence_numbers_rise_and_two_commits_of_one_number_are_evidence,
    a_commit_that_contradicts_one_on_chain_is_evidence_once,
    the_better_reveal_of_a_validator_is_kept_whichever_comes_first,
    what_many_bring_at_once_is_judged_as_if_it_came_one_by_one,
    a_list_is_kept_under_its_name_in_its_epoch,
    the_first_decision_stands,
    contradicting_keepers_are_kept_as_evidence,
    a_signed_transaction_survives_and_keeps_its_key_to_itself,
    a_job_that_nobody_can_do_is_given_up_with_its_last_reason,
    a_large_network_s_jobs_are_published_in_seconds_and_no_more_than_fit,
    a_key_has_one_transaction_under_way_however_it_came_about,
    what_is_old_is_forgotten_in_bounded_batches_and_what_is_not_over_stays,
    one_leads_at_a_time_and_each_time_under_a_higher_term,
    a_former_leader_writes_nothing_that_only_a_leader_may,
);

async fn sequence_numbers_rise_and_two_commits_of_one_number_are_evidence(place: Place) {
    let store = place.open().await;
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
    let store = place.open().await;
    let old = commit(&network, &validator, 3, 1, 1, &[(4, 1)]);
    assert!(matches!(store.put_commit(&old).await.unwrap(), CommitOutcome::Stale { .. }));
}

async fn a_commit_that_contradicts_one_on_chain_is_evidence_once(place: Place) {
    let store = place.open().await;
    let (network, validator) = (network(), key(11));
    let sent = commit(&network, &validator, 3, 1, 2, &[(4, 1)]);
    store.put_commit(&sent).await.unwrap();
    let other = commit(&network, &validator, 3, 1, 2, &[(4, 2)]).message;
    let unrelated = [
        sent.message.clone(),
        WeightsCommit { seq: 3, ..other.clone() },
        WeightsCommit { epoch: 4, ..other.clone() },
        WeightsCommit { netuid: 2, ..other.clone() },
        WeightsCommit { validator: key(12).address(), ..other.clone() },
    ];
    for honest in unrelated {
        assert!(!store.put_commit_on_chain(&honest).await.unwrap(), "{honest:?}");
    }
    assert_eq!(store.evidence(3).await.unwrap(), []);
    for _ in 0..3 {
        assert!(store.put_commit_on_chain(&other).await.unwrap());
    }
    let evidence = store.evidence(3).await.unwrap();
    assert_eq!((evidence.len(), evidence[0].subject), (1, validator.address()));
    assert_eq!(evidence[0].kind, "commit_against_chain");
    let (held, on_chain): (Signed<WeightsCommit>, WeightsCommit) =
        serde_json::from_str(&evidence[0].statements).unwrap();
    assert_eq!((held, on_chain), (sent, other));
}

async fn the_better_reveal_of_a_validator_is_kept_whichever_comes_first(place: Place) {
    let network = network();
    let keepers = keeper_keys();
    let first = commit(&network, &key(11), 3, 1, 1, &[(4, 1)]);
    let second = commit(&network, &key(11), 3, 1, 2, &[(4, 2)]);
    let poor = reveal(&network, &second, &[(4, 2)], &keepers[..1]);
    let good = reveal(&network, &first, &[(4, 1)], &keepers[..2]);
    let best = reveal(&network, &second, &[(4, 2)], &keepers[1..]);
    let store = place.open().await;
    for order in [[&poor, &good, &best], [&best, &good, &poor], [&good, &best, &poor]] {
        let forget = Retention { before_epoch: 9, signed_before_ms: 0, limit: 9 };
        store.prune(forget).await.unwrap();
        for reveal in order {
            let fault = (reveal.receipts.len() < 2).then_some("too few");
            store.put_reveal(reveal, fault).await.unwrap();
        }
        let kept = store.reveals(3).await.unwrap();
        assert_eq!((kept.len(), &kept[0].reveal, &kept[0].fault), (1, &best, &None));
    }
}

/// `[KP-1]`
async fn what_many_bring_at_once_is_judged_as_if_it_came_one_by_one(place: Place) {
    let (store, network, keepers) = (place.open().await, network(), keeper_keys());
    let rows: Vec<Vec<(u16, u16)>> = (1..=4).map(|weight| vec![(4, weight)]).collect();
    let commits: Vec<_> = (11..=30)
        .flat_map(|validator| rows.iter().map(move |row| (validator, row)))
        .map(|(validator, row)| commit(&network, &key(validator), 3, 1, 1, row))
        .collect();
    let outcomes = join_all(commits.iter().map(|commit| store.put_commit(commit))).await;
    let outcomes: Vec<CommitOutcome> = outcomes.into_iter().map(Result::unwrap).collect();
    for of_validator in outcomes.chunks(rows.len()) {
        let stored = of_validator.iter().filter(|outcome| **outcome == CommitOutcome::Stored).count();
        let evidence = of_validator.iter().filter(|outcome| **outcome == CommitOutcome::Equivocation).count();
        assert_eq!((stored, evidence), (1, rows.len() - 1), "one of each number is held, the others are evidence");
    }
    assert_eq!(store.evidence(3).await.unwrap().len(), 20 * (rows.len() - 1));

    let mut reveals: Vec<_> =
        commits.iter().step_by(rows.len()).map(|commit| reveal(&network, commit, &rows[0], &keepers)).collect();
    // What cannot be stored takes nobody with it.
    reveals[7].epoch = u64::MAX;
    let stored = join_all(reveals.iter().map(|reveal| store.put_reveal(reveal, None))).await;
    for (number, stored) in stored.iter().enumerate() {
        let refused = matches!(stored, Err(StoreError::TooLarge(_)));
        assert_eq!((refused, stored.is_ok()), (number == 7, number != 7), "{stored:?}");
    }
    assert_eq!(store.reveals(3).await.unwrap().len(), reveals.len() - 1);

    let owed = jobs(B256::ZERO, VALIDATOR, 3, 1, &(0..50).collect::<Vec<_>>(), 1);
    store.add_jobs(3, &[(VALIDATOR, owed.clone())]).await.unwrap();
    let leased = join_all((0..40).map(|_| store.lease_jobs(lease(1, 10)))).await;
    let leased: std::collections::BTreeSet<_> =
        leased.into_iter().flat_map(Result::unwrap).map(|leased| leased.job.id).collect();
    assert_eq!(leased.len(), 40, "no job goes to two workers");
    if !matches!(place, Place::Memory(_)) {
        store.close().await;
        assert_eq!(place.open().await.reveals(3).await.unwrap().len(), reveals.len() - 1);
    }
}

async fn a_list_is_kept_under_its_name_in_its_epoch(place: Place) {
    let store = place.open().await;
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
async fn the_first_decision_stands(place: Place) {
    let store = place.open().await;
    let (first, second) = (B256::repeat_byte(1), B256::repeat_byte(2));
    assert_eq!(store.chosen(3, 0).await.unwrap(), None);
    assert_eq!(store.choose(3, 0, first).await.unwrap(), first);
    store.close().await;
    let store = place.open().await;
    assert_eq!(store.choose(3, 0, second).await.unwrap(), first);
    assert_eq!(store.choose(3, 1, second).await.unwrap(), second);
}

async fn contradicting_keepers_are_kept_as_evidence(place: Place) {
    let store = place.open().await;
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
async fn a_signed_transaction_survives_and_keeps_its_key_to_itself(place: Place) {
    let store = place.open().await;
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

    let store = place.open().await;
    let open = store.open_txs(VALIDATOR).await.unwrap();
    assert_eq!((open.len(), open[0].nonce, open[0].state), (1, 7, TxState::Signed));
    assert_eq!(open[0].attempts, [attempt(1), attempt(2)]);
    store.set_tx_state(id, TxState::Mined).await.unwrap();
    store.put_tx(&new(VALIDATOR)).await.unwrap();
    store.set_tx_state(id, TxState::Final).await.unwrap();
    assert_eq!(store.open_txs(VALIDATOR).await.unwrap().len(), 1);
}

/// `[KP-1]`
async fn a_key_has_one_transaction_under_way_however_it_came_about(place: Place) {
    let store = place.open().await;
    let new = |nonce| NewTx {
        sender: VALIDATOR,
        purpose: "settle".into(),
        to: OTHER,
        data: vec![1],
        nonce,
        gas_limit: 21_000,
        first: TxAttempt { hash: B256::with_last_byte(nonce as u8), raw: vec![7], max_fee: 1, tip: 1, signed_ms: 5 },
    };
    let first = store.put_tx(&new(7)).await.unwrap();
    store.set_tx_state(first, TxState::Mined).await.unwrap();
    let second = store.put_tx(&new(8)).await.unwrap();
    assert!(second > first);
    // A reorganisation cannot bring the first one back while the second is under way.
    let refused = store.set_tx_state(first, TxState::Broadcast).await;
    assert!(matches!(refused, Err(StoreError::InFlight(sender)) if sender == VALIDATOR));
    store.set_tx_state(second, TxState::Broadcast).await.unwrap();
    store.set_tx_state(second, TxState::Mined).await.unwrap();
    store.set_tx_state(first, TxState::Broadcast).await.unwrap();
    let open = store.open_txs(VALIDATOR).await.unwrap();
    assert_eq!(open.iter().map(|tx| tx.nonce).collect::<Vec<_>>(), [7, 8]);
    store.set_tx_state(first + 100, TxState::Final).await.unwrap();
}

async fn what_is_old_is_forgotten_in_bounded_batches_and_what_is_not_over_stays(place: Place) {
    let store = place.open().await;
    let network = network();
    for epoch in 1..=3 {
        for validator in [11, 12] {
            let first = commit(&network, &key(validator), epoch, 1, 1, &[(4, 1)]);
            store.put_commit(&first).await.unwrap();
            store.put_commit(&commit(&network, &key(validator), epoch, 1, 1, &[(4, 2)])).await.unwrap();
            store.put_reveal(&reveal(&network, &first, &[(4, 1)], &keeper_keys()), None).await.unwrap();
        }
        store.choose(epoch, 0, B256::ZERO).await.unwrap();
    }
    let mut ids = Vec::new();
    for (nonce, state) in [(1, TxState::Final), (2, TxState::Lost), (3, TxState::Final), (4, TxState::Mined)] {
        let first = TxAttempt { hash: B256::ZERO, raw: vec![], max_fee: 1, tip: 1, signed_ms: nonce * 10 };
        let (purpose, data) = ("settle".into(), vec![]);
        let tx = NewTx { sender: VALIDATOR, purpose, to: OTHER, data, nonce, gas_limit: 1, first };
        let id = store.put_tx(&tx).await.unwrap();
        store.put_attempt(id, &tx.first).await.unwrap();
        store.set_tx_state(id, state).await.unwrap();
        ids.push(id);
    }
    // One transaction, of however many forms.
    let one = Retention { before_epoch: 0, signed_before_ms: 30, limit: 1 };
    assert_eq!(store.prune(one).await.unwrap(), 1);
    let old = Retention { before_epoch: 3, signed_before_ms: 30, limit: 3 };
    // Of four commits, reveals and statements each three, then one; both decisions and the other transaction at once.
    assert_eq!(store.prune(old).await.unwrap(), 3 * 3 + 2 + 1);
    assert_eq!(store.prune(old).await.unwrap(), 3);
    assert_eq!(store.prune(old).await.unwrap(), 0);
    assert!(store.reveals(2).await.unwrap().is_empty());
    assert_eq!(store.chosen(2, 0).await.unwrap(), None);
    assert_eq!((store.reveals(3).await.unwrap().len(), store.evidence(3).await.unwrap().len()), (2, 2));
    assert_eq!(store.chosen(3, 0).await.unwrap(), Some(B256::ZERO));
    let open = store.open_txs(VALIDATOR).await.unwrap();
    assert_eq!((open.len(), open[0].id), (1, ids[3]));
}

/// `[KP-1]`
async fn one_leads_at_a_time_and_each_time_under_a_higher_term(place: Place) {
    let (one, other) = (place.follow().await, place.follow().await);
    let (a, b) = (B256::repeat_byte(1), B256::repeat_byte(2));
    let long = Duration::from_secs(1_000);
    let first = one.acquire("posts", a, long, 5).await.unwrap().unwrap();
    assert_eq!((first.term, first.holder, first.name.as_str()), (1, a, "posts"));
    assert_eq!(other.acquire("posts", b, long, 6).await.unwrap(), None);
    assert!(other.acquire("serves", b, long, 6).await.unwrap().is_some());
    assert!(one.renew(&first, long, 7).await.unwrap());
    // Started anew, the same process is another leader.
    let again = one.acquire("posts", a, long, 8).await.unwrap().unwrap();
    assert_eq!(again.term, 2);
    assert!(!one.renew(&first, long, 9).await.unwrap());
    one.release(&first).await.unwrap();
    assert_eq!(other.acquire("posts", b, long, 9).await.unwrap(), None);
    one.release(&again).await.unwrap();
    let next = other.acquire("posts", b, Duration::ZERO, 10).await.unwrap().unwrap();
    assert_eq!(next.term, 3);
    // It ran out, but nobody else took it: it goes on; then somebody does.
    assert!(other.renew(&next, Duration::ZERO, 11).await.unwrap());
    assert_eq!(one.acquire("posts", a, long, 12).await.unwrap().unwrap().term, 4);
    assert!(!other.renew(&next, long, 13).await.unwrap());
}

/// `[KP-1]`
async fn a_former_leader_writes_nothing_that_only_a_leader_may(place: Place) {
    let (former, leader) = (place.follow().await, place.follow().await);
    let (a, b) = (B256::repeat_byte(1), B256::repeat_byte(2));
    let old = former.acquire("keeper", a, Duration::ZERO, 5).await.unwrap().unwrap();
    former.fence(Fence::Lease(old.clone()));
    let list = jobs(B256::ZERO, VALIDATOR, 3, 1, &[4], 1);
    former.add_jobs(3, &[(VALIDATOR, list.clone())]).await.unwrap();
    let first = TxAttempt { hash: B256::ZERO, raw: vec![], max_fee: 1, tip: 1, signed_ms: 1 };
    let (purpose, data) = ("post".to_owned(), vec![]);
    let tx = NewTx { sender: VALIDATOR, purpose, to: OTHER, data, nonce: 1, gas_limit: 1, first: first.clone() };
    let id = former.put_tx(&tx).await.unwrap();
    // Nobody leads instead: a late leader goes on.
    assert_eq!(former.choose(3, 0, B256::ZERO).await.unwrap(), B256::ZERO);

    let new = leader.acquire("keeper", b, Duration::from_secs(1_000), 6).await.unwrap().unwrap();
    leader.fence(Fence::Lease(new));
    let network = network();
    let rows = RowList { epoch: 3, attempt: 0, round: 1, rowsHash: B256::ZERO };
    let rows = Signed::new(rows, &network.domain(), &key(1)).unwrap();
    let proposal = Proposal { proposer: key(1).address(), list: rows };
    let vote = ListVote { epoch: 3, attempt: 0, round: 1, step: 1, rowsHash: B256::ZERO };
    let vote = Vote { keeper: key(1).address(), vote: Signed::new(vote, &network.domain(), &key(1)).unwrap() };
    let retention = Retention { before_epoch: 9, signed_before_ms: 9, limit: 9 };
    // Whoever pretends to its term without its name is refused too.
    let forged = tandem_keeper::store::Lease { holder: a, term: old.term + 1, ..old.clone() };
    for fence in [Fence::Lease(old), Fence::Lease(forged), Fence::Shut] {
        former.fence(fence);
        let refusals = [
            former.choose(4, 0, B256::ZERO).await.err(),
            former.put_proposal(&proposal).await.err(),
            former.put_list(4, B256::ZERO, &[]).await.err(),
            former.put_vote(&vote, true).await.err(),
            former.put_tx(&NewTx { sender: OTHER, ..tx.clone() }).await.err(),
            former.put_attempt(id, &first).await.err(),
            former.set_tx_state(id, TxState::Lost).await.err(),
            former.add_jobs(5, &[(VALIDATOR, list.clone())]).await.err(),
            former.bury_jobs(3, 9, 0).await.err(),
            former.prune_jobs(9).await.err(),
            former.prune(retention).await.err(),
        ];
        for refusal in refusals {
            assert!(matches!(refusal, Some(StoreError::NotLeading)), "{refusal:?}");
        }
    }
    assert_eq!(leader.chosen(4, 0).await.unwrap(), None);
    assert!(leader.proposals(3, 0).await.unwrap().is_empty());
    let open = leader.open_txs(VALIDATOR).await.unwrap();
    assert_eq!((open.len(), open[0].attempts.len(), open[0].state), (1, 1, TxState::Signed));
    // What anybody may do goes on: leases, results, rows, attestations.
    assert_eq!(former.lease_jobs(lease(1, 0)).await.unwrap().len(), 1);
    let pass = result(&list[0], 1, Verdict::Pass);
    assert_eq!(former.complete_job(VALIDATOR, &pass, 1).await.unwrap(), JobOutcome::Applied);
    let commit = commit(&network, &key(11), 3, 1, 1, &[(4, 1)]);
    assert_eq!(former.put_commit(&commit).await.unwrap(), CommitOutcome::Stored);
    assert_eq!(leader.put_commit(&commit).await.unwrap(), CommitOutcome::Stored);
    leader.put_proposal(&proposal).await.unwrap();
}

#[cfg(feature = "deep")]
#[tokio::test]
async fn the_largest_network_s_jobs_are_published_in_seconds_everywhere() {
    const ALL: u64 = 262_144;
    crate::store_jobs::the_largest_network_s_jobs_are_published_in_seconds(Place::memory(ALL)).await;
    crate::store_jobs::the_largest_network_s_jobs_are_published_in_seconds(Place::sqlite(ALL)).await;
    let cluster = Cluster::start().await;
    let url = cluster.url("postgres");
    crate::store_jobs::the_largest_network_s_jobs_are_published_in_seconds(Place::Postgres { url, max_pending: ALL })
        .await;
}
