//! The chain over JSON-RPC.

use std::time::Duration;

use alloy::eips::BlockNumberOrTag;
use alloy::network::EthereumWallet;
use alloy::providers::{DynProvider, Provider, ProviderBuilder};
use alloy::rpc::types::{Filter, TransactionReceipt, TransactionRequest};
use alloy::sol_types::SolEvent;
use alloy_primitives::{Address, B256, U256};
use alloy_signer_local::PrivateKeySigner;
use async_trait::async_trait;
use tandem_contracts::bindings::{KeeperSet, RateCard, Settlement, SubnetRegistry};
use tandem_contracts::{decode_revert, revert_name};
use tandem_protocol::payment::{Rate, Tokens};
use tokio::sync::Mutex;

use super::{Batch, Chain, ChainError, Channel, Head, Network, Neuron, NewChannel};

/// An endpoint that does not answer in this time is taken for down.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a transaction may take to be mined.
const MINING: Duration = Duration::from_secs(90);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(400);
/// Gas of a settling transaction, without its vouchers…
const BATCH_GAS: u64 = 100_000;
/// …and for each voucher; a multiple of what one takes.
const VOUCHER_GAS: u64 = 500_000;
/// Channels are searched for in spans of so many blocks, what endpoints commonly answer at once…
const SPAN: u64 = 9_000;
/// …and so many spans back.
const SPANS: u64 = 12;

struct Block {
    number: u64,
    hash: B256,
    time: u64,
}

/// A network behind an HTTP endpoint, with a key to send transactions with, or without.
pub struct RpcChain {
    provider: DynProvider,
    network: Network,
    sender: Option<Mutex<Address>>,
}

impl RpcChain {
    /// Connects, and checks that the endpoint serves the manifest's chain and that its contracts are there.
    ///
    /// # Errors
    /// [`ChainError::WrongNetwork`] or [`ChainError::Rpc`].
    pub async fn connect(url: &str, network: Network, sender: Option<PrivateKeySigner>) -> Result<Self, ChainError> {
        let parsed = url.parse().map_err(|_| ChainError::Rpc("the endpoint is not a URL".to_owned()))?;
        let client = reqwest::Client::builder().timeout(CALL_TIMEOUT).build().map_err(rpc)?;
        let address = sender.as_ref().map(PrivateKeySigner::address);
        let builder = ProviderBuilder::new().disable_recommended_fillers();
        let provider = match sender {
            // The nonce is asked for anew each time, and sends are serialised: what is lost with a node's pool is sent again.
            Some(key) => builder
                .with_gas_estimation()
                .with_simple_nonce_management()
                .with_chain_id(network.chain_id)
                .wallet(EthereumWallet::from(key))
                .connect_reqwest(client, parsed)
                .erased(),
            None => builder.connect_reqwest(client, parsed).erased(),
        };
        let chain = Self { provider, network, sender: address.map(Mutex::new) };
        chain.check(url).await?;
        Ok(chain)
    }

    async fn check(&self, url: &str) -> Result<(), ChainError> {
        let found = self.provider.get_chain_id().await.map_err(rpc)?;
        let Network { chain_id, settlement, registry, rate_card, keeper_set, .. } = self.network;
        if found != chain_id {
            let message = format!("{} serves chain {found}, the manifest is for {chain_id}", redact(url));
            return Err(ChainError::WrongNetwork(message));
        }
        let contracts = [
            ("Settlement", settlement),
            ("SubnetRegistry", registry),
            ("RateCard", rate_card),
            ("KeeperSet", keeper_set),
        ];
        for (name, address) in contracts {
            if self.provider.get_code_at(address).await.map_err(rpc)?.is_empty() {
                return Err(ChainError::WrongNetwork(format!("there is no {name} at {address} on chain {chain_id}")));
            }
        }
        Ok(())
    }

    fn registry(&self) -> SubnetRegistry::SubnetRegistryInstance<DynProvider> {
        SubnetRegistry::new(self.network.registry, self.provider.clone())
    }

    fn settlement(&self) -> Settlement::SettlementInstance<DynProvider> {
        Settlement::new(self.network.settlement, self.provider.clone())
    }

    async fn block(&self, number: u64) -> Result<Block, ChainError> {
        let block = self.provider.get_block_by_number(number.into()).await.map_err(rpc)?;
        let header = block.ok_or_else(|| ChainError::Rpc(format!("there is no block {number}")))?.header;
        Ok(Block { number, hash: header.hash, time: header.timestamp })
    }

    /// Sends a transaction and waits for its receipt. One at a time.
    async fn send(&self, what: &'static str, request: TransactionRequest) -> Result<TransactionReceipt, ChainError> {
        let from = self.sender.as_ref().ok_or(ChainError::NoKey)?.lock().await;
        let pending =
            self.provider.send_transaction(request.from(*from)).await.map_err(|error| failed(what, &error.into()))?;
        let hash = *pending.tx_hash();
        let mined = tokio::time::timeout(MINING, async {
            loop {
                // A failed look is no news: the transaction is out, and only its receipt says what became of it.
                if let Ok(Some(receipt)) = self.provider.get_transaction_receipt(hash).await {
                    return receipt;
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        let receipt = mined.await.map_err(|_| ChainError::NotMined(hash))?;
        if receipt.status() {
            Ok(receipt)
        } else {
            Err(ChainError::Reverted { what, reason: format!("transaction {hash} failed") })
        }
    }
}

#[async_trait]
impl Chain for RpcChain {
    async fn head(&self) -> Result<Head, ChainError> {
        let block = self.provider.get_block_by_number(BlockNumberOrTag::Latest).await.map_err(rpc)?;
        let header = block.ok_or_else(|| ChainError::Rpc("there is no newest block".to_owned()))?.header;
        Ok(Head { number: header.number, time: header.timestamp })
    }

    async fn last_block_before(&self, time: u64) -> Result<Option<B256>, ChainError> {
        let Head { number, time: newest } = self.head().await?;
        if newest < time {
            return Err(ChainError::Rpc(format!("the newest block is of {newest}, before {time}")));
        }
        // Gallop back from the head to a block before `time`, then halve the span.
        let (mut later, mut step) = (number, 1);
        let mut earlier = loop {
            let number = later.saturating_sub(step);
            let block = self.block(number).await?;
            if block.time < time {
                break block;
            }
            if number == 0 {
                return Ok(None);
            }
            later = number;
            step = step.saturating_mul(2);
        };
        while earlier.number + 1 < later {
            let middle = self.block(earlier.number + (later - earlier.number) / 2).await?;
            if middle.time < time {
                earlier = middle;
            } else {
                later = middle.number;
            }
        }
        Ok(Some(earlier.hash))
    }

    async fn rate(&self, model: B256) -> Result<Option<Rate>, ChainError> {
        let card = RateCard::new(self.network.rate_card, self.provider.clone());
        let now = self.head().await?.time;
        let mut version = card.latestVersion(model).call().await.map_err(|error| failed("latestVersion", &error))?;
        // At most one version is not yet effective, or as many as were published in one epoch.
        while version > 0 {
            let rate = card.rateOf(model, version).call().await.map_err(|error| failed("rateOf", &error))?;
            if rate.effectiveFrom <= now {
                return Ok(Some(Rate {
                    model,
                    version,
                    prompt_per_million: rate.promptPerMillion,
                    completion_per_million: rate.completionPerMillion,
                }));
            }
            version -= 1;
        }
        Ok(None)
    }

    async fn neuron(&self, netuid: u16, uid: u16) -> Result<Option<Neuron>, ChainError> {
        let unknown = ["SubnetRegistry_UnknownNeuron", "SubnetRegistry_UnknownSubnet"];
        let found = self.registry().neuronOf(netuid, uid).call().await;
        let found = absent(found, "neuronOf", &unknown)?.filter(|neuron| !neuron.owner.is_zero());
        Ok(found.map(|neuron| Neuron { owner: neuron.owner, hotkey: neuron.hotkey, endpoint: neuron.endpoint }))
    }

    async fn uid_of(&self, netuid: u16, hotkey: Address) -> Result<Option<u16>, ChainError> {
        let found = self.registry().uidOf(netuid, hotkey).call().await;
        let one_more = absent(found, "uidOf", &["SubnetRegistry_UnknownSubnet"])?.unwrap_or_default();
        Ok(one_more.checked_sub(U256::ONE).and_then(|uid| u16::try_from(uid).ok()))
    }

    async fn had_uid(&self, netuid: u16, hotkey: Address, epoch: u64) -> Result<bool, ChainError> {
        let found = self.registry().uidAt(netuid, hotkey, epoch).call().await;
        Ok(!absent(found, "uidAt", &["SubnetRegistry_UnknownSubnet"])?.unwrap_or_default().is_zero())
    }

    async fn keepers(&self, epoch: u64) -> Result<Vec<Address>, ChainError> {
        let set = KeeperSet::new(self.network.keeper_set, self.provider.clone());
        let members = set.membersAt(epoch).call().await.map_err(|error| failed("membersAt", &error))?;
        Ok(members.keepers)
    }

    async fn channel(&self, id: U256) -> Result<Option<Channel>, ChainError> {
        let found = self.settlement().channelOf(id).call().await;
        let found = absent(found, "channelOf", &["Settlement_UnknownChannel"])?;
        Ok(found.map(|channel| Channel {
            payer: channel.payer,
            contributor: channel.contributor,
            session_key: channel.sessionKey,
            netuid: channel.netuid,
            uid: channel.uid,
            expiry: channel.expiry,
            capacity: channel.settled.saturating_add(channel.rest.purchased).saturating_add(channel.rest.earned),
            settled: channel.settled,
        }))
    }

    async fn channels_between(&self, payer: Address, contributor: Address) -> Result<Vec<U256>, ChainError> {
        let mut channels = Vec::new();
        let mut last = Some(self.head().await?.number);
        for _ in 0..SPANS {
            let Some(to) = last else { break };
            let from = to.saturating_sub(SPAN);
            let filter = Filter::new()
                .address(self.network.settlement)
                .event_signature(Settlement::ChannelOpened::SIGNATURE_HASH)
                .topic2(payer.into_word())
                .topic3(contributor.into_word())
                .from_block(from)
                .to_block(to);
            let logs = self.provider.get_logs(&filter).await.map_err(rpc)?;
            channels
                .extend(logs.iter().rev().filter_map(|log| log.topics().get(1)).map(|id| U256::from_be_bytes(id.0)));
            last = from.checked_sub(1);
        }
        Ok(channels)
    }

    async fn open_channel(&self, channel: NewChannel) -> Result<U256, ChainError> {
        let NewChannel { netuid, uid, amount, expiry, session_key } = channel;
        let request = self.settlement().open(netuid, uid, amount, expiry, session_key).into_transaction_request();
        let receipt = self.send("open", request).await?;
        let opened = receipt
            .logs()
            .iter()
            .filter(|log| log.address() == self.network.settlement)
            .find_map(|log| Settlement::ChannelOpened::decode_log(&log.inner).ok());
        opened
            .map(|event| event.channelId)
            .ok_or_else(|| ChainError::Rpc("an open transaction has no ChannelOpened event".to_owned()))
    }

    async fn settled_tokens(&self, id: U256) -> Result<Tokens, ChainError> {
        let Some(channel) = self.channel(id).await? else { return Ok(Tokens::default()) };
        if channel.settled == 0 {
            return Ok(Tokens::default());
        }
        let mut last = Some(self.head().await?.number);
        for _ in 0..SPANS {
            let Some(to) = last else { break };
            let from = to.saturating_sub(SPAN);
            let filter = Filter::new()
                .address(self.network.settlement)
                .event_signature(Settlement::Settled::SIGNATURE_HASH)
                .topic1(id)
                .from_block(from)
                .to_block(to);
            let logs = self.provider.get_logs(&filter).await.map_err(rpc)?;
            if let Some(log) = logs.last() {
                let event = Settlement::Settled::decode_log(&log.inner).map_err(rpc)?;
                return Ok(Tokens { prompt: event.promptTokens, completion: event.completionTokens });
            }
            last = from.checked_sub(1);
        }
        Err(ChainError::Rpc(format!("channel {id} was settled longer ago than can be searched")))
    }

    async fn settle(&self, batch: Batch<'_>) -> Result<B256, ChainError> {
        // Not estimated: the contract skips what does not settle, for want of gas too, so the least gas that "works" settles
        // nothing.
        let gas = BATCH_GAS + VOUCHER_GAS * batch.vouchers.len() as u64;
        let request =
            TransactionRequest::default().to(self.network.settlement).input(batch.calldata().into()).gas_limit(gas);
        Ok(self.send("settleBatch", request).await?.transaction_hash)
    }
}

fn rpc(error: impl std::fmt::Display) -> ChainError {
    ChainError::Rpc(redact(&error.to_string()))
}

/// A text with nothing but scheme and host left of the URLs in it: endpoints carry their owner's key in path, query or user.
fn redact(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || "\"'<>)".contains(c)).unwrap_or(after.len());
        let (url, following) = after.split_at(end);
        let authority = url.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        shown.push_str(host);
        if host != url.trim_end_matches('/') {
            shown.push_str("/…");
        }
        rest = following;
    }
    shown + rest
}

fn failed(what: &'static str, error: &alloy::contract::Error) -> ChainError {
    match error.as_revert_data() {
        Some(data) => ChainError::Reverted { what, reason: decode_revert(&data) },
        None => rpc(format!("{what}: {error}")),
    }
}

/// `None` where the contract reverted with one of the errors that say so.
fn absent<T>(
    result: Result<T, alloy::contract::Error>,
    what: &'static str,
    errors: &[&str],
) -> Result<Option<T>, ChainError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            let data = error.as_revert_data();
            let named = data.as_ref().and_then(|data| revert_name(data)).is_some_and(|name| errors.contains(&name));
            if named { Ok(None) } else { Err(failed(what, &error)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_urls_are_not_shown() {
        for (text, shown) in [
            ("error for url (https://rpc.example.org/v2/KEY)", "error for url (https://rpc.example.org/…)"),
            ("https://user:KEY@h:8545/?k=KEY serves chain 1", "https://h:8545/… serves chain 1"),
            ("\"wss://h?KEY\", http://h/KEY#KEY", "\"wss://h/…\", http://h/…"),
            ("http://127.0.0.1:9/ is down", "http://127.0.0.1:9 is down"),
            ("://", "://"),
            ("no URL", "no URL"),
        ] {
            assert_eq!(redact(text), shown);
        }
    }
}
