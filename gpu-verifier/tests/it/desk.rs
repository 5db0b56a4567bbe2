//! A keeper as a worker sees it, and a worker.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy_primitives::{Address, B256};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolStruct as _;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::post;
use axum::{Json, Router};
use tandem_protocol::api::{
    CommitRequest, JobExtension, JobFailure, JobReceipt, JobResult, Lease, LeaseExtended, LeaseRequest, LeaseResponse,
    ReceiptResponse, SIGNATURE_HEADER, SIGNER_HEADER, TIMESTAMP_HEADER,
};
use tandem_protocol::jobs::{Job, beacon};
use tandem_protocol::messages::{CommitReceipt, SignedRequest, request_hash};
use tandem_protocol::reveal::Reveal;
use tandem_protocol::signed::Signed;
use tandem_verifier::chain::Chain as _;
use tandem_verifier::probe::prompts::Prompts;
use tandem_verifier::service;
use tandem_verifier::verdict::Policy;
use tandem_verifier::worker::audit::{AuditSettings, Auditor, Tools};
use tandem_verifier::worker::channels::{ChannelTerms, Purse};
use tandem_verifier::worker::keepers::Keepers;
use tandem_verifier::worker::rerun::Rerun;
use tandem_verifier::worker::row::Speed;
use tandem_verifier::worker::store::{self, Store};
use tandem_verifier::worker::{Settings, Worker, endpoint, run};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::common::FULL;
use crate::town::{CREDIT, LAST_BLOCK, MODEL, NETUID, Town, text};

/// What a keeper holds, in as far as a worker sees it.
pub(crate) struct Desk {
    town: Arc<Town>,
    key: PrivateKeySigner,
    validator: Address,
    beacon: B256,
    /// Paths of signed requests, which a keeper takes once.
    signed: Mutex<BTreeSet<String>>,
    pub(crate) open: Mutex<Vec<Job>>,
    pub(crate) results: Mutex<BTreeMap<B256, JobResult>>,
    pub(crate) failures: Mutex<Vec<JobFailure>>,
    pub(crate) commits: Mutex<Vec<CommitRequest>>,
    pub(crate) reveals: Mutex<Vec<Reveal>>,
    /// Milliseconds that a lease lives; for ever if none.
    pub(crate) life: Mutex<Option<u64>>,
    /// Leases extended.
    pub(crate) extended: AtomicUsize,
    /// Whether leases are lost and results come too late.
    pub(crate) lost: AtomicBool,
    /// Results that came too late.
    pub(crate) late: AtomicUsize,
}

impl Desk {
    pub(crate) async fn open(
        town: &Arc<Town>,
        keeper: &str,
        validator: Address,
        jobs: Vec<Job>,
    ) -> (Arc<Self>, String) {
        Self::open_with(town, keeper, validator, jobs, first_beacon()).await
    }

    pub(crate) async fn open_with(
        town: &Arc<Town>,
        keeper: &str,
        validator: Address,
        jobs: Vec<Job>,
        beacon: B256,
    ) -> (Arc<Self>, String) {
        let desk = Arc::new(Self {
            town: town.clone(),
            key: town.key(keeper),
            validator,
            beacon,
            signed: Mutex::default(),
            open: Mutex::new(jobs),
            results: Mutex::default(),
            failures: Mutex::default(),
            commits: Mutex::default(),
            reveals: Mutex::default(),
            life: Mutex::default(),
            extended: AtomicUsize::default(),
            lost: AtomicBool::default(),
            late: AtomicUsize::default(),
        });
        let routes = Router::new()
            .route("/v1/jobs/lease", post(lease))
            .route("/v1/jobs/extend", post(extend))
            .route("/v1/jobs/complete", post(complete))
            .route("/v1/jobs/fail", post(fail))
            .route("/v1/commits", post(commit))
            .route("/v1/reveals", post(reveal))
            .with_state(desk.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, routes).into_future());
        (desk, url)
    }

    fn expiry(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        self.life.lock().unwrap().map_or(u64::MAX, |life| now + life)
    }

    fn authenticate(&self, uri: &Uri, headers: &HeaderMap, body: &[u8]) {
        let path = uri.path_and_query().unwrap().as_str();
        assert!(self.signed.lock().unwrap().insert(path.to_owned()), "{path} was sent before");
        let header = |name: &str| headers[name].to_str().unwrap();
        let message = SignedRequest {
            signer: header(SIGNER_HEADER).parse().unwrap(),
            bodyHash: request_hash("POST", path, body),
            timestamp: header(TIMESTAMP_HEADER).parse().unwrap(),
        };
        let signed = Signed { message, signature: header(SIGNATURE_HEADER).parse().unwrap() };
        signed.verify(&self.town.network.oracle_domain(), self.validator).unwrap();
    }
}

async fn lease(State(desk): State<Arc<Desk>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Json<LeaseResponse> {
    desk.authenticate(&uri, &headers, &body);
    let request: LeaseRequest = serde_json::from_slice(&body).unwrap();
    let mut open = desk.open.lock().unwrap();
    let count = open.len().min(usize::from(request.max_jobs));
    let jobs: Vec<Job> = open.drain(..count).collect();
    let lease = |job| Lease { job, beacon: desk.beacon, attempt: 1, expires_at_ms: desk.expiry() };
    Json(LeaseResponse { leases: jobs.into_iter().map(lease).collect() })
}

async fn extend(
    State(desk): State<Arc<Desk>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<LeaseExtended>, StatusCode> {
    desk.authenticate(&uri, &headers, &body);
    let _: JobExtension = serde_json::from_slice(&body).unwrap();
    if desk.lost.load(Ordering::Relaxed) {
        return Err(StatusCode::CONFLICT);
    }
    desk.extended.fetch_add(1, Ordering::Relaxed);
    Ok(Json(LeaseExtended { expires_at_ms: desk.expiry() }))
}

async fn complete(
    State(desk): State<Arc<Desk>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<JobReceipt>, StatusCode> {
    desk.authenticate(&uri, &headers, &body);
    if desk.lost.load(Ordering::Relaxed) {
        desk.late.fetch_add(1, Ordering::Relaxed);
        return Err(StatusCode::CONFLICT);
    }
    let result: JobResult = serde_json::from_slice(&body).unwrap();
    desk.results.lock().unwrap().insert(result.job, result);
    Ok(Json(JobReceipt::Applied))
}

async fn fail(State(desk): State<Arc<Desk>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Json<JobReceipt> {
    desk.authenticate(&uri, &headers, &body);
    desk.failures.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    Json(JobReceipt::Applied)
}

async fn commit(State(desk): State<Arc<Desk>>, Json(commit): Json<CommitRequest>) -> Json<ReceiptResponse> {
    let domain = desk.town.network.oracle_domain();
    commit.verify(&domain, desk.validator).unwrap();
    let receipt = CommitReceipt { epoch: commit.message.epoch, commit: commit.message.eip712_hash_struct() };
    desk.commits.lock().unwrap().push(commit);
    let signature = Signed::new(receipt, &domain, &desk.key).unwrap().signature;
    Json(ReceiptResponse { keeper: desk.key.address(), signature })
}

async fn reveal(State(desk): State<Arc<Desk>>, Json(reveal): Json<Reveal>) -> StatusCode {
    desk.reveals.lock().unwrap().push(reveal);
    StatusCode::NO_CONTENT
}

pub(crate) fn first_beacon() -> B256 {
    beacon(LAST_BLOCK, 0)
}

pub(crate) async fn start_worker(
    town: &Arc<Town>,
    keepers: &[String],
    state: &Path,
) -> (JoinHandle<anyhow::Result<()>>, CancellationToken) {
    start_worker_that_reruns(town, keepers, state, Rerun::here(FULL.clone())).await
}

pub(crate) async fn start_worker_that_reruns(
    town: &Arc<Town>,
    keepers: &[String],
    state: &Path,
    rerun: Rerun,
) -> (JoinHandle<anyhow::Result<()>>, CancellationToken) {
    let (hotkey, payer) = (town.key("hotkey 1"), town.key("payer"));
    let store = Arc::new(Store::new(service::open_state(state, "worker.sqlite", store::SCHEMA, "w").await.unwrap()));
    let chain = town.resident("payer");
    if chain.uid_of(NETUID, hotkey.address()).await.unwrap().is_none() {
        town.register_as("validator 1", "hotkey 1", String::new());
    }
    let terms = ChannelTerms { amount: CREDIT, life: 3_600, pause: 24 };
    let purse = Purse::new(chain.clone(), store.clone(), payer, terms);
    let settings = AuditSettings {
        model: MODEL.to_owned(),
        max_tokens: 64,
        patience: Duration::from_secs(10),
        private_endpoints: true,
        policy: Policy::default(),
    };
    let tools = Tools {
        purse,
        rerun,
        prompts: Prompts::written(FULL.clone()),
        text: text(),
        client: endpoint::client(true).unwrap(),
    };
    let network = town.network.clone();
    let auditor = Auditor::new(chain.clone(), network.clone(), tools, settings);
    let urls = keepers.iter().map(|url| url.parse().unwrap()).collect();
    let worker = Worker {
        keepers: Arc::new(Keepers::new(urls, hotkey.clone(), network.oracle_domain()).unwrap()),
        hotkey,
        network,
        chain,
        store,
        auditor: Arc::new(auditor),
        settings: Settings { concurrency: 4, speed: Speed::Declared, commit_lead: Some(4) },
    };
    let ending = CancellationToken::new();
    (tokio::spawn(run(worker, ending.clone())), ending)
}

pub(crate) async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..300 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}
