//! A keeper on a chain in memory, with its stores on disk and its API on a port; put together as the service does it.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock, Weak},
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolStruct;
use async_trait::async_trait;
use bytes::Bytes;
use hyper::StatusCode;
use tandem_keeper::{
    attester::Attester,
    bundles::Bundles,
    chain::{ChainReader, EpochFacts},
    config::{Config, Overrides},
    decide::Policy,
    guard::Guard,
    keeper::{Keeper, Parts},
    peers::{Peer, PeerError, Peers, Rows},
    service,
    store::{self, Store},
};
use tandem_protocol::{
    api::{Agreement, Attestation, RevealList, RowNames, Vote},
    messages::EpochReport,
    signed::Signed,
};
use tokio::{runtime::Handle, sync::OnceCell};
use tokio_util::sync::CancellationToken;

use super::{
    clients::{Clients, Order},
    http::{Line, get},
    network::{EPOCH, Size},
};
use crate::support::memory::MemoryChain;

/// Limits on strangers as far away as the configuration lets them be: all clients are on this machine.
const CONFIG: &str = r#"
rpc = "http://127.0.0.1:1"
manifest = "none"
data_dir = "none"
poll_ms = 100
[keys]
attest = { env = "NONE" }
[api]
connections = 20_000
connections_per_address = 20_000
requests_per_address = 1_000_000
requests_per_signer = 1_000_000
signatures_per_address = 1_000_000
costly_reads = 1_000
"#;
/// Nothing takes longer, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(900);

/// A running keeper.
pub(crate) struct Served {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bundles: Bundles,
    pub(crate) chain: Arc<MemoryChain>,
    pub(crate) address: SocketAddr,
    pub(crate) before: EpochReport,
    keeper: Arc<Keeper>,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Served {
    /// Starts it where the epoch before is posted and active, and waits until it serves that one's claims.
    pub(crate) async fn start(size: &Size, clients: &mut Clients) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        let before: EpochReport = clients.ask(&Order::Before { folder: data.join("bundles") });
        let config = Config::parse(CONFIG, &Overrides::default()).unwrap();
        let network = size.network();
        let chain = Arc::new(size.chain());
        chain.adopt(before.clone());
        let set = chain.facts(EPOCH, &chain.heads().await.unwrap().latest).await.unwrap().keeper_set;
        let me = size.me(&set);
        let store = store::open(&config.store, data).await.unwrap().store;
        let bundles = Bundles::open(&config.bundles, data).unwrap();
        let guard = Guard::open(&data.join("guard.sqlite")).await.unwrap();
        let others = size.keepers().into_iter().filter(|key| *key != me).collect();
        let chorus = Arc::new(Chorus {
            others,
            keeper: OnceLock::new(),
            store: store.clone(),
            size: size.clone(),
            names: OnceCell::new(),
        });
        let parts = Parts {
            policy: Policy::new(&config.agreement, &network.clock),
            jobs: config.jobs.clone(),
            store: store.clone(),
            bundles: bundles.clone(),
            chain: chain.clone(),
            transactor: chain.clone(),
            attester: Attester::new(me, &network, guard),
            peers: chorus.clone(),
            endpoints: config.peers.endpoints.clone(),
            network,
        };
        let stop = CancellationToken::new();
        let keeper = Arc::new(Keeper::new(parts, stop.clone()));
        chorus.keeper.set(Arc::downgrade(&keeper)).unwrap();
        let (address, server) =
            service::serve_with("127.0.0.1:0".parse().unwrap(), keeper.clone(), config.api).await.unwrap();
        tokio::spawn(server);
        let running = keeper.clone();
        let (runtime, poll) = (Handle::current(), Duration::from_millis(config.poll_ms));
        std::thread::spawn(move || runtime.block_on(running.run(poll)));
        let (ticking, stopped) = (chain.clone(), stop.clone());
        tokio::spawn(async move {
            while !stopped.is_cancelled() {
                tokio::time::sleep(Duration::from_secs(1)).await;
                ticking.set_time(ticking.time() + 1);
            }
        });
        let served = Self { store, bundles, chain, address, before, keeper, stop, _folder: folder };
        served.until_claims_of(EPOCH - 1).await;
        served
    }

    /// Waits until the claims of an epoch are served.
    pub(crate) async fn until_claims_of(&self, epoch: u64) {
        let mut line = Line::open(self.address).await;
        let (path, wanted) = (format!("/v1/claims/{}", Address::ZERO), format!("\"epoch\":{epoch},"));
        let started = Instant::now();
        loop {
            let (status, body) = line.send(get(&path)).await;
            if status == StatusCode::OK && String::from_utf8_lossy(&body).contains(&wanted) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "claims of epoch {epoch} are not served: {status}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The number that `/metrics` shows at a name.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let (_, body) = Line::open(self.address).await.send(get("/metrics")).await;
        let text = String::from_utf8_lossy(&body);
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or_default()
    }

    pub(crate) async fn facts(&self) -> EpochFacts {
        self.chain.facts(EPOCH, &self.chain.heads().await.unwrap().latest).await.unwrap()
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.keeper.close().await;
    }
}

/// Waits for something.
pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < PATIENCE, "{what}: it did not come");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// All other keepers. They hold what the measured one holds and say what it says.
struct Chorus {
    others: Vec<PrivateKeySigner>,
    keeper: OnceLock<Weak<Keeper>>,
    store: Arc<dyn Store>,
    size: Size,
    names: OnceCell<RowNames>,
}

impl Chorus {
    fn sign<T: SolStruct + Clone>(&self, peer: &Peer, message: &T) -> Signed<T> {
        let key = self.others.iter().find(|key| key.address() == peer.keeper).unwrap();
        Signed::new(message.clone(), &self.size.network().domain(), key).unwrap()
    }
}

#[async_trait]
impl Peers for Chorus {
    async fn agreement(&self, peer: &Peer, epoch: u64) -> Result<Option<Agreement>, PeerError> {
        let Some(keeper) = self.keeper.get().and_then(Weak::upgrade) else { return Ok(None) };
        let said = keeper.agreement(epoch).await.unwrap();
        let mine = said.votes.iter().filter(|vote| vote.keeper == keeper.address());
        let votes = mine.map(|vote| Vote { keeper: peer.keeper, vote: self.sign(peer, &vote.vote.message) }).collect();
        Ok(Some(Agreement { proposals: Vec::new(), votes }))
    }

    async fn names(&self, _peer: &Peer, epoch: u64, rows: Rows) -> Result<Option<RowNames>, PeerError> {
        if rows != Rows::Held {
            return Ok(None);
        }
        let read = async || RowNames::of(self.store.reveals(epoch).await.unwrap().iter().map(|held| &held.reveal));
        Ok(Some(self.names.get_or_init(read).await.clone()))
    }

    async fn rows(
        &self,
        _peer: &Peer,
        _epoch: u64,
        _rows: Rows,
        _netuid: Option<u16>,
    ) -> Result<Option<RevealList>, PeerError> {
        Ok(None)
    }

    async fn attestations(&self, peer: &Peer, epoch: u64) -> Result<Option<Vec<Attestation>>, PeerError> {
        let Some(keeper) = self.keeper.get().and_then(Weak::upgrade) else { return Ok(None) };
        let said = self.store.attestations(epoch).await.unwrap();
        let mine = said.iter().filter(|attestation| attestation.keeper == keeper.address());
        let sign = |attestation: &Attestation| Attestation {
            keeper: peer.keeper,
            report: self.sign(peer, &attestation.report.message),
        };
        Ok(Some(mine.map(sign).collect()))
    }

    async fn bundle(&self, _peer: &Peer, _hash: B256) -> Result<Option<Bytes>, PeerError> {
        Ok(None)
    }
}
