//! Validators, workers and claimants: they have a process of their own, so that what the keeper costs is the keeper's. It
//! takes orders as lines of JSON.

use std::{
    io::{BufRead, BufReader, PipeReader, PipeWriter, Write},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use alloy_sol_types::SolStruct;
use axum::body::Body;
use bytes::Bytes;
use futures_util::future::join_all;
use hyper::{Request, StatusCode};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tandem_keeper::sender::now_ms;
use tandem_protocol::{
    api::{
        ClaimBatch, ClaimList, ClaimsRequest, LeaseRequest, LeaseResponse, ReceiptResponse, SIGNATURE_HEADER,
        SIGNER_HEADER, TIMESTAMP_HEADER,
    },
    messages::{SignatureBytes, SignedRequest, request_hash},
    signed::sign,
    tree::root_from_proof,
};
use tokio::task::JoinSet;

use super::{
    http::{Flood, Line, flood, get, post},
    network::{EPOCH, Size},
};
use crate::support;

/// Longest that a worker waits for jobs.
const WAIT_MS: u64 = 20_000;
/// Workers that connect at once.
const CONNECTED_AT_ONCE: usize = 64;
/// One of so many proofs is folded up to its root: enough to notice, too few to keep the clients busy.
const CHECKED: usize = 256;

/// What clients are told to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Compute the epoch before into a folder of bundles; answered by its report.
    Before { folder: PathBuf },
    /// Sign every validator's row and have it receipted by all keepers; answered by the bytes of their JSON.
    Sign,
    /// Send all commits.
    Commit { server: SocketAddr, connections: usize },
    /// Send all rows.
    Reveal { server: SocketAddr, connections: usize },
    /// Ask for single accounts' proofs for so long.
    Claims { server: SocketAddr, connections: usize, seconds: u64 },
    /// Ask for so many proofs at a time for so long.
    Batches { server: SocketAddr, connections: usize, seconds: u64, proofs: usize },
    /// Send so many workers to wait for jobs.
    Wait { server: SocketAddr, workers: usize },
    /// Wait until all of them have an answer.
    Answers,
}

/// What workers were answered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Answers {
    /// Workers with a job.
    pub(crate) with_job: usize,
    /// Workers that were told that there is none.
    pub(crate) without: usize,
    /// What was wrong first, if anything was.
    pub(crate) wrong: Option<String>,
    /// When the first and the last answer came, milliseconds since 1970.
    pub(crate) first_ms: u64,
    pub(crate) last_ms: u64,
}

/// Clients that take orders.
pub(crate) enum Clients {
    Process {
        child: Child,
        orders: ChildStdin,
        answers: BufReader<ChildStdout>,
    },
    #[allow(dead_code, reason = "tests have it so")]
    Thread {
        orders: Option<PipeWriter>,
        answers: BufReader<PipeReader>,
        thread: Option<JoinHandle<()>>,
    },
}

impl Clients {
    /// In a process of their own, on the cores from `core` on.
    pub(crate) fn process(size: &Size, core: Option<usize>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("--clients").arg(serde_json::to_string(size).unwrap());
        if let Some(core) = core {
            command.arg("--core").arg(core.to_string());
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (orders, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self::Process { child, orders, answers }
    }

    /// In a thread, where what it costs is of no interest.
    #[allow(dead_code, reason = "tests have it so")]
    pub(crate) fn thread(size: &Size) -> Self {
        let (input, orders) = std::io::pipe().unwrap();
        let (answers, output) = std::io::pipe().unwrap();
        let size = size.clone();
        let thread = std::thread::spawn(move || serve(&size, BufReader::new(input), output));
        Self::Thread { orders: Some(orders), answers: BufReader::new(answers), thread: Some(thread) }
    }

    /// Gives an order and waits for its answer.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self, order: &Order) -> T {
        let line = serde_json::to_string(order).unwrap() + "\n";
        let mut answer = String::new();
        tokio::task::block_in_place(|| match self {
            Self::Process { orders, answers, .. } => {
                orders.write_all(line.as_bytes()).unwrap();
                answers.read_line(&mut answer).unwrap();
            }
            Self::Thread { orders, answers, .. } => {
                orders.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
                answers.read_line(&mut answer).unwrap();
            }
        });
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{order:?}: {error}: {answer:?}"))
    }

    /// As [`Self::ask`] for many requests, all of which must have gone well.
    pub(crate) fn flood(&mut self, order: &Order) -> Flood {
        let flood: Flood = self.ask(order);
        assert!(flood.wrong.is_none(), "{order:?}: {}", flood.wrong.unwrap());
        flood
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        match self {
            Self::Process { child, .. } => {
                let _ = child.kill();
                let _ = child.wait();
            }
            Self::Thread { orders, thread, .. } => {
                orders.take();
                if let Some(thread) = thread.take() {
                    let _ = thread.join();
                }
            }
        }
    }
}

/// Keeps the calling thread, and those it starts from now on, on one core.
pub(crate) fn pin(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core).unwrap();
    sched_setaffinity(Pid::from_raw(0), &cores).unwrap();
}

/// Does what it is told until nobody tells it anything any more.
pub(crate) fn serve(size: &Size, orders: impl BufRead, mut answers: impl Write) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut office = Office { size: size.clone(), rows: Arc::default(), waiting: JoinSet::new() };
    for line in orders.lines() {
        let order: Order = serde_json::from_str(&line.unwrap()).unwrap();
        let answer = runtime.block_on(office.execute(order));
        writeln!(answers, "{answer}").unwrap();
        answers.flush().unwrap();
    }
}

/// A row, ready to be sent.
struct Prepared {
    commit: Bytes,
    receipts: Vec<SignatureBytes>,
    reveal: Bytes,
}

type Waited = (u64, StatusCode, Bytes);

struct Office {
    size: Size,
    rows: Arc<Vec<Prepared>>,
    waiting: JoinSet<Waited>,
}

impl Office {
    async fn execute(&mut self, order: Order) -> String {
        let flood = match order {
            Order::Before { folder } => return json(&self.size.before(&folder).await),
            Order::Sign => return json(&self.sign()),
            Order::Commit { server, connections } => self.commit(server, connections).await,
            Order::Reveal { server, connections } => self.reveal(server, connections).await,
            Order::Claims { server, connections, seconds } => self.claims(server, connections, seconds).await,
            Order::Batches { server, connections, seconds, proofs } => {
                self.batches(server, connections, seconds, proofs).await
            }
            Order::Wait { server, workers } => {
                self.wait(server, workers).await;
                return json(&workers);
            }
            Order::Answers => return json(&self.answers().await),
        };
        json(&flood)
    }

    fn sign(&mut self) -> usize {
        let (size, network, keepers) = (&self.size, self.size.network(), self.size.keepers());
        let prepare = |(netuid, uid): (u16, u16)| {
            let row = size.row(netuid, uid);
            let commit = support::commit(&network, &size.validator(netuid, uid), EPOCH, netuid, 1, &row);
            let reveal = support::reveal(&network, &commit, &row, &keepers);
            Prepared {
                commit: json(&commit).into(),
                receipts: reveal.receipts.iter().map(|(_, signature)| *signature).collect(),
                reveal: json(&reveal).into(),
            }
        };
        self.rows = Arc::new(size.rows().into_par_iter().map(prepare).collect());
        self.rows.iter().map(|row| row.reveal.len()).sum()
    }

    async fn commit(&self, server: SocketAddr, connections: usize) -> Flood {
        let (rows, checked) = (self.rows.clone(), self.rows.clone());
        let next = move |number: usize| Some(post("/v1/commits", rows.get(number)?.commit.clone()));
        let check = move |number: usize, status: StatusCode, body: &Bytes| {
            let receipt: ReceiptResponse = parsed(StatusCode::OK, status, body)?;
            let known = checked[number].receipts.contains(&receipt.signature);
            if known { Ok(()) } else { Err("a receipt is not the keeper's".to_owned()) }
        };
        flood(server, connections, next, check).await
    }

    async fn reveal(&self, server: SocketAddr, connections: usize) -> Flood {
        let rows = self.rows.clone();
        let next = move |number: usize| Some(post("/v1/reveals", rows.get(number)?.reveal.clone()));
        let check = |_, status: StatusCode, body: &Bytes| {
            if status == StatusCode::NO_CONTENT { Ok(()) } else { Err(format!("{status}: {body:?}")) }
        };
        flood(server, connections, next, check).await
    }

    async fn claims(&self, server: SocketAddr, connections: usize, seconds: u64) -> Flood {
        let (size, until) = (self.size.clone(), Instant::now() + Duration::from_secs(seconds));
        let next = move |number: usize| {
            let account = size.claimant(number.wrapping_mul(7_919) as u32 % size.claimants);
            (Instant::now() < until).then(|| get(&format!("/v1/claims/{account}")))
        };
        let check = |number: usize, status: StatusCode, body: &Bytes| {
            if !number.is_multiple_of(CHECKED) {
                return if status == StatusCode::OK { Ok(()) } else { Err(status.to_string()) };
            }
            let list: ClaimList = parsed(StatusCode::OK, status, body)?;
            let leads = |root| {
                let mut claims = list.claims.iter();
                claims.all(|claim| {
                    root_from_proof(claim.reward.leaf_hash(claim.index), claim.index, &claim.proof) == root
                })
            };
            if !list.claims.is_empty() && leads(list.root) { Ok(()) } else { Err("a proof that proves nothing".into()) }
        };
        flood(server, connections, next, check).await
    }

    async fn batches(&self, server: SocketAddr, connections: usize, seconds: u64, proofs: usize) -> Flood {
        let (size, until) = (self.size.clone(), Instant::now() + Duration::from_secs(seconds));
        let next = move |number: usize| {
            let first = number * proofs;
            let index = |place: usize| (first + place).wrapping_mul(7_919) as u64 % u64::from(size.claimants);
            let wanted = ClaimsRequest { accounts: Vec::new(), indexes: (0..proofs).map(index).collect() };
            (Instant::now() < until).then(|| post("/v1/claims", json(&wanted)))
        };
        let check = move |number: usize, status: StatusCode, body: &Bytes| {
            if !number.is_multiple_of(CHECKED) {
                return if status == StatusCode::OK { Ok(()) } else { Err(format!("{status}: {body:?}")) };
            }
            let batch: ClaimBatch = parsed(StatusCode::OK, status, body)?;
            if batch.claims.len() == proofs { Ok(()) } else { Err(format!("{} proofs", batch.claims.len())) }
        };
        flood(server, connections, next, check).await
    }

    /// Workers, each with a request that nobody has signed before.
    async fn wait(&mut self, server: SocketAddr, workers: usize) {
        let body = json(&LeaseRequest { max_jobs: 1, wait_ms: WAIT_MS });
        let requests: Vec<Request<Body>> =
            (0..workers).into_par_iter().map(|number| self.signed(number, &body)).collect();
        let mut requests = requests.into_iter();
        while requests.len() > 0 {
            let some: Vec<_> = requests.by_ref().take(CONNECTED_AT_ONCE).collect();
            let lines = join_all(some.iter().map(|_| Line::open(server))).await;
            for (mut line, request) in lines.into_iter().zip(some) {
                self.waiting.spawn(async move {
                    let (status, body) = line.send(request).await;
                    (now_ms(), status, body)
                });
            }
        }
    }

    fn signed(&self, worker: usize, body: &str) -> Request<Body> {
        let rows = usize::from(self.size.subnets) * usize::from(self.size.validators);
        let (subnet, validator) =
            ((worker % rows) / usize::from(self.size.validators), worker % usize::from(self.size.validators));
        let key = self.size.validator(subnet as u16 + 1, validator as u16);
        let (path, timestamp) = (format!("/v1/jobs/lease?nonce={worker}"), now_ms() / 1_000);
        let message =
            SignedRequest { signer: key.address(), bodyHash: request_hash("POST", &path, body.as_bytes()), timestamp };
        let digest: B256 = message.eip712_signing_hash(&self.size.network().domain());
        let mut request = post(&path, body.to_owned());
        let headers = request.headers_mut();
        headers.insert(SIGNER_HEADER, key.address().to_string().parse().unwrap());
        headers.insert(TIMESTAMP_HEADER, timestamp.into());
        headers.insert(SIGNATURE_HEADER, sign(digest, &key).unwrap().to_string().parse().unwrap());
        request
    }

    async fn answers(&mut self) -> Answers {
        let mut answers = Answers { first_ms: u64::MAX, ..Answers::default() };
        while let Some(answer) = self.waiting.join_next().await {
            let (at, status, body) = answer.unwrap();
            match parsed::<LeaseResponse>(StatusCode::OK, status, &body) {
                Ok(answer) if answer.leases.is_empty() => answers.without += 1,
                Ok(_) => answers.with_job += 1,
                Err(words) => drop(answers.wrong.get_or_insert(words)),
            }
            answers.first_ms = answers.first_ms.min(at);
            answers.last_ms = answers.last_ms.max(at);
        }
        answers
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

fn parsed<T: DeserializeOwned>(wanted: StatusCode, status: StatusCode, body: &Bytes) -> Result<T, String> {
    if status != wanted {
        return Err(format!("{status}: {body:?}"));
    }
    serde_json::from_slice(body).map_err(|error| error.to_string())
}
