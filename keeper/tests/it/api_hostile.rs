//! Clients that mean harm: too much, too slow, twice, in others' names, at once.

use std::time::{Duration, Instant};

use alloy_signer_local::PrivateKeySigner;
use proptest::{prelude::*, strategy::ValueTree};
use reqwest::{Client, StatusCode};
use tandem_keeper::api::{ApiConfig, REQUEST_ID, TlsConfig};
use tandem_protocol::{
    api::{ApiError, LeaseRequest, LeaseResponse, SIGNATURE_HEADER, SIGNER_HEADER, TIMESTAMP_HEADER},
    messages::{SignedRequest, request_hash},
    signed::Signed,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    api::{Setup, code, nonce, setup, setup_with, unix_seconds},
    support::{keeper_keys, key, network},
};

const ASK: LeaseRequest = LeaseRequest { max_jobs: 1, wait_ms: 0 };

impl Setup {
    async fn raw(&self) -> TcpStream {
        TcpStream::connect(self.base.strip_prefix("http://").unwrap()).await.unwrap()
    }

    /// A read that is signed, at this time and as this path.
    async fn signed_read(&self, path: &str, signer: &PrivateKeySigner) -> reqwest::Response {
        let timestamp = unix_seconds();
        let body_hash = request_hash("GET", path, b"");
        let message = SignedRequest { signer: signer.address(), bodyHash: body_hash, timestamp };
        let signed = Signed::new(message, &network().domain(), signer).unwrap();
        self.http
            .get(format!("{}{path}", self.base))
            .header(SIGNER_HEADER, signer.address().to_string())
            .header(TIMESTAMP_HEADER, timestamp)
            .header(SIGNATURE_HEADER, signed.signature.to_string())
            .send()
            .await
            .unwrap()
    }

    async fn is_well(&self) -> bool {
        let answer = Client::new().get(format!("{}/health", self.base)).timeout(Duration::from_secs(5)).send().await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }
}

#[tokio::test]
async fn a_signature_is_taken_once() {
    let setup = setup().await;
    let now = unix_seconds();
    let path = "/v1/jobs/lease?nonce=1";
    let first = setup.signed_at(path, path, &ASK, &key(11), now).await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(code(setup.signed_at(path, path, &ASK, &key(11), now).await).await, (401, "K-AUTH-5".into()));
    // The same path, body and second with another nonce is another request, and so is another signer's.
    let other = "/v1/jobs/lease?nonce=2";
    assert_eq!(setup.signed_at(other, other, &ASK, &key(11), now).await.status(), StatusCode::OK);
    assert_eq!(setup.signed_at(path, path, &ASK, &key(12), now).await.status(), StatusCode::OK);
    // What was signed for one nonce is not good for another.
    let moved = setup.signed_at("/v1/jobs/lease?nonce=3", path, &ASK, &key(11), now).await;
    assert_eq!(code(moved).await, (401, "K-AUTH-2".into()));
    let read = "/v1/status?nonce=4";
    assert_eq!(setup.signed_read(read, &keeper_keys()[1]).await.status(), StatusCode::OK);
    assert_eq!(code(setup.signed_read(read, &keeper_keys()[1]).await).await, (401, "K-AUTH-5".into()));
}

#[tokio::test]
async fn a_flood_of_strangers_is_turned_away_and_takes_nothing_from_validators_and_keepers() {
    let setup = setup_with(ApiConfig { requests_per_address: 2, ..ApiConfig::default() }).await;
    let mut refused = 0;
    for _ in 0..60 {
        let answer = setup.get("/v1/status").await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            refused += 1;
            let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=2).contains(&wait), "{wait}");
            let error: ApiError = answer.json().await.unwrap();
            assert_eq!(error.code, "K-LIMIT-1");
        }
    }
    assert!(refused >= 20, "{refused}");
    let status = setup.signed_read(&format!("/v1/status?nonce={}", nonce()), &keeper_keys()[2]).await;
    assert_eq!(status.status(), StatusCode::OK, "a keeper of the set");
    let leased: LeaseResponse = setup.signed("/v1/jobs/lease", &ASK, &key(11)).await.json().await.unwrap();
    assert_eq!(leased.leases.len(), 1, "a validator");
    assert!(setup.is_well().await, "the operator's own question");
    let stranger = setup.signed_read("/v1/status", &key(40)).await;
    assert_eq!(code(stranger).await, (403, "K-AUTH-4".into()));
}

#[tokio::test]
async fn signing_wrongly_is_limited_by_address_and_signing_rightly_by_signer() {
    let config = ApiConfig { signatures_per_address: 2, requests_per_signer: 1, ..ApiConfig::default() };
    let setup = setup_with(config).await;
    let mut codes = Vec::new();
    for _ in 0..12 {
        codes.push(code(setup.signed_at("/v1/jobs/lease", "/wrong", &ASK, &key(11), unix_seconds()).await).await.1);
    }
    assert!(codes.iter().all(|code| code == "K-AUTH-2"), "forgeries use up nothing of the validator's: {codes:?}");
    let mut codes = Vec::new();
    for _ in 0..40 {
        let answer = setup.signed("/v1/jobs/lease", &ASK, &key(11)).await;
        if answer.status() != StatusCode::OK {
            codes.push(code(answer).await.1);
        }
    }
    assert!(codes.iter().any(|code| code == "K-LIMIT-1"), "the address has made us check too many: {codes:?}");

    let setup = setup_with(ApiConfig { requests_per_signer: 1, ..ApiConfig::default() }).await;
    let mut taken = 0;
    for _ in 0..30 {
        let answer = setup.signed("/v1/jobs/lease", &ASK, &key(11)).await;
        match answer.status() {
            StatusCode::OK => taken += 1,
            _ => assert_eq!(code(answer).await, (429, "K-LIMIT-2".into())),
        }
    }
    assert!((10..20).contains(&taken), "{taken}");
    assert_eq!(setup.signed("/v1/jobs/lease", &ASK, &key(12)).await.status(), StatusCode::OK, "each has their own");
}

#[tokio::test]
async fn heads_and_bodies_that_do_not_come_end_their_connection() {
    let config = ApiConfig { head_timeout_s: 1, body_timeout_s: 1, ..ApiConfig::default() };
    let setup = setup_with(config).await;
    let mut rest = Vec::new();

    let mut slow_head = setup.raw().await;
    slow_head.write_all(b"GET /v1/status HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    timeout(Duration::from_secs(4), slow_head.read_to_end(&mut rest)).await.expect("cut off").unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));

    let mut slow_body = setup.raw().await;
    slow_body.write_all(b"POST /v1/commits HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{").await.unwrap();
    let mut answer = vec![0; 1_024];
    let read = timeout(Duration::from_secs(4), slow_body.read(&mut answer)).await.expect("answered").unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("K-BODY-3"), "{answer}");

    let mut idle = setup.raw().await;
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    rest.clear();
    timeout(Duration::from_secs(4), idle.read_to_end(&mut rest)).await.expect("idle ones are closed").unwrap();
    assert!(String::from_utf8_lossy(&rest).starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn garbage_on_the_wire_ends_its_connection_and_nothing_else() {
    let setup = setup().await;
    let ask = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n";
    let huge = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", (0..200).map(|n| format!("x{n}: y\r\n")).collect::<String>());
    let two_lengths = "POST /v1/commits HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}";
    let both =
        "POST /v1/commits HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    let garbage: [&[u8]; 7] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00\xff\x00\xff\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        huge.as_bytes(),
        many.as_bytes(),
        two_lengths.as_bytes(),
        both.as_bytes(),
    ];
    for bytes in garbage {
        let mut wire = setup.raw().await;
        // Ten good requests in a row, then garbage: the good ones are answered.
        for _ in 0..10 {
            wire.write_all(ask).await.unwrap();
        }
        let _ = wire.write_all(bytes).await;
        let mut answers = Vec::new();
        let _ = timeout(Duration::from_secs(15), wire.read_to_end(&mut answers)).await.expect("closed");
        let answers = String::from_utf8_lossy(&answers).into_owned();
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 10, "{answers}");
        assert!(!answers.contains("HTTP/1.1 5"), "{answers}");
    }
    assert!(setup.is_well().await);
}

#[tokio::test]
async fn idle_connections_hold_up_nobody_and_one_address_has_only_so_many() {
    let idle = if cfg!(feature = "deep") { 2_000 } else { 300 };
    let config = ApiConfig { connections_per_address: idle + 50, head_timeout_s: 3, ..ApiConfig::default() };
    let setup = setup_with(config).await;
    let mut open = Vec::new();
    for _ in 0..idle {
        open.push(setup.raw().await);
    }
    let anew = Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let started = Instant::now();
    for _ in 0..20 {
        let answer = anew.get(format!("{}/health", setup.base)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    let mut byte = [0];
    for wire in &mut open {
        let read = timeout(Duration::from_secs(10), wire.read(&mut byte)).await.expect("closed when idle");
        assert!(matches!(read, Ok(0) | Err(_)));
    }
    drop(open);

    let setup = setup_with(ApiConfig { connections_per_address: 5, ..ApiConfig::default() }).await;
    let mut open = Vec::new();
    for _ in 0..5 {
        open.push(setup.raw().await);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut sixth = setup.raw().await;
    let read = timeout(Duration::from_secs(2), sixth.read(&mut byte)).await.expect("closed at once");
    assert!(matches!(read, Ok(0) | Err(_)));
    drop(open);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(setup.is_well().await, "places are given back");
}

#[tokio::test]
async fn hundreds_of_waiting_workers_cost_the_store_what_one_costs() {
    let setup = setup_with(ApiConfig { requests_per_signer: 1_000, ..ApiConfig::default() }).await;
    let looks = async || {
        let text = setup.get("/metrics").await.text().await.unwrap();
        let line =
            text.lines().find(|line| line.starts_with("tandem_keeper_store_seconds_count{operation=\"lease_jobs\"}"));
        line.unwrap().rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let validator = key(13);
    let all = LeaseRequest { max_jobs: 64, wait_ms: 0 };
    let leased: LeaseResponse = setup.signed("/v1/jobs/lease", &all, &validator).await.json().await.unwrap();
    assert_eq!(leased.leases.len(), 2);
    let before = looks().await;
    let wait = LeaseRequest { max_jobs: 1, wait_ms: 3_000 };
    let workers = (0..200).map(|_| setup.signed("/v1/jobs/lease", &wait, &validator));
    let started = Instant::now();
    for answer in futures_util::future::join_all(workers).await {
        let leased: LeaseResponse = answer.json().await.unwrap();
        assert_eq!(leased.leases, []);
    }
    assert!(started.elapsed() >= Duration::from_secs(3));
    let asked = looks().await - before;
    assert!((3..=20).contains(&asked), "{asked} looks for 200 workers in 3 s");
}

#[tokio::test]
async fn a_stop_answers_who_waits_and_takes_nobody_new() {
    let setup = setup().await;
    let validator = key(12);
    let all = LeaseRequest { max_jobs: 64, wait_ms: 0 };
    setup.signed("/v1/jobs/lease", &all, &validator).await;
    let wait = LeaseRequest { max_jobs: 1, wait_ms: 15_000 };
    let started = Instant::now();
    let stop = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        setup.running.stop.cancel();
    };
    let (answer, ()) = tokio::join!(setup.signed("/v1/jobs/lease", &wait, &validator), stop);
    let leased: LeaseResponse = answer.json().await.unwrap();
    assert_eq!(leased.leases, []);
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(!setup.is_well().await, "nobody listens any more");
}

#[test]
fn the_section_of_the_configuration_is_strict_and_its_defaults_are_in_range() {
    let read = |text: &str| toml::from_str::<ApiConfig>(text);
    let full = read("costly_reads = 3\ntrusted_proxies = ['::1']\ntls = { cert = 'a', key = 'b' }").unwrap();
    assert_eq!((full.costly_reads, full.trusted_proxies.len(), full.tls.is_some()), (3, 1, true));
    for wrong in
        ["colour = 1", "tls = { cert = 'a' }", "tls = { cert = 'a', key = 'b', colour = 1 }", "connections = -1"]
    {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    for (name, value, low, high) in ApiConfig::default().ranges() {
        assert!((low..=high).contains(&value), "{name}");
    }
}

/// Over TLS the same API; without it, nothing.
#[tokio::test]
async fn an_encrypted_api_answers_only_those_who_speak_tls_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = TlsConfig { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    std::fs::write(&tls.cert, pair.cert.pem()).unwrap();
    std::fs::write(&tls.key, pair.signing_key.serialize_pem()).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&tls.key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let config = ApiConfig { tls: Some(tls), head_timeout_s: 1, ..ApiConfig::default() };
    let setup = setup_with(config).await;
    let port = setup.base.rsplit(':').next().unwrap().to_owned();

    let root = reqwest::Certificate::from_pem(pair.cert.pem().as_bytes()).unwrap();
    let trusting = Client::builder().tls_certs_only([root]).build().unwrap();
    let url = format!("https://localhost:{port}/v1/status");
    for _ in 0..3 {
        let answer = trusting.get(&url).send().await.unwrap();
        assert_eq!((answer.status(), answer.version()), (StatusCode::OK, reqwest::Version::HTTP_11));
    }
    assert!(Client::new().get(&url).send().await.is_err(), "who does not know the certificate does not believe it");
    assert!(setup.http.get(format!("{}/v1/status", setup.base)).send().await.is_err(), "plain HTTP");
    // Who says nothing after connecting is cut off like one who sends no head.
    let mut silent = setup.raw().await;
    let read = timeout(Duration::from_secs(4), silent.read(&mut [0])).await.expect("cut off");
    assert!(matches!(read, Ok(0) | Err(_)));
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let setup = setup().await;
    let named = async |id: &str| {
        let answer = setup.http.get(format!("{}/v1/nowhere", setup.base)).header(REQUEST_ID, id).send().await.unwrap();
        answer.headers()[REQUEST_ID].to_str().unwrap().to_owned()
    };
    assert_eq!(named("order-7:a_b.c").await, "order-7:a_b.c");
    for strange in ["", "two words", "<script>", &"x".repeat(129)] {
        let own = named(strange).await;
        assert!(own != strange && !own.is_empty(), "{own}");
    }
    assert_ne!(named("").await, named("").await);
}

/// Something like the JSON that calls take, and much that is not.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "0x[0-9a-f]{0,130}".prop_map(Into::into),
        ".{0,20}".prop_map(Into::into),
    ];
    let names = prop_oneof![
        Just("message"),
        Just("signature"),
        Just("epoch"),
        Just("netuid"),
        Just("validator"),
        Just("seq"),
        Just("row"),
        Just("salt"),
        Just("receipts"),
        Just("accounts"),
        Just("indexes"),
        Just("commitHash"),
        Just("max_jobs"),
    ];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::hash_map(names.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}

#[tokio::test]
async fn no_body_makes_the_keeper_fail() {
    let cases = if cfg!(feature = "deep") { 20_000 } else { 300 };
    let setup = setup_with(ApiConfig { requests_per_address: 1_000_000, ..ApiConfig::default() }).await;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = any_json();
    for _ in 0..cases {
        let body = strategy.new_tree(&mut runner).unwrap().current();
        for path in ["/v1/commits", "/v1/reveals", "/v1/claims", "/v1/jobs/complete"] {
            let answer = if path.starts_with("/v1/jobs") {
                setup.signed(path, &body, &key(11)).await
            } else {
                setup.post(path, &body).await
            };
            let status = answer.status().as_u16();
            assert!((400..500).contains(&status), "{path} {status} {body}");
        }
    }
}
