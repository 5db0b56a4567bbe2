//! The durable sender against a real anvil.

use std::{path::Path, sync::Arc, time::Duration};

use alloy::{primitives::TxHash, providers::Provider};
use alloy_primitives::{Address, U256};
use alloy_signer_local::PrivateKeySigner;
use serde_json::json;
use tandem_keeper::{
    config::{Finality, SenderConfig},
    sender::{Refusal, SendError, Sender, Transactor, classify},
    store::{OutboxTx, SqliteStore, Store, TxState},
};

use crate::support::{anvil::Anvil, key, network};

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
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(&Path::new(self.folder.path()).join("keeper.sqlite")).await.unwrap());
        let sender = Sender::new(
            self.anvil.provider.clone(),
            store.clone(),
            self.key.clone(),
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

#[test]
fn refusals_are_told_apart_by_their_words() {
    for (words, expected) in [
        ("already known", Refusal::AlreadyKnown),
        ("ALREADY_EXISTS: already known", Refusal::AlreadyKnown),
        ("AlreadyKnown", Refusal::AlreadyKnown),
        ("transaction already imported", Refusal::AlreadyKnown),
        ("Known transaction", Refusal::AlreadyKnown),
        ("unknown transaction", Refusal::Other),
        ("nonce too low: next nonce 5, tx nonce 4", Refusal::NonceTooLow),
        ("internal error: nonce too low", Refusal::NonceTooLow),
        ("OldNonce", Refusal::NonceTooLow),
        ("nonce too high", Refusal::NonceTooHigh),
        ("replacement transaction underpriced", Refusal::Underpriced),
        ("transaction underpriced: tip needed 1", Refusal::Underpriced),
        ("max fee per gas less than block base fee: address 0x0", Refusal::Underpriced),
        ("insufficient funds for gas * price + value", Refusal::InsufficientFunds),
        ("the method does not exist", Refusal::Other),
        ("execution reverted", Refusal::Other),
    ] {
        assert_eq!(classify(words), expected, "{words}");
    }
}
