//! Replicas of one keeper: one leads, all serve, and a former leader does no harm.

use std::{path::Path, sync::Arc, time::Duration};

use alloy_signer_local::PrivateKeySigner;
use reqwest::{Client, StatusCode};
use tandem_keeper::{
    attester::Attester,
    bundles::Bundles,
    config::PeersConfig,
    guard::Guard,
    keeper::Keeper,
    lead::Lead,
    peers::HttpPeers,
    store::{MemoryStore, Store, StoreError},
};
use tandem_protocol::{api::ReceiptResponse, reveal::Reveal};
use tokio_util::sync::CancellationToken;

use crate::support::{GENESIS, LENGTH, Running, SALT, commit, keeper_keys, key, memory::MemoryChain, network, parts};

const TTL: Duration = Duration::from_millis(1_000);

/// `[KP-1]`
#[tokio::test]
async fn another_process_leads_when_the_first_one_is_silent_or_resigns_and_never_before() {
    let store = Arc::new(MemoryStore::default());
    let other: Arc<MemoryStore> = Arc::new(store.another());
    let (one, two) = (Lead::among(store.clone(), TTL), Lead::among(other.clone(), TTL));
    let writes = |store: &Arc<MemoryStore>| {
        let store = store.clone();
        async move { store.choose(1, 0, alloy_primitives::B256::ZERO).await.is_ok() }
    };
    assert!(!writes(&store).await, "nobody leads yet");
    assert!(one.ask(0).await);
    assert!(!two.ask(999).await);
    assert!(writes(&store).await && !writes(&other).await);
    // A long step goes on as long as the lease is renewed beside it.
    one.renew(900).await;
    assert!(!two.ask(1_899).await);
    // Silence: the other one takes over; whatever the first one believes, it writes no more.
    assert!(two.ask(1_900).await);
    assert!(!writes(&store).await && writes(&other).await);
    one.renew(1_901).await;
    assert!(!one.ask(1_902).await);
    two.resign().await;
    assert!(!writes(&other).await);
    assert!(one.ask(1_903).await);
    assert!(writes(&store).await);
    assert!(Lead::alone().ask(0).await);
}

/// `[KP-1]`
#[tokio::test]
async fn a_lost_lease_shuts_the_fence_in_the_middle_of_a_step() {
    let store = Arc::new(MemoryStore::default());
    let two = Lead::among(Arc::new(store.another()), TTL);
    let one = Lead::among(store.clone(), TTL);
    assert!(one.ask(0).await);
    assert!(two.ask(5_000).await);
    one.renew(5_001).await;
    two.resign().await;
    // The lease is free again, but a new term only begins with a new step.
    let refused = store.choose(1, 0, alloy_primitives::B256::ZERO).await;
    assert!(matches!(refused, Err(StoreError::NotLeading)));
    one.renew(5_002).await;
    assert!(store.choose(1, 0, alloy_primitives::B256::ZERO).await.is_err());
    assert!(one.ask(5_003).await);
    store.choose(1, 0, alloy_primitives::B256::ZERO).await.unwrap();
}

/// One process of a keeper whose store others share; its guard's file is its own.
async fn replica(folder: &Path, key: PrivateKeySigner, chain: &Arc<MemoryChain>, shared: &MemoryStore) -> Running {
    std::fs::create_dir_all(folder).unwrap();
    let store: Arc<dyn Store> = Arc::new(shared.another());
    let guard = Guard::open(&folder.join("guard.sqlite")).await.unwrap().shared(Arc::new(shared.another()));
    let bundles = Bundles::in_folder(&folder.join("bundles")).unwrap();
    let attester = Attester::new(key, &chain.network, guard);
    let peers = HttpPeers::new(&PeersConfig { timeout_ms: 500, ..PeersConfig::default() }).unwrap();
    let stop = CancellationToken::new();
    let keeper = Keeper::new(parts(chain, &store, bundles, attester, Arc::new(peers)), stop.clone());
    let keeper = keeper.led_by(Lead::among(store.clone(), TTL));
    Running::serve(keeper, store, stop).await
}

/// `[KP-1]` `[KP-2]`
#[tokio::test]
async fn a_replica_takes_over_in_the_middle_of_an_epoch_and_the_former_leader_comes_back_to_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Arc::new(MemoryChain::new(GENESIS + 1));
    let shared = MemoryStore::default();
    let keys = keeper_keys();
    let at = |name: &str| folder.path().join(name);
    let first = replica(&at("a"), keys[0].clone(), &chain, &shared).await;
    let second = replica(&at("b"), keys[0].clone(), &chain, &shared).await;
    let mut others = Vec::new();
    for (name, key) in [("1", keys[1].clone()), ("2", keys[2].clone())] {
        std::fs::create_dir(at(name)).unwrap();
        others.push(
            Running::start(&at(name), key, &chain, PeersConfig { timeout_ms: 500, ..PeersConfig::default() }).await,
        );
    }
    // Peers reach the second replica, which does not lead.
    chain.set_endpoints(vec![second.base.clone(), others[0].base.clone(), others[1].base.clone()]);
    let step = |time: u64, replicas: Vec<&Running>| {
        let all: Vec<Arc<Keeper>> = replicas.iter().map(|one| one.keeper.clone()).collect();
        let others: Vec<Arc<Keeper>> = others.iter().map(|one| one.keeper.clone()).collect();
        let chain = chain.clone();
        async move {
            chain.set_time(time);
            for _ in 0..3 {
                for keeper in all.iter().chain(&others) {
                    keeper.step().await.unwrap();
                }
            }
        }
    };
    let (network, http) = (network(), Client::new());
    let clock = network.clock;
    step(clock.start_of(1) + LENGTH / 2, vec![&first, &second]).await;
    let mut reveals = Vec::new();
    for number in [11, 12, 13] {
        let row = [(3, 60_000), (4, 20_000)];
        let commit = commit(&network, &key(number), 1, 1, 1, &row);
        let mut receipts = Vec::new();
        for base in [&second.base, &others[0].base, &others[1].base] {
            let answer = http.post(format!("{base}/v1/commits")).json(&commit).send().await.unwrap();
            let receipt: ReceiptResponse = answer.json().await.unwrap();
            receipts.push((receipt.keeper, receipt.signature));
        }
        receipts.sort_by_key(|(keeper, _)| *keeper);
        let (validator, signature, row) = (commit.message.validator, commit.signature, row.to_vec());
        reveals.push(Reveal { netuid: 1, epoch: 1, validator, seq: 1, salt: SALT, row, signature, receipts });
    }
    step(clock.commit_deadline(1), vec![&first, &second]).await;
    for reveal in &reveals {
        for base in [&second.base, &others[0].base, &others[1].base] {
            let answer = http.post(format!("{base}/v1/reveals")).json(reveal).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        }
    }
    // The first one leads until the epoch's end and a little longer, then it is paused as a whole.
    let end = clock.end_of(1);
    for time in end..end + 4 {
        step(time, vec![&first, &second]).await;
    }
    tokio::time::sleep(TTL + Duration::from_millis(100)).await;
    for time in end + 4..end + 40 {
        step(time, vec![&second]).await;
    }
    let posted: Vec<u64> = chain.posted().iter().map(|report| report.epoch).collect();
    assert_eq!(posted, [0, 1], "the epoch is posted without the first one");
    assert_eq!(chain.active(), 2);
    let sent = chain.sent();
    // It wakes up, believes to lead, and sees that it does not.
    for time in end + 40..end + 44 {
        step(time, vec![&first, &second]).await;
    }
    assert_eq!(chain.sent(), sent);
    let attestations = second.store.attestations(1).await.unwrap();
    assert_eq!(attestations.iter().filter(|one| one.keeper == keys[0].address()).count(), 1);
    assert!(second.store.evidence(1).await.unwrap().is_empty());
    // Both serve: jobs of the new epoch are there for whoever asks either.
    assert!(first.store.job_depths(2, 0).await.unwrap().open > 0);
    for running in others.into_iter().chain([first, second]) {
        running.stop().await;
    }
}
