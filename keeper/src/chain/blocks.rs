//! Heads, blocks and nonces on which a quorum of nodes agrees.

use alloy::{
    eips::BlockNumberOrTag,
    providers::{DynProvider, Provider},
    rpc::types::Block,
};
use alloy_primitives::Address;
use futures_util::future::join_all;

use super::{BlockRef, ChainError, Heads, Nodes, without_urls};
use crate::config::Finality;

/// While a reorganisation spreads, nodes differ in their newest blocks only; further down than this they differ for good.
const DISPUTED: u64 = 16;

impl Nodes {
    /// The newest block that a quorum knows, and the newest one that a quorum calls final.
    pub async fn heads(&self, finality: Finality) -> Result<Heads, ChainError> {
        let latest = self.block(BlockNumberOrTag::Latest).await?;
        let last_final = match finality {
            Finality::Finalized => self.block(BlockNumberOrTag::Finalized).await?,
            Finality::Behind(0) => latest,
            Finality::Behind(blocks) => self.by_number(latest.number.saturating_sub(blocks)).await?,
        };
        Ok(Heads { latest, last_final })
    }

    /// The block of that number.
    pub async fn by_number(&self, number: u64) -> Result<BlockRef, ChainError> {
        self.block(BlockNumberOrTag::Number(number)).await
    }

    /// The block that a quorum has at `tag`. Of a tag that moves, the highest block that a quorum has come to: who lags
    /// behind it, or claims to be ahead of everybody, decides nothing.
    pub async fn block(&self, tag: BlockNumberOrTag) -> Result<BlockRef, ChainError> {
        if self.count() == 1 {
            return block_at(&self.in_turn(), tag).await?.ok_or_else(|| ChainError::NoBlock(tag.to_string()));
        }
        let nodes = self.each();
        let seen = self.ask_each(&nodes, tag).await?;
        let mut numbers: Vec<u64> = seen.iter().flatten().map(|block| block.number).collect();
        if numbers.len() < self.quorum() {
            return Err(ChainError::NoBlock(tag.to_string()));
        }
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        let highest = numbers[self.quorum() - 1];
        let lowest = if tag.is_number() { highest } else { highest.saturating_sub(DISPUTED) };
        for number in (lowest..=highest).rev() {
            // Who said this number has said all; who is ahead knows it too.
            let votes = if tag.is_number() || seen.iter().flatten().all(|block| block.number == number) {
                seen.clone()
            } else {
                self.ask_each(&nodes, BlockNumberOrTag::Number(number)).await?
            };
            if let Some(block) = self.majority(&votes) {
                return Ok(block);
            }
        }
        Err(ChainError::Disagreement(format!("the nodes have different blocks at {tag}")))
    }

    /// The highest nonce of `account` in the newest state that a quorum has come to.
    pub async fn nonce(&self, account: Address) -> Result<u64, ChainError> {
        let fault = |error: String| ChainError::Rpc { what: "eth_getTransactionCount", reason: without_urls(&error) };
        if self.count() == 1 {
            return self
                .in_turn()
                .get_transaction_count(account)
                .latest()
                .await
                .map_err(|error| fault(error.to_string()));
        }
        let nodes = self.each();
        let asked = join_all(nodes.iter().map(async |node| node.get_transaction_count(account).latest().await)).await;
        let (mut nonces, mut last) = (Vec::new(), None);
        for answer in asked {
            match answer {
                Ok(nonce) => nonces.push(nonce),
                Err(error) => last = Some(fault(error.to_string())),
            }
        }
        nonces.sort_unstable_by(|one, other| other.cmp(one));
        match (nonces.get(self.quorum() - 1), last) {
            (Some(nonce), _) => Ok(*nonce),
            (None, Some(error)) => Err(error),
            (None, None) => Err(fault("no answer".to_owned())),
        }
    }

    /// Every node's block, `None` where it has none; an error only if too few nodes answer at all.
    async fn ask_each(
        &self,
        nodes: &[DynProvider],
        tag: BlockNumberOrTag,
    ) -> Result<Vec<Option<BlockRef>>, ChainError> {
        let asked = join_all(nodes.iter().map(|node| block_at(node, tag))).await;
        let (mut seen, mut last) = (Vec::new(), None);
        for answer in asked {
            match answer {
                Ok(block) => seen.push(block),
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) if seen.len() < self.quorum() => Err(error),
            _ => Ok(seen),
        }
    }

    fn majority(&self, votes: &[Option<BlockRef>]) -> Option<BlockRef> {
        // Number and time count too: a right hash under a wrong time would be a lie about deadlines.
        let count = |block: &BlockRef| votes.iter().flatten().filter(|vote| *vote == block).count();
        votes.iter().flatten().find(|block| count(block) >= self.quorum()).copied()
    }
}

async fn block_at(node: &DynProvider, tag: BlockNumberOrTag) -> Result<Option<BlockRef>, ChainError> {
    let block = node.get_block_by_number(tag).await;
    let block =
        block.map_err(|error| ChainError::Rpc { what: "eth_getBlockByNumber", reason: without_urls(&error) })?;
    Ok(block.as_ref().map(block_ref))
}

fn block_ref(block: &Block) -> BlockRef {
    BlockRef { number: block.header.number, hash: block.header.hash, time: block.header.timestamp }
}
