//! Clients that are slow, many, rude or broken, and what the node says of itself meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tandem_protocol::payment::PaymentTerms;
use tandem_verifier::node::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::town::{Kind, MODEL, Town, TownNode, User, limits};

const OPERATE: &str = include_str!("../../../docs/operate/node.md");
const ERRORS: &str = include_str!("../../../docs/errors.md");
const SOURCES: [&str; 6] = [
    include_str!("../../src/node/mod.rs"),
    include_str!("../../src/node/answer.rs"),
    include_str!("../../src/node/server.rs"),
    include_str!("../../src/node/till.rs"),
    include_str!("../../src/node/openai/mod.rs"),
    include_str!("../../src/node/openai/request.rs"),
];

async fn raw(node: &TownNode) -> TcpStream {
    TcpStream::connect(node.url.trim_start_matches("http://")).await.unwrap()
}

/// What the node says until it closes the connection.
async fn to_the_end(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut read)).await.expect("it is closed");
    String::from_utf8_lossy(&read).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_slowly_is_disconnected() {
    let town = Town::new();
    let node = TownNode::start(&town, "miner", Kind::Honest).await;
    let started = Instant::now();
    let mut silent = raw(&node).await;
    let mut drop_by_drop = raw(&node).await;
    let mut half = raw(&node).await;
    half.write_all(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{\"model\":")
        .await
        .unwrap();
    let dripping = tokio::spawn(async move {
        for byte in b"GET /health HTTP/1.1\r\nhost: x\r\nx-slow: ".iter().chain(&[b'a'; 1_000]) {
            if drop_by_drop.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        to_the_end(&mut drop_by_drop).await
    });
    assert!(!to_the_end(&mut silent).await.contains("200"));
    let said = to_the_end(&mut half).await;
    assert!(said.contains("408") && said.contains("body_timeout"), "{said}");
    assert!(!dripping.await.unwrap().contains("200"));
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(node.get("/health").await.0, 200);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_http_is_refused_and_harms_nobody() {
    let town = Town::new();
    let node = TownNode::start(&town, "miner", Kind::Honest).await;
    let many = format!("GET /health HTTP/1.1\r\n{}\r\n", "x-a: b\r\n".repeat(500));
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(100_000));
    let chunked = "POST /v1/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    let twice = "POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab";
    for sent in ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", &many, &long, chunked, twice, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = raw(&node).await;
        let _ = stream.write_all(sent.as_bytes()).await;
        let said = to_the_end(&mut stream).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    }
    let huge = format!("{{\"model\":\"{MODEL}\",\"prompt\":[{}1]}}", "1,".repeat(15_000));
    let (status, answer) = node.post_raw(huge).await;
    assert_eq!((status, answer["error"]["code"].as_str()), (402, Some("payment_required")));
    let wide = format!("{{\"model\":\"{MODEL}\",\"messages\":[{}{{}}]}}", "{},".repeat(8_000));
    assert_eq!(node.post_to("/v1/chat/completions", wide).await.0, 400);
    let body = "x".repeat(40_000);
    assert_eq!(node.post_to("/v1/vouchers", body).await.1["error"]["code"], "body_too_large");
    assert_eq!(node.get("/v1/vouchers").await.1["error"]["code"], "method_not_allowed");
    node.stop().await;
}

/// A hundred at once: each is answered, or refused in a way that says to come again; no client is charged twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_clients_at_once_are_answered_or_told_to_come_again() {
    let town = Town::new();
    let limits = Limits { running: 4, waiting: 30, ..limits() };
    let node = Arc::new(TownNode::start_with(&town, "miner", Kind::Honest, limits).await);
    let mut users = Vec::new();
    for name in (0..20).map(|n| format!("user {n}")) {
        users.push(User::open(&town, &name, node.uid, 5, 3_600).await);
    }
    let requests: Vec<Value> = (0..100).map(|n| users[n % 20].request(&town, "Hello", 12)).collect();
    let tasks: Vec<_> = requests
        .into_iter()
        .map(|request| {
            let node = node.clone();
            tokio::spawn(async move {
                let response = node.send("/v1/completions", request.to_string()).await;
                let (status, again) = (response.status().as_u16(), response.headers().contains_key("retry-after"));
                (status, again, response.json::<Value>().await.unwrap())
            })
        })
        .collect();
    let mut outcomes = BTreeMap::<String, usize>::new();
    for task in tasks {
        let (status, again, answer) = task.await.unwrap();
        let code = answer["error"]["code"].as_str().unwrap_or("ok").to_owned();
        match status {
            200 => assert_eq!(code, "ok"),
            429 | 503 => assert!(again && ["channel_busy", "overloaded"].contains(&code.as_str()), "{code}"),
            // A channel's requests arrive in any order, and none of them knows what another consumed.
            402 => assert!(["voucher_not_growing", "voucher_insufficient"].contains(&code.as_str()), "{code}"),
            other => panic!("{other}: {answer}"),
        }
        *outcomes.entry(code).or_default() += 1;
    }
    assert!(outcomes["ok"] >= 4, "{outcomes:?}");
    // The node's counts are within what each client signed, and with them each goes on.
    for user in &mut users {
        let (status, answer) = node.post(&user.request(&town, "Hello", 1)).await;
        if status == 402 {
            let terms: PaymentTerms = serde_json::from_value(answer["tandem"].clone()).unwrap();
            user.meter.catch_up(terms.consumed.unwrap()).unwrap();
            assert_eq!(node.post(&user.request(&town, "Hello", 1)).await.0, 200);
        }
    }
    let Ok(node) = Arc::try_unwrap(node) else { panic!() };
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_into_the_queue_is_refused_at_once_and_the_rest_sees_signs_of_life() {
    let town = Town::new();
    let limits = Limits { running: 1, waiting: 1, ..limits() };
    let node = Arc::new(TownNode::start_with(&town, "miner", Kind::Slow, limits).await);
    let mut users = Vec::new();
    for name in ["first", "second", "third"] {
        users.push(User::open(&town, name, node.uid, 5, 3_600).await);
    }
    let mut ask = |at: usize| {
        let user: &mut User = &mut users[at];
        let mut body = user.request(&town, "Tell me a long story", 1_600);
        (body["stream"], body["seed"]) = (json!(true), json!(at));
        node.send("/v1/completions", body.to_string())
    };
    let (first, mut second) = (ask(0).await, ask(1).await);
    assert_eq!((first.status(), second.status()), (200.try_into().unwrap(), 200.try_into().unwrap()));
    let third = ask(2).await;
    assert_eq!((third.status().as_u16(), third.headers().contains_key("retry-after")), (503, true));
    let mut waited = Vec::new();
    while !waited.windows(2).any(|two| two == b"\n\n") {
        waited.extend_from_slice(&second.chunk().await.unwrap().unwrap());
    }
    let sign = String::from_utf8_lossy(&waited).into_owned();
    assert!(sign.starts_with(": waiting") || sign.starts_with("data: "), "{sign}");
    drop((first, second));
    let Ok(node) = Arc::try_unwrap(node) else { panic!() };
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_its_name_or_gets_one() {
    let town = Town::new();
    let node = TownNode::start(&town, "miner", Kind::Honest).await;
    let client = reqwest::Client::new();
    let named = async |id: &str| {
        let response =
            client.post(format!("{}/v1/completions", node.url)).header("x-request-id", id).send().await.unwrap();
        response.headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(named("my-request_7:a.b").await, "my-request_7:a.b");
    let (long, strange) = ("x".repeat(129), "<b>");
    for id in ["", &long, strange] {
        let given = named(id).await;
        assert!(given.len() == 32 && given.bytes().all(|b| b.is_ascii_hexdigit()), "{given}");
    }
    assert_ne!(named("").await, named("").await);
    node.stop().await;
}

/// Name, kind and whether there is a value, of each metric that the node shows.
fn shown(metrics: &str) -> BTreeMap<String, (String, bool)> {
    let mut found = BTreeMap::new();
    for line in metrics.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let value =
                |line: &&str| line.starts_with(name) && line.split(' ').next_back().unwrap().parse::<f64>().is_ok();
            let help = format!("# HELP {name} ");
            assert!(
                metrics.lines().any(|line| line.starts_with(&help) && line.len() > help.len()),
                "{name} has no help"
            );
            found.insert(name.to_owned(), (kind.to_owned(), metrics.lines().any(|line| value(&line))));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_of_the_book_is_there_from_the_start_and_no_other() {
    let town = Town::new();
    let node = TownNode::start(&town, "miner", Kind::Honest).await;
    let listed: BTreeMap<String, String> = OPERATE
        .lines()
        .filter_map(|line| line.strip_prefix("| `tandem_node_"))
        .map(|row| row.split('|').map(str::trim).collect::<Vec<_>>())
        .map(|cells| (format!("tandem_node_{}", cells[0].trim_end_matches('`')), cells[1].to_owned()))
        .collect();
    assert!(listed.len() > 10);
    let scrape = async || node.get("/metrics").await.1.as_str().unwrap().to_owned();
    let kinds = |found: BTreeMap<String, (String, bool)>| -> BTreeMap<String, String> {
        found
            .into_iter()
            .map(|(name, (kind, value))| {
                assert!(value, "{name} has no value");
                (name, kind)
            })
            .collect()
    };
    assert_eq!(kinds(shown(&scrape().await)), listed);
    let mut user = User::open(&town, "user", node.uid, 5, 3_600).await;
    assert_eq!(node.post(&user.request(&town, "Hello", 8)).await.0, 200);
    assert_eq!(node.post(&json!({ "model": MODEL, "prompt": "Hello" })).await.0, 402);
    let after = scrape().await;
    assert_eq!(kinds(shown(&after)), listed);
    for line in [
        "tandem_node_requests_total{outcome=\"ok\"} 1",
        "tandem_node_requests_total{outcome=\"payment_required\"} 1",
        "tandem_node_payments_refused_total{code=\"payment_required\"} 1",
        "tandem_node_vouchers_total{kind=\"request\"} 1",
        "tandem_node_prompt_tokens_total 6",
        "tandem_node_answer_seconds_count 1",
        "tandem_node_requests_running 0",
        "tandem_node_requests_waiting 0",
    ] {
        assert!(after.lines().any(|found| found == line), "{line} not in\n{after}");
    }
    node.stop().await;
}

/// Codes are what stands in quotes and is written like one, where errors are made.
#[test]
fn every_code_of_the_node_stands_in_the_book() {
    let section = ERRORS.split("## Contributor node").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let listed: BTreeSet<&str> =
        rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2)).collect();
    let is_code = |text: &&str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let said: BTreeSet<&str> =
        SOURCES.iter().flat_map(|source| source.split('"').skip(1).step_by(2)).filter(is_code).collect();
    for code in &listed {
        assert!(said.contains(code) || *code == "invalid_json", "{code} is in the book and nowhere else");
    }
    let makes = |source: &str| -> Vec<String> {
        let calls = [
            "bad_request(\"",
            "StatusCode::SERVICE_UNAVAILABLE, \"",
            "Some(\"",
            "refuse(\"",
            "StatusCode::NOT_FOUND, \"",
            "StatusCode::REQUEST_TIMEOUT, \"",
            "StatusCode::PAYLOAD_TOO_LARGE, \"",
            "StatusCode::METHOD_NOT_ALLOWED, \"",
        ];
        calls
            .iter()
            .flat_map(|call| source.split(call).skip(1))
            .map(|rest| rest.split('"').next().unwrap().to_owned())
            .collect()
    };
    let made: BTreeSet<String> =
        SOURCES.iter().flat_map(|source| makes(source)).filter(|code| code.contains('_')).collect();
    assert!(made.len() > 20, "{made:?}");
    let missing: Vec<_> = made.iter().filter(|code| !listed.contains(code.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
