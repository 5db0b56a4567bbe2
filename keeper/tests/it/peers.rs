//! What keepers ask of each other over HTTP: signed, so that strangers take nothing from them; and what is remembered of it.

use std::{sync::Arc, time::Duration};

use alloy_primitives::Address;
use alloy_signer_local::PrivateKeySigner;
use reqwest::StatusCode;
use serde_json::Value;
use sqlx::Connection;
use tandem_keeper::{
    api::ApiConfig,
    attester::{Attester, Introduction},
    bundles::Bundles,
    config::PeersConfig,
    guard::Guard,
    keeper::Keeper,
    keys::Key,
    peers::{HttpPeers, Peer, PeerError, Peers},
    store::{Bounded, SqliteStore, Store},
};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{Setup, code, setup_with},
    support::{GENESIS, LENGTH, Running, commit, keeper_keys, key, memory::MemoryChain, network, parts, reveal},
};

async fn introduction(key: impl Into<Key>, wanted: Option<bool>) -> Option<Introduction> {
    let folder = tempfile::tempdir().unwrap();
    let guard = Guard::open(&folder.path().join("guard.sqlite")).await.unwrap();
    Attester::new(key, &network(), guard).introduction(wanted)
}

async fn asking(signer: Option<PrivateKeySigner>) -> HttpPeers {
    let introduction = match signer {
        Some(key) => introduction(key, None).await,
        None => None,
    };
    HttpPeers::new(&PeersConfig::default()).unwrap().introduced_by(introduction)
}

/// A keeper of the set that lets strangers do next to nothing: each costly read is more than their allowance.
async fn reserved() -> (Setup, Peer) {
    let setup = setup_with(ApiConfig { requests_per_address: 1, ..ApiConfig::default() }).await;
    let peer = Peer { keeper: keeper_keys()[0].address(), base: setup.base.clone() };
    (setup, peer)
}

fn is_refused<T>(answer: &Result<T, PeerError>) -> bool {
    matches!(answer, Err(PeerError::Status(StatusCode::TOO_MANY_REQUESTS)))
}

#[tokio::test]
async fn what_a_keeper_asks_counts_as_a_keepers_question_and_not_as_a_strangers() {
    let (_setup, peer) = reserved().await;
    let keeper = asking(Some(keeper_keys().remove(1))).await;
    for _ in 0..30 {
        // The same question again and again, within one second: no signature is one that was taken before.
        assert!(keeper.agreement(&peer, 1).await.unwrap().is_some());
        assert!(keeper.attestations(&peer, 1).await.unwrap().is_some());
    }
    assert!(is_refused(&asking(None).await.agreement(&peer, 1).await), "nobody signs");
}

#[tokio::test]
async fn a_keeper_whose_signature_is_not_taken_asks_as_a_stranger() {
    let (setup, peer) = reserved().await;
    let outsider = asking(Some(key(40))).await;
    assert!(outsider.attestations(&peer, 1).await.unwrap().is_some(), "a cheap question is anybody's");
    assert!(is_refused(&outsider.agreement(&peer, 1).await));
    // It is not tried again at once: of these questions each costs the peer one request.
    let refusals = async || {
        let text =
            setup.http.get(format!("{}/metrics", setup.running.base)).send().await.unwrap().text().await.unwrap();
        let line = text.lines().find(|line| line.contains("refused_requests_total{code=\"K-AUTH-4\"}")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let before = refusals().await;
    for _ in 0..3 {
        assert!(outsider.attestations(&peer, 1).await.is_ok());
    }
    // Other tests of this process may count here too, but not those that run in processes of their own.
    assert!(refusals().await - before < 3);
}

#[tokio::test]
async fn keys_that_are_elsewhere_sign_questions_only_if_told_to() {
    assert!(introduction(key(1), None).await.is_some());
    assert!(introduction(key(1), Some(false)).await.is_none());
    assert!(introduction(Key::pretended(Address::repeat_byte(1)), None).await.is_none(), "it would convince nobody");
    assert!(introduction(Key::pretended(Address::repeat_byte(1)), Some(true)).await.is_some());
}

/// The flood comes from the keeper's own address, as it would behind one gateway.
#[tokio::test]
async fn a_flood_of_strangers_keeps_no_keeper_from_its_peers_rows() {
    let (setup, peer) = reserved().await;
    let network = network();
    let row = commit(&network, &key(11), 1, 1, 1, &[(3, 9)]);
    let row = reveal(&network, &row, &[(3, 9)], &keeper_keys());
    setup.running.store.put_reveal(&row, None).await.unwrap();
    while setup.get("/v1/status").await.status() != StatusCode::TOO_MANY_REQUESTS {}

    let folder = tempfile::tempdir().unwrap();
    let bases = keeper_keys()
        .into_iter()
        .map(|key| if key.address() == peer.keeper { peer.base.clone() } else { String::new() });
    setup.chain.set_endpoints(bases.collect());
    let other = Running::start(folder.path(), keeper_keys().remove(1), &setup.chain, PeersConfig::default()).await;
    other.keeper.step().await.unwrap();
    let held = other.store.reveals(1).await.unwrap();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].reveal, row);
}

#[tokio::test]
async fn status_tells_of_peers_when_they_last_answered_and_why_they_do_not() {
    let chain = Arc::new(MemoryChain::new(GENESIS + 2 * LENGTH + LENGTH / 2));
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut keys = keeper_keys();
    let silent = keys.remove(2).address();
    let one = Running::start(folders[0].path(), keys.remove(0), &chain, PeersConfig::default()).await;
    let two = Running::start(folders[1].path(), keys.remove(0), &chain, PeersConfig::default()).await;
    let status = async |running: &Running| -> Value {
        reqwest::get(format!("{}/v1/status", running.base)).await.unwrap().json().await.unwrap()
    };
    assert_eq!(status(&one).await["peers"], Value::Array(Vec::new()), "nothing is known before the first look");
    chain.set_endpoints(vec![one.base.clone(), two.base.clone(), "http://127.0.0.1:1".to_owned()]);
    two.keeper.step().await.unwrap();
    one.keeper.step().await.unwrap();
    let said = status(&one).await;
    assert_eq!(said["leads"], true);
    let peers = said["peers"].as_array().unwrap();
    assert_eq!(peers.len(), 2);
    let of = |keeper: Address| {
        peers.iter().find(|peer| peer["keeper"].as_str().unwrap().parse::<Address>().unwrap() == keeper).unwrap()
    };
    assert_eq!(
        (of(two.keeper.address())["answered_s"].as_u64(), &of(two.keeper.address())["error"]),
        (Some(0), &Value::Null)
    );
    assert_eq!(of(silent)["answered_s"], Value::Null);
    let error = of(silent)["error"].as_str().unwrap();
    assert!(!error.is_empty() && !error.contains("127.0.0.1"), "no addresses of anybody's: {error}");

    chain.set_endpoints(vec![one.base.clone(), String::new(), String::new()]);
    let folder = tempfile::tempdir().unwrap();
    let alone = Running::start(folder.path(), keeper_keys().remove(0), &chain, PeersConfig::default()).await;
    alone.keeper.step().await.unwrap();
    let said = status(&alone).await;
    assert!(said["peers"][0]["error"].as_str().unwrap().contains("no endpoint"), "{said}");
}

#[tokio::test]
async fn a_store_that_does_not_answer_puts_requests_off_and_one_that_is_broken_fails_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keeper.sqlite");
    let chain = Arc::new(MemoryChain::new(GENESIS + 2 * LENGTH + LENGTH / 2));
    let store = Bounded::new(SqliteStore::open(&file).await.unwrap(), Duration::from_millis(300));
    let store: Arc<dyn Store> = Arc::new(store);
    let guard = Guard::open(&folder.path().join("guard.sqlite")).await.unwrap();
    let attester = Attester::new(keeper_keys().remove(0), &chain.network, guard);
    let bundles = Bundles::in_folder(&folder.path().join("bundles")).unwrap();
    let parts = parts(&chain, &store, bundles, attester, Arc::new(asking(None).await));
    let stop = CancellationToken::new();
    let running = Running::serve(Keeper::new(parts, stop.clone()), store, stop).await;
    running.keeper.step().await.unwrap();

    let mut other = sqlx::SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let signed = commit(&network(), &key(11), 2, 1, 1, &[(3, 1)]);
    let send = async || {
        let url = format!("{}/v1/commits", running.base);
        reqwest::Client::new().post(url).json(&signed).send().await.unwrap()
    };
    let answer = send().await;
    let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    assert_eq!(code(answer).await, (503, "K-INTERNAL".into()));
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(send().await.status(), StatusCode::OK, "as soon as it is there again");

    sqlx::raw_sql("DROP TABLE commits").execute(&mut other).await.unwrap();
    let answer = send().await;
    assert!(answer.headers().get("retry-after").is_none(), "waiting would not help");
    assert_eq!(code(answer).await, (500, "K-INTERNAL".into()));
}
