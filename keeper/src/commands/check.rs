//! `check-config`.

use std::{net::TcpListener, path::Path};

use alloy::providers::Provider;
use alloy_primitives::utils::format_ether;
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::{ConfigArgs, keeper_set, table};
use crate::{
    bundles::Bundles,
    chain::{ChainReader, RpcChain, without_urls},
    config::Config,
    keys::Key,
    network::Network,
    peers::{HttpPeers, Peers, peers_of},
};

/// Of `check-config`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Ask nobody: read files and keys only. Keys outside of this machine are not reached.
    #[arg(long)]
    pub offline: bool,
    /// Say it as JSON.
    #[arg(long)]
    pub json: bool,
}

/// How something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    /// A keeper would run, but not as it should.
    Warning,
    /// A keeper would not run.
    Fault,
}

#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    verdict: Verdict,
    words: String,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, what: &'static str, verdict: Verdict, words: impl Into<String>) {
        self.0.push(Finding { what, verdict, words: words.into() });
    }

    /// Notes what was found, or why not, and answers it.
    fn note<T>(&mut self, what: &'static str, found: Result<(T, String), String>) -> Option<T> {
        match found {
            Ok((value, words)) => {
                self.add(what, Verdict::Ok, words);
                Some(value)
            }
            Err(words) => {
                self.add(what, Verdict::Fault, words);
                None
            }
        }
    }

    fn good(&self) -> bool {
        self.0.iter().all(|finding| finding.verdict != Verdict::Fault)
    }
}

/// Looks at everything that a keeper needs; answers whether it would run.
pub async fn check(args: CheckArgs) -> anyhow::Result<bool> {
    let mut findings = Findings::default();
    let path = args.config.config.display().to_string();
    let config = args.config.load().map(|config| (config, path)).map_err(|error| error.to_string());
    if let Some(config) = findings.note("configuration", config) {
        look(&config, args.offline, &mut findings).await;
    }
    if args.json {
        println!("{}", json!({ "ok": findings.good(), "findings": findings.0 }));
    } else {
        let word = |verdict| match verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "WARNING",
            Verdict::Fault => "FAULT",
        };
        let row =
            |finding: &Finding| vec![word(finding.verdict).to_owned(), finding.what.to_owned(), finding.words.clone()];
        print!("{}", table(&findings.0.iter().map(row).collect::<Vec<_>>()));
    }
    Ok(findings.good())
}

async fn look(config: &Config, offline: bool, findings: &mut Findings) {
    let network = Network::load(&config.manifest).map_err(|error| error.to_string());
    let network = network.map(|network| {
        let words = format!(
            "{}: chain {}, epochs of {} s",
            config.manifest.display(),
            network.chain_id,
            network.clock.length()
        );
        (network, words)
    });
    let network = findings.note("manifest", network);
    look_at_folder(&config.data_dir, findings);
    look_at_listener(config, findings);
    let Some(network) = network else { return };
    if offline && config.keys.are_elsewhere() {
        findings.add("keys", Verdict::Warning, "not reached, they are outside of this machine");
        return;
    }
    let keys = config.keys.open(network.chain_id).await.map_err(|error| error.to_string());
    let keys = keys.map(|(attest, gas)| {
        let words =
            format!("keeper {} ({}), gas {} ({})", attest.address(), attest.place(), gas.address(), gas.place());
        ((attest, gas), words)
    });
    let keys = findings.note("keys", keys);
    if let Some((attest, gas)) = &keys
        && attest.address() == gas.address()
    {
        findings.add("keys", Verdict::Warning, "attest and gas key are the same: give the gas key a wallet of its own");
    }
    let Some((attest, gas)) = keys.filter(|_| !offline) else { return };
    let bundles = match Bundles::open(&config.bundles, &config.data_dir) {
        Ok(bundles) => {
            bundles.probe().await.map(|()| ((), bundles.place().to_owned())).map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    findings.note("bundles", bundles);
    look_at_chain(config, &network, &attest, &gas, findings).await;
}

fn look_at_folder(folder: &Path, findings: &mut Findings) {
    let name = folder.display();
    match std::fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => {
            let guard = folder.join("guard.sqlite").exists();
            let words = if guard { "has a guard" } else { "has no guard yet" };
            findings.add("data_dir", Verdict::Ok, format!("{name} {words}"));
        }
        Ok(_) => findings.add("data_dir", Verdict::Fault, format!("{name} is no folder")),
        Err(_) => {
            findings.add("data_dir", Verdict::Ok, format!("{name} will be created: this keeper has signed nothing yet"))
        }
    }
}

fn look_at_listener(config: &Config, findings: &mut Findings) {
    match TcpListener::bind(config.listen) {
        Ok(_) => findings.add("listen", Verdict::Ok, config.listen.to_string()),
        Err(error) => {
            let words = format!("{}: {error}; is this keeper running already?", config.listen);
            findings.add("listen", Verdict::Warning, words);
        }
    }
}

async fn look_at_chain(config: &Config, network: &Network, attest: &Key, gas: &Key, findings: &mut Findings) {
    let chain = async {
        let nodes = config.nodes().map_err(|error| error.to_string())?;
        let chain = RpcChain::over(nodes, network.clone(), config.finality);
        chain.check().await.map_err(|error| error.to_string())?;
        let heads = chain.heads().await.map_err(|error| error.to_string())?;
        let behind = heads.latest.number.saturating_sub(heads.last_final.number);
        let words = format!("head {}, final is {behind} behind", heads.latest.number);
        Ok(((chain, heads), words))
    };
    let Some((chain, heads)) = findings.note("node", chain.await) else { return };
    let provider = chain.provider();
    match provider.get_balance(gas.address()).await {
        Ok(balance) if balance.is_zero() => {
            findings.add("gas", Verdict::Warning, format!("{} has nothing to pay transactions with", gas.address()));
        }
        Ok(balance) => findings.add("gas", Verdict::Ok, format!("{} ETH at {}", format_ether(balance), gas.address())),
        Err(error) => findings.add("gas", Verdict::Fault, without_urls(&error)),
    }
    let (epoch, set) = match keeper_set(&chain, network, &heads.latest).await {
        Ok(found) => found,
        Err(error) => return findings.add("keeper set", Verdict::Fault, error.to_string()),
    };
    let endpoint = set.keepers.iter().zip(&set.endpoints).find(|(keeper, _)| **keeper == attest.address());
    let size = format!("{} keepers, {} must sign", set.keepers.len(), set.threshold);
    match endpoint {
        Some((_, endpoint)) if !endpoint.is_empty() => {
            findings.add("keeper set", Verdict::Ok, format!("in it with {endpoint}; {size}"));
        }
        Some(_) => {
            let words = format!("in it, but without an endpoint: send KeeperSet.setEndpoint; {size}");
            findings.add("keeper set", Verdict::Warning, words);
        }
        None => {
            let words = format!(
                "{} is not in the set of epoch {epoch}: it would serve, but sign nothing; {size}",
                attest.address()
            );
            findings.add("keeper set", Verdict::Warning, words);
        }
    }
    let peers = match HttpPeers::new(&config.peers) {
        Ok(peers) => peers,
        Err(error) => return findings.add("peers", Verdict::Fault, error.to_string()),
    };
    for peer in peers_of(&set, attest.address(), &config.peers.endpoints) {
        match peers.attestations(&peer, epoch).await {
            Ok(_) => findings.add("peers", Verdict::Ok, format!("{} answers", peer.base)),
            Err(error) => {
                let words = format!("{} ({}): {}", peer.base, peer.keeper, without_urls(&error));
                findings.add("peers", Verdict::Warning, words);
            }
        }
    }
}
