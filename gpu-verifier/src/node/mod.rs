//! The contributor's node: an OpenAI-compatible completion endpoint that is paid by voucher and proves what it computed.
//!
//! A request passes, in this order: form ([`openai`]), a place in the queue, length, a place at the model, payment ([`till`]),
//! the model ([`engine`](crate::engine)), the commitment. One without a voucher gets no further than its form. From payment on it runs in a task of its own, so that a client that hangs up pays for what was computed.
//! The [`settler`] brings vouchers to the chain.

pub mod openai;
mod server;
pub mod settler;
pub mod till;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use alloy_primitives::B256;
use alloy_signer_local::PrivateKeySigner;
use axum::http::StatusCode;
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::PrometheusHandle;
use tandem_protocol::api::{CompletionEvidence, CompletionPayment};
use tandem_protocol::evidence::default_seed;
use tandem_protocol::messages::{ResponseCommitment, model_id, proofs_hash, tokens_hash};
use tandem_protocol::payment::Tokens;
use tandem_protocol::signed::Signed;
use tokio::sync::Semaphore;

use self::openai::{ApiError, Choice, CompletionRequest, CompletionResponse, Usage};
use self::till::{Admission, Payee, Till, TillError};
use crate::chain::Network;
use crate::engine::{Engine, EngineError, Next};
use crate::generate::{Completion, Request};
use crate::model::Text;

pub use self::server::serve;

/// Bounds of what strangers may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Requests that are computed at the same time.
    pub running: usize,
    /// Requests that may wait for a place.
    pub waiting: usize,
    /// Longest wait for a place and an answer together.
    pub answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes: 256 << 10, running: 1, waiting: 16, answer: Duration::from_secs(120) }
    }
}

/// Who serves.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Signs commitments.
    pub hotkey: PrivateKeySigner,
    /// Neuron and owner.
    pub payee: Payee,
    /// The model's id, as the rate card spells it.
    pub model: String,
    /// Declared speed in thousandths of an A100.
    pub speed_class: u32,
}

/// Everything that answering takes.
pub struct Node {
    identity: Identity,
    model: B256,
    network: Network,
    engine: Box<dyn Engine>,
    text: Text,
    till: Arc<Till>,
    limits: Limits,
    places: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    metrics: PrometheusHandle,
    ending: AtomicBool,
}

impl Node {
    /// Puts a node together; [`serve`] starts it.
    pub fn new(
        identity: Identity,
        network: Network,
        engine: Box<dyn Engine>,
        text: Text,
        till: Arc<Till>,
        limits: Limits,
        metrics: PrometheusHandle,
    ) -> Arc<Self> {
        Arc::new(Self {
            model: model_id(&identity.model),
            identity,
            network,
            engine,
            text,
            till,
            limits,
            places: Arc::new(Semaphore::new(limits.running)),
            queue: Arc::new(Semaphore::new(limits.running + limits.waiting)),
            metrics,
            ending: AtomicBool::new(false),
        })
    }

    /// Answers the body of a completion request.
    async fn complete(self: Arc<Self>, body: &[u8]) -> Result<CompletionResponse, ApiError> {
        let request = CompletionRequest::parse(body)?;
        if request.model != self.identity.model {
            let message = format!("this node serves {:?}, not {:?}", self.identity.model, request.model);
            return Err(ApiError::new(StatusCode::NOT_FOUND, "model_not_found", message));
        }
        let Some(payment) = request.payment.clone() else {
            return Err(self.refusal(TillError::Missing, None).await);
        };
        let deadline = Instant::now() + self.limits.answer;
        let busy = || ApiError::busy(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "too many requests, try again");
        let waiting = self.queue.clone().try_acquire_owned().map_err(|_| busy())?;
        let (node, temperature_milli, nonce) = (self.clone(), request.temperature_milli, payment.nonce);
        let asked = tokio::task::spawn_blocking(move || node.tokenize(&request, nonce)).await.map_err(|error| {
            tracing::error!(%error, "the tokenizer failed");
            internal()
        })??;
        let place = tokio::time::timeout_at(deadline.into(), self.places.clone().acquire_owned())
            .await
            .map_err(|_| busy())?
            .map_err(|_| busy())?;

        let work = tokio::spawn(async move {
            let _held = (waiting, place);
            self.paid(payment, asked, temperature_milli, deadline).await
        });
        work.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a request's task failed");
            Err(internal())
        })
    }

    fn tokenize(&self, request: &CompletionRequest, nonce: B256) -> Result<Request, ApiError> {
        let max_positions = self.engine.config().max_positions;
        let too_long = |message| ApiError::bad_request("context_length_exceeded", "prompt", message);
        // Tokenizing is the first work that a stranger can cause; no tokenizer here spends 64 bytes on every token.
        if request.prompt.len() > max_positions.saturating_mul(64) {
            return Err(too_long(format!("the prompt is longer than {max_positions} tokens can be")));
        }
        let prompt = self
            .text
            .encode(&request.prompt)
            .map_err(|error| ApiError::bad_request("invalid_value", "prompt", error.to_string()))?;
        if prompt.is_empty() {
            return Err(ApiError::bad_request("invalid_value", "prompt", "the prompt has no tokens"));
        }
        let tokens = (prompt.len() as u64).saturating_add(request.max_tokens);
        if tokens > max_positions as u64 {
            return Err(too_long(format!(
                "the model knows {max_positions} positions; {} tokens of prompt and {} of completion were asked for",
                prompt.len(),
                request.max_tokens
            )));
        }
        Ok(Request {
            prompt,
            max_tokens: request.max_tokens as usize,
            seed: request.seed.unwrap_or_else(|| default_seed(nonce)),
            temperature: request.temperature(),
        })
    }

    /// From payment to response; not cancelled when the client goes.
    async fn paid(
        self: Arc<Self>,
        payment: CompletionPayment,
        asked: Request,
        temperature_milli: u32,
        deadline: Instant,
    ) -> Result<CompletionResponse, ApiError> {
        let prompt_tokens = asked.prompt.len() as u64;
        let mut admission = match self.till.admit(&payment, prompt_tokens, asked.max_tokens as u64).await {
            Ok(admission) => admission,
            Err(error) => return Err(self.refusal(error, Some(&payment)).await),
        };
        let started = Instant::now();
        let node = self.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let mut watch = |_: Option<&[u32]>| {
                let stop = node.ending.load(Ordering::Relaxed) || Instant::now() > deadline;
                if stop { Next::Stop } else { Next::Continue }
            };
            let answer = node.engine.answer(&asked, &mut watch);
            (asked, answer)
        })
        .await;
        let (asked, completion) = match answer {
            Ok((asked, Ok(completion))) => (asked, completion),
            Ok((_, Err(error))) => return Err(self.unserved(admission, prompt_tokens, error).await),
            Err(error) => {
                tracing::error!(%error, "the model's thread failed");
                self.give_up(admission).await;
                return Err(internal());
            }
        };
        let used = Tokens { prompt: prompt_tokens, completion: completion.output.len() as u64 };
        if let Err(error) = self.till.served(&mut admission, used).await {
            // The voucher is safe; only the count of what was used may be lost, which hurts nobody but the client's next quote.
            tracing::error!(%error, "cannot count a response");
        }
        histogram!("tandem_node_answer_seconds").record(started.elapsed().as_secs_f64());
        counter!("tandem_node_prompt_tokens_total").increment(used.prompt);
        counter!("tandem_node_completion_tokens_total").increment(used.completion);
        self.respond(payment.nonce, asked, completion, temperature_milli, admission.consumed())
    }

    fn respond(
        &self,
        nonce: B256,
        asked: Request,
        completion: Completion,
        temperature_milli: u32,
        consumed: u128,
    ) -> Result<CompletionResponse, ApiError> {
        let Completion { output, finish, proofs } = completion;
        let commitment = ResponseCommitment {
            hotkey: self.identity.hotkey.address(),
            netuid: self.identity.payee.netuid,
            uid: self.identity.payee.uid,
            model: self.model,
            nonce,
            promptHash: tokens_hash(&asked.prompt),
            outputHash: tokens_hash(&output),
            proofsHash: proofs_hash(&proofs),
            seed: asked.seed,
            temperatureMilli: temperature_milli,
            speedClass: self.identity.speed_class,
        };
        let commitment = self.engine.commit(commitment);
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            tracing::error!(%error, "cannot {what} a response");
            internal()
        };
        let commitment = Signed::new(commitment, &self.network.oracle_domain(), &self.identity.hotkey)
            .map_err(|error| failed("sign", &error))?;
        let text = self.text.decode(&output).map_err(|error| failed("decode", &error))?;
        let (prompt_tokens, completion_tokens) = (asked.prompt.len() as u64, output.len() as u64);
        Ok(CompletionResponse {
            id: format!("cmpl-{:032x}", rand::random::<u128>()),
            object: "text_completion".to_owned(),
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            model: self.identity.model.clone(),
            choices: vec![Choice { text, index: 0, logprobs: None, finish_reason: finish }],
            usage: Usage { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens },
            tandem: CompletionEvidence {
                prompt_tokens: asked.prompt,
                output_tokens: output,
                proofs,
                commitment,
                consumed,
            },
        })
    }

    async fn unserved(&self, mut admission: Admission, prompt: u64, error: EngineError) -> ApiError {
        if let EngineError::Stopped { drawn: Some(drawn) } = error
            && !self.ending.load(Ordering::Relaxed)
        {
            // What was computed is paid: otherwise requests that cannot be answered in time would occupy a node for nothing.
            let used = Tokens { prompt, completion: drawn as u64 };
            if let Err(error) = self.till.served(&mut admission, used).await {
                tracing::error!(%error, "cannot count a late response");
            }
        } else {
            self.give_up(admission).await;
        }
        match error {
            EngineError::Stopped { .. } => {
                let why = if self.ending.load(Ordering::Relaxed) { "the node is ending" } else { "no answer in time" };
                ApiError::busy(StatusCode::SERVICE_UNAVAILABLE, "no_answer_in_time", why)
            }
            EngineError::Generate(error) => {
                tracing::error!(%error, "cannot answer");
                internal()
            }
        }
    }

    async fn give_up(&self, admission: Admission) {
        if let Err(error) = self.till.unserved(admission).await {
            tracing::error!(%error, "cannot give up a voucher");
        }
    }

    /// What the client is told, with everything it needs to pay.
    async fn refusal(&self, error: TillError, payment: Option<&CompletionPayment>) -> ApiError {
        let Some(code) = error.code() else {
            tracing::warn!(%error, "cannot take a payment");
            let message = "payments cannot be checked at the moment";
            return ApiError::busy(StatusCode::SERVICE_UNAVAILABLE, "payment_unavailable", message);
        };
        counter!("tandem_node_payments_refused_total", "code" => code).increment(1);
        if let TillError::Busy(_) = error {
            return ApiError::busy(StatusCode::TOO_MANY_REQUESTS, code, error.to_string());
        }
        match self.till.terms(payment.map(|payment| payment.voucher.channel_id)).await {
            Ok(terms) => ApiError::payment(code, error.to_string(), terms),
            Err(_) => ApiError::busy(StatusCode::SERVICE_UNAVAILABLE, "payment_unavailable", error.to_string()),
        }
    }

    /// Keeps time and price fresh until the process ends.
    async fn keep_fresh(&self) {
        loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            if let Err(error) = self.till.refresh().await {
                tracing::warn!(%error, "cannot read the chain");
            }
            gauge!("tandem_node_chain_age_seconds").set(self.till.age().as_secs_f64());
        }
    }
}

fn internal() -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "the node failed; its log says why")
}
