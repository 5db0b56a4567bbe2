//! Verification through somebody else's server: one that runs the model and speaks vLLM's completions API, with
//! `prompt_logprobs`.
//!
//! The server is asked for one prefill of prompt and output, as token ids, and answers with the log probabilities of the
//! likeliest tokens at each position and of the token that is there. That is enough to draw each token again as far as the
//! listed tokens go ([`Sampler::margin_bounds`](crate::sampling::Sampler::margin_bounds)): a margin that is certainly positive is a token that this seed does not draw.
//!
//! What it can prove: that tokens are not those of this model, seed and temperature; that an answer ended too early or too
//! late; that its form is wrong. What it cannot: anything about hidden states, because such a server does not show them, so
//! proofs are parsed and not compared; the likeliest token not being listed hides a disagreement, so more tokens are needed;
//! and the server is believed, whoever runs it.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};
use serde_json::json;
use thiserror::Error;

use crate::model::ModelConfig;
use crate::sampling::{Margin, Sampler};
use crate::service::read_bounded;
use crate::verify::{Checked, Claim, MARGIN_CAP, ResponseFeatures, SamplingReport, VerifyError};

/// Bytes that one listed token may take in an answer; vLLM uses about 60 and the token's text.
const ENTRY_BYTES: usize = 512;
/// Rounding of log probabilities on their way through JSON and a softmax: a token that is behind by no more may be the draw.
const SLACK: f32 = 1e-3;

/// How to reach a server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Base address, such as `http://127.0.0.1:8000`; `/v1/completions` is put behind it.
    pub url: Url,
    /// The model's name there.
    pub model: String,
    /// Likeliest tokens asked for at each position; servers allow 20 unless told otherwise (`--max-logprobs`).
    pub top: u16,
    /// Sent as a bearer token.
    pub api_key: Option<String>,
    /// Longest wait for an answer.
    pub patience: Duration,
}

/// Why a response could not be checked. None of these says anything about the contributor.
#[derive(Debug, Error)]
pub enum ReferenceError {
    /// The claim cannot be checked by anybody.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The server is unreachable.
    #[error("reference server: {0}")]
    Http(#[from] reqwest::Error),
    /// The server refuses.
    #[error("the reference server refused with {status}: {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words, shortened.
        message: String,
    },
    /// The server's answer is not what was asked for.
    #[error("the reference server's answer: {0}")]
    Answer(String),
    /// The key is no header.
    #[error("the API key holds characters that no header may have")]
    Key,
}

/// What a server's answer tells of a response.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReferenceReport {
    /// As a prefill of one's own would give them, without blocks; margins are what they are at least.
    pub features: ResponseFeatures,
    /// Tokens whose margin is known exactly, because no token that is not listed can have been drawn.
    pub certain: usize,
}

/// A server that re-runs responses.
pub struct ReferenceServer {
    client: Client,
    completions: Url,
    authorization: Option<HeaderValue>,
    settings: Settings,
}

#[derive(Deserialize)]
struct Answer {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    prompt_logprobs: Option<Vec<Option<BTreeMap<String, Entry>>>>,
}

#[derive(Deserialize)]
struct Entry {
    logprob: f64,
}

impl ReferenceServer {
    /// A server; it is not asked anything yet.
    ///
    /// # Errors
    /// [`ReferenceError::Key`], and [`ReferenceError::Http`] when the system gives no client.
    pub fn new(settings: Settings) -> Result<Self, ReferenceError> {
        let mut completions = settings.url.clone();
        completions.set_path(&format!("{}/v1/completions", settings.url.path().trim_end_matches('/')));
        let bearer = |key: &String| {
            let mut value = HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| ReferenceError::Key)?;
            value.set_sensitive(true);
            Ok::<_, ReferenceError>(value)
        };
        let authorization = settings.api_key.as_ref().map(bearer).transpose()?;
        let client = Client::builder().timeout(settings.patience).build()?;
        Ok(Self { client, completions, authorization, settings })
    }

    /// Checks a response: form first, then the server's one prefill. `config` is the model's own `config.json`.
    ///
    /// # Errors
    /// [`ReferenceError`] for faults of the server or of the claim's request; faults of the response are in the features.
    pub async fn verify(&self, config: &ModelConfig, claim: &Claim<'_>) -> Result<ReferenceReport, ReferenceError> {
        let checked = Checked::new(config, claim)?;
        let mut features = checked.features(config, claim);
        if features.malformed.is_some() {
            return Ok(ReferenceReport { features, certain: 0 });
        }
        let sequence = [claim.request.prompt.as_slice(), claim.output].concat();
        let listed = self.log_probabilities(&sequence, claim.request.prompt.len()).await?;
        let positions = (claim.request.prompt.len()..).zip(listed).zip(claim.output);
        let bounds = positions
            .map(|((at, known), &token)| self.bound(checked.sampler(), at, &known, config.vocab_size, token))
            .collect::<Result<Vec<Margin>, _>>()?;
        let certain = bounds.iter().filter(|margin| margin.at_most - margin.at_least <= SLACK).count();
        let margins: Vec<f32> = bounds
            .iter()
            .map(|margin| if margin.at_least <= SLACK { 0.0 } else { margin.at_least.min(MARGIN_CAP) })
            .collect();
        features.sampling = Some(SamplingReport::of(&margins));
        Ok(ReferenceReport { features, certain })
    }

    /// The margin of the token at a position, by what the server lists there.
    fn bound(
        &self,
        sampler: &Sampler,
        position: usize,
        known: &[(u32, f32)],
        vocab: usize,
        token: u32,
    ) -> Result<Margin, ReferenceError> {
        let wrong = |what: String| ReferenceError::Answer(format!("position {position}: {what}"));
        if !known.iter().any(|(listed, _)| *listed == token) {
            return Err(wrong(format!("token {token} is not listed")));
        }
        if let Some((unknown, _)) = known.iter().find(|(listed, _)| *listed as usize >= vocab) {
            return Err(wrong(format!("token {unknown} is not one of the model's {vocab}")));
        }
        // The token itself is listed whatever its rank, and then one more than asked for.
        let top = usize::from(self.settings.top);
        let others = known.iter().filter(|(listed, _)| known.len() <= top || *listed != token);
        let rest = others.map(|(_, logit)| *logit).fold(f32::INFINITY, f32::min);
        let rest = if known.len() >= vocab { f32::NEG_INFINITY } else { rest };
        if known.len() < top.min(vocab) {
            return Err(wrong(format!("{} tokens are listed, {top} were asked for", known.len())));
        }
        Ok(sampler.margin_bounds(position as u32, known, rest, vocab, token))
    }

    /// What the server lists at each position of the sequence from `first` on.
    async fn log_probabilities(&self, sequence: &[u32], first: usize) -> Result<Vec<Vec<(u32, f32)>>, ReferenceError> {
        let body = json!({
            "model": self.settings.model,
            "prompt": sequence,
            "max_tokens": 1,
            "temperature": 0.0,
            "prompt_logprobs": self.settings.top,
        });
        let mut request = self.client.post(self.completions.clone()).json(&body);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let response = request.send().await?;
        let status = response.status();
        let limit = (64 << 10) + sequence.len() * (usize::from(self.settings.top) + 1) * ENTRY_BYTES;
        let body = read_bounded(response, limit).await.map_err(ReferenceError::Answer)?;
        if !status.is_success() {
            let message = String::from_utf8_lossy(&body).chars().filter(|c| !c.is_control()).take(300).collect();
            return Err(ReferenceError::Refused { status: status.as_u16(), message });
        }
        let answer: Answer =
            serde_json::from_slice(&body).map_err(|error| ReferenceError::Answer(error.to_string()))?;
        let wrong = |what: &str| ReferenceError::Answer(what.to_owned());
        let [choice] = <[Choice; 1]>::try_from(answer.choices).map_err(|_| wrong("not one choice"))?;
        let positions = choice.prompt_logprobs.ok_or_else(|| wrong("no prompt_logprobs; does it support them?"))?;
        if positions.len() != sequence.len() {
            let what = format!("{} positions of {} tokens", positions.len(), sequence.len());
            return Err(ReferenceError::Answer(what));
        }
        let listed = positions.into_iter().enumerate().skip(first).map(|(position, entries)| {
            let wrong = |what: &str| ReferenceError::Answer(format!("position {position}: {what}"));
            let entries = entries.ok_or_else(|| wrong("nothing is listed"))?;
            let parse = |(token, entry): (String, Entry)| {
                let id: u32 = token.parse().map_err(|_| wrong("a token id is no number"))?;
                if id.to_string() != token {
                    return Err(wrong("a token id is spelt oddly"));
                }
                // A probability; rounding may lift one that is nearly certain a little above.
                let logprob = entry.logprob as f32;
                let sane = logprob.is_finite() && logprob <= SLACK;
                if sane { Ok((id, logprob)) } else { Err(wrong("a log probability is above 0 or not finite")) }
            };
            entries.into_iter().map(parse).collect()
        });
        listed.collect()
    }
}
