//! The service: everything wired up from a configuration, until told to stop.

use std::{
    fs,
    future::{Future, IntoFuture},
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use metrics::gauge;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    api,
    attester::Attester,
    bundles::Bundles,
    chain::RpcChain,
    config::Config,
    decide::Policy,
    guard::Guard,
    keeper::{Keeper, Parts},
    network::Network,
    peers::HttpPeers,
    sender::Sender,
    store::{SqliteStore, Store},
    telemetry,
};

/// Connections get so long to finish after a stop.
const GRACE: Duration = Duration::from_secs(5);

/// Runs a keeper until `stop` is cancelled.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    telemetry::metrics_handle();
    let network = Network::load(&config.manifest)?;
    let (attest, gas) = config.keys.load()?;
    create_private(&config.data_dir).with_context(|| format!("folder {}", config.data_dir.display()))?;

    let nodes = config.nodes()?;
    let chain = RpcChain::over(nodes.clone(), network.clone(), config.finality);
    chain.check().await?;
    let guard = Guard::open(&config.data_dir.join("guard.sqlite"))
        .await
        .context("another keeper may be using this data_dir")?;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&config.data_dir.join("keeper.sqlite")).await?);
    if let Some(epoch) = store.last_attested(attest.address()).await? {
        gauge!(telemetry::LAST_ATTESTED).set(epoch as f64);
    }
    let sender =
        Sender::new(nodes, store.clone(), Arc::new(gas), network.clone(), config.finality, config.sender.clone());
    let keeper = Arc::new(Keeper::new(
        Parts {
            policy: Policy::new(&config.agreement, &network.clock),
            jobs: config.jobs.clone(),
            store: store.clone(),
            bundles: Bundles::in_folder(&config.data_dir.join("bundles"))?,
            chain: Arc::new(chain),
            transactor: Arc::new(sender),
            attester: Attester::new(attest, &network, guard),
            peers: Arc::new(HttpPeers::new(&config.peers)?),
            endpoints: config.peers.endpoints.clone(),
            network,
        },
        stop.clone(),
    ));
    let (address, server) = serve(config.listen, keeper.clone()).await?;
    tracing::info!(keeper = %keeper.address(), %address, "serving");

    let server = tokio::spawn(server);
    keeper.run(Duration::from_millis(config.poll_ms)).await;
    tracing::info!("stopping");
    if tokio::time::timeout(GRACE, server).await.is_err() {
        tracing::warn!("connections were cut");
    }
    keeper.close().await;
    Ok(())
}

/// Binds the API of `keeper` and answers the address and the server, which ends when the keeper is stopped.
pub async fn serve(
    listen: SocketAddr,
    keeper: Arc<Keeper>,
) -> anyhow::Result<(SocketAddr, impl Future<Output = std::io::Result<()>> + Send)> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;
    let stop = keeper.stop.clone();
    let server = axum::serve(listener, api::router(keeper)).with_graceful_shutdown(stop.cancelled_owned());
    Ok((address, server.into_future()))
}

/// What is in it is nobody else's business.
#[cfg(unix)]
fn create_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn create_private(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)
}
