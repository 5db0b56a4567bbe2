//! The reward tree against npm's `@openzeppelin/merkle-tree`, and its proofs against forgery.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use ethers_core::abi::{Token, encode};
use ethers_core::types::{H160, U256 as EthersU256};
use ethers_core::utils::keccak256 as ethers_keccak;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tandem_protocol::tree::{Reward, RewardKind, RewardTree, TreeError, merkle_root, root_from_proof};

use crate::support::{account, address};

/// What `tests/golden/make.mjs` writes for each size.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    rewards: Vec<Reward>,
    leaves: Vec<B256>,
    root: B256,
    proofs: Vec<Vec<B256>>,
}

/// The whole file is built again from its rewards alone, and is the same to the last byte.
#[test]
fn the_tree_is_the_one_that_npm_builds() {
    let text = include_str!("../golden/reward-tree.json");
    let golden: Vec<Golden> = serde_json::from_str(text).unwrap();
    let sizes: Vec<usize> = golden.iter().map(|tree| tree.rewards.len()).collect();
    assert_eq!(sizes, [1, 2, 3, 5, 8, 13]);
    let built: Vec<Golden> = golden
        .into_iter()
        .map(|Golden { rewards, .. }| {
            let tree = RewardTree::new(rewards).unwrap();
            let rewards = tree.rewards().to_vec();
            Golden {
                leaves: rewards.iter().enumerate().map(|(index, reward)| reward.leaf_hash(index as u64)).collect(),
                proofs: (0..rewards.len()).map(|index| tree.proof(index).unwrap()).collect(),
                root: tree.root(),
                rewards,
            }
        })
        .collect();
    assert_eq!(serde_json::to_string_pretty(&built).unwrap() + "\n", text);
}

fn rewards(least: usize) -> impl Strategy<Value = Vec<Reward>> {
    let key = (0..RewardKind::ALL.len(), 0..4u16, 0..6u64)
        .prop_map(|(kind, netuid, owner)| (RewardKind::ALL[kind], netuid, address(owner)));
    prop::collection::btree_map(key, any::<u128>(), least..40).prop_map(|rewards: BTreeMap<_, _>| {
        rewards
            .into_iter()
            .map(|((kind, netuid, account), cumulative)| Reward { kind, netuid, account, cumulative })
            .collect()
    })
}

proptest! {
    #[test]
    fn a_leaf_is_hashed_as_the_contract_encodes_it(
        index: u64, kind in 0..7usize, netuid: u16, account in account(), cumulative: u128,
    ) {
        let reward = Reward { kind: RewardKind::ALL[kind], netuid, account, cumulative };
        let encoded = encode(&[
            Token::Uint(index.into()),
            Token::Uint(EthersU256::from(kind)),
            Token::Uint(netuid.into()),
            Token::Address(H160(account.into_array())),
            Token::Uint(cumulative.into()),
        ]);
        prop_assert_eq!(reward.leaf_hash(index), B256::from(ethers_keccak(ethers_keccak(encoded))));
    }

    #[test]
    fn every_proof_leads_to_the_root(rewards in rewards(0)) {
        let tree = RewardTree::new(rewards).unwrap();
        let depth = tree.rewards().len().next_power_of_two().ilog2() as usize;
        for (index, reward) in tree.rewards().iter().enumerate() {
            let proof = tree.proof(index).unwrap();
            prop_assert_eq!(proof.len(), depth);
            prop_assert_eq!(root_from_proof(reward.leaf_hash(index as u64), index as u64, &proof), tree.root());
        }
        prop_assert_eq!(tree.proof(tree.rewards().len()), None);
        prop_assert_eq!(tree.proof(usize::MAX), None);
        let leaves: Vec<B256> =
            tree.rewards().iter().enumerate().map(|(index, reward)| reward.leaf_hash(index as u64)).collect();
        prop_assert_eq!(merkle_root(&leaves), tree.root());
    }

    /// What a claimant names is bound: position, kind, subnet, account, amount, and the proof's length.
    #[test]
    fn a_proof_proves_nothing_else(
        rewards in rewards(1), place: prop::sample::Index, other: u64, extra: [u8; 32], stranger in account(),
    ) {
        let tree = RewardTree::new(rewards).unwrap();
        let place = place.index(tree.rewards().len());
        let (index, reward, proof) = (place as u64, tree.rewards()[place], tree.proof(place).unwrap());
        let leads = |reward: Reward, index: u64, proof: &[B256]| {
            root_from_proof(reward.leaf_hash(index), index, proof) == tree.root()
        };
        prop_assert!(leads(reward, index, &proof));

        // Another index, and the same one modulo the width of the tree.
        prop_assert!(other == index || !leads(reward, other, &proof));
        prop_assert!(!leads(reward, index + (1 << proof.len()), &proof));
        // A true leaf at a true position, but with its neighbour's index.
        prop_assert!(!leads(reward, index ^ 1, &proof));

        let kind = RewardKind::ALL[(reward.kind as usize + 1) % 7];
        for forged in [
            Reward { kind, ..reward },
            Reward { netuid: reward.netuid ^ 1, ..reward },
            Reward { account: stranger, ..reward },
            Reward { cumulative: reward.cumulative ^ 1, ..reward },
        ] {
            prop_assert!(!leads(forged, index, &proof));
        }

        let longer = [proof.as_slice(), &[B256::from(extra)]].concat();
        prop_assert!(!leads(reward, index, &longer));
        let with_root = [proof.as_slice(), &[tree.root()]].concat();
        prop_assert!(!leads(reward, index, &with_root));
        for cut in 0..proof.len() {
            prop_assert!(!leads(reward, index, &proof[..cut]));
            prop_assert!(!leads(reward, index, &proof[cut + 1..]));
            let mut altered = proof.clone();
            altered[cut].0[31] ^= 1;
            prop_assert!(!leads(reward, index, &altered));
        }
    }

    /// An inner node cannot pass for a leaf, because a leaf is hashed twice.
    #[test]
    fn a_node_is_no_leaf(rewards in rewards(2)) {
        let tree = RewardTree::new(rewards).unwrap();
        let first = root_from_proof(tree.rewards()[0].leaf_hash(0), 0, &tree.proof(0).unwrap()[..1]);
        for (index, reward) in tree.rewards().iter().enumerate() {
            prop_assert_ne!(reward.leaf_hash(index as u64), first);
        }
    }

    #[test]
    fn rewards_out_of_order_or_twice_are_refused(rewards in rewards(2), place: prop::sample::Index) {
        let at = place.index(rewards.len() - 1) + 1;
        let mut swapped = rewards.clone();
        swapped.swap(at - 1, at);
        prop_assert_eq!(RewardTree::new(swapped).unwrap_err(), TreeError::NotAscending { index: at });
        let mut doubled = rewards;
        doubled.insert(at, Reward { cumulative: 1, ..doubled[at - 1] });
        prop_assert_eq!(RewardTree::new(doubled).unwrap_err(), TreeError::NotAscending { index: at });
    }

    /// A long proof from outside is folded, not indexed with.
    #[test]
    fn any_proof_is_folded_without_a_panic(leaf: [u8; 32], index: u64, proof in prop::collection::vec(any::<[u8; 32]>(), 0..80)) {
        let proof: Vec<B256> = proof.into_iter().map(B256::from).collect();
        prop_assert_eq!(proof.is_empty(), root_from_proof(leaf.into(), index, &proof) == B256::from(leaf));
    }
}

#[test]
fn the_order_of_keys_is_kind_then_subnet_then_account() {
    let reward = |kind, netuid, byte| Reward { kind, netuid, account: Address::repeat_byte(byte), cumulative: 0 };
    let ascending = [
        reward(RewardKind::OwnerAlpha, 2, 9),
        reward(RewardKind::ContributorAlpha, 1, 9),
        reward(RewardKind::ContributorAlpha, 256, 1),
        reward(RewardKind::ContributorAlpha, 256, 2),
        reward(RewardKind::KeeperUsdc, 0, 0),
    ];
    assert!(RewardTree::new(ascending.to_vec()).is_ok());
    assert_eq!(RewardKind::ALL.map(|kind| kind as u8), [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn no_rewards_have_the_zero_root() {
    let empty = RewardTree::new(Vec::new()).unwrap();
    assert_eq!((empty.root(), empty.proof(0)), (B256::ZERO, None));
    assert_eq!(merkle_root(&[]), B256::ZERO);
}
