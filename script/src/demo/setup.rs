//! Everything that happens before the first epoch.

use std::path::Path;
use std::time::Duration;

use alloy::primitives::{Address, U256};
use eyre::{Context, Result};
use futures_util::future::try_join_all;
use tandem_contracts::bindings::{CreditDesk, KeeperSet};
use tandem_contracts::suite::{
    Allocation, Alpha, Credit, Fraction, GenesisConfig, GenesisSubnet, MeshValidator, ModelRate, Seconds, Tndm,
};
use tracing::info;

use super::Options;
use super::actors::Actors;
use super::network::{Folders, MODEL_ID, Network, Programs, WORKING_SUBNETS, start_chain};
use super::process::{Process, free_ports};
use super::services::{Ground, wait_until_healthy};
use super::traffic::Client;
use crate::chain::Call;
use crate::deploy;
use crate::manifest::Manifest;

/// 18 decimals.
const ONE: u128 = 1_000_000_000_000_000_000;
/// USDC units (6 decimals) for a neuron's fees and a user's credits.
const DOLLAR: u64 = 1_000_000;
const KEEPER_BOND: u64 = 500 * DOLLAR;
const PAYER_CREDITS: u128 = 600 * ONE;
const REQUEST_PATIENCE: Duration = Duration::from_secs(15);

/// A network that stands, and its users.
pub(super) struct Demo {
    pub network: Network,
    pub http: reqwest::Client,
    pub clients: Vec<Client>,
}

/// Starts the chain, deploys the suite, registers everybody, starts all services, opens channels.
pub(super) async fn set_up(options: &Options, root: &Path, processes: &mut Vec<Process>) -> Result<Demo> {
    let programs = Programs::find()?;
    let folders = Folders::create(root)?;
    let actors = Actors::from_seed(options.seed)?;
    let http = reqwest::Client::builder().timeout(REQUEST_PATIENCE).build().wrap_err("no HTTP client")?;

    info!("starting the chain and making the model");
    let ((anvil, chain, rpc), models) =
        tokio::try_join!(start_chain(&programs, &folders), Ground::make_models(&programs, &folders, options.seed))?;
    processes.push(anvil);
    Network::hand_out_gas(&chain, &actors).await?;
    let first_block = chain.head().await?.number;

    info!("deploying the suite");
    let manifest_path = Manifest::path(&folders.deployments, chain.id());
    let mut config = genesis_config(&actors);
    let deployed = deploy::run(&chain, &mut config, &actors.deployer, &manifest_path).await?;
    info!(transactions = deployed.sent, gas = deployed.gas, "deployed");

    let ports = free_ports(actors.keepers.len() + actors.contributors.len())?;
    let (keeper_ports, contributor_ports) = ports.split_at(actors.keepers.len());
    let url = |port: &u16| format!("http://127.0.0.1:{port}");
    let mut network = Network {
        chain: chain.clone(),
        suite: deployed.plan.suite.clone(),
        clock: deployed.manifest.clock()?,
        keeper_urls: keeper_ports.iter().map(url).collect(),
        contributor_urls: contributor_ports.iter().map(url).collect(),
        contributor_uids: Vec::new(),
        actors,
        first_block,
    };

    info!("registering keepers, validators and contributors");
    network.hand_out_usdc(&first_dollars(&network.actors)).await?;
    network.register_neurons().await?;
    enrol_keepers(&network).await?;

    info!("starting keepers, contributors and workers");
    let ground = Ground { programs: &programs, folders: &folders, rpc: &rpc, manifest: &manifest_path };
    let mut waiting = Vec::new();
    for (keeper, port) in network.actors.keepers.iter().zip(keeper_ports) {
        waiting.push((url(port), ground.keeper(keeper, *port)?));
    }
    for (contributor, port) in network.actors.contributors.iter().zip(contributor_ports) {
        waiting.push((url(port), ground.contributor(contributor, *port, &models)?));
    }
    for (url, process) in &mut waiting {
        wait_until_healthy(&http, url, process).await?;
    }
    processes.extend(waiting.into_iter().map(|(_, process)| process));
    buy_probe_money(&network).await?;
    for (index, validator) in network.actors.validators.iter().enumerate() {
        processes.push(ground.worker(validator, index, &network.keeper_urls, &models)?);
    }

    info!("users buy credits and open channels");
    let clients = network.open_clients().await?;
    let left = network.clock.genesis().saturating_sub(chain.head().await?.timestamp);
    info!(seconds_to_genesis = left, "the network stands");
    Ok(Demo { network, http, clients })
}

/// The devnet's numbers with the demo's people.
fn genesis_config(actors: &Actors) -> GenesisConfig {
    let mut config = GenesisConfig::devnet();
    config.keepers.members = actors.keepers.iter().map(|keeper| keeper.key.address()).collect();
    config.authorities.council = actors.council.address();
    config.authorities.guardian = actors.guardian.address();
    config.genesis_subnets = actors
        .subnet_owners
        .iter()
        .zip(["completions", "completions-two"])
        .map(|(owner, name)| GenesisSubnet { owner: owner.address(), name: name.to_owned() })
        .collect();
    config.mesh_validators = WORKING_SUBNETS
        .into_iter()
        .flat_map(|netuid| {
            actors.validators.iter().zip(1u64..).map(move |(validator, place)| MeshValidator {
                netuid,
                hotkey: validator.hotkey.address(),
                owner: validator.owner.address(),
                weight: Alpha(U256::from(ONE) * U256::from(3_000 + 500 * place)),
            })
        })
        .collect();
    let allocation = |label: &str, beneficiary: Address, tndm: u64| Allocation {
        label: label.to_owned(),
        beneficiary,
        amount: Tndm(U256::from(ONE) * U256::from(tndm)),
        duration: Seconds(0),
        immediate: Fraction(U256::from(ONE)),
    };
    // The order is that of launch::*_ALLOCATION.
    config.allocations = vec![
        allocation("trader", actors.trader.address(), 200_000),
        allocation("bidder", actors.bidder.address(), 400_000),
        allocation("meme", actors.meme_owner.address(), 20_000),
    ];
    config.models = vec![ModelRate {
        id: MODEL_ID.to_owned(),
        prompt_per_million: Credit(U256::from(ONE) * U256::from(2_000)),
        completion_per_million: Credit(U256::from(ONE) * U256::from(20_000)),
    }];
    config
}

/// Test USDC for fees, bonds and credits.
fn first_dollars(actors: &Actors) -> Vec<(Address, u64)> {
    let fees = actors
        .contributors
        .iter()
        .map(|contributor| &contributor.owner)
        .chain(actors.validators.iter().map(|validator| &validator.owner));
    let buyers =
        actors.users.iter().map(|user| &user.key).chain(actors.validators.iter().map(|validator| &validator.payer));
    fees.map(|key| (key.address(), 200 * DOLLAR))
        .chain(buyers.map(|key| (key.address(), 2_000 * DOLLAR)))
        .chain(actors.keepers.iter().map(|keeper| (keeper.key.address(), KEEPER_BOND)))
        .collect()
}

/// Keepers bond USDC and publish where they are reached.
async fn enrol_keepers(network: &Network) -> Result<()> {
    let set = network.suite.keeper_set;
    try_join_all(network.actors.keepers.iter().zip(&network.keeper_urls).map(|(keeper, url)| async move {
        network.approve(&keeper.key, network.suite.usdc, set).await?;
        let bond = KeeperSet::bondCall { keeper: keeper.key.address(), usdc: U256::from(KEEPER_BOND) };
        network.chain.send(&keeper.key, Call::new("bond as keeper", set, &bond)).await?;
        let endpoint = KeeperSet::setEndpointCall { endpoint: url.clone() };
        network.chain.send(&keeper.key, Call::new("publish the keeper's endpoint", set, &endpoint)).await
    }))
    .await?;
    Ok(())
}

/// Validators pay for their probes like any user.
async fn buy_probe_money(network: &Network) -> Result<()> {
    let desk = network.suite.credit_desk;
    try_join_all(network.actors.validators.iter().map(|validator| async move {
        network.approve(&validator.payer, network.suite.usdc, desk).await?;
        let call = CreditDesk::buyCall { credits: U256::from(PAYER_CREDITS), maxUsdc: U256::MAX };
        network.chain.send(&validator.payer, Call::new("buy credits for probes", desk, &call)).await
    }))
    .await?;
    Ok(())
}
