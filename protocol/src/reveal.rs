//! Revealed rows of weights and the rules by which one counts.

use alloy_primitives::{Address, B256};
use alloy_sol_types::{Eip712Domain, SolStruct};
use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::messages::{CommitReceipt, SignatureBytes, WeightsCommit, commit_hash};
use crate::signed::{self, SignatureError};

/// A row with everything that shows it was committed in time: the validator's signature on the commit and the keepers'
/// receipts.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reveal {
    /// Subnet.
    pub netuid: u16,
    /// Epoch.
    pub epoch: u64,
    /// Hotkey of the validator.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Address))]
    pub validator: Address,
    /// Sequence number of the commit.
    pub seq: u32,
    /// What hid the row.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Hash))]
    pub salt: B256,
    /// (uid, weight), uids strictly ascending; a uid left out has weight zero.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<crate::openapi::RowEntry>))]
    pub row: Vec<(u16, u16)>,
    /// The validator's signature on the [`WeightsCommit`].
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Signature))]
    pub signature: SignatureBytes,
    /// Keepers and their signatures on the [`CommitReceipt`], keepers strictly ascending.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<crate::openapi::Receipt>))]
    pub receipts: Vec<(Address, SignatureBytes)>,
}

/// Why a row does not count. The code is published in the bundle.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RowFault {
    /// Another epoch's row.
    #[error("row is for epoch {found}, not {expected}")]
    WrongEpoch {
        /// Epoch in the row.
        found: u64,
        /// Epoch asked for.
        expected: u64,
    },
    /// Uids are not strictly ascending.
    #[error("uids are not strictly ascending at position {0}")]
    UnsortedRow(usize),
    /// A uid beyond the subnet's neurons.
    #[error("uid {uid} does not exist among {count} neurons")]
    UidOutOfRange {
        /// Uid named.
        uid: u16,
        /// Neurons of the subnet.
        count: usize,
    },
    /// The signer holds no uid in the subnet.
    #[error("{0} holds no uid in this subnet")]
    UnknownValidator(Address),
    /// The commit's signature does not fit.
    #[error("commit signature: {0}")]
    Commit(SignatureError),
    /// A receipt's signature does not fit or its signer is no keeper of the epoch.
    #[error("receipt of {keeper}: {reason}")]
    Receipt {
        /// Claimed keeper.
        keeper: Address,
        /// What is wrong.
        reason: String,
    },
    /// Fewer receipts than the threshold.
    #[error("{found} receipts, {needed} needed")]
    TooFewReceipts {
        /// Sound receipts.
        found: usize,
        /// Threshold of the set.
        needed: usize,
    },
}

impl Reveal {
    /// The commit that this reveal opens.
    pub fn commit(&self, chain_id: u64, oracle: Address) -> WeightsCommit {
        WeightsCommit {
            netuid: self.netuid,
            epoch: self.epoch,
            validator: self.validator,
            seq: self.seq,
            commitHash: commit_hash(
                chain_id,
                oracle,
                self.netuid,
                self.epoch,
                self.validator,
                self.seq,
                self.salt,
                &self.row,
            ),
        }
    }

    /// Checks the form alone: epoch, validator, uids. For a row whose commit the chain holds, this is all there is to check.
    pub fn check_form(&self, rules: &RevealRules<'_>) -> Result<(), RowFault> {
        if self.epoch != rules.epoch {
            return Err(RowFault::WrongEpoch { found: self.epoch, expected: rules.epoch });
        }
        if !rules.hotkeys.contains(&self.validator) {
            return Err(RowFault::UnknownValidator(self.validator));
        }
        if let Some(at) = self.row.windows(2).position(|pair| pair[0].0 >= pair[1].0) {
            return Err(RowFault::UnsortedRow(at + 1));
        }
        if let Some((uid, _)) = self.row.last().filter(|(uid, _)| usize::from(*uid) >= rules.hotkeys.len()) {
            return Err(RowFault::UidOutOfRange { uid: *uid, count: rules.hotkeys.len() });
        }
        Ok(())
    }

    /// Checks form, signature and receipts; whether the validator holds a permit is Yuma's to decide. `rules` are those of the
    /// subnet that the reveal names: which one that is, the caller looks up.
    pub fn check(&self, rules: &RevealRules<'_>) -> Result<(), RowFault> {
        self.check_form(rules)?;
        let commit = self.commit(rules.chain_id, rules.oracle);
        signed::recover(commit.eip712_signing_hash(rules.domain), &self.signature)
            .and_then(|found| {
                if found == self.validator {
                    Ok(())
                } else {
                    Err(SignatureError::WrongSigner { found, expected: self.validator })
                }
            })
            .map_err(RowFault::Commit)?;
        self.check_receipts(&commit, rules, false)
    }

    /// Checks the receipts on `commit`, which is [`Self::commit`] of this reveal. If they are `sound`, whoever checked them
    /// before has found that each is signed by the keeper it names, and only what the rules say of them is looked at.
    pub fn check_receipts(&self, commit: &WeightsCommit, rules: &RevealRules<'_>, sound: bool) -> Result<(), RowFault> {
        let receipt =
            CommitReceipt { epoch: self.epoch, commit: commit.eip712_hash_struct() }.eip712_signing_hash(rules.domain);
        let mut previous = None;
        for (keeper, signature) in &self.receipts {
            let fault = |reason: &str| RowFault::Receipt { keeper: *keeper, reason: reason.to_owned() };
            if previous.is_some_and(|before| before >= *keeper) {
                return Err(fault("keepers are not strictly ascending"));
            }
            previous = Some(*keeper);
            if !rules.keepers.contains(keeper) {
                return Err(fault("no keeper of this epoch"));
            }
            if sound {
                continue;
            }
            match signed::recover(receipt, signature) {
                Ok(found) if found == *keeper => {}
                Ok(_) => return Err(fault("somebody else's signature")),
                Err(error) => return Err(fault(&error.to_string())),
            }
        }
        if self.receipts.len() < rules.threshold {
            return Err(RowFault::TooFewReceipts { found: self.receipts.len(), needed: rules.threshold });
        }
        Ok(())
    }
}

/// What a reveal is checked against, all as of the epoch's start.
#[derive(Clone, Copy, Debug)]
pub struct RevealRules<'a> {
    /// Chain.
    pub chain_id: u64,
    /// EpochOracle.
    pub oracle: Address,
    /// [`crate::messages::oracle_domain`] of the two.
    pub domain: &'a Eip712Domain,
    /// Epoch.
    pub epoch: u64,
    /// Hotkeys of the subnet's neurons by uid.
    pub hotkeys: &'a [Address],
    /// Keepers of the epoch.
    pub keepers: &'a [Address],
    /// Receipts needed.
    pub threshold: usize,
}
