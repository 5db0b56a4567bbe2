//! `replay`.

use clap::Args;
use serde_json::json;

use super::{AuditArgs, quiet_logs};
use crate::{config::Finality, replay};

/// Of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Epoch to recompute.
    #[arg(long)]
    pub epoch: u64,
    /// Network and bundles.
    #[command(flatten)]
    pub audit: AuditArgs,
    /// Say it as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Recomputes one epoch; answers whether chain, bundle and recomputation agree.
pub async fn replay(args: ReplayArgs) -> anyhow::Result<bool> {
    quiet_logs()?;
    let (network, chain, sources) = args.audit.open(Finality::Behind(0)).await?;
    let found = replay::replay(&network, &chain, &sources, args.epoch).await?;
    let same = found.differences.is_empty();
    if args.json {
        println!("{}", said(&found));
        return Ok(same);
    }
    println!("epoch {}\nreport {}\nbundle {}", found.epoch, found.report, found.bundle);
    if same {
        println!("recomputed: the same to the bit");
    }
    for difference in &found.differences {
        println!("DIFFERENT: {difference}");
    }
    Ok(same)
}

/// What was found as one line of JSON.
pub(super) fn said(found: &replay::Replay) -> serde_json::Value {
    json!({
        "epoch": found.epoch,
        "report": found.report,
        "bundle": found.bundle,
        "same": found.differences.is_empty(),
        "differences": found.differences,
    })
}
