//! The attest key and everything that may be signed with it. The key does not leave this module: a report can only be
//! signed past the [`Guard`].

use alloy_primitives::{Address, B256};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::{Eip712Domain, SolStruct};
use tandem_protocol::{
    messages::{CommitReceipt, EpochReport, ListVote, RowList, SignatureBytes, WeightsCommit},
    signed::{SignatureError, Signed, sign},
};

use crate::{
    guard::{Guard, GuardError, Slot},
    kill,
    network::Network,
};

/// Why a report was not signed.
#[derive(Debug, thiserror::Error)]
pub enum AttestError {
    /// The guard refused or failed.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The key failed.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// Signs for one keeper on one network.
#[derive(Debug)]
pub struct Attester {
    key: PrivateKeySigner,
    domain: Eip712Domain,
    chain_id: u64,
    oracle: Address,
    guard: Guard,
}

impl Attester {
    /// Takes the key into custody.
    pub fn new(key: PrivateKeySigner, network: &Network, guard: Guard) -> Self {
        Self { key, domain: network.domain(), chain_id: network.chain_id, oracle: network.oracle, guard }
    }

    /// The keeper.
    pub fn address(&self) -> Address {
        self.key.address()
    }

    /// A receipt for a commit that is stored.
    pub fn receipt(&self, commit: &WeightsCommit) -> Result<SignatureBytes, SignatureError> {
        let receipt = CommitReceipt { epoch: commit.epoch, commit: commit.eip712_hash_struct() };
        sign(receipt.eip712_signing_hash(&self.domain), &self.key)
    }

    /// A proposal's list.
    pub fn list(&self, list: RowList) -> Result<Signed<RowList>, SignatureError> {
        Signed::new(list, &self.domain, &self.key)
    }

    /// A vote for a list.
    pub fn vote(&self, vote: ListVote) -> Result<Signed<ListVote>, SignatureError> {
        Signed::new(vote, &self.domain, &self.key)
    }

    /// A report, if this key has signed no other one for its epoch and attempt.
    pub async fn report(&self, report: EpochReport) -> Result<Signed<EpochReport>, AttestError> {
        self.guard.authorize(self.slot(&report), self.digest(&report)).await?;
        kill::point("attest.authorized");
        Ok(Signed::new(report, &self.domain, &self.key)?)
    }

    /// Notes a report that others show with this key's signature on it, so that no second one is signed.
    pub async fn remember(&self, report: &EpochReport) -> Result<(), GuardError> {
        self.guard.authorize(self.slot(report), self.digest(report)).await
    }

    /// Gives the guard's file back.
    pub async fn close(&self) {
        self.guard.close().await;
    }

    fn digest(&self, report: &EpochReport) -> B256 {
        report.eip712_signing_hash(&self.domain)
    }

    fn slot(&self, report: &EpochReport) -> Slot {
        Slot { chain_id: self.chain_id, contract: self.oracle, epoch: report.epoch, attempt: report.attempt }
    }
}
