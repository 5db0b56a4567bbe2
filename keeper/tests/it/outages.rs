//! A sequencer that stops over a deadline: one keeper on a chain in memory, and real processes with the real contracts.

use std::{sync::Arc, time::Duration};

use alloy::{providers::Provider, rpc::types::Filter};
use alloy_sol_types::SolEvent;
use reqwest::StatusCode;
use tandem_contracts::bindings::{EpochOracle, Outages, WeightCommits};
use tandem_keeper::{
    chain::{BlockRef, ChainReader, ReportStatus, RpcChain},
    config::{Finality, PeersConfig},
};
use tandem_protocol::bundle::EpochBundle;

use crate::{
    suite::{KEEPERS, Net},
    support::{self, GENESIS, LENGTH, Running, commit, keeper_keys, key, memory::MemoryChain, network},
};

/// Seconds without a block: as long as the devnet's contracts want, and longer than two epochs.
const SILENCE: u64 = 65;

/// A second of chain time, and time enough for keepers on a slow machine to do what is due in it.
async fn second(net: &Net) {
    net.pass(1).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
}

/// Whether rows are shown and agreed on depends on what can still be recorded, not on when somebody has done so.
#[tokio::test]
async fn until_the_deadline_that_an_outage_moves_no_rows_are_shown_or_agreed_on_recorded_or_not() {
    for recordable in [true, false] {
        let chain = Arc::new(MemoryChain::new(GENESIS + LENGTH / 2));
        let folder = tempfile::tempdir().unwrap();
        let running = Running::start(folder.path(), keeper_keys().remove(0), &chain, PeersConfig::default()).await;
        running.keeper.step().await.unwrap();
        let row = [(3, 9)];
        let row = support::reveal(&network(), &commit(&network(), &key(11), 0, 1, 1, &row), &row, &keeper_keys());
        running.store.put_reveal(&row, None).await.unwrap();
        // Both deadlines of epoch 0 are in it.
        let (from, back) = (GENESIS + 80, GENESIS + 125);
        chain.stop_between(from, back, recordable);
        let moved = network().clock.reveal_deadline(0) + back - from;
        for time in [back, back + 1, back + 10, moved - 1, moved] {
            chain.set_time(time);
            running.keeper.step().await.unwrap();
            let shown = reqwest::get(format!("{}/v1/epochs/0/reveals", running.base)).await.unwrap().status();
            let expected = if time < moved { StatusCode::CONFLICT } else { StatusCode::OK };
            assert_eq!(shown, expected, "{} s after the outage, recordable: {recordable}", time - back);
            let early = time < moved && !running.store.proposals(0, 0).await.unwrap().is_empty();
            assert!(!early, "nothing is proposed before");
        }
        let recorded = chain.sent().iter().filter(|purpose| purpose.starts_with("record the outage")).count();
        assert_eq!(recorded, usize::from(recordable));
    }
}

/// `[KP-1]` `[EP-4]`
#[tokio::test]
async fn an_outage_over_the_commit_deadline_is_recorded_once_and_the_epoch_completes_with_rows_from_before_and_after() {
    let net = Net::deploy().await;
    let clock = net.network.clock;
    let _programs: Vec<_> = (0..KEEPERS).map(|index| net.run(index)).collect();
    for index in 0..KEEPERS {
        net.healthy(index).await;
    }
    net.anvil.mine_at(clock.start_of(0) + 3).await;
    net.pass(2).await;
    let row = [(3, 60_000), (4, 20_000)];
    let mut reveals = vec![net.commit("hotkey 1", 0, &row).await, net.commit("hotkey 2", 0, &row).await];
    net.pass_until(clock.start_of(0) + 10).await;
    let stopped = net.anvil.time().await;
    assert!(stopped < clock.commit_deadline(0), "the chain stops before the deadline");
    let back = stopped + SILENCE;
    assert!(back > clock.reveal_deadline(2), "and comes back three epochs later");
    assert!(clock.reveal_deadline(0) + SILENCE < clock.reveal_deadline(3), "in time for epoch 0 to be agreed on");
    net.anvil.mine_at(back).await;

    let commits = WeightCommits::new(net.network.weight_commits.unwrap(), &net.anvil.provider);
    let moved = clock.commit_deadline(0) + SILENCE;
    while commits.commitDeadline(0).call().await.unwrap() != alloy_primitives::U256::from(moved) {
        assert!(net.anvil.time().await < moved, "nobody recorded the outage:\n{}", net.logs());
        second(&net).await;
    }
    for index in 0..KEEPERS {
        while net.status(index).await.head_time < back {
            second(&net).await;
        }
    }
    // Who was kept from committing has the time that was lost.
    reveals.push(net.commit("hotkey 3", 0, &row).await);
    assert!(net.anvil.time().await < moved, "in time");
    net.pass_until(moved).await;
    for row in &reveals {
        net.reveal(row).await;
    }
    let deadline = clock.reveal_deadline(0) + SILENCE;
    let early = net.http.get(format!("{}/v1/epochs/0/reveals", net.base(1))).send().await.unwrap();
    assert!(net.anvil.time().await < deadline);
    assert_eq!(early.status(), StatusCode::CONFLICT, "nobody is shown rows before the moved deadline");

    let oracle = EpochOracle::new(net.network.oracle, &net.anvil.provider);
    let next = clock.reveal_deadline(clock.epoch_at(deadline).unwrap());
    while !oracle.lastPosted().call().await.unwrap().any {
        assert!(net.anvil.time().await < next, "epoch 0 is not posted:\n{}", net.logs());
        second(&net).await;
    }
    let chain = RpcChain::connect(&net.anvil.url, net.network.clone(), Finality::Behind(0)).unwrap();
    let head: BlockRef = chain.heads().await.unwrap().latest;
    let stored = chain.stored_report(0, &head).await.unwrap();
    assert_ne!(stored.status, ReportStatus::None, "it is epoch 0's: {}", net.logs());
    let posted = chain.posted_report(0, &stored, &head).await.unwrap().unwrap();
    let bundle = net.http.get(format!("{}/v1/bundles/{}", net.base(0), posted.bundle_hash)).send().await.unwrap();
    let bundle = EpochBundle::decode_named(&bundle.bytes().await.unwrap(), posted.bundle_hash).unwrap();
    let rows: usize = bundle.inputs.subnets.iter().map(|subnet| subnet.rows.len()).sum();
    assert_eq!(rows, 3, "{}", net.logs());

    let recorded = Filter::new().from_block(0).event_signature(Outages::OutageRecorded::SIGNATURE_HASH);
    let recorded = net.anvil.provider.get_logs(&recorded).await.unwrap();
    let recorded: Vec<_> =
        recorded.iter().map(|log| Outages::OutageRecorded::decode_log(&log.inner).unwrap()).collect();
    assert_eq!(recorded.iter().filter(|outage| (outage.from, outage.to) == (stopped, back)).count(), 1);
}
