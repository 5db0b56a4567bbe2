//! A worker between a keeper and nodes, some of which cheat.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use alloy_primitives::{Address, B256};
use tandem_protocol::api::Verdict;
use tandem_protocol::jobs::{Job, beacon, jobs};
use tandem_protocol::messages::model_id;
use tandem_protocol::reveal::RevealRules;
use tandem_verifier::chain::Chain as _;
use tandem_verifier::cheat::Cheat;
use tandem_verifier::service;
use tandem_verifier::worker::channels::{ChannelTerms, Purse};
use tandem_verifier::worker::store::{self, Store, StoredCommit};

use crate::desk::{Desk, first_beacon, start_worker, until};
use crate::town::{CREDIT, Kind, LAST_BLOCK, MODEL, NETUID, Town, TownNode, payee};

/// [EP-1] An epoch of a worker, across a restart of it and with a keeper down: the honest earn, cheats weigh nothing.
#[tokio::test(flavor = "multi_thread")]
async fn cheats_weigh_nothing_and_the_row_is_committed_and_revealed_to_every_keeper() {
    let town = Town::new();
    let validator = town.key("hotkey 1").address();
    town.register("down", "http://127.0.0.1:9".to_owned());
    let down = town.register("odd", "file:///etc/passwd".to_owned());
    let honest = TownNode::start(&town, "honest", Kind::Honest).await;
    let small = TownNode::start(&town, "small", Kind::SmallModel).await;
    let forger = TownNode::start(&town, "forger", Kind::Cheat(Cheat::ConstantPolynomial)).await;
    town.buy_credits("payer", 10);
    let uids = [down - 1, down, honest.uid, small.uid, forger.uid];
    let owed = jobs(first_beacon(), validator, 0, NETUID, &uids, 2);

    let (desk, url) = Desk::open(&town, "keeper 1", validator, owed.clone()).await;
    let (second, second_url) = Desk::open(&town, "keeper 2", validator, Vec::new()).await;
    // Whoever is no keeper of the epoch may give receipts, but they must not spoil the reveal.
    let (_, stranger_url) = Desk::open(&town, "stranger", validator, Vec::new()).await;
    let keepers = ["http://127.0.0.1:9".to_owned(), url, second_url, stranger_url];
    let state = tempfile::tempdir().unwrap();
    let (worker, ending) = start_worker(&town, &keepers, state.path()).await;
    until("all results", || desk.results.lock().unwrap().len() == owed.len()).await;
    for job in &owed {
        let outcome = desk.results.lock().unwrap()[&job.id].outcome.clone();
        let fits = match job.uid {
            uid if uid == honest.uid => outcome.verdict == Verdict::Pass && outcome.tokens_audited > 10,
            uid if uid == small.uid => matches!(outcome.verdict, Verdict::Fail | Verdict::HardFault),
            uid if uid == forger.uid => matches!(outcome.verdict, Verdict::Fail | Verdict::HardFault),
            _ => outcome.verdict == Verdict::Unavailable,
        };
        assert!(fits, "uid {}: {outcome:?}", job.uid);
    }

    let clock = town.network.clock;
    town.go_to(clock.commit_deadline(0) - 3);
    until("a commit", || desk.commits.lock().unwrap().len() == 1 && second.commits.lock().unwrap().len() == 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    ending.cancel();
    worker.await.unwrap().unwrap();

    town.go_to(clock.commit_deadline(0));
    let (worker, ending) = start_worker(&town, &keepers, state.path()).await;
    until("reveals", || !desk.reveals.lock().unwrap().is_empty() && !second.reveals.lock().unwrap().is_empty()).await;
    ending.cancel();
    worker.await.unwrap().unwrap();

    let reveal = desk.reveals.lock().unwrap()[0].clone();
    assert_eq!(reveal.row, [(honest.uid, u16::MAX)]);
    let mut hotkeys = vec![Address::ZERO; 64];
    hotkeys[60] = validator;
    let keepers = [town.key("keeper 1").address(), town.key("keeper 2").address()];
    let rules = RevealRules {
        chain_id: town.network.chain_id,
        oracle: town.network.oracle,
        domain: &town.network.oracle_domain(),
        epoch: 0,
        hotkeys: &hotkeys,
        keepers: &keepers,
        threshold: 2,
    };
    reveal.check(&rules).unwrap();
    let committed = desk.commits.lock().unwrap()[0].message.clone();
    assert_eq!(committed, reveal.commit(rules.chain_id, rules.oracle));
    assert_eq!(desk.commits.lock().unwrap().len(), 1, "one sequence number, one commit");
}

/// A keeper cannot have a worker spend its credits on audits that nobody owes, nor keep it from other keepers.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_do_not_follow_from_the_chain_are_given_back_undone() {
    let town = Town::new();
    let validator = town.key("hotkey 1").address();
    let uid = town.register("odd", "file:///etc/passwd".to_owned());
    let invented = B256::repeat_byte(0xbe);
    let steered = jobs(invented, validator, 0, NETUID, &[uid], 1);
    let owed = jobs(first_beacon(), validator, 0, NETUID, &[uid], 65);
    let foreign = jobs(first_beacon(), validator, 0, 77, &[uid], 1);
    let made_up = Job { id: invented, ..owed[0].clone() };
    let future = jobs(beacon(LAST_BLOCK, 1), validator, 1, NETUID, &[uid], 1);

    let (liar, liar_url) = Desk::open_with(&town, "keeper 1", validator, steered, invented).await;
    let wrong = [vec![owed[64].clone(), made_up], foreign, future].concat();
    let (odd, odd_url) = Desk::open(&town, "keeper 2", validator, wrong).await;
    let (honest, honest_url) = Desk::open(&town, "keeper 3", validator, vec![owed[0].clone()]).await;
    let state = tempfile::tempdir().unwrap();
    let (worker, ending) = start_worker(&town, &[liar_url, odd_url, honest_url], state.path()).await;
    until("the owed audit", || honest.results.lock().unwrap().contains_key(&owed[0].id)).await;
    until("refusals", || liar.failures.lock().unwrap().len() == 1 && odd.failures.lock().unwrap().len() == 4).await;
    ending.cancel();
    worker.await.unwrap().unwrap();
    assert!(liar.results.lock().unwrap().is_empty() && odd.results.lock().unwrap().is_empty());
    let failures = [liar.failures.lock().unwrap().clone(), odd.failures.lock().unwrap().clone()].concat();
    let mut reasons: Vec<String> = failures.into_iter().map(|failure| failure.reason).collect();
    reasons.sort();
    assert_eq!(
        reasons,
        [
            "the job does not follow from the beacon",
            "the job's epoch is not now",
            "the job's round is too high",
            "the lease's beacon is not the chain's",
            "the validator has no uid in the job's subnet",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workers_own_trouble_costs_no_attempt_while_it_may_pass() {
    let town = Town::new();
    let validator = town.key("hotkey 1").address();
    let uid = town.register("odd", "file:///etc/passwd".to_owned());
    let owed = jobs(first_beacon(), validator, 0, NETUID, &[uid], 1);
    let (desk, url) = Desk::open(&town, "keeper 1", validator, owed).await;
    town.down.store(true, Ordering::Relaxed);
    let state = tempfile::tempdir().unwrap();
    let (worker, ending) = start_worker(&town, &[url], state.path()).await;
    until("a lease", || desk.open.lock().unwrap().is_empty()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    town.down.store(false, Ordering::Relaxed);
    until("the result", || !desk.results.lock().unwrap().is_empty()).await;
    assert!(desk.failures.lock().unwrap().is_empty());
    ending.cancel();
    worker.await.unwrap().unwrap();
}

/// [SN-2] Two rows under one sequence number would be slashed.
#[tokio::test]
async fn a_second_commit_with_the_same_number_never_replaces_the_first() {
    let state = tempfile::tempdir().unwrap();
    let open =
        || async { Store::new(service::open_state(state.path(), "w.sqlite", store::SCHEMA, "w").await.unwrap()) };
    let commit = |weight, salt| StoredCommit {
        netuid: 1,
        seq: 1,
        salt: B256::repeat_byte(salt),
        row: vec![(3, weight)],
        signature: [salt; 65].into(),
    };
    let first = open().await.put_commit(7, &commit(10, 1)).await.unwrap();
    let again = open().await;
    assert_eq!(again.put_commit(7, &commit(20, 2)).await.unwrap(), first);
    assert_eq!(again.commits(7).await.unwrap(), [first]);
    let other = service::open_state(state.path(), "w.sqlite", store::SCHEMA, "somebody else").await;
    assert!(other.unwrap_err().to_string().contains("point --state to another folder"));
}

/// Whoever takes channels and refuses to be paid from them ties up one channel's credits in a while, not all.
#[tokio::test(flavor = "multi_thread")]
async fn a_neuron_that_refuses_its_channel_gets_no_other_one_for_a_while() {
    const PAUSE: u64 = 24;
    let town = Town::new();
    let uid = town.register("refuser", "http://127.0.0.1:9".to_owned());
    town.buy_credits("payer", 10);
    let state = tempfile::tempdir().unwrap();
    let pool = service::open_state(state.path(), "worker.sqlite", store::SCHEMA, "w").await.unwrap();
    let (chain, refuser) = (town.resident("payer"), payee(&town, "refuser", uid));
    let rate = chain.rate(model_id(MODEL)).await.unwrap().unwrap();
    let terms = ChannelTerms { amount: CREDIT, life: 3_600, pause: PAUSE };
    let purse = Purse::new(chain.clone(), Arc::new(Store::new(pool)), town.key("payer"), terms);

    let channel = purse.hold(refuser, rate, 10, 10).await.unwrap().unwrap();
    purse.forget(channel).await.unwrap();
    let left = town.credits_of("payer");
    assert!(purse.hold(refuser, rate, 10, 10).await.unwrap().is_none());
    assert_eq!(town.credits_of("payer"), left);
    let now = chain.head().await.unwrap().time;
    town.go_to(now + PAUSE);
    assert!(purse.hold(refuser, rate, 10, 10).await.unwrap().is_some());
    assert_eq!(town.credits_of("payer"), left - CREDIT);
}
