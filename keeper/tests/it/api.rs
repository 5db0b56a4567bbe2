//! The API over real HTTP, with real signatures.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use alloy_primitives::{B256, keccak256};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolStruct;
use reqwest::{Client, Response, StatusCode};
use serde::Serialize;
use tandem_keeper::{
    api::{ApiConfig, CODES},
    config::PeersConfig,
    service,
};
use tandem_protocol::{
    api::{
        ApiError, AuditCount, AuditOutcome, JobExtension, JobReceipt, JobResult, KeeperStatus, LeaseRequest,
        LeaseResponse, ReceiptResponse, RevealList, RowName, RowNames, SIGNATURE_HEADER, SIGNER_HEADER,
        TIMESTAMP_HEADER, Verdict,
    },
    messages::{CommitReceipt, SignedRequest, rows_hash},
    signed::{Signed, recover},
};

use crate::support::{GENESIS, LENGTH, Running, commit, keeper_keys, key, memory::MemoryChain, network, reveal};

pub(crate) struct Setup {
    _folder: tempfile::TempDir,
    pub(crate) chain: Arc<MemoryChain>,
    pub(crate) running: Running,
    pub(crate) base: String,
    pub(crate) http: Client,
}

/// A keeper in the middle of epoch 2.
pub(crate) async fn setup() -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let chain = Arc::new(MemoryChain::new(GENESIS + 2 * LENGTH + LENGTH / 2));
    let running = Running::start(folder.path(), keeper_keys().remove(0), &chain, PeersConfig::default()).await;
    running.keeper.step().await.unwrap();
    let base = running.base.clone();
    Setup { _folder: folder, chain, running, base, http: Client::new() }
}

/// The same with other limits.
pub(crate) async fn setup_with(config: ApiConfig) -> Setup {
    let mut setup = setup().await;
    let listen = "127.0.0.1:0".parse().unwrap();
    let (address, server) = service::serve_with(listen, setup.running.keeper.clone(), config).await.unwrap();
    tokio::spawn(server);
    setup.base = format!("http://{address}");
    setup
}

/// A name that no other request of this process has.
pub(crate) fn nonce() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

pub(crate) fn unix_seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

impl Setup {
    pub(crate) async fn post<T: Serialize>(&self, path: &str, body: &T) -> Response {
        self.http.post(format!("{}{path}", self.base)).json(body).send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.http.get(format!("{}{path}", self.base)).send().await.unwrap()
    }

    pub(crate) async fn signed<T: Serialize>(&self, path: &str, body: &T, signer: &PrivateKeySigner) -> Response {
        let path = format!("{path}?nonce={}", nonce());
        self.signed_at(&path, &path, body, signer, unix_seconds()).await
    }

    pub(crate) async fn signed_at<T: Serialize>(
        &self,
        path: &str,
        signed_path: &str,
        body: &T,
        signer: &PrivateKeySigner,
        timestamp: u64,
    ) -> Response {
        let body = serde_json::to_vec(body).unwrap();
        let hashed = keccak256([format!("POST {signed_path}\n").as_bytes(), &body].concat());
        let message = SignedRequest { signer: signer.address(), bodyHash: hashed, timestamp };
        let signed = Signed::new(message, &network().domain(), signer).unwrap();
        self.http
            .post(format!("{}{path}", self.base))
            .header(SIGNER_HEADER, signer.address().to_string())
            .header(TIMESTAMP_HEADER, timestamp.to_string())
            .header(SIGNATURE_HEADER, signed.signature.to_string())
            .body(body)
            .send()
            .await
            .unwrap()
    }
}

pub(crate) async fn code(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let error: ApiError = response.json().await.unwrap();
    assert!(CODES.iter().any(|(code, _)| *code == error.code), "{} is not listed", error.code);
    (status, error.code)
}

#[tokio::test]
async fn a_commit_is_stored_and_receipted_and_every_wrong_one_is_told_why() {
    let setup = setup().await;
    let network = network();
    let good = commit(&network, &key(11), 2, 1, 5, &[(3, 1)]);
    let answer = setup.post("/v1/commits", &good).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let receipt: ReceiptResponse = answer.json().await.unwrap();
    let statement = CommitReceipt { epoch: 2, commit: good.message.eip712_hash_struct() };
    let signer = recover(statement.eip712_signing_hash(&network.domain()), &receipt.signature).unwrap();
    assert_eq!((signer, receipt.keeper), (keeper_keys()[0].address(), keeper_keys()[0].address()));
    let again: ReceiptResponse = setup.post("/v1/commits", &good).await.json().await.unwrap();
    assert_eq!(again, receipt);

    let mut forged = commit(&network, &key(12), 2, 1, 5, &[(3, 1)]);
    forged.signature = good.signature;
    let mut malformed = good.clone();
    malformed.signature = alloy_primitives::FixedBytes([0xff; 65]);
    for (wrong, expected) in [
        (forged, (401, "K-COMMIT-3")),
        (malformed, (401, "K-COMMIT-3")),
        (commit(&network, &key(11), 1, 1, 5, &[]), (409, "K-COMMIT-1")),
        (commit(&network, &key(11), 3, 1, 5, &[]), (409, "K-COMMIT-1")),
        (commit(&network, &key(40), 2, 1, 5, &[]), (403, "K-COMMIT-2")),
        (commit(&network, &key(11), 2, 9, 5, &[]), (403, "K-COMMIT-2")),
        (commit(&network, &key(11), 2, 1, 4, &[]), (409, "K-COMMIT-4")),
        (commit(&network, &key(11), 2, 1, 5, &[(3, 2)]), (409, "K-COMMIT-5")),
    ] {
        let (status, code) = code(setup.post("/v1/commits", &wrong).await).await;
        assert_eq!((status, code.as_str()), expected);
    }
    let evidence: serde_json::Value = setup.get("/v1/epochs/2/evidence").await.json().await.unwrap();
    assert_eq!(evidence[0]["kind"], "double_commit");

    setup.chain.set_time(network.clock.commit_deadline(2));
    setup.running.keeper.step().await.unwrap();
    let late = commit(&network, &key(11), 2, 1, 6, &[]);
    assert_eq!(code(setup.post("/v1/commits", &late).await).await, (409, "K-COMMIT-1".into()));
}

#[tokio::test]
async fn rows_are_taken_between_the_deadlines_and_shown_only_after_them() {
    let setup = setup().await;
    let (network, keepers) = (network(), keeper_keys());
    let row = [(3, 10), (4, 20)];
    let commit = commit(&network, &key(11), 2, 1, 1, &row);
    let good = reveal(&network, &commit, &row, &keepers[..2]);
    assert_eq!(code(setup.post("/v1/reveals", &good).await).await, (409, "K-REVEAL-1".into()));

    setup.chain.set_time(network.clock.commit_deadline(2));
    setup.running.keeper.step().await.unwrap();
    assert_eq!(setup.post("/v1/reveals", &good).await.status(), StatusCode::NO_CONTENT);
    let mut other_row = good.clone();
    other_row.row[0].1 = 11;
    let mut few = good.clone();
    few.receipts.pop();
    let mut stranger = good.clone();
    stranger.validator = key(40).address();
    for (wrong, expected) in
        [(other_row, (401, "K-REVEAL-3")), (few, (422, "K-REVEAL-4")), (stranger, (403, "K-REVEAL-2"))]
    {
        let (status, code) = code(setup.post("/v1/reveals", &wrong).await).await;
        assert_eq!((status, code.as_str()), expected);
    }
    for early in ["reveals", "names"] {
        assert_eq!(code(setup.get(&format!("/v1/epochs/2/{early}")).await).await, (409, "K-EPOCH-1".into()));
    }

    setup.chain.set_time(network.clock.reveal_deadline(2));
    setup.running.keeper.step().await.unwrap();
    assert_eq!(code(setup.post("/v1/reveals", &good).await).await, (409, "K-REVEAL-1".into()));
    let list: RevealList = setup.get("/v1/epochs/2/reveals").await.json().await.unwrap();
    assert_eq!(list.reveals, std::slice::from_ref(&good));
    let names: RowNames = setup.get("/v1/epochs/2/names").await.json().await.unwrap();
    let name = RowName { netuid: 1, validator: key(11).address(), hash: rows_hash(&[good]) };
    assert_eq!(names.rows, [name]);
    for (netuid, rows) in [(1, 1), (2, 0)] {
        let of_subnet = setup.get(&format!("/v1/epochs/2/reveals?netuid={netuid}")).await;
        assert_eq!(of_subnet.json::<RevealList>().await.unwrap().reveals.len(), rows);
    }
    assert_eq!(code(setup.get("/v1/epochs/2/reveals?netuid=-1").await).await, (400, "K-QUERY-1".into()));
}

#[tokio::test]
async fn a_worker_leases_extends_and_completes_the_jobs_of_its_validator() {
    let setup = setup().await;
    let validator = key(11);
    let ask = LeaseRequest { max_jobs: 64, wait_ms: 0 };
    let leased: LeaseResponse = setup.signed("/v1/jobs/lease", &ask, &validator).await.json().await.unwrap();
    let uids: Vec<u16> = leased.leases.iter().map(|lease| lease.job.uid).collect();
    assert_eq!((uids.len(), uids.contains(&3), uids.contains(&4)), (2, true, true));
    let lease = &leased.leases[0];
    let extend = JobExtension { job: lease.job.id, attempt: lease.attempt };
    assert_eq!(setup.signed("/v1/jobs/extend", &extend, &validator).await.status(), StatusCode::OK);
    assert_eq!(code(setup.signed("/v1/jobs/extend", &extend, &key(12)).await).await, (409, "K-JOB-1".into()));

    let outcome = AuditOutcome {
        verdict: Verdict::Pass,
        tokens_audited: 64,
        speed_class: 1_000,
        commitment: Some(B256::ZERO),
        detail: "fine".into(),
    };
    let mut result = JobResult { job: lease.job.id, attempt: lease.attempt, outcome };
    for (verdict, expected) in [
        (Verdict::Pass, JobReceipt::Applied),
        (Verdict::Pass, JobReceipt::Duplicate),
        (Verdict::Fail, JobReceipt::Late),
    ] {
        result.outcome.verdict = verdict;
        let receipt: JobReceipt = setup.signed("/v1/jobs/complete", &result, &validator).await.json().await.unwrap();
        assert_eq!(receipt, expected);
    }
    assert_eq!(code(setup.signed("/v1/jobs/complete", &result, &key(12)).await).await, (404, "K-JOB-1".into()));
    let counts: Vec<AuditCount> = setup.get("/v1/epochs/2/audits").await.json().await.unwrap();
    assert_eq!((counts.len(), counts[0].uid, counts[0].verdicts), (1, lease.job.uid, [1, 0, 0, 0]));

    // A contributor has no stake, a stranger no uid.
    for outsider in [key(14), key(40)] {
        for path in ["lease", "extend", "complete", "fail"].map(|call| format!("/v1/jobs/{call}")) {
            assert_eq!(code(setup.signed(&path, &ask, &outsider).await).await, (403, "K-AUTH-4".into()), "{path}");
        }
    }
    setup.chain.set_time(network().clock.commit_deadline(2) - 1);
    setup.running.keeper.step().await.unwrap();
    let late: LeaseResponse = setup.signed("/v1/jobs/lease", &ask, &key(13)).await.json().await.unwrap();
    assert!(late.leases.is_empty());
}

#[tokio::test]
async fn a_waiting_worker_is_answered_as_soon_as_jobs_are_published() {
    let setup = setup().await;
    let ask = LeaseRequest { max_jobs: 64, wait_ms: 10_000 };
    setup.signed("/v1/jobs/lease", &ask, &key(12)).await;
    let started = std::time::Instant::now();
    let validator = key(12);
    let waiting = setup.signed("/v1/jobs/lease", &ask, &validator);
    let publishing = async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        setup.chain.set_time(GENESIS + 3 * LENGTH + 1);
        setup.running.keeper.step().await.unwrap();
    };
    let (answer, ()) = tokio::join!(waiting, publishing);
    let leased: LeaseResponse = answer.json().await.unwrap();
    assert_eq!((leased.leases.len(), leased.leases[0].job.epoch), (2, 3));
    assert!(started.elapsed() < std::time::Duration::from_secs(5));
}

#[tokio::test]
async fn an_unsigned_stale_borrowed_or_oversized_request_is_refused() {
    let setup = setup().await;
    let ask = LeaseRequest { max_jobs: 1, wait_ms: 0 };
    let path = "/v1/jobs/lease";
    assert_eq!(code(setup.post(path, &ask).await).await, (401, "K-AUTH-1".into()));
    let old = setup.signed_at(path, path, &ask, &key(11), unix_seconds() - 100).await;
    assert_eq!(code(old).await, (401, "K-AUTH-3".into()));
    let elsewhere = setup.signed_at(path, "/v1/jobs/complete", &ask, &key(11), unix_seconds()).await;
    assert_eq!(code(elsewhere).await, (401, "K-AUTH-2".into()));
    let none = setup.signed(path, &LeaseRequest { max_jobs: 0, wait_ms: 0 }, &key(11)).await;
    assert_eq!(code(none).await, (400, "K-JOB-2".into()));
    let unknown = setup.signed(path, &serde_json::json!({"max_jobs": 1, "colour": 1}), &key(11)).await;
    assert_eq!(code(unknown).await, (400, "K-BODY-1".into()));
    for path in ["/v1/commits", "/v1/reveals"] {
        let large = setup.http.post(format!("{}{path}", setup.base)).body(vec![b' '; 300_000]).send().await;
        assert_eq!(code(large.unwrap()).await, (413, "K-BODY-2".into()));
        assert_eq!(code(setup.post(path, &"nonsense").await).await, (400, "K-BODY-1".into()));
        assert_eq!(code(setup.get(path).await).await, (405, "K-NOT-FOUND".into()));
    }
}

#[tokio::test]
async fn reads_answer_or_say_that_there_is_nothing() {
    let setup = setup().await;
    let status: KeeperStatus = setup.get("/v1/status").await.json().await.unwrap();
    assert_eq!((status.epoch, status.head_time), (Some(2), GENESIS + 2 * LENGTH + LENGTH / 2));
    assert_eq!(setup.get("/health").await.status(), StatusCode::OK);
    let metrics = setup.get("/metrics").await.text().await.unwrap();
    for name in ["tandem_keeper_epoch", "tandem_keeper_evidence_total", "tandem_keeper_fee_bumps_total"] {
        assert!(metrics.contains(name), "{name}");
    }
    let hash = B256::repeat_byte(1);
    for path in [
        format!("/v1/epochs/0/lists/{}", B256::ZERO),
        "/v1/epochs/x/agreement".to_owned(),
        format!("/v1/bundles/{hash}"),
        "/v1/bundles/../../etc/passwd".to_owned(),
        "/v1/bundles/%2e%2e%2fkeeper.sqlite".to_owned(),
        format!("/v1/claims/{}", key(1).address()),
        "/v1/nowhere".to_owned(),
    ] {
        assert_eq!(code(setup.get(&path).await).await, (404, "K-NOT-FOUND".into()), "{path}");
    }
}
