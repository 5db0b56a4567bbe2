use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;
use tandem_protocol::messages::model_id;
use tandem_verifier::backend::{Backend, Shared};
use tandem_verifier::chain::{Chain, Network, RpcChain};
use tandem_verifier::cheat::{self, Cheat, Materials};
use tandem_verifier::engine::{Engine, Honest};
use tandem_verifier::model::ModelFiles;
use tandem_verifier::node::till::{self, Payee, Till};
use tandem_verifier::node::{Identity, Limits, Node, serve, settler};
use tandem_verifier::service;
use tokio::net::TcpListener;

use super::device::{end_when_lost, exit_code};
use super::{ModelArgs, print_json};

/// A neuron may be registered moments after its node was started.
const REGISTRATION: Duration = Duration::from_secs(60);

#[derive(Args)]
pub(super) struct Command {
    #[command(flatten)]
    model: ModelArgs,
    /// Id under which the rate card prices the model, and clients ask for it.
    #[arg(long)]
    model_id: String,
    /// Where to listen; port 0 takes a free one. The address is printed as JSON.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// JSON-RPC endpoint of the chain.
    #[arg(long, env = "TANDEM_RPC", hide_env_values = true, value_name = "URL")]
    rpc: String,
    /// Manifest of the deployment.
    #[arg(long, env = "TANDEM_MANIFEST", value_name = "FILE")]
    manifest: PathBuf,
    /// Subnet that the neuron is registered in.
    #[arg(long)]
    netuid: u16,
    /// File with the neuron's hotkey, which signs what is answered: 0x-hex, one line.
    #[arg(long, value_name = "FILE")]
    hotkey_key: PathBuf,
    /// Declared speed in thousandths of an A100.
    #[arg(long, value_name = "PERMILLE")]
    speed_class: u32,
    /// File with a key that pays the gas of settling; not shared with other processes. Without it nothing is settled.
    #[arg(long, value_name = "FILE")]
    settle_key: Option<PathBuf>,
    /// Seconds between two settlements.
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    settle_every: u64,
    /// Folder of the state file, which holds the vouchers: back it up, and give each node its own.
    #[arg(long, default_value = "tandem-node", value_name = "DIR")]
    state: PathBuf,
    /// Requests computed at the same time.
    #[arg(long, default_value_t = 1)]
    running: usize,
    /// Requests that may wait.
    #[arg(long, default_value_t = 16)]
    waiting: usize,
    /// Seconds within which a request is answered or refused, and a streamed one has its first token.
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    answer_within: u64,
    /// Seconds that a streamed answer may take in all.
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    stream_within: u64,
    /// Seconds that a streamed answer waits for a top-up.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    top_up_within: u64,
    /// Connections at the same time.
    #[arg(long, default_value_t = 256)]
    connections: usize,
    /// No request is taken on a channel that expires within so many seconds.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    expiry_margin: u64,
    /// Log as JSON lines.
    #[arg(long)]
    log_json: bool,
    /// Cheat, so that a test network has somebody to catch. On a local chain only, and with --allow-cheating.
    #[arg(long, value_name = "NAME", requires = "allow_cheating")]
    cheat: Option<Cheat>,
    /// Folder of the smaller model that some cheats run.
    #[arg(long, value_name = "DIR", requires = "cheat")]
    cheat_with: Option<PathBuf>,
    /// Confirms that this node is there to be caught.
    #[arg(long)]
    allow_cheating: bool,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(self.serve())?;
        Ok(exit_code(0))
    }

    async fn serve(self) -> anyhow::Result<()> {
        service::start_logging(self.log_json);
        let ending = service::shutdown_signal()?;
        end_when_lost(&ending);
        let metrics = service::start_metrics();
        let network = Network::read(&self.manifest)?;
        let hotkey = service::read_key(&self.hotkey_key)?;
        let settle_key = self.settle_key.as_deref().map(service::read_key).transpose()?;
        let settles = settle_key.is_some();
        let (engine, text) = self.engine(&network)?;
        let chain = RpcChain::connect(&self.rpc, network.clone(), settle_key).await.context("--rpc")?;
        let chain: Arc<dyn Chain> = Arc::new(chain);

        let payee = registered(chain.as_ref(), self.netuid, hotkey.address()).await?;
        let owner =
            format!("node {}/{:#x}/{}/{:#x}", network.chain_id, network.settlement, self.netuid, hotkey.address());
        let state = service::open_state(&self.state, "node.sqlite", till::SCHEMA, &owner).await?;
        let model = model_id(&self.model_id);
        let till = Arc::new(Till::open(chain.clone(), network.clone(), payee, model, self.expiry_margin, state).await?);

        let identity = Identity { hotkey, payee, model: self.model_id, speed_class: self.speed_class };
        let limits = Limits {
            running: self.running.max(1),
            waiting: self.waiting,
            answer: Duration::from_secs(self.answer_within),
            stream: Duration::from_secs(self.stream_within),
            top_up: Duration::from_secs(self.top_up_within),
            connections: self.connections.max(1),
            ..Limits::default()
        };
        let node = Node::new(identity, network, engine, text, till.clone(), limits, metrics);
        let listener = TcpListener::bind(self.listen).await.with_context(|| format!("--listen {}", self.listen))?;
        let address = listener.local_addr()?;
        print_json(&json!({ "listening": address, "netuid": payee.netuid, "uid": payee.uid }))?;
        tracing::info!(%address, netuid = payee.netuid, uid = payee.uid, "serving");

        let every = Duration::from_secs(self.settle_every.max(1));
        let settler = settles.then(|| tokio::spawn(settler::run(till, chain, every, ending.clone())));
        serve(node, listener, ending.clone()).await?;
        ending.cancel();
        if let Some(settler) = settler {
            settler.await?;
        }
        Ok(())
    }

    fn engine(&self, network: &Network) -> anyhow::Result<(Box<dyn Engine>, tandem_verifier::model::Text)> {
        let Some(cheat) = self.cheat else {
            let (files, backend) = self.model.open()?;
            // Alone it would only be a detour.
            let backend: Arc<dyn Backend> = if self.running > 1 { Arc::new(Shared::new(backend)) } else { backend };
            return Ok((Box::new(Honest(backend)), files.tokenizer()?));
        };
        if !network.is_local() {
            bail!("--cheat is for local test networks; the manifest is for chain {}", network.chain_id);
        }
        let open = |dir: &PathBuf| ModelFiles::open(dir).with_context(|| format!("cannot load {}", dir.display()));
        let files = open(&self.model.model)?;
        let other = self.cheat_with.as_ref().map(open).transpose()?;
        let options = self.model.options();
        let engine = cheat::build(cheat, &Materials { files: &files, options: &options, other: other.as_ref() })
            .with_context(|| format!("--cheat {}", cheat.name()))?;
        tracing::warn!(cheat = cheat.name(), "this node cheats");
        Ok((engine, files.tokenizer()?))
    }
}

async fn registered(chain: &dyn Chain, netuid: u16, hotkey: alloy_primitives::Address) -> anyhow::Result<Payee> {
    let found = tokio::time::timeout(REGISTRATION, async {
        loop {
            if let Some(uid) = chain.uid_of(netuid, hotkey).await?
                && let Some(neuron) = chain.neuron(netuid, uid).await?
            {
                return Ok::<_, anyhow::Error>(Payee { netuid, uid, owner: neuron.owner });
            }
            tracing::warn!(%hotkey, netuid, "the hotkey has no uid yet");
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    });
    found.await.unwrap_or_else(|_| bail!("hotkey {hotkey} has no uid in subnet {netuid}: register the neuron first"))
}
