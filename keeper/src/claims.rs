//! Who can claim what: the reward tree of the last active report, by account.

use std::collections::HashMap;

use alloy_primitives::{Address, B256};
use tandem_protocol::{
    api::{ClaimList, ClaimProof},
    tree::{Reward, RewardTree, TreeError},
};

/// A tree with its leaves by account.
#[derive(Clone, Debug)]
pub struct ClaimsIndex {
    epoch: u64,
    report: B256,
    tree: RewardTree,
    leaves: HashMap<Address, Vec<usize>>,
}

impl ClaimsIndex {
    /// Builds the tree over `rewards` of the report `report` (struct hash) of `epoch`.
    pub fn new(epoch: u64, report: B256, rewards: Vec<Reward>) -> Result<Self, TreeError> {
        let tree = RewardTree::new(rewards)?;
        let mut leaves: HashMap<Address, Vec<usize>> = HashMap::new();
        for (index, reward) in tree.rewards().iter().enumerate() {
            leaves.entry(reward.account).or_default().push(index);
        }
        Ok(Self { epoch, report, tree, leaves })
    }

    /// Struct hash of the report.
    pub fn report(&self) -> B256 {
        self.report
    }

    /// Root of the tree.
    pub fn root(&self) -> B256 {
        self.tree.root()
    }

    /// Everything that `account` has ever earned, with proofs.
    pub fn of(&self, account: Address) -> ClaimList {
        let claims = self.leaves.get(&account).into_iter().flatten().filter_map(|index| {
            let reward = *self.tree.rewards().get(*index)?;
            Some(ClaimProof { index: *index as u64, reward, proof: self.tree.proof(*index)? })
        });
        ClaimList { epoch: self.epoch, root: self.root(), claims: claims.collect() }
    }
}
