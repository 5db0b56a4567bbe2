//! Gaps of blocks: found by halving, shown by the headers on both sides.

use alloy::{providers::Provider, rpc::types::Block};
use alloy_primitives::{Address, Bytes, keccak256};
use tandem_contracts::bindings::{Outages, WeightCommits};

use super::{BlockRef, ChainError, Gap, GapProof, RpcChain, without_urls};

/// The contract that deadlines ask, and what it takes for an outage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    contract: Address,
    least: u64,
}

impl RpcChain {
    async fn outage_rules(&self) -> Result<Option<Rules>, ChainError> {
        let Some(commits) = self.network.weight_commits else { return Ok(None) };
        let rules = self.outages.get_or_try_init(async || {
            let contract = WeightCommits::new(commits, &self.provider).OUTAGES().call().await;
            let contract = contract.map_err(|error| fault("OUTAGES", &error))?;
            let least = Outages::new(contract, &self.provider).least().call().await;
            Ok(Rules { contract, least: least.map_err(|error| fault("least", &error))? })
        });
        rules.await.copied().map(Some)
    }

    pub(super) async fn gaps_after(&self, after: u64, head: &BlockRef) -> Result<Vec<Gap>, ChainError> {
        let Some(rules) = self.outage_rules().await? else { return Ok(Vec::new()) };
        if after >= head.number {
            return Ok(Vec::new());
        }
        let mut spans = vec![(self.nodes.by_number(after).await?, *head)];
        let mut gaps = Vec::new();
        while let Some((earlier, later)) = spans.pop() {
            // What is shorter as a whole holds none.
            if later.time.saturating_sub(earlier.time) < rules.least {
                continue;
            }
            if later.number <= earlier.number + 1 {
                gaps.push(Gap { earlier, later });
                continue;
            }
            let middle = self.nodes.by_number(earlier.number + (later.number - earlier.number) / 2).await?;
            spans.push((middle, later));
            spans.push((earlier, middle));
        }
        Ok(gaps)
    }

    pub(super) async fn is_gap_recorded(&self, gap: &Gap, at: &BlockRef) -> Result<bool, ChainError> {
        let Some(rules) = self.outage_rules().await? else { return Ok(true) };
        let outages = Outages::new(rules.contract, &self.provider);
        let end = alloy_primitives::U256::from(gap.later.time);
        let extended = outages.extended(end).block(at.hash.into()).call().await;
        // A deadline at the very end of a recorded gap is moved by it.
        Ok(extended.map_err(|error| fault("extended", &error))? != end)
    }

    pub(super) async fn headers_of(&self, gap: &Gap) -> Result<GapProof, ChainError> {
        let Some(rules) = self.outage_rules().await? else {
            return Err(ChainError::Impossible("no deadline of this network moves".to_owned()));
        };
        Ok(GapProof {
            contract: rules.contract,
            earlier: self.header(&gap.earlier).await?,
            later: self.header(&gap.later).await?,
        })
    }

    /// RLP of a block's header.
    async fn header(&self, block: &BlockRef) -> Result<Bytes, ChainError> {
        let found: Option<Block> =
            self.provider.get_block_by_hash(block.hash).await.map_err(|error| fault("eth_getBlockByHash", &error))?;
        let found = found.ok_or_else(|| ChainError::NoBlock(block.hash.to_string()))?;
        let header = alloy_rlp::encode(&found.header.inner);
        if keccak256(&header) != block.hash {
            // A chain whose headers have fields that this program does not know.
            let number = block.number;
            return Err(ChainError::Impossible(format!("the header of block {number} is not what its hash names")));
        }
        Ok(header.into())
    }
}

fn fault(what: &'static str, error: &impl std::fmt::Display) -> ChainError {
    ChainError::Rpc { what, reason: without_urls(error) }
}
