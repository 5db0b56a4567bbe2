//! What several tests need: keys, a network, signed rows, a chain in memory, an anvil.

pub(crate) mod anvil;
pub(crate) mod memory;
pub(crate) mod postgres;
pub(crate) mod proxy;
#[cfg(feature = "deep-s3")]
pub(crate) mod s3;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use alloy_primitives::{Address, B256};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolStruct;
use tandem_keeper::{
    attester::Attester,
    bundles::Bundles,
    config::{JobsConfig, PeersConfig},
    decide::Policy,
    guard::Guard,
    keeper::{Keeper, Parts},
    network::Network,
    peers::{HttpPeers, Peers},
    service,
    store::{SqliteStore, Store},
};
use tandem_protocol::{
    clock::EpochClock,
    messages::{CommitReceipt, SignatureBytes, WeightsCommit, commit_hash},
    reveal::Reveal,
    signed::{Signed, sign},
};
use tokio_util::sync::CancellationToken;

use memory::MemoryChain;

pub(crate) const GENESIS: u64 = 1_000_000;
pub(crate) const LENGTH: u64 = 100;

/// The key of a number.
pub(crate) fn key(number: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(number)).unwrap()
}

/// Keys of three keepers, ascending by address.
pub(crate) fn keeper_keys() -> Vec<PrivateKeySigner> {
    let mut keys: Vec<_> = (1..=3).map(key).collect();
    keys.sort_by_key(PrivateKeySigner::address);
    keys
}

pub(crate) fn network() -> Network {
    Network {
        chain_id: 31_337,
        clock: EpochClock::new(GENESIS, LENGTH).unwrap(),
        oracle: Address::repeat_byte(0xa1),
        keeper_set: Address::repeat_byte(0xa2),
        registry: Address::repeat_byte(0xa3),
        staking: Address::repeat_byte(0xa4),
        controller: Address::repeat_byte(0xa5),
        distributor: Address::repeat_byte(0xa6),
        desk: Address::repeat_byte(0xa7),
        weight_commits: None,
    }
}

pub(crate) fn policy() -> Policy {
    Policy { proposer_timeout: 4, collect_wait: 2, stagger: 2, margin: 5, forward_wait: 6 }
}

/// A commit of `row` by `validator`.
pub(crate) fn commit(
    network: &Network,
    validator: &PrivateKeySigner,
    epoch: u64,
    netuid: u16,
    seq: u32,
    row: &[(u16, u16)],
) -> Signed<WeightsCommit> {
    let address = validator.address();
    let hash = commit_hash(network.chain_id, network.oracle, netuid, epoch, address, seq, SALT, row);
    let message = WeightsCommit { netuid, epoch, validator: address, seq, commitHash: hash };
    Signed::new(message, &network.domain(), validator).unwrap()
}

pub(crate) const SALT: B256 = B256::repeat_byte(0x5a);

/// The reveal of that commit with receipts of `keepers`.
pub(crate) fn reveal(
    network: &Network,
    commit: &Signed<WeightsCommit>,
    row: &[(u16, u16)],
    keepers: &[PrivateKeySigner],
) -> Reveal {
    let message = &commit.message;
    let receipt = CommitReceipt { epoch: message.epoch, commit: message.eip712_hash_struct() };
    let digest = receipt.eip712_signing_hash(&network.domain());
    let receipts: Vec<_> = keepers.iter().map(|keeper| (keeper.address(), sign(digest, keeper).unwrap())).collect();
    opened(commit, row, receipts)
}

/// The reveal of that commit with these receipts.
pub(crate) fn opened(
    commit: &Signed<WeightsCommit>,
    row: &[(u16, u16)],
    mut receipts: Vec<(Address, SignatureBytes)>,
) -> Reveal {
    let message = &commit.message;
    receipts.sort_by_key(|(keeper, _)| *keeper);
    Reveal {
        netuid: message.netuid,
        epoch: message.epoch,
        validator: message.validator,
        seq: message.seq,
        salt: SALT,
        row: row.to_vec(),
        signature: commit.signature,
        receipts,
    }
}

/// What a keeper on `chain` is made of.
pub(crate) fn parts(
    chain: &Arc<MemoryChain>,
    store: &Arc<dyn Store>,
    bundles: Bundles,
    attester: Attester,
    peers: Arc<dyn Peers>,
) -> Parts {
    Parts {
        network: chain.network.clone(),
        policy: policy(),
        jobs: JobsConfig { rounds: 1, ..JobsConfig::default() },
        store: store.clone(),
        bundles,
        chain: chain.clone(),
        transactor: chain.clone(),
        attester,
        peers,
        endpoints: BTreeMap::new(),
    }
}

/// A keeper on `chain` with its files in `folder`, and its API.
pub(crate) struct Running {
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) base: String,
    pub(crate) stop: CancellationToken,
}

impl Running {
    pub(crate) async fn start(
        folder: &Path,
        key: PrivateKeySigner,
        chain: &Arc<MemoryChain>,
        peers: PeersConfig,
    ) -> Self {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.join("keeper.sqlite")).await.unwrap());
        let guard = Guard::open(&folder.join("guard.sqlite")).await.unwrap();
        let bundles = Bundles::in_folder(&folder.join("bundles")).unwrap();
        let attester = Attester::new(key, &chain.network, guard);
        let over_http = HttpPeers::new(&peers).unwrap().introduced_by(attester.introduction(peers.sign));
        let over_http = Arc::new(over_http);
        let parts = Parts { endpoints: peers.endpoints, ..parts(chain, &store, bundles, attester, over_http) };
        let stop = CancellationToken::new();
        Self::serve(Keeper::new(parts, stop.clone()), store, stop).await
    }

    /// The API of a keeper.
    pub(crate) async fn serve(keeper: Keeper, store: Arc<dyn Store>, stop: CancellationToken) -> Self {
        let keeper = Arc::new(keeper);
        let (address, server) = service::serve("127.0.0.1:0".parse().unwrap(), keeper.clone()).await.unwrap();
        tokio::spawn(server);
        Self { keeper, store, base: format!("http://{address}"), stop }
    }

    /// Stops as a killed process would: nothing is said, nothing flushed but what is on disk already.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.keeper.close().await;
    }
}
