//! The cumulative reward tree of a large network: twenty levels, of which only the leaves in use are worked out.

use alloy::{
    primitives::{Address, B256, U256, keccak256},
    sol_types::SolValue,
};
use tandem_contracts::bindings::reward_distributor::IRewardDistributor::Claim;

/// Levels of the tree, as many as a million leaves need.
const LEVELS: u32 = 20;
/// Index of the first leaf in use, far from zero so that its bytes are those of an index of such a tree.
const FIRST: u64 = 0x5_1234;

/// Everything promised so far.
#[derive(Clone, Default)]
pub(crate) struct RewardTree {
    leaves: Vec<Claim>,
}

impl RewardTree {
    pub(crate) fn add(&mut self, kind: u8, netuid: u16, account: Address, amount: U256) {
        match self.leaves.iter_mut().find(|leaf| is(leaf, kind, netuid, account)) {
            Some(leaf) => leaf.cumulative += amount,
            None => {
                let index = U256::from(FIRST + self.leaves.len() as u64);
                self.leaves.push(Claim { index, kind, netuid, account, cumulative: amount });
            }
        }
    }

    pub(crate) fn root(&self) -> B256 {
        self.node(LEVELS, 0)
    }

    /// The leaf and its siblings from the leaf upwards.
    pub(crate) fn claim(&self, kind: u8, netuid: u16, account: Address) -> Option<(Claim, Vec<B256>)> {
        let leaf = self.leaves.iter().find(|leaf| is(leaf, kind, netuid, account))?;
        let index: u64 = leaf.index.to();
        let proof = (0..LEVELS).map(|level| self.node(level, (index >> level) ^ 1)).collect();
        Some((leaf.clone(), proof))
    }

    /// The node over leaves `position · 2^level` and following; where none is in use, some hash. The tree runs from right to
    /// left.
    fn node(&self, level: u32, position: u64) -> B256 {
        let in_use = self.leaves.iter().any(|leaf| leaf.index.to::<u64>() >> level == position);
        if !in_use {
            return keccak256((U256::from(level), U256::from(position)).abi_encode());
        }
        if level == 0 {
            return self.leaves.iter().find(|leaf| leaf.index == U256::from(position)).map(hash).unwrap_or_default();
        }
        keccak256([self.node(level - 1, 2 * position + 1), self.node(level - 1, 2 * position)].concat())
    }
}

fn is(leaf: &Claim, kind: u8, netuid: u16, account: Address) -> bool {
    (leaf.kind, leaf.netuid, leaf.account) == (kind, netuid, account)
}

fn hash(leaf: &Claim) -> B256 {
    let encoded = (leaf.index, U256::from(leaf.kind), U256::from(leaf.netuid), leaf.account, leaf.cumulative);
    keccak256(keccak256(encoded.abi_encode()))
}
