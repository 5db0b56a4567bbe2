//! The service: everything wired up from a configuration, until told to stop.

use std::{fs, future::Future, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use metrics::gauge;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{self, ApiConfig},
    attester::Attester,
    bundles::Bundles,
    chain::{ChainReader, RpcChain},
    config::Config,
    decide::Policy,
    guard::{Guard, GuardError},
    keeper::{Keeper, Parts},
    lead::Lead,
    network::Network,
    peers::HttpPeers,
    sender::Sender,
    store::{self, Opened},
    telemetry,
};

/// Newest epochs whose reports are searched for this key's signature at the start.
const EPOCHS_ASKED: u64 = 16;
/// Connections get so long to finish after a stop.
const GRACE: Duration = Duration::from_secs(5);
/// Between two attempts to open a store whose server is away.
const STORE_AGAIN: Duration = Duration::from_secs(2);
/// Between two looks for bundles that are too old.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);

/// Runs a keeper until `stop` is cancelled.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    telemetry::metrics_handle();
    let network = Network::load(&config.manifest)?;
    let (attest, gas) = config.keys.open(network.chain_id).await?;
    create_private(&config.data_dir).with_context(|| format!("folder {}", config.data_dir.display()))?;

    let nodes = config.nodes()?;
    let chain = RpcChain::over(nodes.clone(), network.clone(), config.finality);
    chain.check().await?;
    let guard = Guard::open(&config.data_dir.join("guard.sqlite"))
        .await
        .context("another keeper may be using this data_dir")?;
    let Some(Opened { store, register }) = open_store(&config, &stop).await? else { return Ok(()) };
    let last = store.last_attested(attest.address()).await?;
    if let Some(epoch) = last {
        gauge!(telemetry::LAST_ATTESTED).set(epoch as f64);
    }
    let (guard, lead) = match register {
        Some(register) => (guard.shared(register), Lead::among(store.clone(), config.store.lease())),
        None => (guard, Lead::alone()),
    };
    guard.catch_up(network.chain_id, network.oracle).await?;
    // Where the store has forgotten too, the chain has not.
    let signed = match last {
        Some(last) => vec![last],
        None => chain.signed_epochs(attest.address(), EPOCHS_ASKED).await?,
    };
    match guard.refuse_if_forgetful(network.chain_id, network.oracle, &signed).await {
        Err(error @ GuardError::Forgetful { .. }) if config.accept_missing_guard => {
            tracing::warn!(%error, "going on, as told");
        }
        other => other?,
    }
    let bundles = Bundles::open(&config.bundles, &config.data_dir)?;
    let sender =
        Sender::new(nodes, store.clone(), Arc::new(gas), network.clone(), config.finality, config.sender.clone());
    let attester = Attester::new(attest, &network, guard);
    let peers = HttpPeers::new(&config.peers)?.introduced_by(attester.introduction(config.peers.sign));
    let keeper = Keeper::new(
        Parts {
            policy: Policy::new(&config.agreement, &network.clock),
            jobs: config.jobs.clone(),
            store: store.clone(),
            bundles,
            chain: Arc::new(chain),
            transactor: Arc::new(sender),
            attester,
            peers: Arc::new(peers),
            endpoints: config.peers.endpoints.clone(),
            network,
        },
        stop.clone(),
    );
    let keeper = Arc::new(keeper.led_by(lead).keeping(config.store.keep_epochs));
    let (address, server) = serve_with(config.listen, keeper.clone(), config.api.clone()).await?;
    tracing::info!(keeper = %keeper.address(), %address, "serving");

    let server = tokio::spawn(server);
    tokio::spawn(forget(keeper.clone(), config.bundles.keep_epochs));
    keeper.run(Duration::from_millis(config.poll_ms)).await;
    tracing::info!("stopping");
    if tokio::time::timeout(GRACE, server).await.is_err() {
        tracing::warn!("connections were cut");
    }
    keeper.close().await;
    tokio::task::spawn_blocking(telemetry::flush).await?;
    Ok(())
}

/// The store, waited for while its server is away; `None` if told to stop meanwhile.
async fn open_store(config: &Config, stop: &CancellationToken) -> anyhow::Result<Option<Opened>> {
    loop {
        match store::open(&config.store, &config.data_dir).await {
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "the store is not there, trying again");
                tokio::select! {
                    () = stop.cancelled() => return Ok(None),
                    () = tokio::time::sleep(STORE_AGAIN) => {}
                }
            }
            opened => return Ok(Some(opened?)),
        }
    }
}

/// Forgets bundles that no window reaches any more, until the keeper is stopped.
async fn forget(keeper: Arc<Keeper>, keep_epochs: u64) {
    loop {
        tokio::select! {
            () = keeper.stop.cancelled() => return,
            () = tokio::time::sleep(FORGET_EVERY) => {}
        }
        let active = keeper.live().oracle.last_active.map_or(0, |report| report.epoch);
        match keeper.bundles.prune(active.saturating_sub(keep_epochs)).await {
            Ok(0) => {}
            Ok(pruned) => tracing::info!(pruned, "old bundles forgotten"),
            Err(error) => tracing::warn!(%error, "old bundles could not be forgotten, trying again"),
        }
    }
}

/// Binds the API of `keeper` with the default limits, see [`serve_with`].
pub async fn serve(
    listen: SocketAddr,
    keeper: Arc<Keeper>,
) -> anyhow::Result<(SocketAddr, impl Future<Output = ()> + Send)> {
    serve_with(listen, keeper, ApiConfig::default()).await
}

/// Binds the API of `keeper` and answers the address and the server, which ends when the keeper is stopped.
pub async fn serve_with(
    listen: SocketAddr,
    keeper: Arc<Keeper>,
    config: ApiConfig,
) -> anyhow::Result<(SocketAddr, impl Future<Output = ()> + Send)> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    api::serve(listener, keeper, config)
}

/// What is in it is nobody else's business.
#[cfg(unix)]
pub(crate) fn create_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
pub(crate) fn create_private(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)
}
