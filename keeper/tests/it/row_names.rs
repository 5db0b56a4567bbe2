//! Which rows travel between keepers: those that are missing, and no others.

use std::sync::{Arc, Mutex};

use alloy_primitives::B256;
use alloy_signer_local::PrivateKeySigner;
use async_trait::async_trait;
use bytes::Bytes;
use tandem_keeper::{
    attester::Attester,
    bundles::Bundles,
    chain::{ChainReader, Granted},
    guard::Guard,
    keeper::Keeper,
    peers::{Peer, PeerError, Peers, Rows},
    rows::proposer,
    store::{MemoryStore, Store},
};
use tandem_protocol::{
    api::{Agreement, Attestation, Proposal, RevealList, RowNames},
    messages::{RowList, rows_hash},
    reveal::Reveal,
    signed::Signed,
};
use tokio_util::sync::CancellationToken;

use crate::support::{commit, keeper_keys, key, memory::MemoryChain, network, parts, reveal};

const SUBNETS: u16 = 10;
const EPOCH: u64 = 1;

/// The other two keepers of three. Both name the same rows; the first in the set never sends any.
struct Shelf {
    reveals: Vec<Reveal>,
    proposal: Option<Proposal>,
    liar: PrivateKeySigner,
    /// Which rows were asked of the liar, and of the honest one.
    asked: Mutex<[Asked; 2]>,
}

type Asked = Vec<(Rows, Option<u16>)>;

impl Shelf {
    /// Those who hold rows tell of no list, those who tell of a list hold no rows.
    fn knows(&self, rows: Rows) -> bool {
        let list = self.proposal.as_ref().map(|proposal| Rows::List(proposal.list.message.rowsHash));
        rows == list.unwrap_or(Rows::Held)
    }
}

#[async_trait]
impl Peers for Shelf {
    async fn agreement(&self, _peer: &Peer, _epoch: u64) -> Result<Option<Agreement>, PeerError> {
        Ok(Some(Agreement { proposals: self.proposal.iter().cloned().collect(), votes: Vec::new() }))
    }

    async fn names(&self, _peer: &Peer, _epoch: u64, rows: Rows) -> Result<Option<RowNames>, PeerError> {
        Ok(self.knows(rows).then(|| RowNames::of(&self.reveals)))
    }

    async fn rows(
        &self,
        peer: &Peer,
        _epoch: u64,
        rows: Rows,
        netuid: Option<u16>,
    ) -> Result<Option<RevealList>, PeerError> {
        let honest = peer.keeper != self.liar.address();
        self.asked.lock().unwrap()[usize::from(honest)].push((rows, netuid));
        let wanted = |reveal: &&Reveal| honest && netuid.is_none_or(|netuid| reveal.netuid == netuid);
        Ok(Some(RevealList { reveals: self.reveals.iter().filter(wanted).cloned().collect() }))
    }

    async fn attestations(&self, _peer: &Peer, _epoch: u64) -> Result<Option<Vec<Attestation>>, PeerError> {
        Ok(None)
    }

    async fn bundle(&self, _peer: &Peer, _hash: B256) -> Result<Option<Bytes>, PeerError> {
        Ok(None)
    }
}

fn rows() -> Vec<Reveal> {
    let row = |netuid: u16| {
        let signed = commit(&network(), &key(11), EPOCH, netuid, 1, &[(3, 9)]);
        reveal(&network(), &signed, &[(3, 9)], &keeper_keys())
    };
    (1..=SUBNETS).map(row).collect()
}

/// One look of the last keeper, which holds the rows from `from` on and works on an epoch whose rows may be shown.
async fn look(from: usize, listed: bool) -> (Arc<dyn Store>, [Asked; 2]) {
    let keys = keeper_keys();
    let addresses: Vec<_> = keys.iter().map(PrivateKeySigner::address).collect();
    let subnets = (1..=SUBNETS).map(MemoryChain::subnet).collect();
    let now = network().clock.reveal_deadline(EPOCH);
    let chain = MemoryChain::of(network(), (addresses, 2), subnets, Granted { alpha: 1_000, usdc: 100 }, now);
    chain.set_endpoints(vec!["memory".to_owned(); keys.len()]);
    let chain = Arc::new(chain);
    let set = chain.facts(EPOCH, &chain.heads().await.unwrap().latest).await.unwrap().keeper_set;
    let first = proposer(&set, EPOCH, 0).unwrap();
    let reveals = rows();
    let list = RowList { epoch: EPOCH, attempt: 0, round: 0, rowsHash: rows_hash(&reveals) };
    let by = keys.iter().find(|key| key.address() == first).unwrap();
    let proposal = Proposal { proposer: first, list: Signed::new(list, &network().domain(), by).unwrap() };
    let me = keys[1..].iter().find(|key| key.address() != first).unwrap();
    let shelf = Arc::new(Shelf {
        proposal: listed.then_some(proposal),
        reveals: reveals.clone(),
        liar: keys[0].clone(),
        asked: Mutex::default(),
    });
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    for reveal in &reveals[from..] {
        store.put_reveal(reveal, None).await.unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let guard = Guard::open(&folder.path().join("guard.sqlite")).await.unwrap();
    let bundles = Bundles::in_folder(&folder.path().join("bundles")).unwrap();
    let attester = Attester::new(me.clone(), &chain.network, guard);
    let keeper = Keeper::new(parts(&chain, &store, bundles, attester, shelf.clone()), CancellationToken::new());
    keeper.step().await.unwrap();
    keeper.close().await;
    let asked = shelf.asked.lock().unwrap().clone();
    (store, asked)
}

/// Beyond eight subnets one question costs less than many.
fn wanted(missing: usize, rows: Rows) -> Asked {
    match missing {
        9 => vec![(rows, None)],
        _ => (1..=missing as u16).map(|netuid| (rows, Some(netuid))).collect(),
    }
}

#[tokio::test]
async fn of_the_rows_that_peers_hold_only_those_of_subnets_where_one_is_missing_travel() {
    for missing in [0, 1, 8, 9] {
        let (store, asked) = look(missing, false).await;
        let held: Vec<_> = store.reveals(EPOCH).await.unwrap().into_iter().map(|held| held.reveal).collect();
        assert_eq!(held, rows(), "{missing} were missing");
        assert_eq!(asked, [wanted(missing, Rows::Held), wanted(missing, Rows::Held)]);
    }
}

#[tokio::test]
async fn a_list_is_put_together_from_rows_that_are_held_and_those_that_a_peer_sends() {
    let name = rows_hash(&rows());
    for missing in [0, 1, 8, 9] {
        let (store, asked) = look(missing, true).await;
        // The first that is asked names rows and sends none: it keeps nobody from the list.
        assert_eq!(store.list(EPOCH, name).await.unwrap(), Some(rows()), "{missing} were missing");
        assert_eq!(asked, [wanted(missing, Rows::List(name)), wanted(missing, Rows::List(name))]);
    }
}
