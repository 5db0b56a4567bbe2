//! The contributor's node: OpenAI-compatible completions and chats that are paid by voucher and proved.
//!
//! A request passes, in this order: form ([`openai`]), a place in the queue, length, payment ([`till`]), a place at the model, the model
//! ([`engine`](crate::engine)), the commitment. One without a voucher gets no further than its form. A streamed answer may be
//! paid in parts: it never runs ahead of what is covered, waits a while for a top-up, and otherwise ends there, proved.
//! The [`settler`] brings vouchers to the chain.

mod answer;
mod listener;
mod metric;
pub mod openai;
mod server;
pub mod settler;
mod stream;
pub mod till;

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::B256;
use alloy_signer_local::PrivateKeySigner;
use axum::http::StatusCode;
use metrics::{counter, gauge};
use metrics_exporter_prometheus::PrometheusHandle;
use tandem_protocol::api::{CompletionPayment, TopUp, TopUpReceipt};
use tandem_protocol::messages::model_id;
use tandem_protocol::payment::{BATCH, PaymentError};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::answer::Ticket;
use self::openai::{ApiError, ModelRequest, Prompt};
use self::till::{Cover, Payee, Till, TillError};
use crate::chain::Network;
use crate::engine::Engine;
use crate::generate::Request;
use crate::model::{ChatError, Text};

pub use self::server::serve;

/// No tokenizer here spends so many bytes on every token of a text.
const BYTES_PER_TOKEN: usize = 64;

/// Bounds of what strangers may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time; more wait to be accepted.
    pub connections: usize,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Longest time for a request's head, and again for its body. Idle connections are closed after it too.
    pub read: Duration,
    /// Longest time that a client may take nothing of what is sent to it.
    pub write: Duration,
    /// Requests that are computed at the same time.
    pub running: usize,
    /// Requests that may wait for a place.
    pub waiting: usize,
    /// Longest wait for a place and an answer together, or the first token of a streamed one.
    pub answer: Duration,
    /// Longest time that a streamed answer takes, waits included.
    pub stream: Duration,
    /// Longest wait for a top-up.
    pub top_up: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            body_bytes: 256 << 10,
            read: Duration::from_secs(10),
            write: Duration::from_secs(30),
            running: 1,
            waiting: 16,
            answer: Duration::from_secs(120),
            stream: Duration::from_secs(600),
            top_up: Duration::from_secs(10),
        }
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
    /// Cancelled when answers under way are to end.
    ending: CancellationToken,
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
        metric::start();
        if let Err(reason) = text.chat() {
            tracing::warn!(reason, "no chats: there is no chat template to use");
        }
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
            ending: CancellationToken::new(),
        })
    }

    /// Takes a request: what follows is computing.
    async fn admit(self: &Arc<Self>, request: ModelRequest) -> Result<Ticket, ApiError> {
        if request.model != self.identity.model {
            let message = format!("this node serves {:?}, not {:?}", self.identity.model, request.model);
            return Err(ApiError::new(StatusCode::NOT_FOUND, "model_not_found", message));
        }
        let Some(payment) = request.payment.clone() else {
            return Err(self.refusal(TillError::Missing, None).await);
        };
        let deadline = Instant::now() + self.limits.answer;
        let waiting = self.queue.clone().try_acquire_owned().map_err(|_| overloaded())?;
        let node = self.clone();
        let (request, prompt) = tokio::task::spawn_blocking(move || {
            let prompt = node.tokenize(&request.prompt)?;
            Ok::<_, ApiError>((request, prompt))
        })
        .await
        .map_err(|error| {
            tracing::error!(%error, "the tokenizer failed");
            ApiError::internal()
        })??;

        let room = self.room(prompt.len(), request.max_tokens)?;
        let most = request.max_tokens.unwrap_or(room);
        let least = match (request.stream, request.max_tokens) {
            (true, _) => most.min(BATCH),
            (false, Some(max_tokens)) => max_tokens,
            (false, None) => 1,
        };
        let cover = Cover { least, most };
        let admission = match self.till.admit(&payment, prompt.len() as u64, cover).await {
            Ok(admission) => admission,
            Err(error) => return Err(self.refusal(error, Some(&payment)).await),
        };
        counter!(metric::VOUCHERS, "kind" => "request").increment(1);
        let longest = if request.stream { most } else { most.min(*admission.covered().borrow()) };
        let asked = Request {
            prompt,
            max_tokens: usize::try_from(longest).unwrap_or(usize::MAX),
            seed: request.seed.unwrap_or_else(rand::random),
            temperature: request.temperature(),
        };
        let ModelRequest { temperature_milli, stop, stream, .. } = request;
        Ok(Ticket { asked, temperature_milli, stop, stream, nonce: payment.nonce, admission, waiting, deadline })
    }

    fn tokenize(&self, prompt: &Prompt) -> Result<Vec<u32>, ApiError> {
        let config = self.engine.config();
        let longest = config.max_positions.saturating_mul(BYTES_PER_TOKEN);
        let refuse = |code, param: &str, message: String| Err(ApiError::bad_request(code, param, message));
        let too_long = || format!("the prompt is longer than {} tokens can be", config.max_positions);
        let (param, tokens) = match prompt {
            // Tokenizing is the first work that a stranger can cause.
            Prompt::Text(text) if text.len() > longest => {
                return refuse("context_length_exceeded", "prompt", too_long());
            }
            Prompt::Text(text) => match self.text.encode(text) {
                Ok(tokens) => ("prompt", tokens),
                Err(error) => return refuse("invalid_value", "prompt", error.to_string()),
            },
            Prompt::Tokens(tokens) => match tokens.iter().find(|&&token| token as usize >= config.vocab_size) {
                Some(token) => {
                    let message = format!("token {token} is not below the vocabulary's {}", config.vocab_size);
                    return refuse("invalid_value", "prompt", message);
                }
                None => ("prompt", tokens.clone()),
            },
            Prompt::Chat(messages, options) => match self.text.encode_chat(messages, options, longest) {
                Ok(tokens) => ("messages", tokens),
                Err(ChatError::NoTemplate(reason)) => return refuse("no_chat_template", "messages", reason),
                Err(ChatError::TooLong(_)) => return refuse("context_length_exceeded", "messages", too_long()),
                Err(error @ ChatError::Refused(_)) => return refuse("invalid_value", "messages", error.to_string()),
                Err(error @ ChatError::Failed(_)) => {
                    tracing::warn!(%error, "cannot render a chat");
                    return refuse("chat_template_failed", "messages", error.to_string());
                }
            },
        };
        if tokens.is_empty() {
            return refuse("invalid_value", param, "the prompt has no tokens".to_owned());
        }
        Ok(tokens)
    }

    /// Tokens that the model has room for after a prompt.
    fn room(&self, prompt: usize, max_tokens: Option<u64>) -> Result<u64, ApiError> {
        let positions = self.engine.config().max_positions;
        let room = positions.saturating_sub(prompt) as u64;
        let asked = max_tokens.unwrap_or(1);
        if asked <= room {
            return Ok(room);
        }
        let message = format!(
            "the model knows {positions} positions; {prompt} tokens of prompt and {asked} of completion were asked for"
        );
        Err(ApiError::bad_request("context_length_exceeded", "prompt", message))
    }

    /// Takes a voucher for an answer under way.
    async fn top_up(&self, body: &[u8]) -> Result<TopUpReceipt, ApiError> {
        let TopUp { voucher } = serde_json::from_slice(body)
            .map_err(|error| ApiError::bad_request("invalid_value", "voucher", error.to_string()))?;
        match self.till.top_up(&voucher).await {
            Ok(receipt) => {
                counter!(metric::VOUCHERS, "kind" => "top_up").increment(1);
                Ok(receipt)
            }
            Err(error) => Err(self.refusal(error, Some(&CompletionPayment { voucher, nonce: B256::ZERO })).await),
        }
    }

    /// What the client is told, with everything it needs to pay.
    async fn refusal(&self, error: TillError, payment: Option<&CompletionPayment>) -> ApiError {
        let Some(code) = error.code() else {
            tracing::warn!(%error, "cannot take a payment");
            let message = "payments cannot be checked at the moment";
            return ApiError::busy(StatusCode::SERVICE_UNAVAILABLE, "payment_unavailable", message);
        };
        counter!(metric::PAYMENTS_REFUSED, "code" => code).increment(1);
        match error {
            TillError::Busy(_) => return ApiError::busy(StatusCode::TOO_MANY_REQUESTS, code, error.to_string()),
            TillError::NothingDue(_) => return ApiError::new(StatusCode::CONFLICT, code, error.to_string()),
            _ => {}
        }
        match self.till.terms(payment.map(|payment| payment.voucher.channel_id)).await {
            Ok(mut terms) => {
                if let TillError::Payment(PaymentError::TooLittle { needed }) = error {
                    terms.needed = Some(needed);
                }
                ApiError::payment(code, error.to_string(), terms)
            }
            Err(_) => ApiError::busy(StatusCode::SERVICE_UNAVAILABLE, "payment_unavailable", error.to_string()),
        }
    }

    /// Keeps time and price fresh until the process ends.
    async fn keep_fresh(&self) {
        /// As credits have 18 decimals.
        const CREDIT: f64 = 1e18;
        loop {
            match self.till.owed_credits().await {
                Ok(owed) => gauge!(metric::OWED).set(owed as f64 / CREDIT),
                Err(error) => tracing::warn!(%error, "cannot count what is owed"),
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
            if let Err(error) = self.till.refresh().await {
                tracing::warn!(%error, "cannot read the chain");
            }
            gauge!(metric::CHAIN_AGE).set(self.till.age().as_secs_f64());
        }
    }
}

fn overloaded() -> ApiError {
    ApiError::busy(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "too many requests, try again")
}
