//! Transactions that must not be forgotten between signing and inclusion.

use alloy_primitives::{Address, B256};
use async_trait::async_trait;

use super::StoreError;

/// Where a transaction stands; see the diagram in [`crate::sender`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxState {
    /// Signed and stored, maybe never sent.
    Signed,
    /// A node has taken it.
    Broadcast,
    /// In a block that is not final.
    Mined,
    /// In a final block; done.
    Final,
    /// Its nonce was used by something else; done.
    Lost,
}

impl TxState {
    /// As stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Broadcast => "broadcast",
            Self::Mined => "mined",
            Self::Final => "final",
            Self::Lost => "lost",
        }
    }

    /// From what is stored.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Signed, Self::Broadcast, Self::Mined, Self::Final, Self::Lost]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

/// A transaction before it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTx {
    /// Gas key.
    pub sender: Address,
    /// What it is for, in words.
    pub purpose: String,
    /// Called contract.
    pub to: Address,
    /// Calldata.
    pub data: Vec<u8>,
    /// Nonce.
    pub nonce: u64,
    /// Gas limit.
    pub gas_limit: u64,
    /// The first signed form.
    pub first: TxAttempt,
}

/// One signed form of a transaction; a bump adds another one with the same nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxAttempt {
    /// Hash.
    pub hash: B256,
    /// Bytes as they are sent.
    pub raw: Vec<u8>,
    /// Fee ceiling per gas, wei.
    pub max_fee: u128,
    /// Tip per gas, wei.
    pub tip: u128,
    /// When it was signed, milliseconds of the keeper's clock.
    pub signed_ms: u64,
}

/// A stored transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxTx {
    /// Number.
    pub id: i64,
    /// What it is for.
    pub purpose: String,
    /// Called contract.
    pub to: Address,
    /// Calldata.
    pub data: Vec<u8>,
    /// Nonce.
    pub nonce: u64,
    /// Gas limit.
    pub gas_limit: u64,
    /// State.
    pub state: TxState,
    /// Signed forms, oldest first.
    pub attempts: Vec<TxAttempt>,
}

/// Memory of the sender.
#[async_trait]
pub trait Outbox {
    /// Stores a signed transaction; refused while another one of the key is signed or broadcast. Fenced, as all writes
    /// here are.
    async fn put_tx(&self, tx: &NewTx) -> Result<i64, StoreError>;

    /// Stores a further signed form; what was broadcast is then signed again, and not sent yet.
    async fn put_attempt(&self, id: i64, attempt: &TxAttempt) -> Result<(), StoreError>;

    /// Changes the state; refused if that would put a second one of the key under way.
    async fn set_tx_state(&self, id: i64, state: TxState) -> Result<(), StoreError>;

    /// Transactions of a key that are not done, ascending by nonce.
    async fn open_txs(&self, sender: Address) -> Result<Vec<OutboxTx>, StoreError>;
}
