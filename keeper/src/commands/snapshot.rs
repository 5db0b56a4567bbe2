//! `snapshot export` and `snapshot import`: the bundles that a keeper needs before it can compute its first epoch, as a
//! folder that can be copied, archived or served by any web server.

use std::{fs, path::PathBuf};

use alloy_primitives::{Address, B256};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use super::{ConfigArgs, backfill::Walk, quiet_logs};
use crate::{bundles::Bundles, network::Network, replay::BundleSources};

/// Version of the folder's shape.
const VERSION: u32 = 1;
/// The file that says what else is in the folder; written last, so that half a snapshot is none.
const INDEX: &str = "snapshot.json";

/// What to do with a snapshot.
#[derive(Debug, Subcommand)]
pub enum SnapshotCommand {
    /// Write the bundles of all reports that wait, and of the last ones that are active, into a folder.
    Export(ExportArgs),
    /// Take the bundles of a snapshot of this network into the store; each proves itself by its name.
    Import(ImportArgs),
}

/// Of `snapshot export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Folder to write; created if missing.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// So many active reports besides those that wait: claims are paid under the last two.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub active: u64,
}

/// Of `snapshot import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Folder to read.
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,
}

/// What is in the folder.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    version: u32,
    chain_id: u64,
    oracle: Address,
    block: u64,
    bundles: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    epoch: u64,
    hash: B256,
}

/// Exports or imports.
pub async fn snapshot(command: SnapshotCommand) -> anyhow::Result<()> {
    quiet_logs()?;
    match command {
        SnapshotCommand::Export(args) => export(args).await,
        SnapshotCommand::Import(args) => import(args).await,
    }
}

async fn export(args: ExportArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    let mut walk = Walk::begin(&config, BundleSources::default()).await?;
    let folder = Bundles::in_folder(&args.to)?;
    let active_from = walk.last_active.map(|report| report.epoch);
    let (mut entries, mut active) = (Vec::new(), 0);
    while let Some((hash, bundle)) = walk.next().await? {
        let epoch = bundle.inputs.epoch;
        if active_from.is_some_and(|from| epoch <= from) {
            if active == args.active {
                break;
            }
            active += 1;
        }
        let bytes = walk.bundles.bytes(hash).await?.with_context(|| format!("bundle {hash} is gone"))?;
        folder.put(hash, bytes).await?;
        entries.push(Entry { epoch, hash });
    }
    let index = Index {
        version: VERSION,
        chain_id: walk.network.chain_id,
        oracle: walk.network.oracle,
        block: walk.heads.latest.number,
        bundles: entries,
    };
    let path = args.to.join(INDEX);
    fs::write(&path, serde_json::to_vec_pretty(&index)?).with_context(|| path.display().to_string())?;
    println!("{} bundles in {}", index.bundles.len(), args.to.display());
    Ok(())
}

async fn import(args: ImportArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    let network = Network::load(&config.manifest)?;
    let path = args.from.join(INDEX);
    let text = fs::read(&path).with_context(|| format!("[K-SNAPSHOT-1] {}", path.display()))?;
    let index: Index = serde_json::from_slice(&text).with_context(|| format!("[K-SNAPSHOT-1] {}", path.display()))?;
    if index.version != VERSION {
        bail!("[K-SNAPSHOT-2] version {} of snapshots is not known here, only {VERSION}", index.version);
    }
    if (index.chain_id, index.oracle) != (network.chain_id, network.oracle) {
        bail!(
            "[K-SNAPSHOT-3] this is a snapshot of chain {} and oracle {}, the manifest is for {} and {}",
            index.chain_id,
            index.oracle,
            network.chain_id,
            network.oracle
        );
    }
    let folder = Bundles::in_folder(&args.from)?;
    let bundles = Bundles::open(&config.bundles, &config.data_dir)?;
    for entry in &index.bundles {
        let bytes = folder.bytes(entry.hash).await?;
        let bytes = bytes.with_context(|| format!("[K-SNAPSHOT-4] bundle {} is not in the snapshot", entry.hash))?;
        bundles.put(entry.hash, bytes).await?;
    }
    println!("{} bundles taken in", index.bundles.len());
    Ok(())
}
