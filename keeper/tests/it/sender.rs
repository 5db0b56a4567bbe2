//! The durable sender against a real anvil.

use std::{path::Path, sync::Arc, time::Duration};

use alloy::{consensus::Transaction, primitives::TxHash, providers::Provider};
use alloy_primitives::{Address, U256};
use alloy_signer_local::PrivateKeySigner;
use serde_json::json;
use tandem_keeper::{
    chain::{ChainReader, Nodes, RpcChain},
    config::{Finality, SenderConfig},
    sender::{SendError, Sender, Transactor},
    store::{NewTx, OutboxTx, SqliteStore, Store, TxAttempt, TxState},
};

use crate::support::{
    anvil::Anvil,
    key, network,
    proxy::{Fault, Proxy},
};

const TARGET: Address = Address::repeat_byte(0x77);

struct Rig {
    anvil: Anvil,
    folder: tempfile::TempDir,
    key: PrivateKeySigner,
    finality: Finality,
}

impl Rig {
    async fn start() -> Self {
        let rig = Self {
            anvil: Anvil::start(&["--no-mining"]).await,
            folder: tempfile::tempdir().unwrap(),
            key: key(1),
            finality: Finality::Finalized,
        };
        rig.anvil.ask("anvil_setBalance", json!([rig.key.address(), U256::from(10).pow(U256::from(20))])).await;
        rig
    }

    async fn sender(&self, config: SenderConfig) -> (Sender, Arc<dyn Store>) {
        self.sender_through(&[&self.anvil.url], "keeper.sqlite", config).await
    }

    async fn sender_through(&self, urls: &[&str], file: &str, config: SenderConfig) -> (Sender, Arc<dyn Store>) {
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(&Path::new(self.folder.path()).join(file)).await.unwrap());
        let sender = Sender::new(
            Nodes::connect(urls.iter().copied(), None).unwrap(),
            store.clone(),
            Arc::new(self.key.clone()),
            network(),
            self.finality,
            config,
        );
        (sender, store)
    }

    async fn mine(&self, blocks: u64) {
        self.anvil.ask("anvil_mine", json!([blocks])).await;
    }

    async fn block_of(&self, hash: TxHash) -> Option<u64> {
        self.anvil.provider.get_transaction_receipt(hash).await.unwrap().and_then(|receipt| receipt.block_number)
    }

    async fn nonce(&self) -> u64 {
        self.anvil.provider.get_transaction_count(self.key.address()).await.unwrap()
    }
}

async fn only(store: &Arc<dyn Store>, sender: Address) -> OutboxTx {
    let mut open = store.open_txs(sender).await.unwrap();
    assert_eq!(open.len(), 1);
    open.remove(0)
}

/// `[KP-1]`
#[tokio::test]
async fn what_was_stored_before_a_crash_is_sent_after_it_once_and_watched_until_final() {
    let rig = Rig::start().await;
    let (sender, store) = rig.sender(SenderConfig::default()).await;
    let stored = sender.prepare(TARGET, vec![1, 2, 3], "test".into()).await.unwrap();
    let refused = sender.prepare(TARGET, vec![4], "another".into()).await;
    assert!(matches!(refused, Err(SendError::Busy)));
    drop(sender);
    store.close().await;

    let (sender, store) = rig.sender(SenderConfig::default()).await;
    assert!(sender.tick().await.unwrap(), "sent now");
    assert_eq!(only(&store, rig.key.address()).await.state, TxState::Broadcast);
    rig.mine(1).await;
    assert!(!sender.tick().await.unwrap());
    assert!(rig.block_of(stored.attempts[0].hash).await.is_some());
    assert_eq!(only(&store, rig.key.address()).await.state, TxState::Mined);
    rig.mine(3).await;
    sender.tick().await.unwrap();
    assert!(store.open_txs(rig.key.address()).await.unwrap().is_empty());
    assert_eq!(rig.nonce().await, 1);
}

#[tokio::test]
async fn a_transaction_that_takes_too_long_is_sent_with_higher_fees_at_the_same_nonce() {
    let rig = Rig::start().await;
    let (sender, store) = rig.sender(SenderConfig { bump_after_s: 1, ..SenderConfig::default() }).await;
    sender.prepare(TARGET, vec![1], "test".into()).await.unwrap();
    sender.tick().await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    sender.tick().await.unwrap();
    sender.tick().await.unwrap();
    let tx = only(&store, rig.key.address()).await;
    assert_eq!(tx.attempts.len(), 2);
    let (first, second) = (&tx.attempts[0], &tx.attempts[1]);
    assert!(second.max_fee * 8 >= first.max_fee * 9 && second.tip * 8 >= first.tip * 9);
    rig.mine(1).await;
    assert!(!sender.tick().await.unwrap());
    assert!(rig.block_of(second.hash).await.is_some());
    assert!(rig.block_of(first.hash).await.is_none());
    assert_eq!(rig.nonce().await, 1);
}

#[tokio::test]
async fn fees_above_the_ceiling_are_not_paid() {
    let rig = Rig::start().await;
    let (sender, store) = rig.sender(SenderConfig { max_fee_wei: 1, min_tip_wei: 1, ..SenderConfig::default() }).await;
    let refused = sender.prepare(TARGET, vec![1], "test".into()).await;
    assert!(matches!(refused, Err(SendError::TooExpensive { .. })));
    assert!(store.open_txs(rig.key.address()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_reorganisation_that_drops_a_transaction_brings_it_back() {
    let rig = Rig::start().await;
    let (sender, store) = rig.sender(SenderConfig::default()).await;
    rig.mine(5).await;
    let stored = sender.prepare(TARGET, vec![1], "test".into()).await.unwrap();
    sender.tick().await.unwrap();
    rig.mine(1).await;
    sender.tick().await.unwrap();
    assert_eq!(only(&store, rig.key.address()).await.state, TxState::Mined);
    rig.anvil.ask("anvil_reorg", json!([1, []])).await;
    assert_eq!(rig.block_of(stored.attempts[0].hash).await, None);
    sender.tick().await.unwrap();
    rig.mine(1).await;
    assert!(rig.block_of(stored.attempts[0].hash).await.is_some());
    rig.mine(3).await;
    sender.tick().await.unwrap();
    assert!(store.open_txs(rig.key.address()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_nonce_used_by_something_else_is_a_loss_only_when_that_is_final() {
    let rig = Rig::start().await;
    let (sender, store) = rig.sender(SenderConfig::default()).await;
    rig.mine(5).await;
    sender.prepare(TARGET, vec![1], "test".into()).await.unwrap();
    rig.anvil.ask("anvil_setNonce", json!([rig.key.address(), "0x1"])).await;
    assert!(sender.tick().await.unwrap());
    assert_eq!(only(&store, rig.key.address()).await.state, TxState::Signed);
    rig.mine(4).await;
    assert!(!sender.tick().await.unwrap());
    assert!(store.open_txs(rig.key.address()).await.unwrap().is_empty());
    let next = sender.prepare(TARGET, vec![2], "next".into()).await.unwrap();
    assert_eq!(next.nonce, 1);
}

#[tokio::test]
async fn a_call_that_would_revert_is_not_signed() {
    let rig = Rig::start().await;
    // Reverts without data.
    rig.anvil.ask("anvil_setCode", json!([TARGET, "0x5f5ffd"])).await;
    let (sender, store) = rig.sender(SenderConfig::default()).await;
    let refused = sender.prepare(TARGET, vec![1], "test".into()).await;
    assert!(matches!(refused, Err(SendError::Reverts { .. })), "{refused:?}");
    assert!(store.open_txs(rig.key.address()).await.unwrap().is_empty());
}

/// What the target does: nothing, or revert.
async fn set_code(rig: &Rig, code: &str) {
    rig.anvil.ask("anvil_setCode", json!([TARGET, code])).await;
}

const REVERTS: &str = "0x5f5ffd";

fn impatient() -> SenderConfig {
    SenderConfig { bump_after_s: 1, ..SenderConfig::default() }
}

async fn patience() {
    tokio::time::sleep(Duration::from_millis(1_050)).await;
}

#[tokio::test]
async fn what_the_contract_would_refuse_by_now_gives_its_nonce_to_a_no_op() {
    let rig = Rig::start().await;
    let (sender, store) = rig.sender(impatient()).await;
    sender.prepare(TARGET, vec![1], "test".into()).await.unwrap();
    sender.tick().await.unwrap();
    set_code(&rig, REVERTS).await;
    patience().await;
    sender.tick().await.unwrap();
    let tx = only(&store, rig.key.address()).await;
    assert_eq!(tx.attempts.len(), 2);
    rig.mine(1).await;
    sender.tick().await.unwrap();
    let noop = rig.anvil.provider.get_transaction_by_hash(tx.attempts[1].hash).await.unwrap().unwrap();
    assert_eq!(noop.inner.to(), Some(rig.key.address()), "to itself");
    assert!(rig.block_of(tx.attempts[1].hash).await.is_some());
    rig.mine(3).await;
    sender.tick().await.unwrap();
    assert!(store.open_txs(rig.key.address()).await.unwrap().is_empty());
    assert_eq!(rig.nonce().await, 1);
}

#[tokio::test]
async fn a_base_fee_that_rises_fiftyfold_is_caught_up_with() {
    let rig = Rig::start().await;
    let config = SenderConfig { min_fee_wei: 0, ..impatient() };
    let (sender, _store) = rig.sender(config).await;
    let tx = sender.prepare(TARGET, vec![1], "test".into()).await.unwrap();
    sender.tick().await.unwrap();
    let spike = tx.attempts[0].max_fee * 25;
    rig.anvil.ask("anvil_setNextBlockBaseFeePerGas", json!([U256::from(spike)])).await;
    rig.mine(1).await;
    assert!(sender.tick().await.unwrap(), "too cheap for that block");
    let mut mined = false;
    for _ in 0..5 {
        patience().await;
        sender.tick().await.unwrap();
        rig.mine(1).await;
        mined = !sender.tick().await.unwrap();
        if mined {
            break;
        }
    }
    assert!(mined);
    assert_eq!(rig.nonce().await, 1);
}

#[tokio::test]
async fn at_the_ceiling_the_same_bytes_are_sent_again_when_a_node_has_dropped_them() {
    let rig = Rig::start().await;
    let (sender, store) =
        rig.sender(SenderConfig { max_fee_wei: 2_200_000_000, min_fee_wei: 2_100_000_000, ..impatient() }).await;
    let tx = sender.prepare(TARGET, vec![1], "test".into()).await.unwrap();
    sender.tick().await.unwrap();
    rig.anvil.ask("anvil_dropTransaction", json!([tx.attempts[0].hash])).await;
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    sender.tick().await.unwrap();
    rig.mine(1).await;
    assert!(!sender.tick().await.unwrap());
    assert!(rig.block_of(tx.attempts[0].hash).await.is_some());
    assert_eq!(only(&store, rig.key.address()).await.attempts.len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_lost_and_a_node_that_hangs_neither_lose_nor_double_a_transaction() {
    let rig = Rig::start().await;
    let (one, other) = (Proxy::before(&rig.anvil.url).await, Proxy::before(&rig.anvil.url).await);
    let (sender, store) =
        rig.sender_through(&[&one.url, &other.url, &rig.anvil.url], "keeper.sqlite", impatient()).await;
    one.fail("eth_sendRawTransaction", Fault::LostAnswer, 1);
    other.fail("eth_sendRawTransaction", Fault::Error(-32603, "internal error: already known"), usize::MAX);
    sender.prepare(TARGET, vec![1], "test".into()).await.unwrap();
    sender.tick().await.unwrap();
    assert_eq!(only(&store, rig.key.address()).await.state, TxState::Broadcast);
    one.fail("*", Fault::Status(503, None), usize::MAX);
    rig.mine(1).await;
    assert!(!sender.tick().await.unwrap());
    rig.mine(3).await;
    sender.tick().await.unwrap();
    assert!(store.open_txs(rig.key.address()).await.unwrap().is_empty());
    assert_eq!(rig.nonce().await, 1);
}

#[tokio::test]
async fn of_two_senders_of_one_key_one_gets_the_nonce_and_the_other_sends_nothing_anew() {
    let rig = Rig::start().await;
    let (sender, store) = rig.sender(impatient()).await;
    let (rival, rivals) = rig.sender_through(&[&rig.anvil.url], "rival.sqlite", impatient()).await;
    rig.mine(5).await;
    sender.prepare(TARGET, vec![1], "ours".into()).await.unwrap();
    rival.prepare(TARGET, vec![2], "theirs".into()).await.unwrap();
    sender.tick().await.unwrap();
    rival.tick().await.unwrap();
    rig.mine(1).await;
    sender.tick().await.unwrap();
    rival.tick().await.unwrap();
    rig.mine(4).await;
    sender.tick().await.unwrap();
    rival.tick().await.unwrap();
    assert!(store.open_txs(rig.key.address()).await.unwrap().is_empty());
    assert!(rivals.open_txs(rig.key.address()).await.unwrap().is_empty());
    assert_eq!(rig.nonce().await, 1, "one of them");
}

#[tokio::test]
async fn a_reorganisation_deeper_than_finality_is_lived_through() {
    let rig = Rig::start().await;
    let (sender, store) = rig.sender(impatient()).await;
    rig.mine(25).await;
    sender.prepare(TARGET, vec![1], "first".into()).await.unwrap();
    sender.tick().await.unwrap();
    rig.mine(4).await;
    sender.tick().await.unwrap();
    sender.tick().await.unwrap();
    assert!(store.open_txs(rig.key.address()).await.unwrap().is_empty(), "final, and yet:");
    let second = sender.prepare(TARGET, vec![2], "second".into()).await.unwrap();
    assert_eq!(second.nonce, 1);
    rig.anvil.ask("anvil_reorg", json!([20, []])).await;
    assert_eq!(rig.nonce().await, 0);
    for _ in 0..4 {
        sender.tick().await.unwrap();
        rig.mine(1).await;
        patience().await;
    }
    assert_eq!(rig.nonce().await, 2, "the gap is filled by a no-op");
    assert!(!sender.tick().await.unwrap());
}

/// `[KP-1]`
#[tokio::test]
async fn after_a_reorganisation_of_any_depth_the_same_transaction_is_in_the_chain_again_once() {
    let mut rig = Rig::start().await;
    rig.finality = Finality::Behind(64);
    let (sender, store) = rig.sender(SenderConfig::default()).await;
    let chain = RpcChain::connect(&rig.anvil.url, network(), rig.finality).unwrap();
    rig.mine(30).await;
    let mut sent = Vec::new();
    for depth in 1..=20 {
        let tx = sender.prepare(TARGET, vec![1], format!("depth {depth}")).await.unwrap();
        sender.tick().await.unwrap();
        rig.mine(depth).await;
        assert!(!sender.tick().await.unwrap(), "in the first of {depth} blocks");
        let head = chain.heads().await.unwrap().latest;
        let below = rig.block_of(tx.attempts[0].hash).await.unwrap() - 1;
        assert_eq!(below, head.number - depth);
        rig.anvil.ask("anvil_reorg", json!([depth, []])).await;
        assert!(!chain.is_canonical(&head).await.unwrap());
        assert_eq!(rig.block_of(tx.attempts[0].hash).await, None);
        assert!(sender.tick().await.unwrap(), "{depth}: under way again");
        rig.mine(1).await;
        assert!(!sender.tick().await.unwrap());
        assert_eq!(rig.nonce().await, depth, "no more and no fewer");
        sent.push(tx.attempts[0].hash);
    }
    for (depth, hash) in (1..).zip(sent) {
        assert!(rig.block_of(hash).await.is_some(), "{depth}");
    }
    let open = store.open_txs(rig.key.address()).await.unwrap();
    assert!(open.iter().all(|tx| tx.attempts.len() == 1), "nothing was signed anew");
    rig.mine(65).await;
    sender.tick().await.unwrap();
    assert!(store.open_txs(rig.key.address()).await.unwrap().is_empty());
}

/// Later ones wait for its nonce, so only the oldest is worth higher fees.
#[tokio::test]
async fn of_several_transactions_that_a_reorganisation_took_out_only_the_oldest_gets_higher_fees() {
    let mut rig = Rig::start().await;
    rig.finality = Finality::Behind(64);
    let (sender, store) = rig.sender(impatient()).await;
    rig.mine(30).await;
    let mut highest = 0;
    for number in 0..3 {
        let tx = sender.prepare(TARGET, vec![number], format!("number {number}")).await.unwrap();
        highest = highest.max(tx.attempts[0].max_fee);
        sender.tick().await.unwrap();
        rig.mine(1).await;
        assert!(!sender.tick().await.unwrap());
    }
    rig.anvil.ask("anvil_reorg", json!([3, []])).await;
    assert!(sender.tick().await.unwrap(), "all are in the pool again");
    rig.anvil.ask("anvil_setNextBlockBaseFeePerGas", json!([U256::from(highest * 20)])).await;
    rig.mine(1).await;
    let forms = async || {
        let open = store.open_txs(rig.key.address()).await.unwrap();
        open.iter().map(|tx| tx.attempts.len()).collect::<Vec<_>>()
    };
    sender.tick().await.unwrap();
    assert_eq!(forms().await, [1, 1, 1], "it is too early to help");
    for expected in [[2, 1, 1], [2, 2, 1], [2, 2, 2]] {
        patience().await;
        assert!(sender.tick().await.unwrap());
        assert_eq!(forms().await, expected);
        rig.mine(1).await;
    }
    assert!(!sender.tick().await.unwrap());
    assert_eq!(rig.nonce().await, 3);
}

/// What `K-TX-9` says of the first two; the third is ours, but not what the database says of it.
#[tokio::test]
async fn a_database_that_was_meddled_with_makes_the_key_neither_send_nor_sign_what_it_did_not_mean() {
    let rig = Rig::start().await;
    let me = rig.key.address();
    let (sender, _store) = rig.sender(impatient()).await;
    let ours = sender.prepare(TARGET, vec![1], "ours".into()).await.unwrap();
    let proxy = Proxy::before(&rig.anvil.url).await;
    let thief = Address::repeat_byte(0x66);
    let foreign = Sender::new(
        Nodes::connect([rig.anvil.url.as_str()], None).unwrap(),
        rig.sender_through(&[&rig.anvil.url], "foreign.sqlite", impatient()).await.1,
        Arc::new(key(2)),
        network(),
        rig.finality,
        impatient(),
    );
    rig.anvil.ask("anvil_setBalance", json!([key(2).address(), U256::from(10).pow(U256::from(20))])).await;
    let foreign = foreign.prepare(thief, vec![9], "theirs".into()).await.unwrap();
    let renamed = TxAttempt { hash: foreign.attempts[0].hash, ..ours.attempts[0].clone() };
    let meddled = |first: &TxAttempt| NewTx {
        sender: me,
        purpose: "meddled".into(),
        to: thief,
        data: vec![9],
        nonce: 0,
        gas_limit: ours.gas_limit,
        first: first.clone(),
    };
    for (file, first) in [("signer.sqlite", &foreign.attempts[0]), ("hash.sqlite", &renamed)] {
        let (sender, store) = rig.sender_through(&[&proxy.url], file, impatient()).await;
        store.put_tx(&meddled(first)).await.unwrap();
        sender.tick().await.unwrap();
        patience().await;
        assert!(sender.tick().await.unwrap());
        let held = only(&store, me).await;
        assert_eq!((held.state, held.attempts.len()), (TxState::Signed, 1), "{file}");
        assert_eq!(proxy.asked("eth_sendRawTransaction"), 0, "{file}");
    }
    let (sender, store) = rig.sender_through(&[&proxy.url], "call.sqlite", impatient()).await;
    store.put_tx(&meddled(&ours.attempts[0])).await.unwrap();
    sender.tick().await.unwrap();
    patience().await;
    sender.tick().await.unwrap();
    let held = only(&store, me).await;
    assert!(held.attempts.len() >= 2, "it took too long");
    rig.mine(1).await;
    let newest = held.attempts.last().unwrap().hash;
    assert!(rig.block_of(newest).await.is_some());
    let mined = rig.anvil.provider.get_transaction_by_hash(newest).await.unwrap().unwrap();
    assert_eq!((mined.inner.to(), mined.inner.input().as_ref()), (Some(TARGET), &[1][..]), "as it was signed before");
}

#[tokio::test]
async fn a_key_without_funds_is_told_so_before_anything_is_signed() {
    let rig = Rig::start().await;
    rig.anvil.ask("anvil_setBalance", json!([rig.key.address(), "0x1"])).await;
    let (sender, store) = rig.sender(SenderConfig::default()).await;
    let refused = sender.prepare(TARGET, vec![1], "test".into()).await.unwrap_err();
    assert!(
        matches!(refused, SendError::Funds { .. }) || refused.to_string().contains("nsufficient funds"),
        "{refused}"
    );
    assert!(store.open_txs(rig.key.address()).await.unwrap().is_empty());
}

/// The predeployed contract of the OP stack says what data costs; what it says counts against the balance.
#[tokio::test]
async fn the_price_of_data_on_l1_counts_where_the_chain_charges_it() {
    let rig = Rig::start().await;
    // Answers 2^127 to whatever is asked.
    let oracle = "0x420000000000000000000000000000000000000F";
    rig.anvil.ask("anvil_setCode", json!([oracle, "0x6f800000000000000000000000000000005f5260205ff3"])).await;
    let (sender, _store) = rig.sender(SenderConfig::default()).await;
    match sender.prepare(TARGET, vec![1], "test".into()).await.unwrap_err() {
        SendError::Funds { needed, .. } => assert!(needed >= U256::from(1) << 127),
        other => panic!("{other}"),
    }
}
