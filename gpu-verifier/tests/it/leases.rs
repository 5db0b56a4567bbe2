//! Leases, heartbeats, results that come late or twice, and a worker without a model of its own.

use std::sync::atomic::Ordering;

use tandem_protocol::api::Verdict;
use tandem_protocol::jobs::jobs;
use tandem_verifier::worker::rerun::Rerun;

use crate::common::FULL;
use crate::desk::{Desk, first_beacon, start_worker, start_worker_that_reruns, until};
use crate::town::{Kind, NETUID, Town, TownNode};
use crate::vllm;

/// The keeper takes the job away and does not want the result; the row does.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_extended_while_the_audit_lasts_and_its_finding_counts_even_when_the_lease_is_lost() {
    let town = Town::new();
    let validator = town.key("hotkey 1").address();
    let node = TownNode::start(&town, "honest", Kind::Honest).await;
    town.buy_credits("payer", 10);
    let owed = jobs(first_beacon(), validator, 0, NETUID, &[node.uid], 1);
    let (desk, url) = Desk::open(&town, "keeper 1", validator, owed).await;
    *desk.life.lock().unwrap() = Some(1_200);
    town.down.store(true, Ordering::Relaxed);
    let state = tempfile::tempdir().unwrap();
    let (worker, ending) = start_worker(&town, &[url], state.path()).await;
    until("two heartbeats", || desk.extended.load(Ordering::Relaxed) >= 2).await;
    desk.lost.store(true, Ordering::Relaxed);
    let heartbeats = desk.extended.load(Ordering::Relaxed);
    town.down.store(false, Ordering::Relaxed);
    until("a late result", || desk.late.load(Ordering::Relaxed) == 1).await;
    town.go_to(town.network.clock.commit_deadline(0) - 3);
    until("a commit", || !desk.commits.lock().unwrap().is_empty()).await;
    town.go_to(town.network.clock.commit_deadline(0));
    until("a reveal", || !desk.reveals.lock().unwrap().is_empty()).await;
    assert_eq!(desk.reveals.lock().unwrap()[0].row, [(node.uid, u16::MAX)]);
    assert_eq!(desk.late.load(Ordering::Relaxed), 1, "a result that is not wanted is not sent again");
    assert_eq!(desk.extended.load(Ordering::Relaxed), heartbeats);
    ending.cancel();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_two_keepers_lease_is_bought_once_and_both_get_the_same_result() {
    let town = Town::new();
    let validator = town.key("hotkey 1").address();
    let node = TownNode::start(&town, "honest", Kind::Honest).await;
    town.buy_credits("payer", 10);
    let owed = jobs(first_beacon(), validator, 0, NETUID, &[node.uid], 1);
    let (first, first_url) = Desk::open(&town, "keeper 1", validator, owed.clone()).await;
    let (second, second_url) = Desk::open(&town, "keeper 2", validator, owed.clone()).await;
    let state = tempfile::tempdir().unwrap();
    let (worker, ending) = start_worker(&town, &[first_url, second_url], state.path()).await;
    let result = |desk: &Desk| desk.results.lock().unwrap().get(&owed[0].id).cloned();
    until("both results", || result(&first).is_some() && result(&second).is_some()).await;
    let outcome = result(&first).unwrap().outcome;
    assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
    // The commitment is over a random nonce: two purchases would have two.
    assert_eq!(result(&second).unwrap().outcome, outcome);
    ending.cancel();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_the_models_weights_audits_through_a_vllm_server() {
    let town = Town::new();
    let validator = town.key("hotkey 1").address();
    let honest = TownNode::start(&town, "honest", Kind::Honest).await;
    let small = TownNode::start(&town, "small", Kind::SmallModel).await;
    town.buy_credits("payer", 10);
    let owed = jobs(first_beacon(), validator, 0, NETUID, &[honest.uid, small.uid], 3);
    let (desk, url) = Desk::open(&town, "keeper 1", validator, owed.clone()).await;
    let state = tempfile::tempdir().unwrap();
    let rerun = Rerun::there(vllm::start().await, FULL.config().clone());
    let (worker, ending) = start_worker_that_reruns(&town, &[url], state.path(), rerun).await;
    until("all results", || desk.results.lock().unwrap().len() == owed.len()).await;
    let results = desk.results.lock().unwrap().clone();
    let count =
        |uid, verdict| owed.iter().filter(|job| job.uid == uid && results[&job.id].outcome.verdict == verdict).count();
    assert_eq!(count(honest.uid, Verdict::Pass), 3, "{results:?}");
    // Short greedy answers may happen to agree.
    assert!(count(small.uid, Verdict::Fail) >= 1, "{results:?}");
    ending.cancel();
    worker.await.unwrap().unwrap();
}
