//! A chain to read from and to send to: simulate first, say why a call would revert, wait for the receipt.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use alloy::consensus::BlockHeader as _;
use alloy::eips::{BlockId, BlockNumberOrTag, Encodable2718};
use alloy::network::{EthereumWallet, NetworkTransactionBuilder as _, TransactionBuilder as _};
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::{DynProvider, Provider, ProviderBuilder};
use alloy::rpc::types::{Filter, Log, TransactionInput, TransactionReceipt, TransactionRequest};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolEvent};
use alloy::transports::{RpcError, TransportErrorKind};
use eyre::{Context, Result, bail, eyre};
use tandem_contracts::decode_revert;
use tokio::sync::Mutex;

/// How long to wait for a receipt before saying so.
const RECEIPT_TIMEOUT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(200);
/// A transaction that is not mined after so long is broadcast again, the very same bytes: nodes lose transactions.
const REBROADCAST: Duration = Duration::from_secs(6);
/// Gas limits are estimates raised by this percentage.
const GAS_MARGIN_PERCENT: u64 = 25;

/// A call to be sent.
#[derive(Clone, Debug)]
pub struct Call {
    /// In words, for errors and progress: "register neuron aurora".
    pub what: String,
    /// Whom it calls.
    pub to: Address,
    /// Calldata.
    pub data: Bytes,
    /// Gas limit; estimated when absent.
    pub gas: Option<u64>,
}

impl Call {
    /// A typed call.
    pub fn new<C: SolCall>(what: impl Into<String>, to: Address, call: &C) -> Self {
        Self { what: what.into(), to, data: call.abi_encode().into(), gas: None }
    }
}

/// A signed and sent transaction.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its hash.
    pub hash: B256,
    what: String,
    raw: Vec<u8>,
}

/// Time and place of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockTime {
    /// Height.
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// Seconds since 1970.
    pub timestamp: u64,
}

/// A connection to one chain. Clones share it.
#[derive(Clone)]
pub struct Chain {
    provider: DynProvider,
    id: u64,
    /// Serialises sending per account, so that two tasks never take one nonce.
    senders: Arc<Mutex<HashMap<Address, Arc<Mutex<()>>>>>,
}

impl Chain {
    /// Connects and asks for the chain's id.
    pub async fn connect(url: &str) -> Result<Self> {
        let parsed = url.parse().wrap_err_with(|| format!("{url:?} is not a URL"))?;
        let provider = ProviderBuilder::new().disable_recommended_fillers().connect_http(parsed).erased();
        let id = provider
            .get_chain_id()
            .await
            .wrap_err_with(|| format!("no chain answers at {url}; is the node running and the URL right?"))?;
        Ok(Self { provider, id, senders: Arc::default() })
    }

    /// The chain's id.
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// The raw provider, for what has no function here.
    pub const fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// The newest block.
    pub async fn head(&self) -> Result<BlockTime> {
        self.block(BlockNumberOrTag::Latest.into()).await
    }

    /// Some block.
    pub async fn block(&self, id: BlockId) -> Result<BlockTime> {
        let block = self
            .provider
            .get_block(id)
            .await
            .wrap_err("cannot read a block")?
            .ok_or_else(|| eyre!("no block {id:?}"))?;
        Ok(BlockTime { number: block.header.number(), hash: block.header.hash, timestamp: block.header.timestamp() })
    }

    /// The last block with a timestamp below `time`.
    pub async fn last_block_before(&self, time: u64) -> Result<BlockTime> {
        let (mut low, mut high) = (0, self.head().await?.number);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if self.block(middle.into()).await?.timestamp < time {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        self.block(low.into()).await
    }

    /// Waits until the newest block's time is at least `time`.
    pub async fn wait_until(&self, time: u64) -> Result<BlockTime> {
        loop {
            let head = self.head().await?;
            if head.timestamp >= time {
                return Ok(head);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether there is code at an address.
    pub async fn has_code(&self, address: Address) -> Result<bool> {
        Ok(!self.provider.get_code_at(address).await.wrap_err("cannot read code")?.is_empty())
    }

    /// Reads through a typed call at the newest block.
    pub async fn read<C: SolCall>(&self, to: Address, call: &C) -> Result<C::Return> {
        let request = TransactionRequest::default().with_to(to).with_input(call.abi_encode());
        let answer = self
            .provider
            .call(request)
            .await
            .map_err(|error| explain(&error))
            .wrap_err_with(|| format!("reading {} of {to}", C::SIGNATURE))?;
        C::abi_decode_returns(&answer).wrap_err_with(|| format!("{to} answered {} with something else", C::SIGNATURE))
    }

    /// All logs of an event of one contract from a block on.
    pub async fn events<E: SolEvent>(&self, from: Address, from_block: u64) -> Result<Vec<(E, Log)>> {
        let filter = Filter::new().address(from).event_signature(E::SIGNATURE_HASH).from_block(from_block);
        let logs =
            self.provider.get_logs(&filter).await.wrap_err_with(|| format!("cannot read {} logs", E::SIGNATURE))?;
        logs.into_iter()
            .map(|log| {
                let decoded = E::decode_log(&log.inner).wrap_err_with(|| format!("malformed {} log", E::SIGNATURE))?;
                Ok((decoded.data, log))
            })
            .collect()
    }

    /// Simulates, signs, sends and waits; the error of a call that would revert names the contract's reason.
    pub async fn send(&self, from: &PrivateKeySigner, call: Call) -> Result<TransactionReceipt> {
        let sent = self.submit(from, &call).await?;
        self.receipt(&sent).await
    }

    /// Sends calls one after the other without waiting between them; each needs its gas limit if it depends on an
    /// earlier one. Returns the receipts in order.
    pub async fn send_all(&self, from: &PrivateKeySigner, calls: Vec<Call>) -> Result<Vec<TransactionReceipt>> {
        let mut all = Vec::with_capacity(calls.len());
        for call in &calls {
            all.push(self.submit(from, call).await?);
        }
        let mut receipts = Vec::with_capacity(calls.len());
        for sent in &all {
            receipts.push(self.receipt(sent).await?);
        }
        Ok(receipts)
    }

    /// Whether a call would go through at the newest block, with the reason if not.
    pub async fn simulate(&self, from: Address, call: &Call) -> Result<u64> {
        let request = TransactionRequest::default().with_from(from).with_to(call.to).with_input(call.data.clone());
        self.provider.estimate_gas(request).await.map_err(|error| explain(&error)).wrap_err_with(|| call.what.clone())
    }

    /// Simulates, signs and sends without waiting for the receipt.
    pub async fn submit(&self, from: &PrivateKeySigner, call: &Call) -> Result<Sent> {
        let sender = self.senders.lock().await.entry(from.address()).or_default().clone();
        let _one_at_a_time = sender.lock().await;
        let gas = match call.gas {
            Some(gas) => gas,
            None => {
                let estimate = self.simulate(from.address(), call).await?;
                estimate + estimate * GAS_MARGIN_PERCENT / 100
            }
        };
        let nonce = self
            .provider
            .get_transaction_count(from.address())
            .pending()
            .await
            .wrap_err("cannot read the account's nonce")?;
        let fees = self.provider.estimate_eip1559_fees().await.wrap_err("cannot estimate fees")?;
        let request = TransactionRequest {
            to: Some(call.to.into()),
            input: TransactionInput::new(call.data.clone()),
            ..TransactionRequest::default()
        }
        .with_chain_id(self.id)
        .with_nonce(nonce)
        .with_gas_limit(gas)
        .with_max_fee_per_gas(fees.max_fee_per_gas)
        .with_max_priority_fee_per_gas(fees.max_priority_fee_per_gas);
        let envelope = request
            .build(&EthereumWallet::from(from.clone()))
            .await
            .wrap_err_with(|| format!("{}: cannot sign", call.what))?;
        let raw = envelope.encoded_2718();
        let pending = self
            .provider
            .send_raw_transaction(&raw)
            .await
            .map_err(|error| explain(&error))
            .wrap_err_with(|| format!("{}: the node refused the transaction", call.what))?;
        Ok(Sent { hash: *pending.tx_hash(), what: call.what.clone(), raw })
    }

    /// Waits for the receipt of a sent transaction.
    pub async fn receipt(&self, sent: &Sent) -> Result<TransactionReceipt> {
        let Sent { hash, what, raw } = sent;
        let begun = tokio::time::Instant::now();
        let mut broadcast = begun;
        loop {
            let found = self.provider.get_transaction_receipt(*hash).await.wrap_err("cannot read a receipt")?;
            if let Some(receipt) = found {
                if !receipt.status() {
                    bail!("{what}: transaction {hash} reverted, {}", self.why_reverted(&receipt).await);
                }
                return Ok(receipt);
            }
            if begun.elapsed() > RECEIPT_TIMEOUT {
                bail!("{what}: no receipt for {hash} after {} s; it may still be mined", RECEIPT_TIMEOUT.as_secs());
            }
            if broadcast.elapsed() > REBROADCAST {
                broadcast = tokio::time::Instant::now();
                // "Already known" is the usual answer and all is well then; anything else shows in the time-out.
                let _ = self.provider.send_raw_transaction(raw).await;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Replays a reverted transaction on the block before its own for the reason.
    async fn why_reverted(&self, receipt: &TransactionReceipt) -> String {
        let transaction = self.provider.get_transaction_by_hash(receipt.transaction_hash).await.ok().flatten();
        let (Some(transaction), Some(number)) = (transaction, receipt.block_number) else {
            return "its reason could not be read".to_owned();
        };
        let request = transaction.inner.into_inner();
        let call = TransactionRequest::from_transaction_with_sender(request, receipt.from);
        match self.provider.call(call).block((number - 1).into()).await {
            Err(error) => explain(&error).to_string(),
            Ok(_) => format!("out of gas or changed meanwhile ({} gas used)", receipt.gas_used),
        }
    }

    /// Balance in the chain's own coin.
    pub async fn balance(&self, account: Address) -> Result<U256> {
        self.provider.get_balance(account).await.wrap_err("cannot read a balance")
    }
}

/// A transport's error in words; revert data as the contract's own error.
fn explain(error: &RpcError<TransportErrorKind>) -> eyre::Report {
    match error.as_error_resp().and_then(|response| response.as_revert_data()) {
        Some(data) => eyre!("reverted: {}", decode_revert(&data)),
        None => eyre!("{error}"),
    }
}
