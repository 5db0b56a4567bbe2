//! Transactions as they are signed, and what can be read back from the signed bytes.

use alloy::{
    consensus::{SignableTransaction, Transaction, TxEip1559, TxEnvelope, transaction::SignerRecoverable},
    eips::{Decodable2718, Encodable2718},
};
use alloy_primitives::{Address, Bytes, TxKind};

use super::{Fees, GasKey, SendError, now_ms};
use crate::store::TxAttempt;

/// A transaction before it is signed.
#[derive(Clone, Debug)]
pub(super) struct Unsigned {
    pub(super) chain_id: u64,
    pub(super) nonce: u64,
    pub(super) gas_limit: u64,
    pub(super) fees: Fees,
    pub(super) to: Address,
    pub(super) data: Bytes,
}

impl Unsigned {
    pub(super) async fn sign(self, key: &GasKey) -> Result<TxAttempt, SendError> {
        let mut tx = TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit: self.gas_limit,
            max_fee_per_gas: self.fees.max,
            max_priority_fee_per_gas: self.fees.tip,
            to: TxKind::Call(self.to),
            input: self.data,
            ..TxEip1559::default()
        };
        let signature = key.sign_transaction(&mut tx).await.map_err(|error| SendError::Signer(error.to_string()))?;
        let signed = TxEnvelope::from(tx.into_signed(signature));
        Ok(TxAttempt {
            hash: *signed.tx_hash(),
            raw: signed.encoded_2718(),
            max_fee: self.fees.max,
            tip: self.fees.tip,
            signed_ms: now_ms(),
        })
    }
}

/// What a signed form says. The bytes are the truth: a database that was meddled with cannot have us send what this key
/// never signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) gas_limit: u64,
    pub(super) to: Address,
    pub(super) data: Bytes,
    /// It does nothing but use its nonce.
    pub(super) is_noop: bool,
}

/// Reads a signed form; `None` if it is not one of `key`'s with this nonce.
pub(super) fn read(attempt: &TxAttempt, key: Address, nonce: u64) -> Option<Form> {
    let tx = TxEnvelope::decode_2718(&mut attempt.raw.as_slice()).ok()?;
    let ours = tx.recover_signer().ok()? == key && tx.nonce() == nonce && *tx.tx_hash() == attempt.hash;
    let to = tx.to().filter(|_| ours)?;
    let data = tx.input().clone();
    Some(Form { gas_limit: tx.gas_limit(), to, is_noop: to == key && data.is_empty(), data })
}
