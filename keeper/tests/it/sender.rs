//! The durable sender against a real anvil.

use std::{path::Path, sync::Arc, time::Duration};

use alloy::{consensus::Transaction, primitives::TxHash, providers::Provider};
use alloy_primitives::{Address, U256};
use alloy_signer_local::PrivateKeySigner;
use serde_json::json;
use tandem_keeper::{
    chain::Nodes,
    config::{Finality, SenderConfig},
    sender::{SendError, Sender, Transactor},
    store::{OutboxTx, SqliteStore, Store, TxState},
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
}

impl Rig {
    async fn start() -> Self {
        let rig =
            Self { anvil: Anvil::start(&["--no-mining"]).await, folder: tempfile::tempdir().unwrap(), key: key(1) };
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
            Finality::Finalized,
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
