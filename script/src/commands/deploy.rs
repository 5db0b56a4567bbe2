//! `tandem deploy`.

use std::path::PathBuf;

use clap::Args;
use eyre::{Context, Result};
use tandem::chain::Chain;
use tandem::manifest::Manifest;
use tandem::{deploy, keys};
use tandem_contracts::suite::GenesisConfig;

use super::print_json;

/// Flags of `tandem deploy`.
#[derive(Args)]
pub(crate) struct Options {
    /// Endpoint of the chain's node.
    #[arg(long, env = "TANDEM_RPC", default_value = "http://127.0.0.1:8545")]
    rpc: String,
    /// Genesis configuration (TOML); see deployments/genesis/.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Key of the deployer: a file, or env:NAME. It has no rights left afterwards.
    #[arg(long, value_name = "KEY")]
    key: String,
    /// Folder of the manifests.
    #[arg(long, default_value = "deployments", value_name = "FOLDER")]
    deployments: PathBuf,
    /// Plan and simulate, send nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(options: &Options) -> Result<bool> {
    let chain = Chain::connect(&options.rpc).await?;
    let text = std::fs::read_to_string(&options.config)
        .wrap_err_with(|| format!("cannot read the configuration {}", options.config.display()))?;
    let mut config = GenesisConfig::from_toml(&text)?;
    let deployer = keys::read(&options.key)?;
    let path = Manifest::path(&options.deployments, chain.id());
    if options.dry_run {
        let plan = deploy::plan(&chain, &mut config, &deployer, &path).await?;
        let gas = deploy::simulate(&plan)?;
        if options.json {
            print_json(&plan)?;
        } else {
            for (name, address) in plan.suite.contracts() {
                println!("{address}  {name}");
            }
            println!("{} steps, {gas} gas, nothing sent", plan.steps.len());
        }
        return Ok(true);
    }
    let deployed = deploy::run(&chain, &mut config, &deployer, &path).await?;
    if options.json {
        print_json(&deployed.manifest)?;
    } else {
        for (name, contract) in &deployed.manifest.contracts {
            println!("{}  {name}", contract.address);
        }
        println!("{} transactions, {} gas; written to {}", deployed.sent, deployed.gas, path.display());
    }
    Ok(true)
}
