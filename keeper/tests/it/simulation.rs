//! Seven keepers, two of them hostile, on a chain and a network in memory: links break, keepers crash and start again from
//! what they stored. One seed, one history: `TANDEM_SIMULATION_SEED=… cargo nextest run -p tandem-keeper simulation`
//! repeats a failure.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use alloy_primitives::{Address, B256};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolStruct;
use async_trait::async_trait;
use bytes::Bytes;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reqwest::StatusCode;
use tandem_keeper::{
    agree::Step,
    attester::Attester,
    bundles::Bundles,
    chain::{ChainReader, KeeperSetFacts},
    guard::Guard,
    keeper::Keeper,
    peers::{Peer, PeerError, Peers, Rows},
    rows::proposer,
    store::{Ballots, MemoryStore, Store},
};
use tandem_protocol::{
    api::{Agreement, Attestation, Proposal, RevealList, RowNames, Vote},
    bundle::EpochBundle,
    messages::{EpochReport, ListVote, RowList, rows_hash},
    outcome,
    reveal::Reveal,
    signed::Signed,
};
use tokio_util::sync::CancellationToken;

use crate::support::{GENESIS, commit, key, memory::MemoryChain, network, parts, policy, reveal};

const KEEPERS: usize = 7;
const THRESHOLD: usize = 5;
/// The first so many in the set lie.
const HOSTILE: usize = 2;
const EPOCHS: u64 = if cfg!(feature = "deep") { 10_000 } else { 200 };

/// Who lied: index, epoch, round, step, list.
type Lie = (usize, u64, u32, Step, B256);

/// What keepers reach each other by.
struct Wire {
    keys: Vec<PrivateKeySigner>,
    chain: Arc<MemoryChain>,
    stores: Vec<Arc<MemoryStore>>,
    bundles: Vec<Bundles>,
    /// Who is up, as peers see it.
    up: Mutex<Vec<Option<Arc<Keeper>>>>,
    /// Links, from and to, that are broken now.
    broken: Mutex<BTreeSet<(usize, usize)>>,
    /// Votes that liars signed before.
    lies: Mutex<BTreeMap<Lie, Vote>>,
    /// Reports that they signed, by who, for whom, and epoch.
    forged: Mutex<BTreeMap<(usize, usize, u64), Signed<EpochReport>>>,
}

impl Wire {
    fn index(&self, keeper: Address) -> usize {
        self.keys.iter().position(|key| key.address() == keeper).unwrap()
    }

    fn keeper(&self, index: usize) -> Option<Arc<Keeper>> {
        self.up.lock().unwrap()[index].clone()
    }

    async fn set(&self, epoch: u64) -> KeeperSetFacts {
        let head = self.chain.heads().await.unwrap().latest;
        self.chain.facts(epoch, &head).await.unwrap().keeper_set
    }

    fn sign<T: SolStruct>(&self, index: usize, message: T) -> Signed<T> {
        Signed::new(message, &network().domain(), &self.keys[index]).unwrap()
    }

    /// What a hostile keeper tells `to`: another proposal and other votes than it tells the next one.
    async fn lies(&self, from: usize, to: usize, epoch: u64, mut agreement: Agreement) -> Agreement {
        let me = self.keys[from].address();
        let round = policy().round_at(&network().clock.into(), epoch, self.chain.time());
        let empty = rows_hash(&[]);
        if proposer(&self.set(epoch).await, epoch, round) == Some(me) && to % 2 == 1 {
            agreement.proposals.retain(|proposal| proposal.list.message.round != round);
            let list = self.sign(from, RowList { epoch, attempt: 0, round, rowsHash: empty });
            agreement.proposals.push(Proposal { proposer: me, list });
        }
        agreement.votes.retain(|vote| vote.keeper != me);
        // Lends its votes to what is proposed now, but tells only every third keeper; the others hear of nothing at all.
        let proposed = agreement.proposals.last().map_or(empty, |proposal| proposal.list.message.rowsHash);
        let content = if (to + round as usize).is_multiple_of(3) { proposed } else { empty };
        for step in [Step::Prevote, Step::Precommit] {
            let mut lies = self.lies.lock().unwrap();
            let vote = lies.entry((from, epoch, round, step, content)).or_insert_with(|| {
                let vote = ListVote { epoch, attempt: 0, round, step: step.number(), rowsHash: content };
                Vote { keeper: me, vote: self.sign(from, vote) }
            });
            agreement.votes.push(vote.clone());
        }
        agreement
    }
}

/// One keeper's view of the others.
struct Line {
    from: usize,
    wire: Arc<Wire>,
}

impl Line {
    fn reach(&self, peer: &Peer) -> Result<usize, PeerError> {
        let to = self.wire.index(peer.keeper);
        let broken = self.wire.broken.lock().unwrap().contains(&(self.from, to));
        match self.wire.keeper(to) {
            Some(_) if !broken => Ok(to),
            _ => Err(PeerError::Status(StatusCode::BAD_GATEWAY)),
        }
    }
}

#[async_trait]
impl Peers for Line {
    async fn agreement(&self, peer: &Peer, epoch: u64) -> Result<Option<Agreement>, PeerError> {
        let to = self.reach(peer)?;
        let Some(keeper) = self.wire.keeper(to) else { return Ok(None) };
        let agreement = keeper.agreement(epoch).await.unwrap();
        Ok(Some(if to < HOSTILE { self.wire.lies(to, self.from, epoch, agreement).await } else { agreement }))
    }

    async fn names(&self, peer: &Peer, epoch: u64, rows: Rows) -> Result<Option<RowNames>, PeerError> {
        let list = self.rows(peer, epoch, rows, None).await?;
        Ok(list.map(|list| RowNames::of(&list.reveals)))
    }

    async fn rows(
        &self,
        peer: &Peer,
        epoch: u64,
        rows: Rows,
        netuid: Option<u16>,
    ) -> Result<Option<RevealList>, PeerError> {
        let to = self.reach(peer)?;
        let store = &self.wire.stores[to];
        let reveals = match rows {
            // A hostile keeper shows none.
            Rows::Held if to < HOSTILE => Some(Vec::new()),
            Rows::Held => Some(store.reveals(epoch).await.unwrap().into_iter().map(|held| held.reveal).collect()),
            Rows::List(content) if content == rows_hash(&[]) => Some(Vec::new()),
            Rows::List(content) => store.list(epoch, content).await.unwrap(),
        };
        let of_subnet = |reveal: &Reveal| netuid.is_none_or(|netuid| reveal.netuid == netuid);
        Ok(reveals.map(|reveals| RevealList { reveals: reveals.into_iter().filter(of_subnet).collect() }))
    }

    async fn attestations(&self, peer: &Peer, epoch: u64) -> Result<Option<Vec<Attestation>>, PeerError> {
        let to = self.reach(peer)?;
        let mut attestations = self.wire.stores[to].attestations(epoch).await.unwrap();
        let me = self.wire.keys[to].address();
        if to < HOSTILE {
            for attestation in attestations.iter_mut().filter(|attestation| attestation.keeper == me) {
                let forged = EpochReport {
                    rewardsRoot: B256::repeat_byte(self.from as u8),
                    ..attestation.report.message.clone()
                };
                let mut before = self.wire.forged.lock().unwrap();
                let report = before.entry((to, self.from, epoch)).or_insert_with(|| self.wire.sign(to, forged));
                attestation.report = report.clone();
            }
        }
        Ok(Some(attestations))
    }

    async fn bundle(&self, peer: &Peer, hash: B256) -> Result<Option<Bytes>, PeerError> {
        let to = self.reach(peer)?;
        Ok(self.wire.bundles[to].bytes(hash).await.unwrap())
    }
}

struct Simulation {
    wire: Arc<Wire>,
    folder: tempfile::TempDir,
    random: ChaCha8Rng,
    /// By keeper and epoch: reports that it was ever seen to sign.
    signed: BTreeMap<(Address, u64), BTreeSet<B256>>,
    /// Pieces of evidence that honest keepers kept.
    contradictions: usize,
    /// Epochs in which nothing was broken.
    calm: Vec<u64>,
}

impl Simulation {
    async fn new(seed: u64) -> Self {
        let mut keys: Vec<_> = (1..=KEEPERS as u8).map(|number| key(200 + number)).collect();
        keys.sort_by_key(PrivateKeySigner::address);
        let addresses = keys.iter().map(PrivateKeySigner::address).collect();
        let chain = Arc::new(MemoryChain::kept_by(addresses, THRESHOLD, GENESIS + 1));
        chain.set_endpoints(vec!["memory".to_owned(); KEEPERS]);
        let folder = tempfile::tempdir().unwrap();
        let bundles = |index: usize| Bundles::in_folder(&folder.path().join(format!("bundles-{index}"))).unwrap();
        let wire = Wire {
            keys,
            chain,
            stores: (0..KEEPERS).map(|_| Arc::new(MemoryStore::default())).collect(),
            bundles: (0..KEEPERS).map(bundles).collect(),
            up: Mutex::new(vec![None; KEEPERS]),
            broken: Mutex::default(),
            lies: Mutex::default(),
            forged: Mutex::default(),
        };
        let random = ChaCha8Rng::seed_from_u64(seed);
        let simulation =
            Self { wire: Arc::new(wire), folder, random, signed: BTreeMap::new(), contradictions: 0, calm: Vec::new() };
        for index in 0..KEEPERS {
            simulation.start(index).await;
        }
        simulation
    }

    fn guard(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("guard-{index}.sqlite"))
    }

    async fn start(&self, index: usize) {
        let guard = Guard::open(&self.guard(index)).await.unwrap();
        let attester = Attester::new(self.wire.keys[index].clone(), &network(), guard);
        let store: Arc<dyn Store> = self.wire.stores[index].clone();
        let line = Arc::new(Line { from: index, wire: self.wire.clone() });
        let parts = parts(&self.wire.chain, &store, self.wire.bundles[index].clone(), attester, line);
        self.wire.up.lock().unwrap()[index] = Some(Arc::new(Keeper::new(parts, CancellationToken::new())));
    }

    async fn crash(&self, index: usize) {
        let keeper = self.wire.up.lock().unwrap()[index].take();
        if let Some(keeper) = keeper {
            keeper.close().await;
        }
    }

    /// Three validators' rows; each is revealed to a few keepers, in a calm epoch to one honest keeper at least.
    async fn rows(&mut self, epoch: u64) -> Vec<Reveal> {
        let network = network();
        let mut reveals = Vec::new();
        for (number, row) in [(11, [(3, 60_000), (4, 20_000)]), (12, [(3, 50_000), (4, 9)]), (13, [(3, 9), (4, 3)])] {
            let commit = commit(&network, &key(number), epoch, 1, 1, &row);
            let reveal = reveal(&network, &commit, &row, &self.wire.keys[..THRESHOLD]);
            let sure = self.random.random_range(HOSTILE..KEEPERS);
            for (index, store) in self.wire.stores.iter().enumerate() {
                if index == sure || self.random.random_bool(0.5) {
                    store.put_reveal(&reveal, None).await.unwrap();
                }
            }
            reveals.push(reveal);
        }
        reveals
    }

    /// Every keeper that is up acts once, in an order that differs each time.
    async fn tick(&mut self) {
        let mut order: Vec<usize> = (0..KEEPERS).collect();
        for place in (1..KEEPERS).rev() {
            order.swap(place, self.random.random_range(0..=place));
        }
        for index in order {
            if let Some(keeper) = self.wire.keeper(index) {
                keeper.step().await.unwrap();
            }
        }
    }

    /// What honest keepers hold of who signed what in `epoch`, one after the other and against each other.
    async fn look_at_signatures(&mut self, epoch: u64) {
        for store in &self.wire.stores[HOSTILE..] {
            for attestation in store.attestations(epoch).await.unwrap() {
                let hash = attestation.report.message.eip712_hash_struct();
                self.signed.entry((attestation.keeper, epoch)).or_default().insert(hash);
            }
            let evidence = store.evidence(epoch).await.unwrap();
            self.contradictions += evidence.len();
            for contradiction in evidence {
                let subject = self.wire.index(contradiction.subject);
                assert!(subject < HOSTILE, "an honest keeper contradicted itself: {contradiction:?}");
            }
        }
        self.wire.lies.lock().unwrap().clear();
        self.wire.forged.lock().unwrap().clear();
    }

    /// Breaks links and keepers, or mends them.
    async fn weather(&mut self, stormy: bool) {
        let broken = if stormy { self.random.random_range(0.0..0.7) } else { 0.0 };
        {
            let mut links = self.wire.broken.lock().unwrap();
            links.clear();
            for from in 0..KEEPERS {
                for to in 0..KEEPERS {
                    if self.random.random_bool(broken) {
                        links.insert((from, to));
                    }
                }
            }
        }
        for index in 0..KEEPERS {
            let up = self.wire.keeper(index).is_some();
            if up && stormy && self.random.random_bool(0.05) {
                self.crash(index).await;
            } else if !up && (!stormy || self.random.random_bool(0.2)) {
                self.start(index).await;
            }
        }
    }

    async fn epoch(&mut self, epoch: u64) {
        let clock = network().clock;
        let stormy = self.random.random_bool(0.5);
        self.weather(stormy).await;
        self.wire.chain.set_time(clock.start_of(epoch) + 50);
        self.tick().await;
        let revealed = self.rows(epoch).await;
        let deadline = clock.reveal_deadline(epoch);
        for after in (0..90).step_by(2) {
            self.wire.chain.set_time(deadline + after);
            if stormy && self.random.random_bool(0.2) {
                self.weather(true).await;
            }
            self.tick().await;
            let posted = self.wire.chain.posted();
            if posted.last().is_some_and(|last| last.epoch == epoch) && self.wire.chain.active() == posted.len() {
                break;
            }
        }
        self.look_at_signatures(epoch).await;
        let posted = self.wire.chain.posted().into_iter().find(|report| report.epoch == epoch);
        if let Some(report) = &posted {
            let bundle = self.bundle(report.bundleHash).await;
            assert_eq!(outcome::compute(&bundle.inputs).unwrap(), bundle.outcome, "epoch {epoch}");
            assert_eq!(outcome::report(&bundle), *report, "epoch {epoch}");
            if !stormy {
                let rows = bundle.inputs.subnets[0].rows.len();
                assert_eq!(rows, revealed.len(), "epoch {epoch}: a row that a keeper held was left out");
            }
        }
        if !stormy {
            self.calm.push(epoch);
            assert!(posted.is_some(), "epoch {epoch} was calm and has no report");
        }
    }

    async fn bundle(&self, hash: B256) -> EpochBundle {
        for bundles in &self.wire.bundles[HOSTILE..] {
            if let Some(bundle) = bundles.get(hash).await.unwrap() {
                return bundle;
            }
        }
        panic!("nobody has bundle {hash}");
    }
}

/// `[KP-1]` `[KP-2]` `[EP-2]`
#[tokio::test]
async fn two_hostile_keepers_of_seven_and_a_storm_every_other_epoch_cost_no_calm_epoch_its_report() {
    let seed = match std::env::var("TANDEM_SIMULATION_SEED") {
        Ok(text) => text.parse().unwrap(),
        Err(_) if cfg!(feature = "deep") => rand::rng().random(),
        Err(_) => 7,
    };
    eprintln!("TANDEM_SIMULATION_SEED={seed}");
    let mut simulation = Simulation::new(seed).await;
    for epoch in 0..EPOCHS {
        simulation.epoch(epoch).await;
    }
    for ((keeper, epoch), reports) in &simulation.signed {
        let hostile = simulation.wire.index(*keeper) < HOSTILE;
        assert!(hostile || reports.len() == 1, "{keeper} signed {} reports of epoch {epoch}", reports.len());
    }
    let posted: Vec<u64> = simulation.wire.chain.posted().iter().map(|report| report.epoch).collect();
    assert!(posted.windows(2).all(|pair| pair[0] < pair[1]));
    let sends = simulation.wire.chain.sent().into_iter().filter(|purpose| purpose.starts_with("post")).count();
    assert_eq!(sends, posted.len(), "nothing was posted twice");
    let Simulation { calm, contradictions, .. } = simulation;
    assert!(contradictions > 0, "two faces were shown and nobody kept a picture");
    eprintln!("{EPOCHS} epochs, {} calm, {} posted, {contradictions} contradictions kept", calm.len(), posted.len());
}
