//! `tandem verify`.

use std::path::PathBuf;

use clap::Args;
use eyre::Result;
use tandem::chain::Chain;
use tandem::manifest::Manifest;
use tandem::verify;

use super::print_json;

/// Flags of `tandem verify`.
#[derive(Args)]
pub(crate) struct Options {
    /// Endpoint of the chain's node.
    #[arg(long, env = "TANDEM_RPC", default_value = "http://127.0.0.1:8545")]
    rpc: String,
    /// Manifest; by default that of the chain in deployments/.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(options: &Options) -> Result<bool> {
    let chain = Chain::connect(&options.rpc).await?;
    let path = options.manifest.clone().unwrap_or_else(|| Manifest::path("deployments".as_ref(), chain.id()));
    let findings = verify::run(&chain, &Manifest::read(&path)?).await?;
    let wrong = findings.iter().filter(|finding| !finding.ok).count();
    if options.json {
        print_json(&findings)?;
    } else {
        for finding in findings.iter().filter(|finding| !finding.ok) {
            println!("DIFFERS  {}: {}", finding.what, finding.detail);
        }
        println!("{} comparisons, {wrong} differences", findings.len());
    }
    Ok(wrong == 0)
}
