//! The outbox in memory.

use alloy_primitives::Address;
use async_trait::async_trait;

use super::MemoryStore;
use crate::store::{NewTx, Outbox, OutboxTx, StoreError, TxAttempt, TxState, int};

#[derive(Debug)]
pub(super) struct Row {
    sender: Address,
    tx: OutboxTx,
}

impl Row {
    fn is_done(&self) -> bool {
        matches!(self.tx.state, TxState::Final | TxState::Lost)
    }

    fn is_under_way(&self) -> bool {
        matches!(self.tx.state, TxState::Signed | TxState::Broadcast)
    }

    /// Done, and nothing of it was signed at `ms` or later.
    pub(super) fn is_over(&self, ms: u64) -> bool {
        self.is_done() && self.tx.attempts.iter().all(|attempt| attempt.signed_ms < ms)
    }
}

#[async_trait]
impl Outbox for MemoryStore {
    async fn put_tx(&self, tx: &NewTx) -> Result<i64, StoreError> {
        int(tx.nonce)?;
        int(tx.gas_limit)?;
        let mut state = self.fenced()?;
        if state.outbox.values().any(|row| row.sender == tx.sender && row.is_under_way()) {
            return Err(StoreError::InFlight(tx.sender));
        }
        state.next_tx += 1;
        let id = state.next_tx;
        let NewTx { sender, purpose, to, data, nonce, gas_limit, first } = tx.clone();
        let tx = OutboxTx { id, purpose, to, data, nonce, gas_limit, state: TxState::Signed, attempts: vec![first] };
        state.outbox.insert(id, Row { sender, tx });
        Ok(id)
    }

    async fn put_attempt(&self, id: i64, attempt: &TxAttempt) -> Result<(), StoreError> {
        let mut state = self.fenced()?;
        if let Some(row) = state.outbox.get_mut(&id) {
            row.tx.attempts.push(attempt.clone());
            if row.tx.state == TxState::Broadcast {
                row.tx.state = TxState::Signed;
            }
        }
        Ok(())
    }

    async fn set_tx_state(&self, id: i64, state: TxState) -> Result<(), StoreError> {
        let mut held = self.fenced()?;
        let Some(sender) = held.outbox.get(&id).map(|row| row.sender) else { return Ok(()) };
        let other = |row: &Row| row.tx.id != id && row.sender == sender && row.is_under_way();
        if matches!(state, TxState::Signed | TxState::Broadcast) && held.outbox.values().any(other) {
            return Err(StoreError::InFlight(sender));
        }
        if let Some(row) = held.outbox.get_mut(&id) {
            row.tx.state = state;
        }
        Ok(())
    }

    async fn open_txs(&self, sender: Address) -> Result<Vec<OutboxTx>, StoreError> {
        let state = self.state();
        let open = state.outbox.values().filter(|row| row.sender == sender && !row.is_done());
        let mut open: Vec<OutboxTx> = open.map(|row| row.tx.clone()).collect();
        open.sort_by_key(|tx| (tx.nonce, tx.id));
        Ok(open)
    }
}
