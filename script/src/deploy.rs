//! Brings a suite to a chain: plan, simulate, send, write down. Safe to run again after a crash at any step: what is done
//! is found done and skipped.

use std::path::Path;

use alloy::network::TransactionBuilder as _;
use alloy::primitives::Bytes;
use alloy::providers::Provider as _;
use alloy::rpc::types::TransactionRequest;
use alloy::signers::local::PrivateKeySigner;
use eyre::{Context, Result, bail, ensure};
use tandem_contracts::suite::{CREATE2_FACTORY, ChainFacts, Check, GenesisConfig, Plan, Query, Stage, Step};
use tandem_contracts::world::World;
use tracing::info;

use crate::chain::{Call, Chain};
use crate::manifest::Manifest;

/// What a deployment did.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// The manifest as it was written.
    pub manifest: Manifest,
    /// The plan behind it.
    pub plan: Plan,
    /// Steps that were sent now; the others were done already.
    pub sent: usize,
    /// Gas of those.
    pub gas: u64,
}

/// Plans the deployment, taking up the genesis of an earlier, interrupted one from its manifest.
pub async fn plan(chain: &Chain, config: &mut GenesisConfig, deployer: &PrivateKeySigner, path: &Path) -> Result<Plan> {
    if path.exists() {
        let before = Manifest::read(path)?;
        ensure!(
            before.chain_id == chain.id() && before.deployer == deployer.address(),
            "{} belongs to chain {} and deployer {}; move it away or use another folder",
            path.display(),
            before.chain_id,
            before.deployer
        );
        let earlier = GenesisConfig::from_toml(&before.config)?;
        config.epochs.genesis = earlier.epochs.genesis;
        ensure!(
            *config == earlier,
            "{} was written for another configuration; finish that one or move the file away",
            path.display()
        );
    }
    config.resolve_genesis(chain.head().await?.timestamp);
    Ok(Plan::new(config, deployer.address(), ChainFacts { chain_id: chain.id() })?)
}

/// Executes the whole plan in an in-process EVM; an error names the step that would fail and why. Returns the gas.
pub fn simulate(plan: &Plan) -> Result<u64> {
    let mut world = World::with_chain_id(plan.chain_id);
    let execution = world.execute(plan).wrap_err("the simulation of the deployment failed, nothing was sent")?;
    Ok(execution.sent.iter().map(|(_, outcome)| outcome.gas_used).sum())
}

/// Sends what is not done yet and writes the manifest after every stage.
pub async fn run(
    chain: &Chain,
    config: &mut GenesisConfig,
    deployer: &PrivateKeySigner,
    path: &Path,
) -> Result<Deployed> {
    let plan = plan(chain, config, deployer, path).await?;
    simulate(&plan)?;
    ensure!(
        chain.has_code(CREATE2_FACTORY).await?,
        "chain {} lacks the deterministic deployment proxy at {CREATE2_FACTORY}; it must be deployed there first",
        chain.id()
    );
    let mut manifest = Manifest::of_plan(&plan, config)?;
    // Written before anything is sent, so that a crash cannot lose the chosen genesis.
    manifest.write(path)?;

    let mut deployed = Deployed { manifest: manifest.clone(), plan: plan.clone(), sent: 0, gas: 0 };
    if !is_done(chain, &plan.handed_over()).await? {
        let (factory, rest) = plan.steps.split_first().expect("a plan begins with the factory");
        let stage = |stage| rest.iter().filter(move |step| step.stage == stage).collect::<Vec<_>>();
        for steps in [vec![factory], stage(Stage::Deploy), stage(Stage::Wire), stage(Stage::HandOver)] {
            send_stage(chain, deployer, &steps, &mut manifest, &mut deployed).await?;
            manifest.write(path)?;
        }
    }
    for step in plan.steps.iter().filter(|step| step.deployment.is_some()) {
        if !is_done(chain, &step.done).await? {
            bail!("{} left no trace on the chain; run the command again", step.name);
        }
    }
    manifest.complete = true;
    manifest.write(path)?;
    deployed.manifest = manifest;
    Ok(deployed)
}

/// Steps of one stage do not depend on each other and are sent without waiting between them.
async fn send_stage(
    chain: &Chain,
    deployer: &PrivateKeySigner,
    steps: &[&Step],
    manifest: &mut Manifest,
    deployed: &mut Deployed,
) -> Result<()> {
    let mut open = Vec::new();
    for step in steps {
        if is_done(chain, &step.done).await? {
            info!(step = step.name, "done already");
        } else {
            open.push(*step);
        }
    }
    let calls = open
        .iter()
        .map(|step| Call { what: step.name.clone(), to: step.to, data: step.data.clone(), gas: None })
        .collect();
    let receipts = chain.send_all(deployer, calls).await?;
    for (step, receipt) in open.iter().zip(receipts) {
        info!(step = step.name, gas = receipt.gas_used, "sent");
        deployed.sent += 1;
        deployed.gas += receipt.gas_used;
        let address = step.deployment.as_ref().map(|deployment| deployment.address);
        if let Some(contract) = manifest.contracts.values_mut().find(|contract| Some(contract.address) == address) {
            contract.transaction = Some(receipt.transaction_hash);
            contract.block = receipt.block_number;
        }
    }
    Ok(())
}

/// Asks the chain whether a step is done.
pub async fn is_done(chain: &Chain, check: &Check) -> Result<bool> {
    let answer: Bytes = match check.query() {
        Query::Code(address) => chain.provider().get_code_at(address).await.wrap_err("cannot read code")?,
        Query::Call { to, data } => {
            let request = TransactionRequest::default().with_to(to).with_input(data);
            // A call that fails, because there is nothing yet, means that the step is open.
            chain.provider().call(request).await.unwrap_or_default()
        }
    };
    Ok(check.is_met_by(&answer))
}
