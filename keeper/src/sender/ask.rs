//! What the sender asks nodes, and how it makes one answer of many.

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    providers::{DynProvider, Provider},
    rpc::types::TransactionRequest,
    transports::TransportError,
};
use alloy_primitives::{Address, B256, Bytes, U256, address};
use alloy_sol_types::{SolCall, sol};
use serde::Deserialize;

use super::{FeeModel, Market, Refusal, SendError, classify};
use crate::chain::{Nodes, is_execution_error, without_urls};

/// GasPriceOracle of chains of the OP stack.
const GAS_PRICE_ORACLE: Address = address!("420000000000000000000000000000000000000F");
/// ArbGasInfo of Arbitrum chains.
const ARB_GAS_INFO: Address = address!("000000000000000000000000000000000000006C");
/// Blocks whose tips are looked at, and the percentile that is taken of each.
const HISTORY: (u64, f64) = (10, 20.0);

sol! {
    /// Price of a transaction's data on L1, wei.
    function getL1Fee(bytes data) external view returns (uint256 fee);
}

/// What is read of a receipt; that of an OP-stack chain says what the data cost.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Receipt {
    block_number: Option<U256>,
    block_hash: Option<B256>,
    #[serde(default)]
    status: Option<U256>,
    #[serde(default)]
    gas_used: Option<U256>,
    #[serde(default)]
    effective_gas_price: Option<U256>,
    #[serde(default)]
    l1_fee: Option<U256>,
}

/// A transaction in a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inclusion {
    pub(super) number: u64,
    pub(super) block: B256,
    pub(super) success: bool,
    pub(super) hash: B256,
    /// Position of its signed form.
    pub(super) attempt: usize,
    /// Wei, data on L1 included.
    pub(super) cost: U256,
}

/// What a call would do in the newest state.
pub(super) enum Simulated {
    /// It takes so much gas.
    Gas(u64),
    /// The contract refuses it, in these words.
    Reverts(String),
}

/// The nodes as the sender sees them.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) nodes: Nodes,
    any: DynProvider,
    agreed: DynProvider,
}

impl Ask {
    pub(super) fn new(nodes: Nodes) -> Self {
        Self { any: nodes.in_turn(), agreed: nodes.agreed(), nodes }
    }

    /// Whose fees these are.
    pub(super) async fn fee_model(&self) -> Result<FeeModel, SendError> {
        for (place, model) in [(GAS_PRICE_ORACLE, FeeModel::OpStack), (ARB_GAS_INFO, FeeModel::Arbitrum)] {
            if !self.any.get_code_at(place).await.map_err(rpc("eth_getCode"))?.is_empty() {
                return Ok(model);
            }
        }
        Ok(FeeModel::Ethereum)
    }

    pub(super) async fn market(&self) -> Result<Market, SendError> {
        let (blocks, percentile) = HISTORY;
        let history = self.any.get_fee_history(blocks, BlockNumberOrTag::Latest, &[percentile]).await;
        let history = history.map_err(rpc("eth_feeHistory"))?;
        let base = history.next_block_base_fee().unwrap_or_default();
        let rewards = history.reward.unwrap_or_default();
        let mut tips: Vec<u128> =
            rewards.iter().filter_map(|block| block.first().copied()).filter(|tip| *tip > 0).collect();
        tips.sort_unstable();
        Ok(Market { base, tip: tips.get(tips.len() / 2).copied().unwrap_or_default() })
    }

    pub(super) async fn simulate(&self, from: Address, to: Address, data: &[u8]) -> Result<Simulated, SendError> {
        let request = TransactionRequest::default().from(from).to(to).input(Bytes::copy_from_slice(data).into());
        // Never in the pending state: our own transaction may be in it, and the contract would refuse it a second time.
        match self.any.estimate_gas(request).block(BlockId::latest()).await {
            Ok(gas) => Ok(Simulated::Gas(gas)),
            Err(error) => match error.as_error_resp() {
                Some(payload) if is_execution_error(payload) => Ok(Simulated::Reverts(
                    payload
                        .as_revert_data()
                        .map_or_else(|| payload.message.to_string(), |data| tandem_contracts::decode_revert(&data)),
                )),
                _ => Err(rpc("eth_estimateGas")(error)),
            },
        }
    }

    /// What the data of a signed transaction costs on L1 on top of its gas.
    pub(super) async fn l1_fee(&self, model: FeeModel, raw: &[u8]) -> Result<U256, SendError> {
        if model != FeeModel::OpStack {
            return Ok(U256::ZERO);
        }
        let call = getL1FeeCall { data: Bytes::copy_from_slice(raw) }.abi_encode();
        let request = TransactionRequest::default().to(GAS_PRICE_ORACLE).input(Bytes::from(call).into());
        let answer = self.any.call(request).await.map_err(rpc("getL1Fee"))?;
        getL1FeeCall::abi_decode_returns(&answer)
            .map_err(|error| SendError::Rpc { what: "getL1Fee", reason: error.to_string() })
    }

    /// Nonce of `account` in the state of a block, as a quorum of nodes says.
    pub(super) async fn nonce_at(&self, account: Address, at: BlockId) -> Result<u64, SendError> {
        let counted = self.agreed.get_transaction_count(account).block_id(at).await;
        counted.map_err(rpc("eth_getTransactionCount"))
    }

    pub(super) async fn balance(&self, account: Address) -> Result<U256, SendError> {
        self.any.get_balance(account).await.map_err(rpc("eth_getBalance"))
    }

    /// The block that holds any of these, newest signed form first.
    pub(super) async fn included(&self, hashes: &[B256]) -> Result<Option<Inclusion>, SendError> {
        for (attempt, hash) in hashes.iter().enumerate().rev() {
            let receipt: Option<Receipt> = self
                .any
                .raw_request("eth_getTransactionReceipt".into(), (hash,))
                .await
                .map_err(rpc("eth_getTransactionReceipt"))?;
            if let Some(Receipt {
                block_number: Some(number),
                block_hash: Some(block),
                status,
                gas_used,
                effective_gas_price,
                l1_fee,
            }) = receipt
            {
                let gas = gas_used.unwrap_or_default().saturating_mul(effective_gas_price.unwrap_or_default());
                return Ok(Some(Inclusion {
                    number: number.saturating_to(),
                    block,
                    success: status == Some(U256::from(1)),
                    hash: *hash,
                    attempt,
                    cost: gas.saturating_add(l1_fee.unwrap_or_default()),
                }));
            }
        }
        Ok(None)
    }

    /// Sends to every node, one after another: a race would let one node's error win over another's consent. Answers
    /// what the most hopeful of them says, with the words of the last that said otherwise.
    pub(super) async fn broadcast(&self, raw: &[u8]) -> (Refusal, String) {
        let (mut best, mut words) = (Refusal::Other, String::new());
        for node in self.nodes.each() {
            let refusal = match node.send_raw_transaction(raw).await {
                Ok(_) => Refusal::AlreadyKnown,
                Err(error) => {
                    words = without_urls(&error);
                    error.as_error_resp().map_or(Refusal::Other, |payload| classify(payload.code, &payload.message))
                }
            };
            best = best.min(refusal);
        }
        (best, words)
    }
}

fn rpc(what: &'static str) -> impl FnOnce(TransportError) -> SendError {
    move |error| SendError::Rpc { what, reason: without_urls(&error) }
}
