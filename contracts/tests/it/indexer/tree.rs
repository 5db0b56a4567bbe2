//! A small reward tree that grows: what everybody was ever promised.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, U256, keccak256};
use tandem_contracts::bindings::reward_distributor::IRewardDistributor::Claim;

use crate::support::leaf;

#[derive(Clone, Default)]
pub(super) struct Tree {
    promised: BTreeMap<(u16, u8, Address), U256>,
}

impl Tree {
    pub(super) fn promise(&mut self, netuid: u16, kind: u8, account: Address, amount: u128) {
        *self.promised.entry((netuid, kind, account)).or_default() += U256::from(amount);
    }

    /// Every leaf with its proof, and the root.
    pub(super) fn build(&self) -> (B256, Vec<(Claim, Vec<B256>)>) {
        let claims: Vec<Claim> = self
            .promised
            .iter()
            .enumerate()
            .map(|(index, ((netuid, kind, account), cumulative))| Claim {
                index: U256::from(index),
                kind: *kind,
                netuid: *netuid,
                account: *account,
                cumulative: *cumulative,
            })
            .collect();
        let mut level: Vec<B256> = claims.iter().map(leaf).collect();
        level.resize(level.len().next_power_of_two(), B256::ZERO);
        let mut proofs = vec![Vec::new(); claims.len()];
        let mut height = 0;
        while level.len() > 1 {
            for (index, proof) in proofs.iter_mut().enumerate() {
                proof.push(level[(index >> height) ^ 1]);
            }
            // The tree runs from right to left.
            level = level.chunks(2).map(|pair| keccak256([pair[1], pair[0]].concat())).collect();
            height += 1;
        }
        (level[0], claims.into_iter().zip(proofs).collect())
    }
}
