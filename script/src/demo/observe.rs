//! What happened in an epoch, read back from the chain, the keepers and the bundles; nothing here comes from the demo's
//! own intentions.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy::consensus::Transaction as _;
use alloy::primitives::{Address, B256, FixedBytes};
use alloy::providers::Provider as _;
use alloy::rpc::types::Log;
use alloy::sol_types::SolCall as _;
use eyre::{Context, Result, ensure, eyre};
use serde::Serialize;
use tandem_contracts::bindings::{
    AlphaPools, ComputeCredit, CreditDesk, EmissionController, EpochOracle, RewardDistributor,
};
use tandem_protocol::api::{Attestation, AuditCount, ClaimList, decimal};
use tandem_protocol::bundle::EpochBundle;
use tandem_protocol::messages::oracle_domain;
use tandem_protocol::signed;

use super::actors::ContributorKind;
use super::launch::Phase;
use super::network::Network;
use crate::chain::Call;

/// How long a keeper may lag behind the chain.
const KEEPER_PATIENCE: Duration = Duration::from_secs(10);

/// One epoch as the demo's JSON tells it.
#[derive(Clone, Debug, Serialize)]
pub struct EpochRecord {
    /// Epoch.
    pub epoch: u64,
    /// Phase of the launch at the epoch's start.
    pub phase: &'static str,
    /// Transaction that posted the report.
    pub posted_tx: B256,
    /// Struct hash of the report.
    pub report_hash: B256,
    /// Keepers whose signatures were posted.
    pub signers: Vec<Address>,
    /// Gas of whole transactions.
    pub gas: GasRecord,
    /// Contributors in the order of their names.
    pub contributors: Vec<ContributorRecord>,
    /// Subnets by netuid.
    pub subnets: Vec<SubnetRecord>,
}

/// Gas of whole transactions; for claims the average of one leaf in the batches of the epoch.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct GasRecord {
    /// Posting the report.
    pub post: u64,
    /// Activating it.
    pub activate: u64,
    /// Settling the epoch's emission.
    pub settle: u64,
    /// Claiming one leaf.
    pub claim: u64,
}

/// A contributor's epoch.
#[derive(Clone, Debug, Serialize)]
pub struct ContributorRecord {
    /// Name.
    pub name: &'static str,
    /// What it really does.
    pub kind: ContributorKind,
    /// Its subnet.
    pub subnet: u16,
    /// Tokens that validators re-ran.
    pub tokens_audited: u64,
    /// Audits by verdict: pass, fail, hard fault, unavailable.
    pub verdicts: [u32; 4],
    /// Share of the subnet's contributors' pot, 0..1.
    pub incentive_share: f64,
    /// Credits settled to it in the epoch, base units.
    #[serde(with = "decimal")]
    pub credits_earned: u128,
    /// USDC it was paid for credits in the epoch, base units.
    #[serde(with = "decimal")]
    pub usdc_cashed_out: u128,
}

/// A subnet's epoch.
#[derive(Clone, Debug, Serialize)]
pub struct SubnetRecord {
    /// Subnet.
    pub netuid: u16,
    /// `work` or `meme`.
    pub kind: &'static str,
    /// Price of its alpha by the EMA, WAD TNDM; zero before markets.
    #[serde(with = "decimal")]
    pub price: u128,
    /// Share of the emission ceiling by price, 0..1.
    pub share: f64,
    /// Allowance left after the epoch, TNDM base units.
    #[serde(with = "decimal")]
    pub allowance: u128,
    /// TNDM emitted to it for the epoch.
    #[serde(with = "decimal")]
    pub emitted: u128,
    /// TNDM burned for it in the epoch.
    #[serde(with = "decimal")]
    pub burned: u128,
}

/// A posted report with its bundle as every keeper gave it.
#[derive(Clone, Debug)]
pub struct Posted {
    /// Transaction.
    pub transaction: B256,
    /// The contract's event.
    pub event: EpochOracle::ReportPosted,
    /// The bundle that the first keeper served.
    pub bundle: EpochBundle,
    /// Keepers that served these very bytes.
    pub identical_bundles: usize,
    /// Keepers whose attestation names this very report.
    pub identical_attestations: usize,
}

impl Network {
    /// The posted report of an epoch, if it is there.
    pub(super) async fn posted(&self, epoch: u64) -> Result<Option<(B256, EpochOracle::ReportPosted)>> {
        let events = self.chain.events::<EpochOracle::ReportPosted>(self.suite.epoch_oracle, self.first_block).await?;
        let last = events.into_iter().rfind(|(event, _)| event.epoch == epoch);
        last.map(|(event, log)| Ok((hash_of(&log)?, event))).transpose()
    }

    /// Whether the epoch's report is active.
    pub(super) async fn is_active(&self, epoch: u64) -> Result<bool> {
        let last = self.chain.read(self.suite.epoch_oracle, &EpochOracle::lastActiveCall {}).await?;
        Ok(last.any && last.epoch >= epoch)
    }

    /// Asks every keeper for the bundle and its attestation of a posted report.
    pub(super) async fn gather(&self, http: &reqwest::Client, epoch: u64) -> Result<Posted> {
        let (transaction, event) =
            self.posted(epoch).await?.ok_or_else(|| eyre!("the report of epoch {epoch} was never posted"))?;
        let mut bundle: Option<Vec<u8>> = None;
        let mut identical_bundles = 0;
        let mut identical_attestations = 0;
        for url in &self.keeper_urls {
            let bytes = get(http, &format!("{url}/v1/bundles/{}", event.bundleHash)).await?.bytes().await?.to_vec();
            if bundle.get_or_insert_with(|| bytes.clone()) == &bytes {
                identical_bundles += 1;
            }
            let attestations: Vec<Attestation> =
                get(http, &format!("{url}/v1/epochs/{epoch}/attestations")).await?.json().await?;
            let same = attestations.iter().any(|attestation| {
                let report = &attestation.report.message;
                report.bundleHash == event.bundleHash && report.rewardsRoot == event.rewardsRoot
            });
            identical_attestations += usize::from(same);
        }
        let bytes = bundle.ok_or_else(|| eyre!("there are no keepers"))?;
        let bundle = EpochBundle::decode_named(&bytes, event.bundleHash)?;
        Ok(Posted { transaction, event, bundle, identical_bundles, identical_attestations })
    }

    /// Claims for everybody, as anyone may; returns the gas and the number of leaves.
    pub(super) async fn claim_for_all(&self, http: &reqwest::Client, epoch: u64) -> Result<(u64, u64)> {
        let mut calls = Vec::new();
        let mut leaves = 0;
        for account in self.earners() {
            let list = self.claims_of(http, account, epoch).await?;
            let mut claims = Vec::new();
            let mut proofs = Vec::new();
            for claim in list.claims {
                let paid = self
                    .chain
                    .read(
                        self.suite.reward_distributor,
                        &RewardDistributor::paidToCall {
                            netuid: claim.reward.netuid,
                            kind: claim.reward.kind as u8,
                            account: claim.reward.account,
                        },
                    )
                    .await?;
                if paid.saturating_to::<u128>() < claim.reward.cumulative {
                    claims.push(tandem_contracts::bindings::reward_distributor::IRewardDistributor::Claim {
                        index: claim.index.try_into()?,
                        kind: claim.reward.kind as u8,
                        netuid: claim.reward.netuid,
                        account: claim.reward.account,
                        cumulative: claim.reward.cumulative.try_into()?,
                    });
                    proofs.push(claim.proof);
                }
            }
            if !claims.is_empty() {
                leaves += claims.len() as u64;
                let call = RewardDistributor::claimBatchCall { cs: claims, proofs };
                calls.push(Call::new(format!("claim for {account}"), self.suite.reward_distributor, &call));
            }
        }
        let receipts = self.chain.send_all(&self.actors.council, calls).await?;
        Ok((receipts.iter().map(|receipt| receipt.gas_used).sum(), leaves))
    }

    /// What an account can claim once the keeper has seen the epoch's report become active.
    async fn claims_of(&self, http: &reqwest::Client, account: Address, epoch: u64) -> Result<ClaimList> {
        let url = format!("{}/v1/claims/{account}", self.keeper_urls[0]);
        let deadline = tokio::time::Instant::now() + KEEPER_PATIENCE;
        loop {
            let answer = http.get(&url).send().await.wrap_err_with(|| format!("GET {url}"))?;
            if answer.status().is_success() {
                let list: ClaimList = answer.json().await.wrap_err_with(|| format!("GET {url}"))?;
                if list.epoch >= epoch {
                    return Ok(list);
                }
            }
            ensure!(tokio::time::Instant::now() < deadline, "{url} knows no claims of epoch {epoch}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Accounts that can earn rewards.
    pub(super) fn earners(&self) -> Vec<Address> {
        let actors = &self.actors;
        let mut accounts: Vec<Address> = actors
            .contributors
            .iter()
            .map(|contributor| contributor.owner.address())
            .chain(actors.validators.iter().map(|validator| validator.owner.address()))
            .chain(actors.keepers.iter().map(|keeper| keeper.key.address()))
            .chain(actors.subnet_owners.iter().map(|owner| owner.address()))
            .collect();
        accounts.sort_unstable();
        accounts
    }

    /// Puts an epoch's record together.
    pub(super) async fn record(
        &self,
        http: &reqwest::Client,
        epoch: u64,
        phase: Phase,
        posted: &Posted,
        claims: (u64, u64),
        meme: Option<u16>,
    ) -> Result<EpochRecord> {
        let first = self.chain.last_block_before(self.clock.start_of(epoch)).await?.number + 1;
        let last = self.chain.last_block_before(self.clock.end_of(epoch)).await?.number;
        let within = |log: &Log| log.block_number.is_some_and(|number| (first..=last).contains(&number));

        let mut earned: BTreeMap<Address, u128> = BTreeMap::new();
        for (event, log) in self.chain.events::<ComputeCredit::Earned>(self.suite.compute_credit, first).await? {
            if within(&log) {
                *earned.entry(event.contributor).or_default() += event.amount.saturating_to::<u128>();
            }
        }
        let mut cashed_out: BTreeMap<Address, u128> = BTreeMap::new();
        for (event, log) in self.chain.events::<CreditDesk::CashedOut>(self.suite.credit_desk, first).await? {
            if within(&log) {
                *cashed_out.entry(event.account).or_default() += event.usdc.saturating_to::<u128>();
            }
        }
        let audits = self.audits(http, epoch).await?;
        let contributors = self
            .actors
            .contributors
            .iter()
            .zip(&self.contributor_uids)
            .map(|(contributor, uid)| {
                let outcome = posted.bundle.outcome.subnets.iter().find(|subnet| subnet.netuid == contributor.netuid);
                let incentive = outcome.and_then(|outcome| outcome.incentive.get(usize::from(*uid))).copied();
                let audit = audits.get(&(contributor.netuid, *uid)).copied().unwrap_or_default();
                let owner = contributor.owner.address();
                ContributorRecord {
                    name: contributor.name,
                    kind: contributor.kind,
                    subnet: contributor.netuid,
                    tokens_audited: audit.0,
                    verdicts: audit.1,
                    incentive_share: f64::from(incentive.unwrap_or_default()) / f64::from(u16::MAX),
                    credits_earned: earned.get(&owner).copied().unwrap_or_default(),
                    usdc_cashed_out: cashed_out.get(&owner).copied().unwrap_or_default(),
                }
            })
            .collect();

        let mut subnets = Vec::new();
        for netuid in Self::netuids(meme) {
            subnets.push(self.subnet_record(epoch, netuid, meme == Some(netuid)).await?);
        }
        let emitted: u128 = subnets.iter().map(|subnet| subnet.emitted).sum();
        if emitted > 0 {
            for subnet in &mut subnets {
                subnet.share = subnet.emitted as f64 / emitted as f64;
            }
        }
        Ok(EpochRecord {
            epoch,
            phase: phase.name(),
            posted_tx: posted.transaction,
            report_hash: posted.event.reportHash,
            signers: self.signers(posted.transaction).await?,
            gas: self.gas(epoch, posted.transaction, claims).await?,
            contributors,
            subnets,
        })
    }

    async fn subnet_record(&self, epoch: u64, netuid: u16, meme: bool) -> Result<SubnetRecord> {
        let controller = self.suite.emission_controller;
        let grant = self.chain.read(controller, &EmissionController::grantOfCall { epoch, netuid }).await?;
        let ledger = self.chain.read(controller, &EmissionController::ledgerOfCall { netuid }).await?;
        let exists = self.chain.read(self.suite.alpha_pools, &AlphaPools::existsCall { netuid }).await?;
        let price = match exists {
            true => self.chain.read(self.suite.alpha_pools, &AlphaPools::emaOfCall { netuid }).await?.saturating_to(),
            false => 0,
        };
        let burns = self.chain.events::<EmissionController::BurnCredited>(controller, self.first_block).await?;
        let burned = burns
            .iter()
            .filter(|(event, _)| event.netuid == netuid && event.epoch == epoch)
            .map(|(event, _)| event.burned.saturating_to::<u128>())
            .sum();
        Ok(SubnetRecord {
            netuid,
            kind: if meme { "meme" } else { "work" },
            price,
            share: 0.0,
            allowance: ledger.allowance,
            emitted: grant.emitted,
            burned,
        })
    }

    async fn audits(&self, http: &reqwest::Client, epoch: u64) -> Result<BTreeMap<(u16, u16), (u64, [u32; 4])>> {
        let mut sums: BTreeMap<(u16, u16), (u64, [u32; 4])> = BTreeMap::new();
        for url in &self.keeper_urls {
            let counts: Vec<AuditCount> = get(http, &format!("{url}/v1/epochs/{epoch}/audits")).await?.json().await?;
            for count in counts {
                let (tokens, verdicts) = sums.entry((count.netuid, count.uid)).or_default();
                *tokens += count.tokens_audited;
                for (sum, verdict) in verdicts.iter_mut().zip(count.verdicts) {
                    *sum += verdict;
                }
            }
        }
        Ok(sums)
    }

    /// Who signed, recovered from the transaction's own calldata.
    async fn signers(&self, transaction: B256) -> Result<Vec<Address>> {
        let found =
            self.chain.provider().get_transaction_by_hash(transaction).await.wrap_err("reading a transaction")?;
        let found = found.ok_or_else(|| eyre!("transaction {transaction} is gone"))?;
        let call = EpochOracle::postCall::abi_decode(found.input()).wrap_err("the post's calldata")?;
        let report = &call.report;
        let message = tandem_protocol::messages::EpochReport {
            epoch: report.epoch,
            attempt: report.attempt,
            configDigest: report.configDigest,
            inputsBlock: report.inputsBlock,
            previousReport: report.previousReport,
            subnetsRoot: report.subnetsRoot,
            rewardsRoot: report.rewardsRoot,
            bundleHash: report.bundleHash,
            rulesVersion: report.rulesVersion,
        };
        let domain = oracle_domain(self.chain.id(), self.suite.epoch_oracle);
        let digest = alloy::sol_types::SolStruct::eip712_signing_hash(&message, &domain);
        call.signatures
            .iter()
            .map(|signature| signed::expand(signature.r, signature.vs))
            .map(|bytes| signed::recover(digest, &FixedBytes(bytes)).wrap_err("a posted signature"))
            .collect()
    }

    async fn gas(&self, epoch: u64, post: B256, claims: (u64, u64)) -> Result<GasRecord> {
        let oracle = self.suite.epoch_oracle;
        let activated = self.chain.events::<EpochOracle::ReportActivated>(oracle, self.first_block).await?;
        let activated = activated.into_iter().rfind(|(event, _)| event.epoch == epoch);
        let controller = self.suite.emission_controller;
        let settled = self.chain.events::<EmissionController::EpochSettled>(controller, self.first_block).await?;
        let settled = settled.into_iter().rfind(|(event, _)| event.epoch == epoch);
        Ok(GasRecord {
            post: self.gas_of(post).await?,
            activate: match activated {
                Some((_, log)) => self.gas_of(hash_of(&log)?).await?,
                None => 0,
            },
            settle: match settled {
                Some((_, log)) => self.gas_of(hash_of(&log)?).await?,
                None => 0,
            },
            claim: claims.0.checked_div(claims.1).unwrap_or(0),
        })
    }

    async fn gas_of(&self, transaction: B256) -> Result<u64> {
        let receipt = self.chain.provider().get_transaction_receipt(transaction).await.wrap_err("reading a receipt")?;
        Ok(receipt.ok_or_else(|| eyre!("transaction {transaction} has no receipt"))?.gas_used)
    }
}

/// GET with a status check that names the address.
pub(super) async fn get(http: &reqwest::Client, url: &str) -> Result<reqwest::Response> {
    let response = http.get(url).send().await.wrap_err_with(|| format!("GET {url}"))?;
    let status = response.status();
    if !status.is_success() {
        let body = response.text().await.unwrap_or_default();
        return Err(eyre!("GET {url} answered {status}: {body}"));
    }
    Ok(response)
}

fn hash_of(log: &Log) -> Result<B256> {
    log.transaction_hash.ok_or_else(|| eyre!("a mined log without transaction"))
}
