//! The attest key and everything that may be signed with it. The key does not leave this module: a report can only be
//! signed past the [`Guard`].

use alloy_primitives::{Address, B256};
use alloy_sol_types::{Eip712Domain, SolStruct};
use tandem_protocol::{
    messages::{
        CommitReceipt, EpochReport, ListVote, RowList, SignatureBytes, SignedRequest, WeightsCommit, request_hash,
    },
    signed::Signed,
};

use crate::{
    guard::{Guard, GuardError, Slot},
    keys::{Key, KeyError},
    kill,
    network::Network,
    sender::now_ms,
};

/// Why a report was not signed.
#[derive(Debug, thiserror::Error)]
pub enum AttestError {
    /// The guard refused or failed.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The key failed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Signs the questions of one keeper to others, and nothing else.
#[derive(Clone, Debug)]
pub struct Introduction {
    key: Key,
    domain: Eip712Domain,
}

impl Introduction {
    /// A `GET` of `path`, which includes the query, as of now by this machine's clock.
    pub async fn sign(&self, path: &str) -> Result<Signed<SignedRequest>, KeyError> {
        let message = SignedRequest {
            signer: self.key.address(),
            bodyHash: request_hash("GET", path, b""),
            timestamp: now_ms() / 1_000,
        };
        let signature = self.key.sign_message(&message, &self.domain).await?;
        Ok(Signed { message, signature })
    }
}

/// Signs for one keeper on one network.
#[derive(Debug)]
pub struct Attester {
    key: Key,
    domain: Eip712Domain,
    chain_id: u64,
    oracle: Address,
    guard: Guard,
}

impl Attester {
    /// Takes the key into custody.
    pub fn new(key: impl Into<Key>, network: &Network, guard: Guard) -> Self {
        Self { key: key.into(), domain: network.domain(), chain_id: network.chain_id, oracle: network.oracle, guard }
    }

    /// The keeper.
    pub fn address(&self) -> Address {
        self.key.address()
    }

    /// Signs this keeper's questions to its peers. If nothing else is `wanted`, only a key in this process does: elsewhere
    /// each signature costs time or money, and there are several a second.
    pub fn introduction(&self, wanted: Option<bool>) -> Option<Introduction> {
        let signs = wanted.unwrap_or_else(|| self.key.is_in_process());
        signs.then(|| Introduction { key: self.key.clone(), domain: self.domain.clone() })
    }

    /// A receipt for a commit that is stored.
    pub async fn receipt(&self, commit: &WeightsCommit) -> Result<SignatureBytes, KeyError> {
        let receipt = CommitReceipt { epoch: commit.epoch, commit: commit.eip712_hash_struct() };
        self.key.sign_message(&receipt, &self.domain).await
    }

    /// A proposal's list.
    pub async fn list(&self, list: RowList) -> Result<Signed<RowList>, KeyError> {
        let signature = self.key.sign_message(&list, &self.domain).await?;
        Ok(Signed { message: list, signature })
    }

    /// A vote for a list.
    pub async fn vote(&self, vote: ListVote) -> Result<Signed<ListVote>, KeyError> {
        let signature = self.key.sign_message(&vote, &self.domain).await?;
        Ok(Signed { message: vote, signature })
    }

    /// A report, if this key has signed no other one for its epoch and attempt.
    pub async fn report(&self, report: EpochReport) -> Result<Signed<EpochReport>, AttestError> {
        self.guard.authorize(self.slot(&report), self.digest(&report)).await?;
        kill::point("attest.authorized");
        let signature = self.key.sign_message(&report, &self.domain).await?;
        Ok(Signed { message: report, signature })
    }

    /// Notes a report that others show with this key's signature on it, so that no second one is signed.
    pub async fn remember(&self, report: &EpochReport) -> Result<(), GuardError> {
        self.guard.authorize(self.slot(report), self.digest(report)).await
    }

    /// Notes what other replicas have signed with this key.
    pub async fn catch_up(&self) -> Result<(), GuardError> {
        self.guard.catch_up(self.chain_id, self.oracle).await
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
