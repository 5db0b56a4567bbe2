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
//!                                        and call; or, if the contract would    sent again
//!                                        refuse the call by now, a no-op in
//!                                        its place; every hash watched
//!
//!  Signed, Broadcast, Mined ──▶ Lost: the nonce is used up in final state and none of our hashes has a receipt
//! ```
//!
//! | what goes wrong | what happens |
//! |---|---|
//! | the process dies anywhere | the stored bytes are sent at the next start, and only those |
//! | the base fee runs away | both fees are raised by an eighth or to twice the market, up to the ceiling, the oldest nonce first |
//! | the ceiling is reached, or a bump fails | the same bytes are sent again: a node may have dropped them |
//! | somebody else did it first | the contract is asked before each bump; its refusal turns the transaction into a no-op |
//! | a node says that the nonce is used | receipts of all our hashes are looked for; what is left is for the contract to say |
//! | the chain reorganises | the stored bytes are sent again, whichever of them it was |
//! | a transaction before ours vanished for good | its nonce is filled with a no-op |
//! | the gas key runs dry | nothing is signed, [`SendError::Funds`] and a metric say so |
//!
//! What a chain charges is read off its predeployed contracts, see [`FeeModel`]; none of them needs to be there.

mod ask;
mod classify;
mod engine;
mod fees;
mod quote;
mod signing;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use alloy::network::TxSigner;
use alloy_primitives::{Address, Signature, U256};
use alloy_sol_types::SolCall;
use async_trait::async_trait;
use tandem_contracts::bindings::{CreditDesk, EmissionController, EpochOracle, Outages, epoch_oracle::IEpochOracle};
use tandem_protocol::{messages::EpochReport, signed::compact};

pub use classify::{Refusal, classify};
pub use engine::Sender;
pub use fees::{FeeModel, FeeRules, Fees, Market};
pub use quote::{Quote, quote};

use crate::{
    chain::{ChainError, GapProof},
    network::Network,
    store::StoreError,
};

/// Signs transactions: a key in memory, or one that never leaves its device.
pub type GasKey = Arc<dyn TxSigner<Signature> + Send + Sync>;

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
    /// Have a gap of blocks recorded, so that deadlines move.
    RecordOutage {
        /// When the gap began, seconds since 1970.
        from: u64,
        /// What shows it.
        proof: Box<GapProof>,
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
            Self::RecordOutage { from, .. } => format!("record the outage that began at {from}"),
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
    /// The gas key cannot pay.
    #[error("[K-TX-7] the gas key {key} has {balance} wei, {needed} wei may be needed; send it some")]
    Funds {
        /// Address of the gas key.
        key: Address,
        /// What it has.
        balance: U256,
        /// What the transaction may cost at most.
        needed: U256,
    },
    /// A call that takes more than one transaction may.
    #[error("[K-TX-8] {purpose} takes {gas} gas, sender.max_gas allows {limit}")]
    TooMuchGas {
        /// What was wanted.
        purpose: String,
        /// Estimate.
        gas: u64,
        /// Limit.
        limit: u64,
    },
    /// The nodes do not agree on what they are asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
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

/// Contract and calldata of what is wanted.
fn call(intent: &Intent, network: &Network, settle_batch: u64) -> (Address, Vec<u8>) {
    match intent {
        Intent::Settle => {
            let call = EmissionController::settleCall { maxSubnets: U256::from(settle_batch) };
            (network.controller, call.abi_encode())
        }
        Intent::Post { report, signatures } => {
            let compact = signatures.chunks_exact(65).filter_map(|bytes| bytes.try_into().ok()).map(compact);
            let signatures = compact.map(|(r, vs)| IEpochOracle::Signature { r, vs }).collect();
            let call = EpochOracle::postCall { report: for_chain(report), signatures };
            (network.oracle, call.abi_encode())
        }
        Intent::Activate { report } => {
            (network.oracle, EpochOracle::activateCall { report: for_chain(report) }.abi_encode())
        }
        Intent::RecordOutage { proof, .. } => {
            let GapProof { contract, earlier, later } = &**proof;
            let call = Outages::recordCall { earlier: earlier.clone(), later: later.clone() };
            (*contract, call.abi_encode())
        }
        Intent::Forward { netuid } => (network.desk, CreditDesk::forwardMarginCall { netuid: *netuid }.abi_encode()),
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
