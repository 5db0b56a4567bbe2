//! Deadlines that outages move, read from the real contracts on a real anvil.

use std::collections::BTreeMap;

use alloy::{eips::BlockNumberOrTag, providers::Provider, rpc::types::TransactionRequest};
use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::{SolCall, SolConstructor};
use serde_json::json;
use tandem_contracts::bindings::{Outages, WeightCommits};
use tandem_keeper::{
    chain::{BlockRef, ChainReader, Deadlines, Gap, GapProof, OnChain, RpcChain, Schedule, is_committed},
    config::Finality,
    network::Network,
};
use tandem_protocol::{
    clock::EpochClock,
    messages::{commit_hash, row_bytes},
};

use crate::support::{
    GENESIS, LENGTH, SALT,
    anvil::Anvil,
    network,
    proxy::{Fault, Proxy},
};

const LEAST: u64 = 20;

struct Rig {
    anvil: Anvil,
    network: Network,
    outages: Address,
    sender: Address,
}

impl Rig {
    /// The two contracts, in the middle of epoch 0.
    async fn start() -> Self {
        let anvil = Anvil::start(&["--auto-impersonate"]).await;
        let sender = anvil.provider.get_accounts().await.unwrap()[0];
        let clock = EpochClock::new(anvil.time().await + GENESIS, LENGTH).unwrap();
        let mut rig = Self { anvil, network: Network { clock, ..network() }, outages: Address::ZERO, sender };
        let outages = Outages::constructorCall { least_: LEAST }.abi_encode();
        rig.outages = rig.create([Outages::BYTECODE.to_vec(), outages].concat()).await;
        let commits = WeightCommits::constructorCall {
            oracle: rig.network.oracle,
            outages: rig.outages,
            genesis: clock.genesis(),
            epochLength: clock.length(),
        };
        let commits = rig.create([WeightCommits::BYTECODE.to_vec(), commits.abi_encode()].concat()).await;
        rig.network.weight_commits = Some(commits);
        rig.anvil.mine_at(clock.start_of(0) + LENGTH / 2).await;
        rig
    }

    async fn create(&self, code: Vec<u8>) -> Address {
        let request = TransactionRequest::default().from(self.sender).into_create(code);
        let sent = self.anvil.provider.send_transaction(request).await.unwrap();
        sent.get_receipt().await.unwrap().contract_address.unwrap()
    }

    async fn call(&self, to: Address, call: impl SolCall) {
        let request =
            TransactionRequest::default().from(self.sender).to(to).input(Bytes::from(call.abi_encode()).into());
        let receipt = self.anvil.provider.send_transaction(request).await.unwrap().get_receipt().await.unwrap();
        assert!(receipt.status());
    }

    fn chain(&self) -> RpcChain {
        RpcChain::connect(&self.anvil.url, self.network.clone(), Finality::Behind(0)).unwrap()
    }
}

trait IntoCreate {
    fn into_create(self, code: Vec<u8>) -> Self;
}

impl IntoCreate for TransactionRequest {
    fn into_create(mut self, code: Vec<u8>) -> Self {
        self.to = Some(alloy_primitives::TxKind::Create);
        self.input(Bytes::from(code).into())
    }
}

/// `[SN-2]`
#[tokio::test]
async fn a_deadline_that_falls_into_a_recorded_gap_of_blocks_is_moved_for_the_keeper_as_for_the_contract() {
    let rig = Rig::start().await;
    let (chain, clock) = (rig.chain(), rig.network.clock);
    let plain = Deadlines { commit: clock.commit_deadline(0), reveal: clock.reveal_deadline(0) };
    let head = chain.heads().await.unwrap().latest;
    assert_eq!(chain.deadlines(0, &head).await.unwrap(), Some(plain));

    // No block from 5 s before the commit deadline to 35 s after it: the reveal deadline is in the gap too.
    let last = plain.commit - 5;
    rig.anvil.mine_at(last).await;
    let parent = rig.anvil.provider.get_block_by_number(BlockNumberOrTag::Latest).await.unwrap().unwrap();
    rig.anvil.ask("evm_setNextBlockTimestamp", json!([last + 40])).await;
    let parent = Bytes::from(alloy_rlp::encode(&parent.header.inner));
    rig.call(rig.outages, Outages::recordNowCall { parent }).await;

    let before = head;
    let head = chain.heads().await.unwrap().latest;
    assert_eq!(head.time, last + 40);
    let moved = Deadlines { commit: plain.commit + 40, reveal: plain.reveal + 40 };
    assert_eq!(chain.deadlines(0, &head).await.unwrap(), Some(moved));
    assert_eq!(chain.deadlines(0, &before).await.unwrap(), Some(plain), "as of then");
    let next = chain.deadlines(1, &head).await.unwrap().unwrap();
    assert_eq!(next, Deadlines { commit: clock.commit_deadline(1), reveal: clock.reveal_deadline(1) });

    let schedule = Schedule::new(clock, [(0, moved), (1, next)]);
    assert_eq!(schedule.last_revealed(head.time), None, "the epoch that seemed to be over is not");
    assert_eq!(schedule.last_revealed(moved.reveal), Some(0));
    let without = RpcChain::connect(&rig.anvil.url, network(), Finality::Behind(0)).unwrap();
    assert_eq!(without.deadlines(0, &head).await.unwrap(), None);
}

/// What the keeper counts on before a gap is recorded is what the contract says after it.
#[tokio::test]
async fn a_gap_is_found_and_shown_to_the_contract_and_moves_deadlines_as_was_foreseen() {
    let rig = Rig::start().await;
    let (chain, clock) = (rig.chain(), rig.network.clock);
    let plain = |epoch| Deadlines { commit: clock.commit_deadline(epoch), reveal: clock.reveal_deadline(epoch) };
    let quiet = chain.heads().await.unwrap().latest;
    // Blocks, a gap that is no outage, one over the commit deadline, and one over the reveal deadline and the moved other one.
    let mut time = quiet.time;
    let mut gaps = Vec::new();
    for step in [15, LEAST - 1, LEAST + 1, 1, 1, 2 * LEAST, 1, 1] {
        time += step;
        rig.anvil.mine_at(time).await;
        if step >= LEAST {
            gaps.push((time - step, time));
        }
    }
    let head = chain.heads().await.unwrap().latest;
    let found = chain.gaps(quiet.number, &head).await.unwrap();
    assert_eq!(found.iter().map(|gap| (gap.earlier.time, gap.later.time)).collect::<Vec<_>>(), gaps);
    assert!(found.iter().all(|gap| gap.earlier.number + 1 == gap.later.number));
    assert_eq!(chain.gaps(found[0].later.number, &head).await.unwrap(), found[1..]);
    assert_eq!(chain.gaps(head.number, &head).await.unwrap(), []);
    let without = RpcChain::connect(&rig.anvil.url, network(), Finality::Behind(0)).unwrap();
    assert_eq!(without.gaps(quiet.number, &head).await.unwrap(), []);

    let foreseen: Vec<_> = (0..3).map(|epoch| plain(epoch).moved_by(&found, &clock)).collect();
    assert!(foreseen[0].commit > plain(0).commit && foreseen[0].reveal > plain(0).reveal);
    for gap in &found {
        let head = chain.heads().await.unwrap().latest;
        assert!(!chain.is_recorded(gap, &head).await.unwrap());
        let GapProof { contract, earlier, later } = chain.proof_of(gap).await.unwrap();
        assert_eq!(contract, rig.outages);
        rig.call(contract, Outages::recordCall { earlier, later }).await;
        let head = chain.heads().await.unwrap().latest;
        assert!(chain.is_recorded(gap, &head).await.unwrap());
    }
    let head = chain.heads().await.unwrap().latest;
    for (epoch, foreseen) in (0..).zip(foreseen) {
        assert_eq!(chain.deadlines(epoch, &head).await.unwrap(), Some(foreseen), "epoch {epoch}");
    }
}

/// `[EP-4]`
#[tokio::test]
async fn commits_and_rows_are_read_from_the_chain_the_last_commit_of_each_validator_alone() {
    let rig = Rig::start().await;
    let (chain, network, address) = (rig.chain(), &rig.network, rig.network.weight_commits.unwrap());
    let row = vec![(0_u16, 1_u16), (3, 65_535)];
    let hash = |seq: u32| commit_hash(network.chain_id, network.oracle, 7, 0, rig.sender, seq, SALT, &row);
    for seq in [2, 5] {
        rig.call(address, WeightCommits::commitCall { netuid: 7, epoch: 0, seq, commitHash: hash(seq) }).await;
    }
    let head = chain.heads().await.unwrap().latest;
    let found = chain.on_chain(0, &head).await.unwrap();
    assert_eq!(found.committed(), BTreeMap::from([((7, rig.sender), (5, hash(5)))]));
    assert_eq!(found.commits, [2, 5].map(|seq| ((7, rig.sender, seq), hash(seq))).into(), "others may be evidence");
    assert!(found.reveals.is_empty());

    rig.anvil.mine_at(network.clock.commit_deadline(0)).await;
    for seq in [2, 5] {
        let row = row_bytes(&row).into();
        let reveal = WeightCommits::revealCall { netuid: 7, epoch: 0, validator: rig.sender, seq, salt: SALT, row };
        rig.call(address, reveal).await;
    }
    let head = chain.heads().await.unwrap().latest;
    let found = chain.on_chain(0, &head).await.unwrap();
    assert_eq!(found.reveals.len(), 1, "what was replaced does not count");
    let reveal = &found.reveals[0];
    assert_eq!((reveal.seq, &reveal.row), (5, &row));
    let commit = reveal.commit(network.chain_id, network.oracle);
    assert!(is_committed(&found.committed(), reveal, commit.commitHash), "the protocol hashes as the contract does");
    assert_eq!(chain.on_chain(1, &head).await.unwrap(), OnChain::default());

    // A node that allows few blocks at once, and one that is behind.
    let proxy = Proxy::before(&rig.anvil.url).await;
    rig.anvil.ask("anvil_mine", json!([40])).await;
    let through = RpcChain::connect(&proxy.url, network.clone(), Finality::Behind(0)).unwrap();
    proxy.fail("eth_getLogs", Fault::Error(-32_000, "query exceeds max block range"), 5);
    let head = through.heads().await.unwrap().latest;
    assert_eq!(through.on_chain(0, &head).await.unwrap(), found);
    assert!(proxy.asked("eth_getLogs") > 6, "asked for in smaller pieces");
}

#[test]
fn after_an_outage_of_many_epochs_the_one_from_before_it_is_still_agreed_on() {
    let clock = EpochClock::new(GENESIS, LENGTH).unwrap();
    // From the middle of epoch 5 to the middle of epoch 15.
    let (from, to) = (clock.start_of(5) + 50, clock.start_of(15) + 50);
    let extended = |deadline: u64| if deadline > from && deadline <= to { deadline + to - from } else { deadline };
    let known = (3..=16).map(|epoch| {
        let commit = extended(clock.commit_deadline(epoch));
        (epoch, Deadlines { commit, reveal: extended(clock.reveal_deadline(epoch)).max(commit + 20) })
    });
    let schedule = Schedule::new(clock, known);
    let block = |number, time| BlockRef { number, hash: B256::ZERO, time };
    assert_eq!(schedule.last_revealed(from), Some(4));
    assert_eq!(schedule.last_revealed(to), Some(4));
    assert_eq!(
        schedule.last_revealed(clock.reveal_deadline(15)),
        Some(15),
        "never behind the clock for longer than that"
    );
    assert_eq!(schedule.last_revealed(clock.reveal_deadline(15) - 1), Some(4));
    assert_eq!(schedule.last_revealed(clock.reveal_deadline(16)), Some(16));
    assert_eq!(Schedule::from(clock).last_revealed(to), Some(14));
    // Commits and rows are taken for those that will be agreed on: of those whose deadlines were moved past that of a later
    // one, none.
    assert_eq!(schedule.still_open(to), [15], "after whole epochs the old deadline is not before the new one");
    let gap = Gap { earlier: block(1, from), later: block(2, to - 20) };
    let plain = |epoch| Deadlines { commit: clock.commit_deadline(epoch), reveal: clock.reveal_deadline(epoch) };
    let shorter = Schedule::new(clock, (3..=15).map(|epoch| (epoch, plain(epoch).moved_by(&[gap], &clock))));
    assert_eq!(shorter.still_open(to), [15, 5]);
    assert_eq!(shorter.last_revealed(shorter.reveal_deadline(5)), Some(5));
    assert_eq!(shorter.still_open(shorter.reveal_deadline(5)), [15]);
    assert_eq!(Schedule::from(clock).still_open(to), [15]);
}
