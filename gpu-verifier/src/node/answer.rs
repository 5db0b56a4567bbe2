//! One answer, from its place at the model to its commitment. It runs in a task of its own: a client that hangs up pays for what was
//! computed until then, and not much more is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::B256;
use metrics::{counter, gauge, histogram};
use tandem_protocol::api::CompletionEvidence;
use tandem_protocol::messages::{ResponseCommitment, proofs_hash, tokens_hash};
use tandem_protocol::payment::{BATCH, PaymentDue, Tokens};
use tandem_protocol::signed::Signed;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::timeout_at;

use super::openai::{Answer, ApiError};
use super::till::Admission;
use super::{Node, metric, overloaded};
use crate::engine::{EngineError, Next};
use crate::generate::{Completion, Finish, Request};
use crate::model::{Speech, Stops};

/// A client is told that more is due when so few paid tokens are left that it can still pay before the answer has to wait.
const NOTICE: u64 = BATCH / 2;

/// A request that is paid and waits for the model.
pub(super) struct Ticket {
    pub(super) asked: Request,
    pub(super) temperature_milli: u32,
    pub(super) stop: Vec<String>,
    pub(super) stream: bool,
    pub(super) nonce: B256,
    pub(super) admission: Admission,
    pub(super) waiting: OwnedSemaphorePermit,
    /// The first token must be there by then, and a whole answer that is not streamed.
    pub(super) deadline: Instant,
}

/// What becomes of a request, in order; the last is always [`Event::End`].
pub(super) enum Event {
    /// Tokens were drawn; the text that they settled.
    Piece { text: String, tokens: Vec<u32> },
    /// More is to be paid.
    Due(PaymentDue),
    /// The answer, or why there is none.
    End(Box<Result<Answer, ApiError>>),
}

/// To whom it is told; closed once the client has gone.
pub(super) type Events = mpsc::UnboundedSender<Event>;

/// What the model's thread leaves behind.
struct Computed {
    ticket: Ticket,
    result: Result<Completion, EngineError>,
    shown: String,
    rest: String,
    stopped: bool,
}

impl Node {
    /// Answers; everything goes to `events`.
    pub(super) async fn answer(self: Arc<Self>, ticket: Ticket, events: Events) {
        let result = self.clone().compute(ticket, events.clone()).await;
        if events.send(Event::End(Box::new(result))).is_err() {
            counter!(metric::DISCONNECTED).increment(1);
        }
    }

    async fn compute(self: Arc<Self>, ticket: Ticket, events: Events) -> Result<Answer, ApiError> {
        let place = {
            let _waits = Counted::new(metric::WAITING);
            tokio::select! {
                place = timeout_at(ticket.deadline.into(), self.places.clone().acquire_owned()) => place.ok().and_then(Result::ok),
                () = events.closed() => None,
                () = self.ending.cancelled() => None,
            }
        };
        let Some(place) = place else {
            self.give_up(ticket.admission).await;
            return Err(overloaded());
        };
        let started = Instant::now();
        let node = self.clone();
        let Computed { ticket, result, shown, rest, stopped } =
            tokio::task::spawn_blocking(move || run(&node, ticket, place, &events)).await.map_err(|error| {
                // Its voucher is kept: whether anything was computed is not known.
                tracing::error!(%error, "the model's thread failed");
                ApiError::internal()
            })?;
        let prompt = ticket.asked.prompt.len() as u64;
        let completion = match result {
            Ok(completion) => completion,
            Err(error) => return Err(self.unserved(ticket.admission, prompt, error).await),
        };
        let used = Tokens { prompt, completion: completion.output.len() as u64 };
        let Ticket { asked, temperature_milli, stop, nonce, admission, waiting, .. } = ticket;
        let consumed = self.till.served(admission, used).await.map_err(|error| {
            tracing::error!(%error, "cannot count a response");
            ApiError::internal()
        })?;
        histogram!(metric::ANSWER_SECONDS).record(started.elapsed().as_secs_f64());
        counter!(metric::PROMPT_TOKENS).increment(used.prompt);
        counter!(metric::COMPLETION_TOKENS).increment(used.completion);
        drop(waiting);

        let finish = if stopped { Finish::Stop } else { completion.finish };
        // Without stop sequences the text is the decoded tokens, whatever the tokenizer does to a text that grows.
        let text = if stop.is_empty() {
            self.text.decode(&completion.output).map_err(|error| {
                tracing::error!(%error, "cannot decode an answer");
                ApiError::internal()
            })?
        } else {
            shown + &rest
        };
        let evidence = self.commit(nonce, asked, completion, temperature_milli, consumed)?;
        Ok(Answer { text, rest, finish, evidence })
    }

    fn commit(
        &self,
        nonce: B256,
        asked: Request,
        completion: Completion,
        temperature_milli: u32,
        consumed: u128,
    ) -> Result<CompletionEvidence, ApiError> {
        let Completion { output, proofs, .. } = completion;
        let commitment = self.engine.commit(ResponseCommitment {
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
        });
        let commitment =
            Signed::new(commitment, &self.network.oracle_domain(), &self.identity.hotkey).map_err(|error| {
                tracing::error!(%error, "cannot sign a response");
                ApiError::internal()
            })?;
        Ok(CompletionEvidence { prompt_tokens: asked.prompt, output_tokens: output, proofs, commitment, consumed })
    }

    async fn unserved(&self, admission: Admission, prompt: u64, error: EngineError) -> ApiError {
        let ending = self.ending.is_cancelled();
        match error {
            EngineError::Stopped { drawn: Some(drawn) } if !ending => {
                // What was computed is paid: otherwise requests that cannot be answered in time would occupy a node for nothing.
                let used = Tokens { prompt, completion: drawn as u64 };
                if let Err(error) = self.till.served(admission, used).await {
                    tracing::error!(%error, "cannot count a response that was cut off");
                }
            }
            _ => self.give_up(admission).await,
        }
        match error {
            EngineError::Stopped { .. } => {
                let why = if ending { "the node is ending" } else { "no answer in time" };
                ApiError::busy(axum::http::StatusCode::SERVICE_UNAVAILABLE, "no_answer_in_time", why)
            }
            EngineError::Generate(error) => {
                tracing::error!(%error, "cannot answer");
                ApiError::internal()
            }
        }
    }

    async fn give_up(&self, admission: Admission) {
        if let Err(error) = self.till.unserved(admission).await {
            tracing::error!(%error, "cannot give up a voucher");
        }
    }
}

/// The model's thread.
fn run(node: &Node, ticket: Ticket, place: OwnedSemaphorePermit, events: &Events) -> Computed {
    let mut course = Course {
        node,
        ticket: &ticket,
        events,
        place: Some((place, Counted::new(metric::RUNNING))),
        covered: ticket.admission.covered(),
        speech: Speech::new(&node.text),
        stops: Stops::new(&ticket.stop),
        told: 0,
        noticed: 0,
        shown: String::new(),
        stopped: false,
        started: Instant::now(),
        last: None,
    };
    let result = node.engine.answer(&ticket.asked, &mut |drawn| course.next(drawn));
    if let Ok(completion) = &result {
        // An engine may draw without asking.
        course.tell(&completion.output);
    }
    let Course { speech, mut stops, mut shown, stopped, .. } = course;
    let (mut rest, _) = stops.push(&speech.finish().unwrap_or_default());
    rest.push_str(&stops.finish());
    if stopped {
        rest.clear();
    }
    // Only the unary answer needs all of it.
    if ticket.stream {
        shown.clear();
    }
    Computed { ticket, result, shown, rest, stopped }
}

/// An answer under way, as its model's thread sees it between two tokens.
struct Course<'a> {
    node: &'a Node,
    ticket: &'a Ticket,
    events: &'a Events,
    /// Given up while the client owes.
    place: Option<(OwnedSemaphorePermit, Counted)>,
    covered: watch::Receiver<u64>,
    speech: Speech<'a>,
    stops: Stops,
    /// Tokens told so far.
    told: usize,
    /// The cover for which a notice was given.
    noticed: u64,
    shown: String,
    stopped: bool,
    started: Instant,
    last: Option<Instant>,
}

impl Course<'_> {
    fn next(&mut self, drawn: Option<&[u32]>) -> Next {
        if self.node.ending.is_cancelled() || self.events.is_closed() || Instant::now() > self.deadline() {
            return Next::Stop;
        }
        let Some(drawn) = drawn else { return Next::Continue };
        self.tell(drawn);
        if self.stopped {
            return Next::Finish;
        }
        let has_ended = drawn.last().is_some_and(|&token| self.node.engine.config().is_eos(token));
        if has_ended || drawn.len() >= self.ticket.asked.max_tokens {
            return Next::Continue;
        }
        self.until_paid(drawn.len() as u64)
    }

    fn deadline(&self) -> Instant {
        if self.ticket.stream && self.last.is_some() {
            self.started + self.node.limits.stream
        } else {
            self.ticket.deadline
        }
    }

    fn tell(&mut self, drawn: &[u32]) {
        let Some(new) = drawn.get(self.told..).filter(|new| !new.is_empty()) else { return };
        let now = Instant::now();
        match self.last.replace(now) {
            None => histogram!(metric::FIRST_TOKEN_SECONDS).record((now - self.started).as_secs_f64()),
            Some(last) => histogram!(metric::TOKEN_SECONDS).record((now - last).as_secs_f64() / new.len() as f64),
        }
        self.told = drawn.len();
        let mut text = String::new();
        for &token in new {
            let piece = self.speech.push(token).unwrap_or_else(|error| {
                tracing::error!(%error, token, "cannot decode a token");
                String::new()
            });
            let (settled, stopped) = self.stops.push(&piece);
            text.push_str(&settled);
            self.stopped |= stopped;
        }
        self.shown.push_str(&text);
        // A client that has gone is noticed at the next look.
        let _ = self.events.send(Event::Piece { text, tokens: new.to_vec() });
    }

    /// Waits until the next token is paid; ends the answer where it is not.
    fn until_paid(&mut self, drawn: u64) -> Next {
        let covered = *self.covered.borrow_and_update();
        let longest = self.ticket.asked.max_tokens as u64;
        if covered < longest && drawn + NOTICE >= covered && self.noticed != covered {
            self.noticed = covered;
            let completion_tokens = covered.saturating_add(BATCH).min(longest);
            if let Ok((channel_id, least, amount)) = self.ticket.admission.due(completion_tokens) {
                let within_ms = self.node.limits.top_up.as_millis() as u64;
                let due = PaymentDue { channel_id, drawn, covered, completion_tokens, least, amount, within_ms };
                let _ = self.events.send(Event::Due(due));
            }
        }
        if drawn < covered {
            return Next::Continue;
        }
        // Others go on meanwhile.
        self.place = None;
        let _owes = Counted::new(metric::UNPAID);
        let patience = Instant::now() + self.node.limits.top_up;
        let deadline = self.deadline();
        let (node, events) = (self.node, self.events);
        let covered = &mut self.covered;
        let (paid, place) = Handle::current().block_on(async move {
            let paid = tokio::select! {
                paid = timeout_at(patience.into(), covered.wait_for(|covered| *covered > drawn)) => matches!(paid, Ok(Ok(_))),
                () = events.closed() => false,
                () = node.ending.cancelled() => false,
            };
            if !paid {
                return (false, None);
            }
            let place = timeout_at(deadline.into(), node.places.clone().acquire_owned()).await;
            (true, place.ok().and_then(Result::ok))
        });
        match place {
            Some(place) => {
                self.place = Some((place, Counted::new(metric::RUNNING)));
                // The pause was the client's, or the queue's.
                self.last = Some(Instant::now());
                Next::Continue
            }
            // Paid for, but no place in time.
            None if paid || self.events.is_closed() || self.node.ending.is_cancelled() => Next::Stop,
            None => Next::Finish,
        }
    }
}

/// One more of what a gauge counts, as long as it lives.
pub(super) struct Counted(&'static str);

impl Counted {
    pub(super) fn new(name: &'static str) -> Self {
        gauge!(name).increment(1.0);
        Self(name)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        gauge!(self.0).decrement(1.0);
    }
}

/// Longest that a stream waits before it says that it is still there.
pub(super) const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
