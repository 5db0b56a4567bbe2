//! `backfill`.

use alloy_primitives::B256;
use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tandem_protocol::bundle::EpochBundle;

use super::{ConfigArgs, keeper_set, quiet_logs};
use crate::{
    bundles::Bundles,
    chain::{ChainReader, Heads, ReportRef, RpcChain},
    config::Config,
    network::Network,
    peers::peers_of,
    replay::{BundleSources, Fetcher},
};

/// Of `backfill`.
#[derive(Debug, Args)]
pub struct BackfillArgs {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Base URL of another source; may be given more than once. The keepers of the set are asked anyway.
    #[arg(long = "peer", value_name = "URL")]
    pub peers: Vec<String>,
    /// URL of bundles, with `{hash}` in place of the hash; may be given more than once.
    #[arg(long = "bundle-url", value_name = "URL")]
    pub bundle_urls: Vec<String>,
    /// How many epochs back from the last posted report, instead of the configuration's `bundles.keep_epochs`.
    #[arg(long, value_name = "N")]
    pub epochs: Option<u64>,
    /// Say the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A chain of reports, newest first, whose bundles are taken from the store or fetched into it.
pub(super) struct Walk {
    pub(super) network: Network,
    pub(super) heads: Heads,
    pub(super) bundles: Bundles,
    sources: BundleSources,
    /// Name of the bundle that comes next.
    next: Option<B256>,
    pub(super) last_posted: Option<ReportRef>,
    pub(super) last_active: Option<ReportRef>,
    pub(super) fetched: u64,
}

impl Walk {
    /// Begins at the last posted report. The keepers of the set are sources too.
    pub(super) async fn begin(config: &Config, mut sources: BundleSources) -> anyhow::Result<Self> {
        let network = Network::load(&config.manifest)?;
        let chain = RpcChain::over(config.nodes()?, network.clone(), config.finality);
        chain.check().await?;
        let heads = chain.heads().await?;
        let (_, set) = keeper_set(&chain, &network, &heads.latest).await?;
        let keepers = peers_of(&set, alloy_primitives::Address::ZERO, &config.peers.endpoints);
        sources.peers.extend(keepers.into_iter().map(|peer| peer.base));
        let oracle = chain.oracle_state(&heads.latest).await?;
        let next = match oracle.last_posted {
            Some(report) => {
                let stored = chain.stored_report(report.epoch, &heads.latest).await?;
                let posted = chain.posted_report(report.epoch, &stored, &heads.latest).await?;
                let epoch = report.epoch;
                Some(
                    posted
                        .with_context(|| format!("[K-REPLAY-2] the node has no log of epoch {epoch}'s report"))?
                        .bundle_hash,
                )
            }
            None => None,
        };
        Ok(Self {
            network,
            heads,
            bundles: Bundles::open(&config.bundles, &config.data_dir)?,
            sources,
            next,
            last_posted: oracle.last_posted,
            last_active: oracle.last_active,
            fetched: 0,
        })
    }

    /// The next bundle with its name; each names the one before it.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<(B256, EpochBundle)>> {
        let Some(hash) = self.next.filter(|hash| !hash.is_zero()) else { return Ok(None) };
        let bundle = match self.bundles.get(hash).await? {
            Some(bundle) => bundle,
            None => {
                let (bytes, _) = Fetcher::new(&self.sources)?.bytes(hash).await?;
                self.fetched += 1;
                self.bundles.put(hash, bytes).await?
            }
        };
        self.next = Some(bundle.inputs.previous_bundle);
        Ok(Some((hash, bundle)))
    }
}

/// Fetches and checks what is missing.
pub async fn backfill(args: BackfillArgs) -> anyhow::Result<()> {
    quiet_logs()?;
    let config = args.config.load()?;
    let epochs = args.epochs.unwrap_or(config.bundles.keep_epochs);
    let mut walk = Walk::begin(&config, BundleSources { peers: args.peers, urls: args.bundle_urls }).await?;
    let newest = walk.last_posted.map_or(0, |report| report.epoch);
    let bar = ProgressBar::new(epochs.min(newest + 1));
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} epochs, {per_sec}, {eta} left  {msg}") {
        bar.set_style(style);
    }
    let (mut held, mut oldest) = (0_u64, None);
    while let Some((_, bundle)) = walk.next().await? {
        let epoch = bundle.inputs.epoch;
        held += 1;
        oldest = Some(epoch);
        bar.set_position(newest.saturating_sub(epoch) + 1);
        bar.set_message(format!("epoch {epoch}"));
        if newest.saturating_sub(epoch) + 1 >= epochs {
            break;
        }
    }
    bar.finish_and_clear();
    let fetched = walk.fetched;
    if args.json {
        println!(
            "{}",
            json!({ "held": held, "fetched": fetched, "oldest": oldest, "newest": walk.last_posted.map(|_| newest) })
        );
        return Ok(());
    }
    match oldest {
        Some(oldest) => {
            println!("bundles of {held} reports, epochs {oldest} to {newest}; {fetched} of them fetched now")
        }
        None => println!("no report is posted yet"),
    }
    Ok(())
}
