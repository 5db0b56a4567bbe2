//! Re-running a response with one prefill and measuring how well it agrees. Judging is left to others.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use toploc::{BlockReport, Proof};

use crate::audit::{self, Audit, Audited};
use crate::backend::{Backend, BackendError};
use crate::commitment::PARAMS;
use crate::generate::{GenerateError, Request};
use crate::model::ModelConfig;
use crate::sampling::Sampler;

/// Largest margin that one token contributes: one absurd token shall not hide in, or drown, an average.
pub const MARGIN_CAP: f32 = 20.0;

/// What a contributor says it answered.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// What was asked; chosen by the verifier and therefore trusted.
    pub request: &'a Request,
    /// Tokens answered.
    pub output: &'a [u32],
    /// Proofs in base64.
    pub proofs: &'a [String],
}

/// Why a response could not be checked. None of these says anything about the contributor.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum VerifyError {
    /// The request itself cannot be served.
    #[error("the request is unusable: {0}")]
    Request(#[from] GenerateError),
    /// The verifier's backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The verifier's own hidden states are unusable.
    #[error("the verifier's own hidden states: {0}")]
    Activations(#[from] toploc::ActivationError),
}

/// A response that no honest implementation could have sent.
#[derive(Clone, Debug, Error, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Malformed {
    /// No tokens.
    #[error("the output is empty")]
    Empty,
    /// More tokens than were asked for, or than the model has positions.
    #[error("{tokens} tokens, at most {limit} possible")]
    TooMany {
        /// Tokens answered.
        tokens: usize,
        /// Tokens possible.
        limit: usize,
    },
    /// A token that the model does not have.
    #[error("unknown token {token}")]
    Token {
        /// The token.
        token: u32,
    },
    /// Too few or too many proofs, or one that does not parse.
    #[error("{reason}")]
    Proof {
        /// What is wrong with it.
        reason: String,
    },
}

/// How an answer ended, as far as its tokens show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Termination {
    /// With a token that ends an answer, and none before it.
    Stop,
    /// At the greatest possible length.
    Length,
    /// Before the model wanted to end and before the limit.
    Early,
    /// After a token that ends an answer.
    Late,
}

/// How well the tokens agree with the verifier's draw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SamplingReport {
    /// Tokens compared: all of the output.
    pub tokens: usize,
    /// Tokens that are exactly the verifier's draw.
    pub agreeing: usize,
    /// Mean margin, each capped at [`MARGIN_CAP`], in units of logits.
    pub mean_margin: f64,
    /// Largest capped margin.
    pub max_margin: f64,
}

impl SamplingReport {
    /// Of the capped margins of all tokens, at least one.
    pub fn of(margins: &[f32]) -> Self {
        Self {
            tokens: margins.len(),
            agreeing: margins.iter().filter(|&&m| m == 0.0).count(),
            mean_margin: margins.iter().map(|&m| f64::from(m)).sum::<f64>() / margins.len().max(1) as f64,
            max_margin: margins.iter().map(|&m| f64::from(m)).fold(0.0, f64::max),
        }
    }
}

/// All that was measured of one response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResponseFeatures {
    /// Tokens in the output.
    pub tokens: usize,
    /// Set when the response is malformed; then nothing was re-run, and the rest is empty.
    pub malformed: Option<Malformed>,
    /// How the answer ended.
    pub termination: Option<Termination>,
    /// Comparison of hidden states, one per block.
    pub blocks: Vec<BlockReport>,
    /// Comparison of tokens.
    pub sampling: Option<SamplingReport>,
}

/// Checks a response: form first, which is cheap, then one prefill over prompt and output.
///
/// # Errors
/// [`VerifyError`] for faults on the verifier's side only; faults of the response are in the features.
pub fn verify_response(backend: &dyn Backend, claim: &Claim<'_>) -> Result<ResponseFeatures, VerifyError> {
    let mut checked = Checked::new(backend.config(), claim)?;
    let audited = match checked.take_audit() {
        Some(audit) => backend.begin(vec![audit])?.finish()?.into_iter().next(),
        None => None,
    };
    checked.measured(backend.config(), claim, audited)
}

/// [`verify_response`] of several responses, whose prefills share passes over the weights. Responses that are malformed, or
/// whose request is, cost the others nothing.
pub fn verify_responses(backend: &dyn Backend, claims: &[Claim<'_>]) -> Vec<Result<ResponseFeatures, VerifyError>> {
    let mut all = Vec::with_capacity(claims.len());
    let tokens = |claim: &&Claim<'_>| claim.request.prompt.len().saturating_add(claim.output.len());
    let packs = audit::packs(claims, backend.pass(), tokens);
    verify_stream(backend, packs, |claim| **claim, |_, features| all.push(features));
    all
}

/// [`verify_response`] of responses that come in packs, each of which is one pass over the weights: while a pack is compared,
/// the backend computes the next. `done` is told of each response, in their order, from another thread. A pack that the
/// backend cannot compute fails with all its responses that are well-formed, and no other does.
pub fn verify_stream<T: Send>(
    backend: &dyn Backend,
    packs: impl IntoIterator<Item = Vec<T>>,
    claim: impl Fn(&T) -> Claim<'_> + Sync,
    mut done: impl FnMut(T, Result<ResponseFeatures, VerifyError>) + Send,
) {
    let (config, claim) = (backend.config(), &claim);
    let checked = packs.into_iter().map(|pack| {
        let mut audits = Vec::with_capacity(pack.len());
        let check = |item: T| {
            let checked = Checked::new(config, &claim(&item)).map(|mut checked| {
                let audit = checked.take_audit();
                let is_run = audit.is_some();
                audits.extend(audit);
                (checked, is_run)
            });
            (item, checked)
        };
        (pack.into_iter().map(check).collect::<Vec<_>>(), audits)
    });
    let missing = || BackendError::Device("the backend says nothing of a response".to_owned());
    audit::stream(backend, checked, |pack, audited| {
        let mut audited = audited.map(Vec::into_iter);
        for (item, checked) in pack {
            let features = checked.and_then(|(checked, is_run)| {
                let own = match (&mut audited, is_run) {
                    (_, false) => None,
                    (Ok(audited), true) => Some(audited.next().ok_or_else(missing)?),
                    (Err(error), true) => return Err(error.clone().into()),
                };
                checked.measured(config, &claim(&item), own)
            });
            done(item, features);
        }
    });
}

/// A response whose form has been checked.
pub struct Checked {
    sampler: Sampler,
    limit: usize,
    malformed: Option<Malformed>,
    /// What is to be re-run, unless it is malformed.
    audit: Option<Audit>,
}

impl Checked {
    /// Checks the form; nothing is run.
    ///
    /// # Errors
    /// [`VerifyError`] of a request that nobody can serve.
    pub fn new(config: &ModelConfig, claim: &Claim<'_>) -> Result<Self, VerifyError> {
        let sampler = claim.request.check(config.max_positions)?;
        let prompt = &claim.request.prompt;
        if let Some(&token) = prompt.iter().find(|&&token| token as usize >= config.vocab_size) {
            return Err(BackendError::Token { token, vocab: config.vocab_size }.into());
        }
        let limit = claim.request.longest_output(config.max_positions);
        let (malformed, audit) = match check_form(claim, limit, config.vocab_size) {
            Ok(proofs) => {
                // Nothing was drawn after the last token, so it has no row.
                let fed = &claim.output[..claim.output.len() - 1];
                let sequence = prompt.iter().chain(fed).copied().collect();
                let output = claim.output.to_vec();
                (None, Some(Audit { sequence, prompt: prompt.len(), output, proofs, sampler }))
            }
            Err(malformed) => (Some(malformed), None),
        };
        Ok(Self { sampler, limit, malformed, audit })
    }

    /// What is to be re-run; `None` of a malformed response, and the second time.
    pub fn take_audit(&mut self) -> Option<Audit> {
        self.audit.take()
    }

    /// Draws the tokens of the request.
    pub const fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    /// All that is known before anything is re-run.
    pub fn features(&self, config: &ModelConfig, claim: &Claim<'_>) -> ResponseFeatures {
        let ended = || termination(claim.output, self.limit, |token| config.is_eos(token));
        ResponseFeatures {
            tokens: claim.output.len(),
            termination: self.malformed.is_none().then(ended),
            malformed: self.malformed.clone(),
            blocks: Vec::new(),
            sampling: None,
        }
    }

    /// The features, given what a prefill said; nothing was run of a malformed response.
    fn measured(
        &self,
        config: &ModelConfig,
        claim: &Claim<'_>,
        audited: Option<Audited>,
    ) -> Result<ResponseFeatures, VerifyError> {
        let mut features = self.features(config, claim);
        let Some(Audited { blocks, mut margins }) = audited else { return Ok(features) };
        match blocks {
            Ok(blocks) => features.blocks = blocks,
            Err(toploc::VerifyError::Activations(error)) => return Err(error.into()),
            Err(fault) => features.malformed = Some(Malformed::Proof { reason: fault.to_string() }),
        }
        margins.iter_mut().for_each(|margin| *margin = margin.min(MARGIN_CAP));
        features.sampling = Some(SamplingReport::of(&margins));
        Ok(features)
    }
}

/// What can be refused without running the model. The work is bounded by the verifier's own limits.
fn check_form(claim: &Claim<'_>, limit: usize, vocab: usize) -> Result<Vec<Proof>, Malformed> {
    let tokens = claim.output.len();
    if tokens == 0 {
        return Err(Malformed::Empty);
    }
    if tokens > limit {
        return Err(Malformed::TooMany { tokens, limit });
    }
    if let Some(&token) = claim.output.iter().find(|&&token| token as usize >= vocab) {
        return Err(Malformed::Token { token });
    }
    let expected = PARAMS.proof_count(tokens);
    if claim.proofs.len() != expected {
        let reason = format!("{expected} proofs expected, {} given", claim.proofs.len());
        return Err(Malformed::Proof { reason });
    }
    let parse = |(index, text): (usize, &String)| {
        Proof::parse_base64(text, PARAMS.topk)
            .map_err(|error| Malformed::Proof { reason: format!("proof {index}: {error}") })
    };
    claim.proofs.iter().enumerate().map(parse).collect()
}

fn termination(output: &[u32], limit: usize, is_eos: impl Fn(u32) -> bool) -> Termination {
    match output.iter().position(|&token| is_eos(token)) {
        Some(at) if at + 1 < output.len() => Termination::Late,
        Some(_) => Termination::Stop,
        None if output.len() == limit => Termination::Length,
        None => Termination::Early,
    }
}
