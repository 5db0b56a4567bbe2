//! Three keepers on a chain in memory, over real HTTP: they agree, post once, and nobody's absence or crash changes what
//! they agree on.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use alloy_primitives::B256;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolStruct;
use axum::{extract::Path, response::Redirect, routing::get};
use reqwest::{Client, StatusCode};
use tandem_keeper::{
    chain::KeeperSetFacts,
    config::PeersConfig,
    replay::{BundleSources, replay},
    rows::turn_of,
    watch::Watch,
};
use tandem_protocol::{
    api::{Agreement, Attestation, ClaimList, Proposal, ReceiptResponse, RevealList, RowNames, Vote},
    bundle::EpochBundle,
    messages::WeightsCommit,
    outcome,
    reveal::Reveal,
    signed::Signed,
    tree::{RewardKind, root_from_proof},
};

use crate::support::{GENESIS, LENGTH, Running, SALT, commit, keeper_keys, key, memory::MemoryChain, network};

struct Net {
    _folder: tempfile::TempDir,
    folders: Vec<PathBuf>,
    chain: Arc<MemoryChain>,
    running: Vec<Option<Running>>,
    http: Client,
}

const PATIENCE: PeersConfig = PeersConfig { endpoints: std::collections::BTreeMap::new(), timeout_ms: 500, sign: None };

impl Net {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let chain = Arc::new(MemoryChain::new(GENESIS + 1));
        let folders: Vec<PathBuf> = (0..3).map(|index| folder.path().join(index.to_string())).collect();
        let mut running = Vec::new();
        for (folder, key) in folders.iter().zip(keeper_keys()) {
            std::fs::create_dir(folder).unwrap();
            running.push(Some(Running::start(folder, key, &chain, PATIENCE).await));
        }
        let net = Self { _folder: folder, folders, chain, running, http: Client::new() };
        net.announce();
        net
    }

    fn announce(&self) {
        let base = |running: &Option<Running>| {
            running.as_ref().map_or("http://127.0.0.1:1".to_owned(), |running| running.base.clone())
        };
        self.chain.set_endpoints(self.running.iter().map(base).collect());
    }

    async fn stop(&mut self, index: usize) {
        self.running[index].take().unwrap().stop().await;
    }

    async fn restart(&mut self, index: usize) {
        let key = keeper_keys().remove(index);
        self.running[index] = Some(Running::start(&self.folders[index], key, &self.chain, PATIENCE).await);
        self.announce();
    }

    /// Every keeper looks, decides and acts at this time, and a few times more, for what follows from what others did.
    async fn at(&self, time: u64) {
        self.chain.set_time(time);
        for _ in 0..3 {
            for running in self.running.iter().flatten() {
                running.keeper.step().await.unwrap();
            }
        }
    }

    /// Commits a row with every keeper that runs; answers its reveal.
    async fn commit(&self, validator: &PrivateKeySigner, epoch: u64, row: &[(u16, u16)]) -> Reveal {
        let commit: Signed<WeightsCommit> = commit(&network(), validator, epoch, 1, 1, row);
        let mut receipts = Vec::new();
        for running in self.running.iter().flatten() {
            let answer = self.http.post(format!("{}/v1/commits", running.base)).json(&commit).send().await.unwrap();
            let receipt: ReceiptResponse = answer.json().await.unwrap();
            receipts.push((receipt.keeper, receipt.signature));
        }
        receipts.sort_by_key(|(keeper, _)| *keeper);
        let message = &commit.message;
        Reveal {
            netuid: 1,
            epoch,
            validator: message.validator,
            seq: message.seq,
            salt: SALT,
            row: row.to_vec(),
            signature: commit.signature,
            receipts,
        }
    }

    async fn reveal(&self, reveal: &Reveal, to: &[usize]) {
        for index in to {
            let Some(running) = &self.running[*index] else { continue };
            let answer = self.http.post(format!("{}/v1/reveals", running.base)).json(reveal).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        }
    }

    /// An epoch in which three validators score contributors 3 and 4; `hidden` is revealed to one keeper only.
    async fn rows(&self, epoch: u64, hidden: Option<usize>) {
        let clock = network().clock;
        self.at(clock.start_of(epoch) + LENGTH / 2).await;
        let mut reveals = Vec::new();
        for (number, row) in
            [(11, [(3, 60_000), (4, 20_000)]), (12, [(3, 50_000), (4, 20_000)]), (13, [(3, 9), (4, 3)])]
        {
            reveals.push(self.commit(&key(number), epoch, &row).await);
        }
        self.at(clock.commit_deadline(epoch)).await;
        for (place, reveal) in reveals.iter().enumerate() {
            let everybody = [0, 1, 2];
            match hidden {
                Some(keeper) if place == 2 => self.reveal(reveal, &[keeper]).await,
                _ => self.reveal(reveal, &everybody).await,
            }
        }
    }

    /// Lets time pass second by second.
    async fn pass(&self, from: u64, until: u64) {
        for time in from..until {
            self.at(time).await;
        }
    }

    /// Lets keepers act one by one until the first of them has signed; answers who and what.
    async fn first_signature(&self, epoch: u64) -> (usize, Attestation) {
        let deadline = network().clock.reveal_deadline(epoch);
        for time in deadline..deadline + 20 {
            self.chain.set_time(time);
            for (index, running) in self.running.iter().flatten().enumerate() {
                running.keeper.step().await.unwrap();
                if let Some(signed) = running.store.attestations(epoch).await.unwrap().pop() {
                    return (index, signed);
                }
            }
        }
        panic!("nobody signed");
    }

    async fn bundle(&self, hash: B256) -> EpochBundle {
        let running = self.running.iter().flatten().next().unwrap();
        let bytes = self.http.get(format!("{}/v1/bundles/{hash}", running.base)).send().await.unwrap();
        EpochBundle::decode_named(&bytes.bytes().await.unwrap(), hash).unwrap()
    }
}

/// `[EP-2]` `[KP-1]`
#[tokio::test]
async fn three_keepers_agree_post_once_and_serve_claims_under_the_active_root() {
    let net = Net::start().await;
    let clock = network().clock;
    net.rows(0, None).await;
    net.pass(clock.reveal_deadline(0), clock.reveal_deadline(0) + 30).await;
    net.rows(1, Some(2)).await;
    net.pass(clock.reveal_deadline(1), clock.reveal_deadline(1) + 30).await;

    let posted = net.chain.posted();
    assert_eq!(posted.iter().map(|report| report.epoch).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(net.chain.active(), 2);
    let posts = net.chain.sent().into_iter().filter(|purpose| purpose.starts_with("post")).count();
    assert_eq!(posts, 2, "nobody posts what stands on chain");
    let bundle = net.bundle(posted[1].bundleHash).await;
    assert_eq!(bundle.inputs.subnets[0].rows.len(), 3, "the row shown to one keeper only is handed over");
    assert_eq!(bundle.inputs.previous_report, posted[0].eip712_hash_struct());
    assert_eq!(outcome::report(&bundle), posted[1]);

    let owner = key(113).address();
    for running in net.running.iter().flatten() {
        let answer = net.http.get(format!("{}/v1/claims/{owner}", running.base)).send().await.unwrap();
        let claims: ClaimList = answer.json().await.unwrap();
        assert_eq!((claims.epoch, claims.root), (1, posted[1].rewardsRoot));
        assert!(claims.claims.iter().any(|claim| claim.reward.kind == RewardKind::ValidatorAlpha));
        for claim in &claims.claims {
            let leaf = claim.reward.leaf_hash(claim.index);
            assert_eq!(root_from_proof(leaf, claim.index, &claim.proof), claims.root);
        }
        crate::api_reads::check_batches(&net.http, &running.base, &claims).await;
    }
    let sources = BundleSources { peers: vec![net.running[1].as_ref().unwrap().base.clone()], urls: Vec::new() };
    let replayed = replay(&network(), net.chain.as_ref(), &sources, 1).await.unwrap();
    assert_eq!(replayed.differences, Vec::<String>::new());
    net.chain.deny_grants(1);
    let replayed = replay(&network(), net.chain.as_ref(), &sources, 1).await.unwrap();
    assert_eq!(replayed.differences, ["subnet 1 of the bundle is not what the chain says"]);

    let watch = |sources: &BundleSources, from| Watch::new(network(), net.chain.clone(), sources.clone(), from);
    let mut careful = watch(&sources, Some(0));
    let found = careful.look().await.unwrap();
    assert_eq!(found.iter().map(|replay| replay.epoch).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(found[1].differences, replayed.differences, "a watcher sees it too");
    assert_eq!((careful.through(), careful.look().await.unwrap()), (Some(1), Vec::new()), "each report once");
    let mut blind = watch(&BundleSources::default(), None);
    assert_eq!(blind.look().await.unwrap(), Vec::new());
    assert_eq!((blind.unresolved(), blind.through()), (1, None), "what cannot be recomputed is not taken for right");

    // Somebody hides the bundle for a while.
    let shown = Arc::new(AtomicBool::new(false));
    let (hidden, base) = (shown.clone(), sources.peers[0].clone());
    let show = move |Path(hash): Path<String>| async move {
        let url = format!("{base}/v1/bundles/{hash}");
        if hidden.load(Ordering::SeqCst) { Ok(Redirect::temporary(&url)) } else { Err(StatusCode::NOT_FOUND) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let urls = vec![format!("http://{}/{{hash}}", listener.local_addr().unwrap())];
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/{hash}", get(show))).await });
    let mut patient = watch(&BundleSources { peers: Vec::new(), urls }, None);
    assert_eq!((patient.look().await.unwrap(), patient.unresolved()), (Vec::new(), 1));
    shown.store(true, Ordering::SeqCst);
    let found = patient.look().await.unwrap();
    assert_eq!((found.len(), patient.unresolved(), patient.through()), (1, 0, Some(1)), "it is asked for again");
}

/// `[EP-4]` `[EP-5]`: keepers that refuse a validator's commits cannot keep it out.
#[tokio::test]
async fn a_row_that_only_the_chain_was_told_of_is_in_every_keepers_list_and_replays() {
    let net = Net::start().await;
    let clock = network().clock;
    net.at(clock.start_of(0) + LENGTH / 2).await;
    let row = [(3, 60_000), (4, 20_000)];
    let seen = net.commit(&key(11), 0, &row).await;
    net.at(clock.commit_deadline(0)).await;
    net.reveal(&seen, &[0, 1, 2]).await;
    net.chain.put_on_chain(crate::support::reveal(&network(), &commit(&network(), &key(12), 0, 1, 1, &row), &row, &[]));
    net.pass(clock.reveal_deadline(0), clock.reveal_deadline(0) + 30).await;
    let posted = net.chain.posted();
    assert_eq!(posted.len(), 1);
    let bundle = net.bundle(posted[0].bundleHash).await;
    let validators: Vec<_> = bundle.inputs.subnets[0].rows.iter().map(|row| row.validator).collect();
    assert_eq!(validators.len(), 2);
    assert!(validators.contains(&key(12).address()));
    let sources = BundleSources { peers: vec![net.running[1].as_ref().unwrap().base.clone()], urls: Vec::new() };
    let replayed = replay(&network(), net.chain.as_ref(), &sources, 0).await.unwrap();
    assert_eq!(replayed.differences, Vec::<String>::new());
}

/// What `Slashing.proveCommitAgainstChain` takes.
#[tokio::test]
async fn a_validator_that_tells_keepers_one_thing_and_the_chain_another_leaves_evidence() {
    let net = Net::start().await;
    let clock = network().clock;
    net.at(clock.start_of(0) + LENGTH / 2).await;
    let (one, other) = ([(3, 60_000), (4, 20_000)], [(3, 1), (4, 2)]);
    net.commit(&key(11), 0, &one).await;
    net.commit(&key(12), 0, &one).await;
    let put = |number: u8, row: &[(u16, u16)]| {
        let commit = commit(&network(), &key(number), 0, 1, 1, row);
        net.chain.put_on_chain(crate::support::reveal(&network(), &commit, row, &[]));
    };
    put(11, &other);
    put(12, &one);
    net.at(clock.commit_deadline(0)).await;
    for running in net.running.iter().flatten() {
        let evidence = running.store.evidence(0).await.unwrap();
        let found: Vec<_> = evidence.iter().map(|found| (found.kind.as_str(), found.subject)).collect();
        assert_eq!(found, [("commit_against_chain", key(11).address())], "who says the same twice is honest");
        let (sent, on_chain): (Signed<WeightsCommit>, WeightsCommit) =
            serde_json::from_str(&evidence[0].statements).unwrap();
        assert_eq!(sent.signer(&network().domain()).unwrap(), key(11).address());
        assert_eq!((sent.message.seq, sent.message.epoch), (on_chain.seq, on_chain.epoch));
        assert_ne!(sent.message.commitHash, on_chain.commitHash);
    }
}

#[tokio::test]
async fn when_the_first_in_turn_is_down_the_next_proposes_and_posts_and_the_lost_one_catches_up() {
    let mut net = Net::start().await;
    let clock = network().clock;
    let set = KeeperSetFacts {
        keepers: keeper_keys().iter().map(|key| key.address()).collect(),
        endpoints: vec![String::new(); 3],
        threshold: 2,
        config_digest: B256::repeat_byte(0xcd),
    };
    let first = set.keepers.iter().position(|keeper| turn_of(&set, 0, *keeper) == Some(0)).unwrap();
    net.stop(first).await;
    net.announce();
    net.rows(0, None).await;
    net.pass(clock.reveal_deadline(0), clock.reveal_deadline(0) + 40).await;
    assert_eq!(net.chain.posted().len(), 1);
    assert_eq!(net.chain.active(), 1);

    net.restart(first).await;
    net.rows(1, None).await;
    net.pass(clock.reveal_deadline(1), clock.reveal_deadline(1) + 30).await;
    assert_eq!(net.chain.posted().len(), 2);
    let base = &net.running[first].as_ref().unwrap().base;
    let status: serde_json::Value =
        net.http.get(format!("{base}/v1/status")).send().await.unwrap().json().await.unwrap();
    assert_eq!(status["last_attested"], 1, "it fetched the bundle that it had missed");
}

/// `[KP-1]` `[KP-2]`
#[tokio::test]
async fn a_keeper_killed_after_signing_signs_the_same_again_and_a_late_quorum_still_posts() {
    let mut net = Net::start().await;
    let clock = network().clock;
    net.rows(0, None).await;
    let (first, signed) = net.first_signature(0).await;
    for index in 0..3 {
        net.stop(index).await;
    }
    assert!(net.chain.posted().is_empty());
    net.restart(first).await;
    let at = clock.reveal_deadline(0) + 20;
    net.pass(at, at + 6).await;
    let held = net.running[first].as_ref().unwrap().store.attestations(0).await.unwrap();
    assert_eq!(held, std::slice::from_ref(&signed));
    assert!(net.chain.posted().is_empty(), "one alone posts nothing");

    for index in (0..3).filter(|index| *index != first) {
        net.restart(index).await;
    }
    net.pass(at + 6, at + 16).await;
    assert_eq!(net.chain.posted(), [signed.report.message]);
}

/// `[EP-4]`
#[tokio::test]
async fn what_lost_epochs_were_granted_is_paid_with_the_next_one() {
    let net = Net::start().await;
    let clock = network().clock;
    net.rows(2, None).await;
    net.pass(clock.reveal_deadline(2), clock.reveal_deadline(2) + 30).await;
    let posted = net.chain.posted();
    assert_eq!(posted.iter().map(|report| report.epoch).collect::<Vec<_>>(), [1, 2]);
    let first = net.bundle(posted[0].bundleHash).await;
    assert_eq!((first.inputs.subnets[0].alpha, first.inputs.subnets[0].usdc), (2_000, 200));
    let second = net.bundle(posted[1].bundleHash).await;
    assert_eq!((second.inputs.subnets[0].alpha, second.inputs.subnets[0].rows.len()), (1_000, 3));
}

#[tokio::test]
async fn every_keeper_shows_the_proposals_votes_and_rows_that_it_decided_by() {
    let net = Net::start().await;
    let clock = network().clock;
    net.rows(0, Some(1)).await;
    net.pass(clock.reveal_deadline(0), clock.reveal_deadline(0) + 10).await;
    let mut shown = Vec::new();
    for running in net.running.iter().flatten() {
        let epoch = format!("{}/v1/epochs/0", running.base);
        let answer = net.http.get(format!("{epoch}/agreement")).send().await.unwrap();
        let Agreement { proposals, votes } = answer.json().await.unwrap();
        let [Proposal { proposer, list }] = &proposals[..] else { panic!("{proposals:?}") };
        assert_eq!(list.signer(&network().domain()).unwrap(), *proposer);
        assert!(votes.len() >= 4, "a quorum of two in each of two steps");
        for Vote { keeper, vote } in &votes {
            assert_eq!(vote.signer(&network().domain()).unwrap(), *keeper);
            assert_eq!(vote.message.rowsHash, list.message.rowsHash);
        }
        let answer = net.http.get(format!("{epoch}/lists/{}", list.message.rowsHash)).send().await.unwrap();
        let rows: RevealList = answer.json().await.unwrap();
        let answer = net.http.get(format!("{epoch}/lists/{}/names", list.message.rowsHash)).send().await.unwrap();
        assert_eq!(answer.json::<RowNames>().await.unwrap(), RowNames::of(&rows.reveals));
        let answer = net.http.get(format!("{epoch}/lists/{}?netuid=2", list.message.rowsHash)).send().await.unwrap();
        assert!(answer.json::<RevealList>().await.unwrap().reveals.is_empty());
        shown.push(rows.reveals);
        let answer = net.http.get(format!("{epoch}/lists/{}", B256::ZERO)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    }
    assert_eq!(shown[0].len(), 3);
    assert!(shown.iter().all(|reveals| *reveals == shown[0]));
}
