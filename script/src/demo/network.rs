//! The running network: chain, contracts, people and processes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy::primitives::{Address, U256};
use alloy::providers::Provider as _;
use alloy::signers::local::PrivateKeySigner;
use eyre::{Context, Result, ensure, eyre};
use futures_util::future::try_join_all;
use tandem_contracts::bindings::{SubnetRegistry, TandemToken, TestUSDC};
use tandem_contracts::suite::Suite;
use tandem_protocol::clock::EpochClock;

use super::actors::Actors;
use super::process::{Process, Service, free_ports};
use crate::chain::{BlockTime, Call, Chain};

/// What the demo calls its model, on chain and over HTTP.
pub(super) const MODEL_ID: &str = "tandem-demo-llama";
/// Netuids of the subnets where work is done.
pub(super) const WORKING_SUBNETS: [u16; 2] = [1, 2];

const CHAIN_PATIENCE: Duration = Duration::from_secs(20);
/// A coin for gas, in wei.
const GAS_MONEY: u128 = 1_000_000_000_000_000_000_000;

/// Folders of one demo, all below a temporary one of its own.
#[derive(Clone, Debug)]
pub(super) struct Folders {
    /// A log per process.
    pub logs: PathBuf,
    /// A key file per key.
    pub keys: PathBuf,
    /// Databases and state.
    pub state: PathBuf,
    /// Models.
    pub models: PathBuf,
    /// The manifest.
    pub deployments: PathBuf,
}

impl Folders {
    /// Creates them.
    pub(super) fn create(root: &Path) -> Result<Self> {
        let folder = |name: &str| -> Result<PathBuf> {
            let path = root.join(name);
            std::fs::create_dir_all(&path).wrap_err_with(|| format!("cannot create {}", path.display()))?;
            Ok(path)
        };
        Ok(Self {
            logs: folder("logs")?,
            keys: folder("keys")?,
            state: folder("state")?,
            models: folder("models")?,
            deployments: folder("deployments")?,
        })
    }
}

/// Programs of this build, beside the running one.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    /// `tandem-keeper`.
    pub keeper: PathBuf,
    /// `tandem-verifier`.
    pub verifier: PathBuf,
    /// `anvil`, from npm.
    pub anvil: PathBuf,
}

impl Programs {
    /// Finds them, or says how to get them.
    pub(super) fn find() -> Result<Self> {
        let here = std::env::current_exe().wrap_err("cannot find this program's own path")?;
        // Tests run from `deps`, one folder below the programs.
        let folders: Vec<&Path> = here.ancestors().skip(1).take(2).collect();
        let beside = |name: &str| -> Result<PathBuf> {
            let found = folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
            found.ok_or_else(|| {
                eyre!("{name} is not beside {}; build it: `cargo build --workspace --bins`", here.display())
            })
        };
        Ok(Self { keeper: beside("tandem-keeper")?, verifier: beside("tandem-verifier")?, anvil: find_anvil()? })
    }
}

/// From npm, or the one that TANDEM_ANVIL names.
fn find_anvil() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("TANDEM_ANVIL") {
        return Ok(path.into());
    }
    let here = std::env::current_exe().wrap_err("cannot find this program's own path")?;
    let working = std::env::current_dir().wrap_err("cannot find the working folder")?;
    let roots = here.ancestors().chain(working.ancestors());
    let mut candidates = roots.map(|root| root.join("node_modules/.bin/anvil"));
    candidates
        .find(|path| path.is_file())
        .ok_or_else(|| eyre!("anvil is not installed; run `npm ci` in the repository, or name one by TANDEM_ANVIL"))
}

/// Starts an L2-like chain on a free port.
pub(super) async fn start_chain(programs: &Programs, folders: &Folders) -> Result<(Process, Chain, String)> {
    let port = free_ports(1)?[0];
    let arguments = [
        "--host",
        "127.0.0.1",
        "--port",
        &port.to_string(),
        "--network",
        "optimism",
        "--slots-in-an-epoch",
        "1",
        "--block-time",
        "1",
        "--order",
        "fifo",
        "--accounts",
        "1",
        "--gas-limit",
        "60000000",
    ]
    .map(str::to_owned);
    let mut process = Service::new("anvil", &programs.anvil, &folders.logs, arguments).start()?;
    let url = format!("http://127.0.0.1:{port}");
    let deadline = tokio::time::Instant::now() + CHAIN_PATIENCE;
    loop {
        process.check()?;
        match Chain::connect(&url).await {
            Ok(chain) => return Ok((process, chain, url)),
            Err(error) if tokio::time::Instant::now() > deadline => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// What every part of the demo works with.
#[derive(Clone)]
pub(super) struct Network {
    /// The chain.
    pub chain: Chain,
    /// Contracts.
    pub suite: Suite,
    /// Epochs.
    pub clock: EpochClock,
    /// People.
    pub actors: Actors,
    /// Base URLs of the keepers.
    pub keeper_urls: Vec<String>,
    /// Base URLs of the contributors, in the actors' order.
    pub contributor_urls: Vec<String>,
    /// Uids of the contributors, in the actors' order.
    pub contributor_uids: Vec<u16>,
    /// First block of the deployment.
    pub first_block: u64,
}

impl Network {
    /// Gives every account coins for gas; only a development chain can.
    pub(super) async fn hand_out_gas(chain: &Chain, actors: &Actors) -> Result<()> {
        try_join_all(actors.senders().into_iter().map(|account| async move {
            chain
                .provider()
                .raw_request::<_, ()>("anvil_setBalance".into(), (account, U256::from(GAS_MONEY)))
                .await
                .wrap_err("the chain does not hand out coins")
        }))
        .await?;
        Ok(())
    }

    /// Mints test USDC (6 decimals).
    pub(super) async fn hand_out_usdc(&self, amounts: &[(Address, u64)]) -> Result<()> {
        let calls = amounts
            .iter()
            .map(|(to, amount)| {
                Call::new(
                    "mint test USDC",
                    self.suite.usdc,
                    &TestUSDC::mintCall { to: *to, amount: U256::from(*amount) },
                )
            })
            .collect();
        self.chain.send_all(&self.actors.deployer, calls).await?;
        Ok(())
    }

    /// Lets a contract of the suite take any amount of a token; contracts here are the demo's own.
    pub(super) async fn approve(&self, owner: &PrivateKeySigner, token: Address, spender: Address) -> Result<()> {
        let call = TandemToken::approveCall { spender, value: U256::MAX };
        self.chain.send(owner, Call::new("approve", token, &call)).await?;
        Ok(())
    }

    /// Balance of a token.
    pub(super) async fn balance(&self, token: Address, account: Address) -> Result<u128> {
        let balance = self.chain.read(token, &TandemToken::balanceOfCall { account }).await?;
        u128::try_from(balance).wrap_err("a balance beyond 128 bits")
    }

    /// Registers everybody: contributors and validators, uids in the order of the tables.
    pub(super) async fn register_neurons(&mut self) -> Result<()> {
        let actors = self.actors.clone();
        let owners = actors
            .contributors
            .iter()
            .map(|contributor| &contributor.owner)
            .chain(actors.validators.iter().map(|validator| &validator.owner));
        try_join_all(owners.map(|owner| self.approve(owner, self.suite.usdc, self.suite.subnet_registry))).await?;

        let mut plans: Vec<(&PrivateKeySigner, Address, u16, String, String)> = Vec::new();
        for (contributor, url) in actors.contributors.iter().zip(&self.contributor_urls) {
            let hotkey = contributor.hotkey.address();
            plans.push((&contributor.owner, hotkey, contributor.netuid, url.clone(), contributor.name.to_owned()));
        }
        for netuid in WORKING_SUBNETS {
            for validator in &actors.validators {
                let hotkey = validator.hotkey.address();
                plans.push((&validator.owner, hotkey, netuid, String::new(), validator.name.to_owned()));
            }
        }
        // Sent in order within one block, which the chain fills first come, first served: uids do not depend on luck.
        let mut waiting = Vec::new();
        for (owner, hotkey, netuid, endpoint, name) in &plans {
            let call = SubnetRegistry::registerNeuronCall {
                netuid: *netuid,
                hotkey: *hotkey,
                endpoint: endpoint.clone(),
                maxPrice: U256::MAX,
            };
            let call = Call::new(format!("register {name}"), self.suite.subnet_registry, &call);
            waiting.push(self.chain.submit(owner, &call).await?);
        }
        for sent in &waiting {
            self.chain.receipt(sent).await?;
        }
        self.contributor_uids = try_join_all(actors.contributors.iter().map(|contributor| async {
            let call = SubnetRegistry::uidOfCall { netuid: contributor.netuid, hotkey: contributor.hotkey.address() };
            let found = self.chain.read(self.suite.subnet_registry, &call).await?;
            ensure!(!found.is_zero(), "{} has no uid", contributor.name);
            u16::try_from(found - U256::from(1)).wrap_err("a uid beyond 16 bits")
        }))
        .await?;
        Ok(())
    }

    /// Waits for the start of an epoch by chain time.
    pub(super) async fn wait_for_epoch(&self, epoch: u64) -> Result<BlockTime> {
        self.chain.wait_until(self.clock.start_of(epoch)).await
    }
}
