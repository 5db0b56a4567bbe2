//! The cumulative reward tree.
//!
//! Leaves are `(index, kind, netuid, account, cumulative)`, strictly ascending by (kind, netuid, account), `index` from 0.
//! A leaf's hash is `keccak256(keccak256(abi.encode(index, kind, netuid, account, cumulative)))`, a node's is
//! `keccak256(left ‖ right)` without sorting, so a proof is bound to its position. The leaves are filled up with zero
//! hashes to a power of two: then position and depth follow from the index and the proof's length alone, absence is
//! shown by two neighbours, and the tree is the one that npm `@openzeppelin/merkle-tree` builds and validates as
//! `SimpleMerkleTree.of(leaves, { sortLeaves: false, nodeHash: (a, b) => keccak256(a ‖ b) })`. That library folds proofs
//! without looking at positions, so its `verify` cannot check this tree's; [`root_from_proof`] and the contract can.

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::SolValue;
use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

/// What a reward is: role × asset. The numbers are the contract's enum.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[borsh(use_discriminant = true)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum RewardKind {
    /// Alpha of the subnet's owner.
    OwnerAlpha = 0,
    /// Alpha of validators.
    ValidatorAlpha = 1,
    /// Alpha of contributors.
    ContributorAlpha = 2,
    /// USDC of the subnet's owner.
    OwnerUsdc = 3,
    /// USDC of validators.
    ValidatorUsdc = 4,
    /// USDC of contributors.
    ContributorUsdc = 5,
    /// USDC of keepers.
    KeeperUsdc = 6,
}

impl RewardKind {
    /// All kinds in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::OwnerAlpha,
        Self::ValidatorAlpha,
        Self::ContributorAlpha,
        Self::OwnerUsdc,
        Self::ValidatorUsdc,
        Self::ContributorUsdc,
        Self::KeeperUsdc,
    ];
}

/// One account's lifetime reward of one kind in one subnet. Alpha with 18, USDC with 6 decimals.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Reward {
    /// Role and asset.
    pub kind: RewardKind,
    /// Subnet.
    pub netuid: u16,
    /// Who earned it.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Address))]
    pub account: Address,
    /// Everything ever earned, base units.
    #[serde(with = "crate::api::decimal")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Decimal))]
    pub cumulative: u128,
}

impl Reward {
    /// The key by which leaves ascend.
    pub const fn key(&self) -> (RewardKind, u16, Address) {
        (self.kind, self.netuid, self.account)
    }

    /// The leaf's hash at position `index`.
    pub fn leaf_hash(&self, index: u64) -> B256 {
        let encoded = (
            U256::from(index),
            U256::from(self.kind as u8),
            U256::from(self.netuid),
            self.account,
            U256::from(self.cumulative),
        )
            .abi_encode();
        keccak256(keccak256(encoded))
    }
}

/// Why a tree could not be built.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TreeError {
    /// Leaves are not strictly ascending by (kind, netuid, account).
    #[error("reward {index} does not come after its predecessor")]
    NotAscending {
        /// Position of the offender.
        index: usize,
    },
}

/// A built tree; node `i` has children `2i+1` and `2i+2`, leaves lie at the end in reverse order.
#[derive(Clone, Debug)]
pub struct RewardTree {
    rewards: Vec<Reward>,
    nodes: Vec<B256>,
}

impl RewardTree {
    /// Builds the tree over `rewards`, which must ascend strictly by key. An empty list gives the zero root.
    pub fn new(rewards: Vec<Reward>) -> Result<Self, TreeError> {
        if let Some(at) = rewards.windows(2).position(|pair| pair[0].key() >= pair[1].key()) {
            return Err(TreeError::NotAscending { index: at + 1 });
        }
        let leaves: Vec<B256> =
            rewards.iter().enumerate().map(|(index, reward)| reward.leaf_hash(index as u64)).collect();
        Ok(Self { rewards, nodes: merkle_nodes(&leaves) })
    }

    /// The root that goes on chain; zero for no rewards at all.
    pub fn root(&self) -> B256 {
        self.nodes.first().copied().unwrap_or_default()
    }

    /// The rewards, ascending by key; a reward's position is its leaf index.
    pub fn rewards(&self) -> &[Reward] {
        &self.rewards
    }

    /// The siblings from leaf `index` up to the root, `None` past the end.
    pub fn proof(&self, index: usize) -> Option<Vec<B256>> {
        if index >= self.rewards.len() {
            return None;
        }
        let mut node = self.nodes.len() - 1 - index;
        let mut proof = Vec::new();
        while node > 0 {
            proof.push(self.nodes[if node % 2 == 1 { node + 1 } else { node - 1 }]);
            node = (node - 1) / 2;
        }
        Some(proof)
    }
}

/// The root over `leaves` by the node rule of this module; zero for none.
pub fn merkle_root(leaves: &[B256]) -> B256 {
    merkle_nodes(leaves).first().copied().unwrap_or_default()
}

fn merkle_nodes(leaves: &[B256]) -> Vec<B256> {
    if leaves.is_empty() {
        return Vec::new();
    }
    let width = leaves.len().next_power_of_two();
    let mut nodes = vec![B256::ZERO; 2 * width - 1];
    for (index, leaf) in leaves.iter().enumerate() {
        nodes[2 * width - 2 - index] = *leaf;
    }
    for node in (0..width - 1).rev() {
        nodes[node] = node_hash(nodes[2 * node + 1], nodes[2 * node + 2]);
    }
    nodes
}

/// Folds a proof as the contract does: where the index bit is one, the running hash is the left child.
pub fn root_from_proof(leaf: B256, index: u64, proof: &[B256]) -> B256 {
    proof.iter().enumerate().fold(leaf, |hash, (level, sibling)| {
        if index.checked_shr(level as u32).unwrap_or(0) & 1 == 1 {
            node_hash(hash, *sibling)
        } else {
            node_hash(*sibling, hash)
        }
    })
}

fn node_hash(left: B256, right: B256) -> B256 {
    keccak256([left.0, right.0].concat())
}
