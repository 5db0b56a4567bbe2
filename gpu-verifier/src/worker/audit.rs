//! One audit: buy a response, check what was signed, re-run it with one prefill, judge it.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256};
use alloy_sol_types::SolStruct as _;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode, Url};
use tandem_protocol::api::{AuditOutcome, CompletionEvidence, Verdict};
use tandem_protocol::evidence::{self, Asked};
use tandem_protocol::jobs::Job;
use tandem_protocol::messages::model_id;
use tandem_protocol::payment::{Rate, Tokens};

use super::channels::{HeldChannel, Purse};
use super::purchase::{self, Answer, Purchase, Shown};
use super::rerun::Rerun;
use super::row::Finding;
use crate::chain::{Chain, Network, Neuron};
use crate::generate::Request;
use crate::model::{Speech, Text, TextError};
use crate::node::till::Payee;
use crate::probe::prompts::Prompts;
use crate::probe::{self, Probe};
use crate::verdict::{Policy, ResponseVerdict};

/// Credits, in base units, for a millionth of an A100-minute: a credit, 10^18, is one A100-minute.
const WORK_UNIT: u128 = 1_000_000_000_000;

/// How responses are bought and judged.
#[derive(Clone, Debug)]
pub struct AuditSettings {
    /// Id of the model that contributors serve and this worker has, as the rate card spells it.
    pub model: String,
    /// Longest answer that is asked for, tokens.
    pub max_tokens: u64,
    /// A contributor that has not answered by then is unavailable.
    pub patience: Duration,
    /// Whether endpoints at private addresses are probed.
    pub private_endpoints: bool,
    /// Limits and error rates.
    pub policy: Policy,
}

/// What an auditor works with.
pub struct Tools {
    /// Pays.
    pub purse: Purse,
    /// Runs responses again.
    pub rerun: Rerun,
    /// What to ask.
    pub prompts: Prompts,
    /// The model's tokenizer.
    pub text: Text,
    /// Speaks to endpoints.
    pub client: Client,
}

/// Buys and judges responses.
pub struct Auditor {
    chain: Arc<dyn Chain>,
    network: Network,
    tools: Arc<Tools>,
    settings: AuditSettings,
    model: B256,
}

/// What is asked.
struct Question {
    probe: Probe,
    /// The same in tokens.
    request: Request,
    nonce: B256,
}

/// A completed audit.
pub type Audited = (AuditOutcome, Finding);

impl Auditor {
    /// An auditor.
    pub fn new(chain: Arc<dyn Chain>, network: Network, tools: Tools, settings: AuditSettings) -> Self {
        let model = model_id(&settings.model);
        Self { chain, network, tools: Arc::new(tools), settings, model }
    }

    /// Does a job.
    ///
    /// # Errors
    /// The worker's own trouble, which says nothing about the contributor.
    pub async fn audit(&self, job: &Job) -> anyhow::Result<Audited> {
        let Some(neuron) = self.chain.neuron(job.netuid, job.uid).await? else {
            return Ok(finish(job, Verdict::Unavailable, &Served::default(), "no such neuron"));
        };
        let (outcome, mut finding) = self.audit_neuron(job, &neuron).await?;
        finding.hotkey = neuron.hotkey;
        finding.calibration = self.policy().calibration.into();
        Ok((outcome, finding))
    }

    /// How responses are judged.
    pub const fn policy(&self) -> &Policy {
        &self.settings.policy
    }

    async fn audit_neuron(&self, job: &Job, neuron: &Neuron) -> anyhow::Result<Audited> {
        let unavailable = |detail: &str| Ok(finish(job, Verdict::Unavailable, &Served::default(), detail));
        let Some(rate) = self.chain.rate(self.model).await? else {
            anyhow::bail!("the rate card has no rate for {:?}", self.settings.model);
        };
        let question = self.ask().await?;
        let path = question.probe.path();
        let Some(url) = super::endpoint::url(&neuron.endpoint, path, self.settings.private_endpoints) else {
            return unavailable("its endpoint is no public HTTP address");
        };
        self.buy_and_judge(job, neuron, url, rate, &question).await
    }

    async fn ask(&self) -> anyhow::Result<Question> {
        let tools = self.tools.clone();
        let drawn = tokio::task::spawn_blocking(move || tools.prompts.draw(&mut rand::rng(), &tools.text)).await??;
        let mut probe = Probe::draw(&mut rand::rng(), drawn, self.settings.max_tokens, self.tools.text.chat().is_ok());
        let (text, config) = (&self.tools.text, self.tools.rerun.config());
        let prompt = probe.fit(text, config.max_positions)?;
        let nonce = B256::from(rand::random::<[u8; 32]>());
        let request = Request {
            prompt,
            max_tokens: probe.max_tokens as usize,
            seed: probe.seed.unwrap_or_else(|| evidence::default_seed(nonce)),
            temperature: probe.temperature_drawn() as f32 / 1000.0,
        };
        Ok(Question { probe, request, nonce })
    }

    async fn buy_and_judge(
        &self,
        job: &Job,
        neuron: &Neuron,
        url: Url,
        rate: Rate,
        question: &Question,
    ) -> anyhow::Result<Audited> {
        let Question { probe, request, nonce } = question;
        let unavailable = |detail: &str| Ok(finish(job, Verdict::Unavailable, &Served::default(), detail));
        let payee = Payee { netuid: job.netuid, uid: job.uid, owner: neuron.owner };
        let (prompt, longest) = (request.prompt.len() as u64, request.max_tokens as u64);
        let Some(mut channel) = self.tools.purse.hold(payee, rate, prompt, longest).await? else {
            return unavailable("it refused its payment channel a moment ago");
        };
        let mut purchase = self.buy(&url, question, &mut channel).await?;
        if let Purchase::Refused { terms: Some(terms), .. } = &purchase
            && let Some(consumed) = terms.consumed
            && channel.meter.consumed() != consumed
            && channel.meter.catch_up(consumed).is_ok()
        {
            purchase = self.buy(&url, question, &mut channel).await?;
        }
        let answer = match purchase {
            Purchase::Answer(answer) => answer,
            Purchase::Nothing(detail) => return unavailable(&detail),
            Purchase::Refused { status, message, .. } => {
                if status == StatusCode::PAYMENT_REQUIRED {
                    self.tools.purse.forget(channel).await?;
                }
                return unavailable(&format!("refused with {status}: {message}"));
            }
        };

        let evidence = &answer.evidence;
        let asked = Asked {
            hotkey: neuron.hotkey,
            netuid: job.netuid,
            uid: job.uid,
            model: self.model,
            nonce: *nonce,
            prompt: Some(&request.prompt),
            max_tokens: request.max_tokens as u64,
            seed: Some(request.seed),
            temperature_milli: probe.temperature_drawn(),
        };
        let domain = self.network.oracle_domain();
        let speed_class = evidence.commitment.message.speedClass;
        let used = match evidence::check(evidence, &asked, &domain) {
            Ok(used) => used,
            Err(fault) => {
                let detail = fault.to_string();
                return Ok(finish(job, Verdict::HardFault, &Served { speed_class, ..Served::default() }, &detail));
            }
        };
        let commitment = Some(evidence.commitment.message.eip712_signing_hash(&domain));
        channel.meter.record(used)?;
        self.tools.purse.keep(&channel).await?;
        let expected = channel.meter.consumed_credits();
        // The next probe shall not wait for this one's prefill.
        drop(channel);

        let served = Served {
            speed_class,
            commitment,
            used,
            work: rate.cost(used).map_or(0, |credits| (credits / WORK_UNIT) as u64),
            elapsed_ms: answer.elapsed.as_millis() as u64,
            first_token_ms: answer.first_token.map(|elapsed| elapsed.as_millis() as u64),
        };
        let finish = |verdict, detail: &str| finish(job, verdict, &served, detail);
        if evidence.consumed > expected {
            let detail = format!("counts {} credits as consumed, the card's price is {expected}", evidence.consumed);
            return Ok(finish(Verdict::Unavailable, &detail));
        }
        if let Some(detail) = self.misquote(&answer)? {
            return Ok(finish(Verdict::Fail, detail));
        }
        let (verdict, grade, detail) = self.judge(request.clone(), answer.evidence).await?;
        let (outcome, finding) = finish(verdict, &detail);
        Ok((outcome, Finding { grade, ..finding }))
    }

    /// Sends a request with its payment; the meter is stored before anything leaves.
    async fn buy(&self, url: &Url, question: &Question, channel: &mut HeldChannel) -> anyhow::Result<Purchase> {
        let Question { probe, request, nonce } = question;
        let session = channel.session().clone();
        let domain = self.network.settlement_domain();
        let (prompt, longest) = (request.prompt.len() as u64, request.max_tokens as u64);
        let payment = channel.meter.pay(prompt, longest, *nonce, &domain, &session)?;
        self.tools.purse.keep(channel).await?;
        let client = probe::Client::of(session.address());
        let body = client.body(&self.settings.model, probe, &payment)?;
        let post = self.tools.client.post(url.clone()).headers(client.headers());
        let post = post.header(CONTENT_TYPE, "application/json").body(body);
        let tokens = request.prompt.len() + request.max_tokens;
        Ok(purchase::buy(post, probe.stream, tokens, self.settings.patience).await)
    }

    /// What the client was shown must be what was committed.
    fn misquote(&self, answer: &Answer) -> anyhow::Result<Option<&'static str>> {
        let (output, text) = (&answer.evidence.output_tokens, &self.tools.text);
        if output.iter().any(|token| *token as usize >= self.tools.rerun.config().vocab_size) {
            // Re-running finds that out as a malformed response.
            return Ok(None);
        }
        Ok(match &answer.shown {
            Shown::Whole(None) => Some("not one choice"),
            Shown::Whole(Some(shown)) => {
                let said = text.decode(output).map_err(anyhow::Error::from_boxed)?;
                (said != *shown).then_some("the text is not that of the committed tokens")
            }
            Shown::Streamed { tokens, .. } if tokens != output => Some("other tokens were streamed than committed"),
            Shown::Streamed { text: shown, .. } => {
                let said = speak(text, output).map_err(anyhow::Error::from_boxed)?;
                (said != *shown).then_some("the streamed text is not that of the committed tokens")
            }
        })
    }

    async fn judge(&self, request: Request, evidence: CompletionEvidence) -> anyhow::Result<(Verdict, u8, String)> {
        let features = self.tools.rerun.measure(request, evidence.output_tokens, evidence.proofs).await?;
        let (verdict, grade) = self.settings.policy.examine(&features);
        let (verdict, detail) = match verdict {
            ResponseVerdict::Pass => (Verdict::Pass, "as the model computes it".to_owned()),
            ResponseVerdict::Suspect(reasons) => (Verdict::Fail, format!("{reasons:?}")),
            ResponseVerdict::HardFault(reasons) => (Verdict::HardFault, format!("{reasons:?}")),
        };
        Ok((verdict, grade as u8, detail))
    }
}

/// What was answered, as far as it counts.
#[derive(Default)]
struct Served {
    speed_class: u32,
    commitment: Option<B256>,
    used: Tokens,
    /// Millionths of an A100-minute.
    work: u64,
    elapsed_ms: u64,
    first_token_ms: Option<u64>,
}

fn finish(job: &Job, verdict: Verdict, served: &Served, detail: &str) -> Audited {
    let &Served { speed_class, commitment, used, work, elapsed_ms, first_token_ms } = served;
    let outcome = AuditOutcome {
        verdict,
        tokens_audited: u32::try_from(used.prompt.saturating_add(used.completion)).unwrap_or(u32::MAX),
        speed_class,
        commitment,
        detail: detail.to_owned(),
    };
    let finding = Finding {
        uid: job.uid,
        verdict,
        speed_class,
        work,
        elapsed_ms,
        first_token_ms,
        // What no limit was held against is no evidence of drift: it has a verdict already.
        grade: 0,
        hotkey: Address::ZERO,
        calibration: B256::ZERO,
    };
    (outcome, finding)
}

/// The text of an answer, as a stream brings it: put together from pieces, it may differ from one that is decoded at once, where a
/// tokenizer treats the beginning of a text in a way of its own.
fn speak(text: &Text, tokens: &[u32]) -> Result<String, TextError> {
    let mut speech = Speech::new(text);
    let mut said = tokens.iter().map(|&token| speech.push(token)).collect::<Result<String, _>>()?;
    said.push_str(&speech.finish()?);
    Ok(said)
}
