//! One answer bought over HTTP, whole or streamed. Whatever comes is a stranger's: bounded, and parsed strictly where it counts.

use std::time::{Duration, Instant};

use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tandem_protocol::api::{CompletionEvidence, StreamNote};
use tandem_protocol::payment::PaymentTerms;

use crate::service::read_bounded;

/// Bytes of an answer besides its tokens.
const FRAME_BYTES: usize = 64 << 10;
/// Bytes per token of prompt and answer: an id in JSON takes at most 11, and the text as many again and more; a proof takes 350 per 32
/// tokens.
const TOKEN_BYTES: usize = 64;
/// Bytes per token of a streamed answer, which repeats its frame in each chunk.
const CHUNK_BYTES: usize = 1024;

/// What a contributor sent, or why there is nothing to judge.
pub(super) enum Purchase {
    Answer(Box<Answer>),
    Refused { status: StatusCode, message: String, terms: Option<Box<PaymentTerms>> },
    Nothing(String),
}

/// An answer with its evidence.
pub(super) struct Answer {
    pub(super) shown: Shown,
    pub(super) evidence: CompletionEvidence,
    /// Until all of it was there.
    pub(super) elapsed: Duration,
    /// Until the first token was there, of a streamed one.
    pub(super) first_token: Option<Duration>,
}

/// What a client sees without looking at the evidence.
pub(super) enum Shown {
    /// The text; none if there is not exactly one choice.
    Whole(Option<String>),
    /// The pieces put together, and the tokens that they were said to be.
    Streamed { text: String, tokens: Vec<u32> },
}

/// Sends a request and reads its answer, for `patience` at most. `tokens` are those of the prompt and of the longest answer.
pub(super) async fn buy(request: RequestBuilder, streamed: bool, tokens: usize, patience: Duration) -> Purchase {
    let started = Instant::now();
    let exchange = async {
        let response = request.send().await.map_err(|error| format!("no answer: {error}"))?;
        let status = response.status();
        let per_token = if streamed { CHUNK_BYTES } else { TOKEN_BYTES };
        let limit = FRAME_BYTES.saturating_add(per_token.saturating_mul(tokens));
        if !status.is_success() {
            return Ok(refusal(status, &read_bounded(response, limit).await?));
        }
        let answer = if streamed {
            stream(response, limit, started).await?
        } else {
            whole(&read_bounded(response, limit).await?, started)?
        };
        Ok(Purchase::Answer(Box::new(answer)))
    };
    match tokio::time::timeout(patience, exchange).await {
        Err(_) => Purchase::Nothing("no answer in time".to_owned()),
        Ok(Err(reason)) => Purchase::Nothing(reason),
        Ok(Ok(purchase)) => purchase,
    }
}

fn refusal(status: StatusCode, body: &[u8]) -> Purchase {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Refusal {
        error: Detail,
        tandem: Option<Box<PaymentTerms>>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Detail {
        message: String,
    }
    let Refusal { error, tandem: terms } = serde_json::from_slice(body).unwrap_or_default();
    Purchase::Refused { status, message: shortened(&error.message), terms }
}

/// Words of a stranger, fit for a log.
fn shortened(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn whole(body: &[u8], started: Instant) -> Result<Answer, String> {
    #[derive(Deserialize)]
    struct Whole {
        choices: Vec<Choice>,
        tandem: CompletionEvidence,
    }
    #[derive(Deserialize)]
    struct Choice {
        text: Option<String>,
        message: Option<Said>,
    }
    #[derive(Deserialize)]
    struct Said {
        content: String,
    }
    let Whole { choices, tandem } =
        serde_json::from_slice(body).map_err(|error| format!("unreadable answer: {error}"))?;
    let text = match <[Choice; 1]>::try_from(choices) {
        Ok([Choice { text, message }]) => text.or(message.map(|said| said.content)),
        Err(_) => None,
    };
    Ok(Answer { shown: Shown::Whole(text), evidence: tandem, elapsed: started.elapsed(), first_token: None })
}

/// Reads server-sent events up to `[DONE]`.
async fn stream(mut response: Response, limit: usize, started: Instant) -> Result<Answer, String> {
    let (mut read, mut total) = (Vec::new(), 0);
    let (mut text, mut tokens) = (String::new(), Vec::new());
    let (mut first_token, mut evidence) = (None, None);
    loop {
        let Some(end) = read.windows(2).position(|two| two == b"\n\n") else {
            let chunk = response.chunk().await.map_err(|error| format!("the stream broke: {error}"))?;
            let chunk = chunk.ok_or("the stream ended without its end")?;
            total += chunk.len();
            if total > limit {
                return Err(format!("more than {limit} bytes"));
            }
            read.extend_from_slice(&chunk);
            continue;
        };
        let event: Vec<u8> = read.drain(..end + 2).collect();
        let Some(data) = event.strip_prefix(b"data: ").map(<[u8]>::trim_ascii) else { continue };
        if data == b"[DONE]" {
            let evidence = evidence.ok_or("the stream ended without evidence")?;
            let shown = Shown::Streamed { text, tokens };
            return Ok(Answer { shown, evidence, elapsed: started.elapsed(), first_token });
        }
        let mut chunk: Value = serde_json::from_slice(data).map_err(|error| format!("unreadable chunk: {error}"))?;
        if let Some(message) = chunk["error"]["message"].as_str() {
            return Err(format!("the stream failed: {}", shortened(message)));
        }
        let choice = &chunk["choices"][0];
        let piece = choice["text"].as_str().or(choice["delta"]["content"].as_str()).unwrap_or_default();
        text.push_str(piece);
        if chunk["tandem"].is_null() {
            continue;
        }
        match serde_json::from_value(chunk["tandem"].take()).map_err(|error| format!("unreadable chunk: {error}"))? {
            StreamNote::Tokens(more) => {
                if first_token.is_none() && !more.is_empty() {
                    first_token = Some(started.elapsed());
                }
                tokens.extend(more);
            }
            // A probe is paid in full.
            StreamNote::Due(_) => {}
            StreamNote::Evidence(last) => evidence = Some(*last),
        }
    }
}
