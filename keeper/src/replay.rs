//! Any posted epoch recomputed from public data: what the chain holds and the bundle that the report names. Nobody's word
//! is needed, and any difference is worth a veto or a proof.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use alloy_sol_types::SolStruct;
use anyhow::{Context, bail};
use bytes::Bytes;
use tandem_protocol::{
    bundle::{EpochBundle, EpochInputs},
    outcome,
};

use crate::{
    chain::{BlockRef, ChainReader, EpochFacts, Granted, Heads, ReportStatus},
    config::PeersConfig,
    inputs::{Sources, assemble, first_granted},
    network::Network,
    peers::HttpPeers,
    rows::SoundRows,
};

/// Where bundles are fetched from.
#[derive(Clone, Debug, Default)]
pub struct BundleSources {
    /// Base URLs of keepers.
    pub peers: Vec<String>,
    /// URLs in which `{hash}` stands for the bundle's hash.
    pub urls: Vec<String>,
}

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Epoch.
    pub epoch: u64,
    /// Struct hash of the posted report.
    pub report: B256,
    /// Name of its bundle.
    pub bundle: B256,
    /// Where chain, bundle and recomputation differ; empty if all agree.
    pub differences: Vec<String>,
}

/// Recomputes `epoch`.
pub async fn replay(
    network: &Network,
    chain: &dyn ChainReader,
    sources: &BundleSources,
    epoch: u64,
) -> anyhow::Result<Replay> {
    let heads = chain.heads().await?;
    let stored = chain.stored_report(epoch, &heads.latest).await?;
    if stored.status == ReportStatus::None {
        bail!("[K-REPLAY-1] no report of epoch {epoch} was posted");
    }
    let posted = chain
        .posted_report(epoch, &stored, &heads.latest)
        .await?
        .with_context(|| format!("[K-REPLAY-2] the node has no log of epoch {epoch}'s report"))?;
    let fetcher = Fetcher::new(sources)?;
    let bundle = fetcher.bundle(posted.bundle_hash).await?;
    let previous = match bundle.inputs.previous_bundle {
        B256::ZERO => None,
        hash => Some(fetcher.bundle(hash).await?),
    };

    let mut differences = Vec::new();
    differences.extend(recompute(&bundle));
    let report = outcome::report(&bundle);
    if report.eip712_hash_struct() != stored.hash {
        differences.push(format!(
            "the bundle's report hashes to {}, posted is {}",
            report.eip712_hash_struct(),
            stored.hash
        ));
    }
    if report.rewardsRoot != posted.rewards_root {
        differences.push(format!("the bundle's root is {}, posted is {}", report.rewardsRoot, posted.rewards_root));
    }
    if let Some(previous) = &previous
        && outcome::report(previous).eip712_hash_struct() != bundle.inputs.previous_report
    {
        differences.push("the previous bundle is not that of the previous report".to_owned());
    }
    let read = ChainInputs::read(network, chain, &heads, epoch, &bundle, previous.as_ref()).await?;
    differences.extend(read.compare(network, &bundle.inputs, previous.as_ref()));
    Ok(Replay { epoch, report: stored.hash, bundle: posted.bundle_hash, differences })
}

/// Recomputes the outcome from the bundle's own inputs.
fn recompute(bundle: &EpochBundle) -> Vec<String> {
    match outcome::compute(&bundle.inputs) {
        Ok(outcome) if outcome == bundle.outcome => Vec::new(),
        Ok(outcome) => {
            let subnets = outcome.subnets.iter().zip(&bundle.outcome.subnets);
            let mut differences: Vec<String> = subnets
                .filter(|(computed, claimed)| computed != claimed)
                .map(|(computed, _)| format!("subnet {}: the outcome does not follow from the inputs", computed.netuid))
                .collect();
            if outcome.rewards != bundle.outcome.rewards {
                differences.push("the rewards do not follow from the inputs".to_owned());
            }
            if differences.is_empty() {
                differences.push("the outcome's roots do not follow from the inputs".to_owned());
            }
            differences
        }
        Err(error) => vec![format!("the inputs have no outcome: {error}")],
    }
}

/// What the chain says an epoch's inputs must be.
struct ChainInputs {
    block: BlockRef,
    facts: EpochFacts,
    granted: BTreeMap<u16, Granted>,
}

impl ChainInputs {
    async fn read(
        network: &Network,
        chain: &dyn ChainReader,
        heads: &Heads,
        epoch: u64,
        bundle: &EpochBundle,
        previous: Option<&EpochBundle>,
    ) -> anyhow::Result<Self> {
        let end = network.clock.end_of(epoch);
        let block = chain.last_block_before(end, &heads.latest).await?;
        let block = block.with_context(|| format!("no block before the end of epoch {epoch}"))?;
        let mut facts = chain.facts(epoch, &block).await?;
        facts.committed = chain.on_chain(epoch, &heads.latest).await?.committed();
        let netuids: Vec<u16> = bundle.inputs.subnets.iter().map(|subnet| subnet.netuid).collect();
        let granted = chain.granted(first_granted(previous)..=epoch, &netuids).await?;
        Ok(Self { block, facts, granted })
    }

    fn compare(&self, network: &Network, claimed: &EpochInputs, previous: Option<&EpochBundle>) -> Vec<String> {
        let reveals: Vec<_> = claimed.subnets.iter().flat_map(|subnet| subnet.rows.clone()).collect();
        let assembled = assemble(&Sources {
            network,
            facts: &self.facts,
            inputs_block: self.block,
            attempt: claimed.attempt,
            previous: previous.map(|bundle| (claimed.previous_report, claimed.previous_bundle, bundle)),
            reveals: &reveals,
            granted: &self.granted,
            sound: &SoundRows::default(),
        });
        let mut expected = match assembled {
            Ok(expected) => expected,
            Err(fault) => return vec![format!("a row that no keeper may list: {fault}")],
        };
        // The rows that were refused are not in the bundle, only that they were: nothing follows from them.
        for (expected, claimed) in expected.subnets.iter_mut().zip(&claimed.subnets) {
            let refused_now = expected.dropped.len();
            expected.dropped = claimed.dropped.clone();
            if refused_now > 0 {
                return vec![format!("subnet {}: {refused_now} rows count that must not", claimed.netuid)];
            }
        }
        differing_fields(&expected, claimed)
    }
}

fn differing_fields(expected: &EpochInputs, claimed: &EpochInputs) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: String, same: bool| {
        if !same {
            differences.push(format!("{what} of the bundle is not what the chain says"));
        }
    };
    compare("chain or oracle".into(), (expected.chain_id, expected.oracle) == (claimed.chain_id, claimed.oracle));
    compare("epoch".into(), (expected.epoch, expected.epoch_start) == (claimed.epoch, claimed.epoch_start));
    compare("rules version".into(), expected.rules_version == claimed.rules_version);
    compare("config digest".into(), expected.config_digest == claimed.config_digest);
    compare("keepers".into(), expected.keepers == claimed.keepers);
    compare(
        "inputs block".into(),
        (expected.inputs_block, expected.inputs_block_number) == (claimed.inputs_block, claimed.inputs_block_number),
    );
    compare("previous epoch's start".into(), expected.bonds_since == claimed.bonds_since);
    compare("rewards before".into(), expected.rewards_before == claimed.rewards_before);
    compare("number of subnets".into(), expected.subnets.len() == claimed.subnets.len());
    for (expected, claimed) in expected.subnets.iter().zip(&claimed.subnets) {
        compare(format!("subnet {}", claimed.netuid), expected == claimed);
    }
    if differences.is_empty() && expected != claimed {
        differences.push("the inputs are not what the chain says".to_owned());
    }
    differences
}

/// Fetches bundles by hash from wherever they are; what is not the bundle of its name is as good as not there.
pub(crate) struct Fetcher<'a> {
    peers: HttpPeers,
    sources: &'a BundleSources,
}

impl<'a> Fetcher<'a> {
    pub(crate) fn new(sources: &'a BundleSources) -> anyhow::Result<Self> {
        Ok(Self { peers: HttpPeers::new(&PeersConfig { timeout_ms: 30_000, ..PeersConfig::default() })?, sources })
    }

    async fn bundle(&self, hash: B256) -> anyhow::Result<EpochBundle> {
        Ok(self.bytes(hash).await?.1)
    }

    /// A bundle as it came, and what it says.
    pub(crate) async fn bytes(&self, hash: B256) -> anyhow::Result<(Bytes, EpochBundle)> {
        let from_peers =
            self.sources.peers.iter().map(|base| format!("{}/v1/bundles/{hash}", base.trim_end_matches('/')));
        let from_urls = self.sources.urls.iter().map(|template| template.replace("{hash}", &hash.to_string()));
        let mut reasons = Vec::new();
        for url in from_peers.chain(from_urls) {
            match self.peers.get(url.clone()).await {
                Ok(Some(bytes)) => match EpochBundle::decode_named(&bytes, hash) {
                    Ok(bundle) => return Ok((bytes, bundle)),
                    Err(error) => reasons.push(format!("{url}: {error}")),
                },
                Ok(None) => reasons.push(format!("{url}: not held there")),
                Err(error) => reasons.push(format!("{url}: {error}")),
            }
        }
        bail!("[K-REPLAY-3] bundle {hash} is not to be had: {}", reasons.join("; "))
    }
}
