use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::utils::parse_ether;
use anyhow::Context as _;
use axum::Router;
use axum::routing::get;
use clap::{Args, ValueEnum};
use reqwest::Url;
use tandem_verifier::chain::{Chain, Network, RpcChain};
use tandem_verifier::probe::prompts::Prompts;
use tandem_verifier::service;
use tandem_verifier::verdict::Policy;
use tandem_verifier::worker::audit::{AuditSettings, Auditor, Tools};
use tandem_verifier::worker::channels::{ChannelTerms, Purse};
use tandem_verifier::worker::keepers::Keepers;
use tandem_verifier::worker::rerun::Rerun;
use tandem_verifier::worker::row::Speed;
use tandem_verifier::worker::store::{self, Store};
use tandem_verifier::worker::{Settings, Worker, endpoint, run};
use tokio::net::TcpListener;

use super::device::{end_when_lost, exit_code};
use super::reference::{ReferenceArgs, config_and_text};
use super::{ModelArgs, PolicyArgs};

#[derive(Args)]
pub(super) struct Command {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    reference: ReferenceArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    /// Id under which the rate card prices the model.
    #[arg(long)]
    model_id: String,
    /// Base URL of a keeper; repeat it for every keeper of the set. Jobs come from the first that answers, rows go to all.
    #[arg(long = "keeper", required = true, value_name = "URL")]
    keepers: Vec<Url>,
    /// JSON-RPC endpoint of the chain.
    #[arg(long, env = "TANDEM_RPC", hide_env_values = true, value_name = "URL")]
    rpc: String,
    /// Manifest of the deployment.
    #[arg(long, env = "TANDEM_MANIFEST", value_name = "FILE")]
    manifest: PathBuf,
    /// File with the validator's hotkey, which signs requests and weights: 0x-hex, one line.
    #[arg(long, value_name = "FILE")]
    hotkey_key: PathBuf,
    /// File with the key of the account that buys responses: it owns credits and pays gas, and belongs to this worker alone.
    #[arg(long, value_name = "FILE")]
    payer_key: PathBuf,
    /// Folder of the state file, which keeps this validator from signing two rows: never run one hotkey with two of them.
    #[arg(long, default_value = "tandem-worker", value_name = "DIR")]
    state: PathBuf,
    /// What makes one correct contributor worth more than another.
    #[arg(long, default_value = "declared")]
    speed: SpeedArg,
    /// Audits at the same time.
    #[arg(long, default_value_t = 4)]
    concurrency: u16,
    /// Credits that a channel is opened with, as a decimal number.
    #[arg(long, default_value = "1", value_name = "CREDITS")]
    channel_credits: String,
    /// Seconds that a channel lives.
    #[arg(long, default_value_t = 7 * 86_400, value_name = "SECONDS")]
    channel_life: u64,
    /// Longest answer that is bought, tokens.
    #[arg(long, default_value_t = 100, value_name = "TOKENS")]
    probe_tokens: u64,
    /// File of prompts to send, one JSON object {"prompt": "…"} per line, best from your own users and known to nobody else.
    /// Without it the model writes them.
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Seconds after which a contributor that has not answered is unavailable.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    patience: u64,
    /// Seconds before the commit deadline at which the row is formed [default: a twentieth of an epoch, at least 2].
    #[arg(long, value_name = "SECONDS")]
    commit_lead: Option<u64>,
    /// Probe endpoints at private addresses too; always so on a local chain.
    #[arg(long)]
    allow_private_endpoints: bool,
    /// Serve /metrics and /health there.
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics_listen: Option<SocketAddr>,
    /// Log as JSON lines.
    #[arg(long)]
    log_json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum SpeedArg {
    /// The class that it declares: reproducible.
    Declared,
    /// Work per time as measured from here, in A100s: answers priced by the rate card, over the time until they were there.
    Measured,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(self.work())?;
        Ok(exit_code(0))
    }

    async fn work(self) -> anyhow::Result<()> {
        service::start_logging(self.log_json);
        let ending = service::shutdown_signal()?;
        end_when_lost(&ending);
        let metrics = service::start_metrics();
        let network = Network::read(&self.manifest)?;
        let hotkey = service::read_key(&self.hotkey_key)?;
        let payer = service::read_key(&self.payer_key)?;
        let amount = parse_ether(&self.channel_credits)
            .ok()
            .and_then(|amount| u128::try_from(amount).ok())
            .with_context(|| format!("--channel-credits {:?} is no decimal number", self.channel_credits))?;
        let chain = RpcChain::connect(&self.rpc, network.clone(), Some(payer.clone())).await.context("--rpc")?;
        let chain: Arc<dyn Chain> = Arc::new(chain);

        let owner = format!("worker {}/{:#x}/{:#x}", network.chain_id, network.oracle, hotkey.address());
        let state = service::open_state(&self.state, "worker.sqlite", store::SCHEMA, &owner).await?;
        let store = Arc::new(Store::new(state));
        let terms = ChannelTerms { amount, life: self.channel_life, pause: network.clock.length() };
        let purse = Purse::new(chain.clone(), store.clone(), payer, terms);
        let private = self.allow_private_endpoints || network.is_local();
        let (tools, policy) =
            tools(&self.model, self.reference, &self.policy, self.prompts.as_deref(), purse, private)?;
        let settings = AuditSettings {
            model: self.model_id,
            max_tokens: self.probe_tokens,
            patience: Duration::from_secs(self.patience),
            private_endpoints: private,
            policy,
        };
        let auditor = Auditor::new(chain.clone(), network.clone(), tools, settings);
        if let Some(address) = self.metrics_listen {
            let listener = TcpListener::bind(address).await.with_context(|| format!("--metrics-listen {address}"))?;
            let routes = Router::new()
                .route("/metrics", get(move || async move { metrics.render() }))
                .route("/health", get(|| async { "ok" }));
            tokio::spawn(axum::serve(listener, routes).into_future());
        }
        let worker = Worker {
            keepers: Arc::new(Keepers::new(self.keepers, hotkey.clone(), network.oracle_domain())?),
            hotkey,
            network,
            chain,
            store,
            auditor: Arc::new(auditor),
            settings: Settings {
                concurrency: self.concurrency,
                speed: match self.speed {
                    SpeedArg::Declared => Speed::Declared,
                    SpeedArg::Measured => Speed::Measured,
                },
                commit_lead: self.commit_lead,
            },
        };
        tracing::info!(validator = %worker.hotkey.address(), keepers = worker.keepers.count(), "working");
        run(worker, ending).await
    }
}

/// What an auditor works with, and how it judges.
fn tools(
    model: &ModelArgs,
    reference: ReferenceArgs,
    policy: &PolicyArgs,
    prompts: Option<&Path>,
    purse: Purse,
    private: bool,
) -> anyhow::Result<(Tools, Policy)> {
    let client = endpoint::client(private)?;
    let given = prompts.map(|path| Prompts::read(path).context("--prompts")).transpose()?;
    if let Some(server) = reference.server()? {
        let prompts = given.context("with --reference the model is not here to write prompts: give --prompts")?;
        let (config, text) = config_and_text(&model.model)?;
        return Ok((Tools { purse, rerun: Rerun::there(server, config), prompts, text, client }, Policy::default()));
    }
    let (files, backend) = model.open()?;
    let policy = policy.open(&files)?;
    let prompts = given.unwrap_or_else(|| Prompts::written(backend.clone()));
    Ok((Tools { purse, rerun: Rerun::here(backend), prompts, text: files.tokenizer()?, client }, policy))
}
