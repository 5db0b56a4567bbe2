//! The durable sender. A transaction is simulated, signed and stored before it is broadcast, one per key at a time, and
//! watched until it is final. Whatever happens in between, the stored bytes are sent again, never the same call at a new
//! nonce: whether it is still needed is then for the contract to say, which the decision core asks at every step.
//!
//! ```text
//!            stored                 accepted, or known              receipt
//!  (intent) ───────▶ Signed ───────────────────────▶ Broadcast ───────────────▶ Mined ───────▶ Final
//!                    ▲    │ refused, or no answer:       │  ▲                    ▲   │  in a final block
//!                    └────┘ sent again                   └──┘                    └───┘
//!                                        too long: fees raised, same nonce      receipt gone (reorganisation):
//!                                        and call, every hash watched           sent again
//!
//!  Signed, Broadcast, Mined ──▶ Lost: the nonce is used up in final state and none of our hashes has a receipt
//! ```
//!
//! There need be no L1-fee oracle on the chain: the sender never asks one.

mod classify;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope},
    eips::{BlockId, BlockNumberOrTag, Encodable2718},
    providers::{DynProvider, Provider},
    rpc::types::TransactionRequest,
};
use alloy_primitives::{Address, B256, Bytes, TxKind};
use alloy_sol_types::SolCall;
use async_trait::async_trait;
use metrics::{counter, gauge};
use tandem_contracts::bindings::{CreditDesk, EmissionController, EpochOracle, epoch_oracle::IEpochOracle};
use tandem_protocol::{messages::EpochReport, signed::compact};
use tokio::sync::Mutex;

pub use classify::{Refusal, classify};

use crate::{
    chain::without_urls,
    config::{Finality, SenderConfig},
    keys::Key,
    kill,
    network::Network,
    store::{NewTx, OutboxTx, Store, StoreError, TxAttempt, TxState},
    telemetry,
};

/// What the keeper wants done on chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Close ended epochs.
    Settle,
    /// Post a report with the threshold's signatures, signers ascending.
    Post {
        /// Report.
        report: Box<EpochReport>,
        /// Signatures, 65 bytes each.
        signatures: Vec<u8>,
    },
    /// Make a report active.
    Activate {
        /// The report as it was posted.
        report: Box<EpochReport>,
    },
    /// Send on the margin of a subnet that waits at the desk.
    Forward {
        /// Subnet.
        netuid: u16,
    },
}

impl Intent {
    /// In words, for logs.
    pub fn purpose(&self) -> String {
        match self {
            Self::Settle => "settle".to_owned(),
            Self::Post { report, .. } => format!("post epoch {} attempt {}", report.epoch, report.attempt),
            Self::Activate { report } => format!("activate epoch {}", report.epoch),
            Self::Forward { netuid } => format!("forward the margin of subnet {netuid}"),
        }
    }
}

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Another transaction of the key is under way.
    #[error("[K-TX-1] another transaction is under way")]
    Busy,
    /// The contract would refuse the call: nothing was signed.
    #[error("[K-TX-2] {purpose} would revert: {reason}")]
    Reverts {
        /// What was wanted.
        purpose: String,
        /// The contract's error.
        reason: String,
    },
    /// The fees of the moment are above the ceiling.
    #[error("[K-TX-3] a fee of {needed} wei per gas is needed, sender.max_fee_wei allows {ceiling}")]
    TooExpensive {
        /// Fee of the moment.
        needed: u128,
        /// Ceiling.
        ceiling: u128,
    },
    /// The node did not answer.
    #[error("[K-TX-4] {what}: {reason}")]
    Rpc {
        /// Which call.
        what: &'static str,
        /// Its words.
        reason: String,
    },
    /// The key failed.
    #[error("[K-TX-5] gas key: {0}")]
    Signer(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Sends what the keeper wants.
#[async_trait]
pub trait Transactor: Send + Sync {
    /// Signs, stores and broadcasts; an `Err` means that nothing was stored.
    async fn submit(&self, intent: &Intent) -> Result<(), SendError>;

    /// Moves every open transaction one step on. Answers whether one is under way.
    async fn tick(&self) -> Result<bool, SendError>;
}

/// Sends from one gas key through one node.
pub struct Sender {
    provider: DynProvider,
    store: Arc<dyn Store>,
    key: Key,
    network: Network,
    finality: Finality,
    config: SenderConfig,
    /// Submitting and watching take turns.
    turn: Mutex<()>,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sender").field("key", &self.key.address()).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
struct Fees {
    max: u128,
    tip: u128,
}

impl Sender {
    /// A sender; what the store holds unfinished is taken up at the first [`Transactor::tick`].
    pub fn new(
        provider: DynProvider,
        store: Arc<dyn Store>,
        key: impl Into<Key>,
        network: Network,
        finality: Finality,
        config: SenderConfig,
    ) -> Self {
        Self { provider, store, key: key.into(), network, finality, config, turn: Mutex::new(()) }
    }

    /// Simulates, signs and stores, but does not broadcast: [`Transactor::tick`] does. This is what a crash right after
    /// storing leaves behind.
    pub async fn prepare(&self, to: Address, data: Vec<u8>, purpose: String) -> Result<OutboxTx, SendError> {
        let open = self.store.open_txs(self.key.address()).await?;
        if open.iter().any(|tx| tx.state != TxState::Mined) {
            return Err(SendError::Busy);
        }
        let gas_limit = self.simulate(to, &data, &purpose).await?;
        kill::point("sender.simulated");
        let counted = self.nonce(BlockNumberOrTag::Latest).await?;
        // A mined transaction counts even while a reorganisation hides it.
        let nonce = open.iter().map(|tx| tx.nonce + 1).max().map_or(counted, |own| own.max(counted));
        let fees = self.market().await?;
        if fees.max > self.ceiling() {
            return Err(SendError::TooExpensive { needed: fees.max, ceiling: self.ceiling() });
        }
        let first = self.sign(to, &data, nonce, gas_limit, fees).await?;
        let sender = self.key.address();
        let new = NewTx { sender, purpose, to, data, nonce, gas_limit, first: first.clone() };
        let id = match self.store.put_tx(&new).await {
            Err(StoreError::InFlight(_)) => return Err(SendError::Busy),
            other => other?,
        };
        kill::point("sender.stored");
        counter!(telemetry::TXS).increment(1);
        tracing::info!(purpose = new.purpose, nonce, hash = %first.hash, "transaction signed");
        Ok(OutboxTx {
            id,
            purpose: new.purpose,
            to,
            data: new.data,
            nonce,
            gas_limit,
            state: TxState::Signed,
            attempts: vec![first],
        })
    }

    fn call(&self, intent: &Intent) -> (Address, Vec<u8>) {
        match intent {
            Intent::Settle => {
                let call = EmissionController::settleCall {
                    maxSubnets: alloy_primitives::U256::from(self.config.settle_batch),
                };
                (self.network.controller, call.abi_encode())
            }
            Intent::Post { report, signatures } => {
                let compact = signatures.chunks_exact(65).filter_map(|bytes| bytes.try_into().ok()).map(compact);
                let signatures = compact.map(|(r, vs)| IEpochOracle::Signature { r, vs }).collect();
                let call = EpochOracle::postCall { report: for_chain(report), signatures };
                (self.network.oracle, call.abi_encode())
            }
            Intent::Activate { report } => {
                (self.network.oracle, EpochOracle::activateCall { report: for_chain(report) }.abi_encode())
            }
            Intent::Forward { netuid } => {
                (self.network.desk, CreditDesk::forwardMarginCall { netuid: *netuid }.abi_encode())
            }
        }
    }

    /// The gas limit of a call that the contract accepts in the newest state.
    async fn simulate(&self, to: Address, data: &[u8], purpose: &str) -> Result<u64, SendError> {
        let request =
            TransactionRequest::default().from(self.key.address()).to(to).input(Bytes::copy_from_slice(data).into());
        match self.provider.estimate_gas(request).await {
            Ok(gas) => Ok(gas.saturating_mul(self.config.gas_percent) / 100),
            Err(error) => match error.as_error_resp() {
                Some(payload) if payload.message.contains("revert") => {
                    let reason = payload
                        .as_revert_data()
                        .map_or_else(|| payload.message.to_string(), |data| tandem_contracts::decode_revert(&data));
                    Err(SendError::Reverts { purpose: purpose.to_owned(), reason })
                }
                _ => Err(SendError::Rpc { what: "eth_estimateGas", reason: without_urls(&error) }),
            },
        }
    }

    fn ceiling(&self) -> u128 {
        u128::from(self.config.max_fee_wei)
    }

    async fn market(&self) -> Result<Fees, SendError> {
        let estimate = self
            .provider
            .estimate_eip1559_fees()
            .await
            .map_err(|error| SendError::Rpc { what: "eth_feeHistory", reason: without_urls(&error) })?;
        let tip = estimate.max_priority_fee_per_gas.max(u128::from(self.config.min_tip_wei));
        Ok(Fees { max: estimate.max_fee_per_gas.max(tip), tip })
    }

    async fn nonce(&self, at: BlockNumberOrTag) -> Result<u64, SendError> {
        self.provider
            .get_transaction_count(self.key.address())
            .block_id(BlockId::Number(at))
            .await
            .map_err(|error| SendError::Rpc { what: "eth_getTransactionCount", reason: without_urls(&error) })
    }

    async fn final_number(&self) -> Result<u64, SendError> {
        let tag = match self.finality {
            Finality::Finalized => BlockNumberOrTag::Finalized,
            Finality::Behind(_) => BlockNumberOrTag::Latest,
        };
        let block = self
            .provider
            .get_block_by_number(tag)
            .await
            .map_err(|error| SendError::Rpc { what: "eth_getBlockByNumber", reason: without_urls(&error) })?;
        let number = block.map_or(0, |block| block.header.number);
        Ok(match self.finality {
            Finality::Finalized => number,
            Finality::Behind(blocks) => number.saturating_sub(blocks),
        })
    }

    async fn sign(
        &self,
        to: Address,
        data: &[u8],
        nonce: u64,
        gas_limit: u64,
        fees: Fees,
    ) -> Result<TxAttempt, SendError> {
        let tx = TxEip1559 {
            chain_id: self.network.chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: fees.max,
            max_priority_fee_per_gas: fees.tip,
            to: TxKind::Call(to),
            input: Bytes::copy_from_slice(data),
            ..TxEip1559::default()
        };
        let signature = self.key.sign_transaction(&tx).await.map_err(|error| SendError::Signer(error.to_string()))?;
        let signed = TxEnvelope::from(tx.into_signed(signature));
        Ok(TxAttempt {
            hash: *signed.tx_hash(),
            raw: signed.encoded_2718(),
            max_fee: fees.max,
            tip: fees.tip,
            signed_ms: now_ms(),
        })
    }

    async fn broadcast(&self, tx: &OutboxTx) -> Result<(), SendError> {
        let Some(newest) = tx.attempts.last() else { return Ok(()) };
        let refusal = match self.provider.send_raw_transaction(&newest.raw).await {
            Ok(_) => Refusal::AlreadyKnown,
            Err(error) => {
                let refusal = error.as_error_resp().map_or(Refusal::Other, |payload| classify(&payload.message));
                if refusal != Refusal::AlreadyKnown {
                    let error = without_urls(&error);
                    tracing::warn!(purpose = tx.purpose, nonce = tx.nonce, ?refusal, error, "transaction not taken");
                }
                refusal
            }
        };
        match refusal {
            Refusal::AlreadyKnown if tx.state == TxState::Signed => {
                kill::point("sender.broadcast");
                Ok(self.store.set_tx_state(tx.id, TxState::Broadcast).await?)
            }
            Refusal::Underpriced => self.bump(tx).await.map(drop),
            // A used nonce shows as a receipt at the next step, or in final state as a loss; all else is tried again.
            _ => Ok(()),
        }
    }

    /// Signs the same call at the same nonce with fees that replace the last ones, and stores it, which makes the
    /// transaction [`TxState::Signed`] again: the next step sends it. `false` if the ceiling forbids.
    async fn bump(&self, tx: &OutboxTx) -> Result<bool, SendError> {
        let Some(last) = tx.attempts.last() else { return Ok(false) };
        let market = self.market().await?;
        let raise = |fee: u128| fee.saturating_add(fee.div_ceil(8));
        let fees = Fees { max: market.max.max(raise(last.max_fee)), tip: market.tip.max(raise(last.tip)) };
        if fees.max > self.ceiling() {
            tracing::warn!(purpose = tx.purpose, nonce = tx.nonce, needed = fees.max, "fee ceiling reached");
            return Ok(false);
        }
        let attempt = self.sign(tx.to, &tx.data, tx.nonce, tx.gas_limit, fees).await?;
        tracing::info!(purpose = tx.purpose, nonce = tx.nonce, hash = %attempt.hash, max_fee = fees.max, "fees raised");
        self.store.put_attempt(tx.id, &attempt).await?;
        counter!(telemetry::BUMPS).increment(1);
        Ok(true)
    }

    /// Number and success of the block that holds any of the transaction's signed forms.
    async fn included(&self, tx: &OutboxTx) -> Result<Option<(u64, bool, B256)>, SendError> {
        for attempt in tx.attempts.iter().rev() {
            let receipt = self
                .provider
                .get_transaction_receipt(attempt.hash)
                .await
                .map_err(|error| SendError::Rpc { what: "eth_getTransactionReceipt", reason: without_urls(&error) })?;
            if let Some(receipt) = receipt
                && let Some(number) = receipt.block_number
            {
                return Ok(Some((number, receipt.status(), attempt.hash)));
            }
        }
        Ok(None)
    }

    async fn step(&self, tx: &OutboxTx, final_number: u64) -> Result<TxState, SendError> {
        if let Some((number, success, hash)) = self.included(tx).await? {
            let state = if number <= final_number { TxState::Final } else { TxState::Mined };
            if state != tx.state {
                kill::point(if state == TxState::Final { "sender.final" } else { "sender.mined" });
                self.store.set_tx_state(tx.id, state).await?;
                tracing::info!(purpose = tx.purpose, %hash, number, success, state = state.name(), "transaction included");
            }
            return Ok(state);
        }
        let final_nonce = self.nonce(BlockNumberOrTag::Number(final_number)).await?;
        // Asked twice: the block may have become final between the two questions.
        if final_nonce > tx.nonce && self.included(tx).await?.is_none() {
            tracing::error!(purpose = tx.purpose, nonce = tx.nonce, "[K-TX-6] the nonce was used by something else");
            self.store.set_tx_state(tx.id, TxState::Lost).await?;
            return Ok(TxState::Lost);
        }
        let age = tx.attempts.last().map_or(0, |last| now_ms().saturating_sub(last.signed_ms));
        let late = age >= self.config.bump_after_s.saturating_mul(1_000);
        match tx.state {
            // In a pool, as far as we know.
            TxState::Broadcast if !late => {}
            TxState::Broadcast if self.bump(tx).await? => {}
            // Never sent, at the fee ceiling and maybe dropped, or hidden by a reorganisation.
            _ => self.broadcast(tx).await?,
        }
        Ok(tx.state)
    }
}

#[async_trait]
impl Transactor for Sender {
    async fn submit(&self, intent: &Intent) -> Result<(), SendError> {
        let _turn = self.turn.lock().await;
        let (to, data) = self.call(intent);
        let tx = self.prepare(to, data, intent.purpose()).await?;
        // Stored: from here on every failure is the watcher's to mend.
        if let Err(error) = self.broadcast(&tx).await {
            tracing::warn!(purpose = tx.purpose, %error, "broadcast failed, will be tried again");
        }
        Ok(())
    }

    async fn tick(&self) -> Result<bool, SendError> {
        let _turn = self.turn.lock().await;
        let open = self.store.open_txs(self.key.address()).await?;
        let oldest = open
            .iter()
            .filter(|tx| tx.state != TxState::Mined)
            .filter_map(|tx| tx.attempts.first())
            .map(|attempt| attempt.signed_ms)
            .min();
        gauge!(telemetry::TX_AGE).set(oldest.map_or(0.0, |since| now_ms().saturating_sub(since) as f64 / 1_000.0));
        if open.is_empty() {
            return Ok(false);
        }
        let final_number = self.final_number().await?;
        let mut under_way = false;
        for tx in &open {
            let state = self.step(tx, final_number).await?;
            under_way |= matches!(state, TxState::Signed | TxState::Broadcast);
        }
        Ok(under_way)
    }
}

fn for_chain(report: &EpochReport) -> IEpochOracle::EpochReport {
    IEpochOracle::EpochReport {
        epoch: report.epoch,
        attempt: report.attempt,
        configDigest: report.configDigest,
        inputsBlock: report.inputsBlock,
        previousReport: report.previousReport,
        subnetsRoot: report.subnetsRoot,
        rewardsRoot: report.rewardsRoot,
        bundleHash: report.bundleHash,
        rulesVersion: report.rulesVersion,
    }
}

/// Milliseconds since 1970 by this machine's clock; used for fees, leases and request windows, never for epochs.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
