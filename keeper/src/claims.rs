//! Who can claim what: the reward tree of the last active report, by account.

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
    /// Accounts with the positions of their leaves, ascending: a million accounts in a map of lists take five times as much.
    leaves: Vec<(Address, u32)>,
}

impl ClaimsIndex {
    /// Builds the tree over `rewards` of the report `report` (struct hash) of `epoch`.
    pub fn new(epoch: u64, report: B256, rewards: Vec<Reward>) -> Result<Self, TreeError> {
        let tree = RewardTree::new(rewards)?;
        let mut leaves: Vec<_> = (0..).zip(tree.rewards()).map(|(index, reward)| (reward.account, index)).collect();
        leaves.sort_unstable();
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

    /// Epoch of the report.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many leaves there are.
    pub fn len(&self) -> usize {
        self.tree.rewards().len()
    }

    /// Whether nobody has earned anything yet.
    pub fn is_empty(&self) -> bool {
        self.tree.rewards().is_empty()
    }

    /// Positions of the leaves of `account`, ascending.
    pub fn indexes_of(&self, account: Address) -> impl Iterator<Item = u64> {
        let first = self.leaves.partition_point(|(known, _)| *known < account);
        self.leaves[first..].iter().take_while(move |(known, _)| *known == account).map(|(_, index)| u64::from(*index))
    }

    /// The leaf at a position, with its proof.
    pub fn at(&self, index: u64) -> Option<ClaimProof> {
        let at = usize::try_from(index).ok()?;
        Some(ClaimProof { index, reward: *self.tree.rewards().get(at)?, proof: self.tree.proof(at)? })
    }

    /// Everything that `account` has ever earned, with proofs.
    pub fn of(&self, account: Address) -> ClaimList {
        let claims = self.indexes_of(account).filter_map(|index| self.at(index));
        ClaimList { epoch: self.epoch, root: self.root(), claims: claims.collect() }
    }
}
