//! Several nodes as one. Reads go from node to node until one answers; what money hangs on must be said alike by a quorum
//! of them, and a node that lags or fails counts as absent. A contract's refusal is an answer, never a node's failure.
//!
//! | provider | asks | for |
//! |---|---|---|
//! | [`Nodes::in_turn`] | the healthiest, then the next | receipts, fees, estimates, logs of blocks that are known by hash |
//! | [`Nodes::agreed`] | all at once | state that is signed or paid by; a quorum must answer the same |
//! | [`Nodes::each`] | one, by itself | sending: every node gets every transaction |

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use alloy::{
    providers::{DynProvider, Provider, ProviderBuilder},
    rpc::{
        client::RpcClient,
        json_rpc::{ErrorPayload, RequestPacket, Response, ResponsePacket, ResponsePayload, RpcError},
    },
    transports::{BoxTransport, TransportError, TransportErrorKind, TransportFut, TransportResult, http::Http},
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use metrics::counter;
use reqwest::Client;
use tokio::time::{Instant, sleep_until, timeout};
use tower_service::Service;

use super::{ChainError, without_urls};
use crate::{
    sender::{Refusal, classify},
    telemetry,
};

/// One node's time for one answer.
const TRY: Duration = Duration::from_secs(4);
/// All nodes' time together.
const DEADLINE: Duration = Duration::from_secs(10);
/// A node that answers nothing usable is asked so often in one question.
const ROUNDS: u32 = 3;
/// Before the second round; the third waits twice as long.
const BACKOFF: Duration = Duration::from_millis(150);
/// A node that asks for patience without saying how much.
const REST: Duration = Duration::from_secs(1);
/// What a failure adds to a node's penalty; an answer halves it.
const PENALTY: u32 = 8;

/// The nodes of one chain.
#[derive(Clone, Debug)]
pub struct Nodes {
    all: Arc<[Node]>,
    quorum: usize,
}

struct Node {
    http: Http<Client>,
    health: Mutex<Health>,
}

impl std::fmt::Debug for Node {
    /// Without the URL, which usually holds a key.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Node").finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Default)]
struct Health {
    penalty: u32,
    /// It asked not to be asked before.
    resting: Option<Instant>,
}

/// What an answer says about the question and the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// An answer.
    Sound,
    /// The node has no such thing; another one may.
    Nothing,
    /// The contract, or the pool's rules, say no: every node would.
    Refused,
    /// Too many questions.
    Busy(Option<Duration>),
    /// An error that says nothing about the question, such as an unknown block.
    Unable,
    /// No answer, half an answer, or none that can be read.
    Broken,
}

impl Nodes {
    /// Nodes at these URLs, best first; nothing is asked yet. `quorum` is the majority if left out.
    pub fn connect<'a>(urls: impl IntoIterator<Item = &'a str>, quorum: Option<usize>) -> Result<Self, ChainError> {
        let bad = |reason: String| ChainError::Rpc { what: "connect", reason };
        let client = Client::builder().timeout(DEADLINE).build().map_err(|error| bad(without_urls(&error)))?;
        let all = urls
            .into_iter()
            .map(|url| {
                let url = url.parse().map_err(|error| bad(format!("`rpc` is not a URL: {error}")))?;
                Ok(Node { http: Http::with_client(client.clone(), url), health: Mutex::default() })
            })
            .collect::<Result<Arc<[Node]>, ChainError>>()?;
        let quorum = quorum.unwrap_or(all.len() / 2 + 1);
        if !(1..=all.len()).contains(&quorum) {
            return Err(bad(format!("a quorum of {quorum} among {} nodes", all.len())));
        }
        Ok(Self { all, quorum })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// How many must say the same.
    pub fn quorum(&self) -> usize {
        self.quorum
    }

    /// Asks one node after the other until one answers.
    pub fn in_turn(&self) -> DynProvider {
        self.provider(How::InTurn)
    }

    /// Asks all nodes and answers what a quorum of them says.
    pub fn agreed(&self) -> DynProvider {
        self.provider(How::Agreed)
    }

    /// Every node by itself, the healthiest first.
    pub fn each(&self) -> Vec<DynProvider> {
        self.by_health().into_iter().map(|position| self.provider(How::Only(position))).collect()
    }

    fn provider(&self, how: How) -> DynProvider {
        let transport = BoxTransport::new(Asking { nodes: self.clone(), how });
        ProviderBuilder::new().disable_recommended_fillers().connect_client(RpcClient::new(transport, false)).erased()
    }

    /// Positions, those that rest last, then by penalty, then as configured.
    fn by_health(&self) -> Vec<usize> {
        let now = Instant::now();
        let rank = |position: &usize| {
            let health = self.all[*position].health();
            (health.resting.is_some_and(|until| until > now), health.penalty, *position)
        };
        let mut positions: Vec<usize> = (0..self.all.len()).collect();
        positions.sort_by_key(rank);
        positions
    }

    async fn ask_in_turn(&self, request: RequestPacket) -> TransportResult<ResponsePacket> {
        let deadline = Instant::now() + DEADLINE;
        let mut last = Err(no_answer());
        for round in 0..ROUNDS {
            if round > 0 {
                sleep_until((Instant::now() + BACKOFF * round).min(deadline)).await;
            }
            let mut nothing = None;
            let mut worth_another = false;
            for position in self.by_health() {
                let Some(answer) = self.all[position].ask(&request, deadline).await else { continue };
                match judge(&answer) {
                    Verdict::Sound | Verdict::Refused => return answer,
                    Verdict::Nothing => nothing = Some(answer),
                    Verdict::Busy(_) | Verdict::Broken => (last, worth_another) = (answer, true),
                    Verdict::Unable => last = answer,
                }
            }
            match nothing {
                Some(nothing) => return nothing,
                None if worth_another && Instant::now() < deadline => {}
                None => break,
            }
        }
        last
    }

    async fn ask_for_agreement(&self, request: RequestPacket) -> TransportResult<ResponsePacket> {
        if self.all.len() == 1 {
            return self.ask_in_turn(request).await;
        }
        let deadline = Instant::now() + DEADLINE;
        let mut asked: FuturesUnordered<_> =
            (0..self.all.len()).map(|position| self.ask_persistently(position, &request, deadline)).collect();
        let mut votes: Vec<Vote> = Vec::new();
        let mut last = no_answer();
        while let Some((position, answer)) = asked.next().await {
            let Some(content) = content(&request, &answer) else {
                last = answer.err().or_else(|| unable(&request)).unwrap_or(last);
                continue;
            };
            let place = votes.iter().position(|vote| vote.content == content).unwrap_or_else(|| {
                votes.push(Vote { content, answer, by: Vec::new() });
                votes.len() - 1
            });
            votes[place].by.push(position);
            if votes[place].by.len() >= self.quorum {
                let agreed = votes.swap_remove(place);
                for odd in votes.iter().flat_map(|vote| &vote.by) {
                    self.all[*odd].contradicted();
                }
                return agreed.answer;
            }
        }
        if votes.len() > 1 {
            counter!(telemetry::NODE_DISAGREEMENTS).increment(1);
            let counts: Vec<_> = votes.iter().map(|vote| vote.by.len()).collect();
            return Err(custom(format!("[K-CHAIN-5] the nodes disagree, {counts:?} of {} each", self.all.len())));
        }
        let answered = votes.first().map_or(0, |vote| vote.by.len());
        let (quorum, last) = (self.quorum, without_urls(&last));
        Err(custom(format!("[K-CHAIN-6] {answered} nodes answered, {quorum} are needed; the last said: {last}")))
    }

    async fn ask_persistently(
        &self,
        position: usize,
        request: &RequestPacket,
        deadline: Instant,
    ) -> (usize, TransportResult<ResponsePacket>) {
        let mut answer = Err(no_answer());
        for round in 0..ROUNDS - 1 {
            if round > 0 {
                sleep_until((Instant::now() + BACKOFF * round).min(deadline)).await;
            }
            let Some(asked) = self.all[position].ask(request, deadline).await else { break };
            answer = asked;
            if !matches!(judge(&answer), Verdict::Busy(_) | Verdict::Broken) {
                break;
            }
        }
        (position, answer)
    }
}

/// An answer and who gave it.
struct Vote {
    content: String,
    answer: TransportResult<ResponsePacket>,
    by: Vec<usize>,
}

impl Node {
    fn health(&self) -> Health {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks once; `None` if there is no time for that before `deadline`.
    async fn ask(&self, request: &RequestPacket, deadline: Instant) -> Option<TransportResult<ResponsePacket>> {
        if let Some(until) = self.health().resting {
            if until >= deadline {
                return None;
            }
            sleep_until(until).await;
        }
        let patience = deadline.checked_duration_since(Instant::now())?.min(TRY);
        let asked = timeout(patience, self.http.clone().call(request.clone())).await;
        let answer = asked.unwrap_or_else(|_| Err(no_answer()));
        self.learn(judge(&answer));
        Some(answer)
    }

    fn learn(&self, verdict: Verdict) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        match verdict {
            Verdict::Busy(rest) => {
                health.resting = Some(Instant::now() + rest.unwrap_or(REST));
                counter!(telemetry::NODE_FAILURES).increment(1);
            }
            Verdict::Broken => {
                health.penalty = health.penalty.saturating_add(PENALTY);
                counter!(telemetry::NODE_FAILURES).increment(1);
            }
            Verdict::Unable | Verdict::Nothing => {}
            Verdict::Sound | Verdict::Refused => *health = Health { penalty: health.penalty / 2, resting: None },
        }
    }

    fn contradicted(&self) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.penalty = health.penalty.saturating_add(PENALTY);
        counter!(telemetry::NODE_DISAGREEMENTS).increment(1);
        tracing::warn!("[K-CHAIN-5] a node contradicts the quorum");
    }
}

/// A transport that asks the nodes in one of the three ways.
#[derive(Clone)]
struct Asking {
    nodes: Nodes,
    how: How,
}

#[derive(Clone, Copy)]
enum How {
    InTurn,
    Agreed,
    Only(usize),
}

impl Service<RequestPacket> for Asking {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        let Self { nodes, how } = self.clone();
        Box::pin(async move {
            match how {
                How::InTurn => nodes.ask_in_turn(request).await,
                How::Agreed => nodes.ask_for_agreement(request).await,
                How::Only(position) => {
                    let asked = nodes.all[position].ask(&request, Instant::now() + TRY).await;
                    asked.unwrap_or_else(|| Err(no_answer()))
                }
            }
        })
    }
}

fn judge(answer: &TransportResult<ResponsePacket>) -> Verdict {
    match answer {
        Ok(ResponsePacket::Single(Response { payload: ResponsePayload::Success(value), .. })) => match value.get() {
            "null" => Verdict::Nothing,
            _ => Verdict::Sound,
        },
        Ok(ResponsePacket::Single(Response { payload: ResponsePayload::Failure(error), .. }))
        | Err(RpcError::ErrorResp(error)) => judge_error(error),
        Ok(ResponsePacket::Batch(_)) => Verdict::Sound,
        Err(RpcError::Transport(kind)) => match (kind.retry_after(), kind.as_http_error().map(|error| error.status)) {
            (Some(rest), _) => Verdict::Busy(Some(rest)),
            (None, Some(429)) => Verdict::Busy(None),
            _ => Verdict::Broken,
        },
        Err(_) => Verdict::Broken,
    }
}

fn judge_error(error: &ErrorPayload) -> Verdict {
    match classify(error.code, &error.message) {
        Refusal::Busy => Verdict::Busy(None),
        Refusal::Other if is_execution_error(error) => Verdict::Refused,
        // The request itself is wrong: no node takes it.
        Refusal::Other if error.code == -32602 => Verdict::Refused,
        Refusal::Other => Verdict::Unable,
        _ => Verdict::Refused,
    }
}

/// Whether the error is the contract's, by words and by the code that geth and its kin use for reverts.
pub fn is_execution_error(error: &ErrorPayload) -> bool {
    const WORDS: [&str; 5] = ["revert", "out of gas", "gas required exceeds", "invalid opcode", "vm execution error"];
    let message = error.message.to_ascii_lowercase();
    error.code == 3 || WORDS.iter().any(|words| message.contains(words))
}

/// What of an answer must be the same at all nodes; `None` if it is none.
fn content(request: &RequestPacket, answer: &TransportResult<ResponsePacket>) -> Option<String> {
    let error = match answer {
        Ok(ResponsePacket::Single(Response { payload: ResponsePayload::Success(value), .. })) => {
            let of_logs = request.as_single().is_some_and(|request| request.method() == "eth_getLogs");
            return match value.get() {
                "null" => None,
                logs if of_logs => logs_content(logs),
                value => Some(value.to_ascii_lowercase()),
            };
        }
        Ok(ResponsePacket::Single(Response { payload: ResponsePayload::Failure(error), .. }))
        | Err(RpcError::ErrorResp(error)) => error,
        Ok(ResponsePacket::Batch(_)) | Err(_) => return None,
    };
    // Each client has its own words for a revert, but the contract's error is the contract's.
    (judge_error(error) == Verdict::Refused)
        .then(|| error.as_revert_data().map_or_else(|| "refused".to_owned(), |data| format!("refused {data}")))
}

/// Logs without what some clients add to them.
fn logs_content(logs: &str) -> Option<String> {
    const FIELDS: [&str; 5] = ["blockHash", "logIndex", "address", "topics", "data"];
    let logs: Vec<serde_json::Value> = serde_json::from_str(logs).ok()?;
    let kept = |log: &serde_json::Value| FIELDS.map(|field| log[field].to_string()).join(" ");
    Some(logs.iter().map(kept).collect::<Vec<_>>().join("\n").to_ascii_lowercase())
}

/// Words for an answer that is no vote.
fn unable(request: &RequestPacket) -> Option<TransportError> {
    request.as_single().map(|request| custom(format!("{}: no such thing there", request.method())))
}

fn custom(words: String) -> TransportError {
    TransportErrorKind::custom_str(&words)
}

fn no_answer() -> TransportError {
    TransportErrorKind::custom_str("no answer in time")
}
