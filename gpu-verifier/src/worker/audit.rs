//! One audit: buy a response, check what was signed, re-run it with one prefill, judge it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::B256;
use alloy_sol_types::SolStruct as _;
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::json;
use tandem_protocol::api::{AuditOutcome, Verdict};
use tandem_protocol::evidence::{self, Asked};
use tandem_protocol::jobs::Job;
use tandem_protocol::messages::model_id;
use tandem_protocol::payment::{PaymentTerms, Rate, Tokens};
use tokio::sync::Semaphore;

use super::channels::{HeldChannel, Purse};
use super::probe::Probe;
use super::row::Finding;
use crate::backend::Backend;
use crate::chain::{Chain, Network, Neuron};
use crate::generate::Request;
use crate::model::Text;
use crate::node::openai::CompletionResponse;
use crate::node::till::Payee;
use crate::verdict::{Policy, ResponseVerdict};
use crate::verify::{Claim, verify_response};

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

/// Buys and judges responses.
pub struct Auditor {
    chain: Arc<dyn Chain>,
    network: Network,
    purse: Purse,
    backend: Arc<dyn Backend>,
    text: Text,
    client: Client,
    settings: AuditSettings,
    model: B256,
    /// One prefill at a time: it uses all the threads that it may.
    prefill: Semaphore,
}

/// What a contributor sent, or why there is nothing to judge.
enum Purchase {
    Answer { response: Box<CompletionResponse>, elapsed: Duration },
    Refused { status: StatusCode, message: String, terms: Option<Box<PaymentTerms>> },
    Nothing(String),
}

/// A completed audit.
pub type Audited = (AuditOutcome, Finding);

impl Auditor {
    /// An auditor with its own copy of the model.
    pub fn new(
        chain: Arc<dyn Chain>,
        network: Network,
        purse: Purse,
        backend: Arc<dyn Backend>,
        text: Text,
        client: Client,
        settings: AuditSettings,
    ) -> Self {
        let model = model_id(&settings.model);
        Self { chain, network, purse, backend, text, client, settings, model, prefill: Semaphore::new(1) }
    }

    /// Does a job.
    ///
    /// # Errors
    /// The worker's own trouble, which says nothing about the contributor.
    pub async fn audit(&self, job: &Job) -> anyhow::Result<Audited> {
        let unavailable = |detail: &str| Ok(finish(job, Verdict::Unavailable, 0, None, Tokens::default(), 0, detail));
        let Some(neuron) = self.chain.neuron(job.netuid, job.uid).await? else {
            return unavailable("no such neuron");
        };
        let Some(url) = super::endpoint::completions_url(&neuron.endpoint, self.settings.private_endpoints) else {
            return unavailable("its endpoint is no public HTTP address");
        };
        let Some(rate) = self.chain.rate(self.model).await? else {
            anyhow::bail!("the rate card has no rate for {:?}", self.settings.model);
        };
        let mut probe = Probe::draw(&mut rand::rng(), self.settings.max_tokens);
        let prompt = probe.fit(&self.text, self.backend.config().max_positions).map_err(anyhow::Error::from_boxed)?;
        let request = Request {
            prompt,
            max_tokens: probe.max_tokens as usize,
            seed: probe.seed,
            temperature: probe.temperature_milli as f32 / 1000.0,
        };
        self.buy_and_judge(job, &neuron, url, rate, &probe, &request).await
    }

    async fn buy_and_judge(
        &self,
        job: &Job,
        neuron: &Neuron,
        url: Url,
        rate: Rate,
        probe: &Probe,
        request: &Request,
    ) -> anyhow::Result<Audited> {
        let unavailable = |detail: &str| Ok(finish(job, Verdict::Unavailable, 0, None, Tokens::default(), 0, detail));
        let payee = Payee { netuid: job.netuid, uid: job.uid, owner: neuron.owner };
        let (prompt, longest) = (request.prompt.len() as u64, request.max_tokens as u64);
        let Some(mut channel) = self.purse.hold(payee, rate, prompt, longest).await? else {
            return unavailable("it refused its payment channel a moment ago");
        };
        let nonce = B256::from(rand::random::<[u8; 32]>());
        let mut purchase = self.buy(&url, probe, request, nonce, &mut channel).await?;
        if let Purchase::Refused { terms: Some(terms), .. } = &purchase
            && let Some(consumed) = terms.consumed
            && channel.meter.consumed() != consumed
            && channel.meter.catch_up(consumed).is_ok()
        {
            purchase = self.buy(&url, probe, request, nonce, &mut channel).await?;
        }
        let (response, elapsed) = match purchase {
            Purchase::Answer { response, elapsed } => (response, elapsed),
            Purchase::Nothing(detail) => return unavailable(&detail),
            Purchase::Refused { status, message, .. } => {
                if status == StatusCode::PAYMENT_REQUIRED {
                    self.purse.forget(channel).await?;
                }
                return unavailable(&format!("refused with {status}: {message}"));
            }
        };

        let evidence = &response.tandem;
        let asked = Asked {
            hotkey: neuron.hotkey,
            netuid: job.netuid,
            uid: job.uid,
            model: self.model,
            nonce,
            prompt: Some(&request.prompt),
            max_tokens: request.max_tokens as u64,
            seed: Some(request.seed),
            temperature_milli: probe.temperature_milli,
        };
        let domain = self.network.oracle_domain();
        let speed_class = evidence.commitment.message.speedClass;
        let used = match evidence::check(evidence, &asked, &domain) {
            Ok(used) => used,
            Err(fault) => {
                let detail = fault.to_string();
                return Ok(finish(job, Verdict::HardFault, speed_class, None, Tokens::default(), 0, &detail));
            }
        };
        let commitment = Some(evidence.commitment.message.eip712_signing_hash(&domain));
        channel.meter.record(used)?;
        self.purse.keep(&channel).await?;
        let expected = channel.meter.consumed_credits();
        // The next probe shall not wait for this one's prefill.
        drop(channel);

        let finish = |verdict, detail: &str| {
            finish(job, verdict, speed_class, commitment, used, elapsed.as_millis() as u64, detail)
        };
        if evidence.consumed > expected {
            let detail = format!("counts {} credits as consumed, the card's price is {expected}", evidence.consumed);
            return Ok(finish(Verdict::Unavailable, &detail));
        }
        if let Some(detail) = self.misquote(&response)? {
            return Ok(finish(Verdict::Fail, detail));
        }
        let (verdict, detail) = self.judge(request.clone(), *response).await?;
        Ok(finish(verdict, &detail))
    }

    /// Sends a request with its payment; the meter is stored before anything leaves.
    async fn buy(
        &self,
        url: &Url,
        probe: &Probe,
        request: &Request,
        nonce: B256,
        channel: &mut HeldChannel,
    ) -> anyhow::Result<Purchase> {
        let session = channel.session().clone();
        let domain = self.network.settlement_domain();
        let (prompt, longest) = (request.prompt.len() as u64, request.max_tokens as u64);
        let payment = channel.meter.pay(prompt, longest, nonce, &domain, &session)?;
        self.purse.keep(channel).await?;
        let body = json!({
            "model": self.settings.model,
            "prompt": probe.prompt,
            "max_tokens": probe.max_tokens,
            "temperature": f64::from(probe.temperature_milli) / 1000.0,
            "seed": probe.seed,
            "tandem": payment,
        });
        let started = Instant::now();
        let exchange = async {
            let response = self.client.post(url.clone()).json(&body).send().await.map_err(|error| error.to_string())?;
            let status = response.status();
            // Token ids in JSON take at most 11 bytes, twice for prompt and text; a proof takes 350 per 32 tokens.
            let limit = (64 << 10) + 64 * (request.prompt.len() + request.max_tokens);
            Ok::<_, String>((status, read_bounded(response, limit).await?))
        };
        let answer = match tokio::time::timeout(self.settings.patience, exchange).await {
            Err(_) => return Ok(Purchase::Nothing("no answer in time".to_owned())),
            Ok(Err(error)) => return Ok(Purchase::Nothing(format!("no answer: {error}"))),
            Ok(Ok(answer)) => answer,
        };
        Ok(match answer {
            (status, body) if status.is_success() => match serde_json::from_slice(&body) {
                Ok(response) => Purchase::Answer { response: Box::new(response), elapsed: started.elapsed() },
                Err(error) => Purchase::Nothing(format!("unreadable answer: {error}")),
            },
            (status, body) => {
                let Refusal { error, tandem } = serde_json::from_slice(&body).unwrap_or_default();
                let message = error.message.chars().filter(|c| !c.is_control()).take(200).collect();
                Purchase::Refused { status, message, terms: tandem }
            }
        })
    }

    /// What the client was shown must be what was committed.
    fn misquote(&self, response: &CompletionResponse) -> anyhow::Result<Option<&'static str>> {
        let shown = match response.choices.as_slice() {
            [choice] => &choice.text,
            _ => return Ok(Some("not one choice")),
        };
        let evidence = &response.tandem;
        if evidence.output_tokens.iter().any(|token| *token as usize >= self.backend.config().vocab_size) {
            // Re-running finds that out as a malformed response.
            return Ok(None);
        }
        let text = self.text.decode(&evidence.output_tokens).map_err(anyhow::Error::from_boxed)?;
        Ok((text != *shown).then_some("the text is not that of the committed tokens"))
    }

    async fn judge(&self, request: Request, response: CompletionResponse) -> anyhow::Result<(Verdict, String)> {
        let _one_at_a_time = self.prefill.acquire().await?;
        let backend = self.backend.clone();
        let features = tokio::task::spawn_blocking(move || {
            let claim =
                Claim { request: &request, output: &response.tandem.output_tokens, proofs: &response.tandem.proofs };
            verify_response(backend.as_ref(), &claim)
        })
        .await??;
        Ok(match self.settings.policy.judge(&features) {
            ResponseVerdict::Pass => (Verdict::Pass, "as the model computes it".to_owned()),
            ResponseVerdict::Suspect(reasons) => (Verdict::Fail, format!("{reasons:?}")),
            ResponseVerdict::HardFault(reasons) => (Verdict::HardFault, format!("{reasons:?}")),
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: RefusalDetail,
    tandem: Option<Box<PaymentTerms>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RefusalDetail {
    message: String,
}

fn finish(
    job: &Job,
    verdict: Verdict,
    speed_class: u32,
    commitment: Option<B256>,
    used: Tokens,
    elapsed_ms: u64,
    detail: &str,
) -> Audited {
    let tokens = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    let outcome = AuditOutcome {
        verdict,
        tokens_audited: tokens(used.prompt.saturating_add(used.completion)),
        speed_class,
        commitment,
        detail: detail.to_owned(),
    };
    let finding =
        Finding { uid: job.uid, verdict, speed_class, completion_tokens: tokens(used.completion), elapsed_ms };
    (outcome, finding)
}

/// A response's body, if it is not longer than `limit` bytes.
pub(super) async fn read_bounded(mut response: Response, limit: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| error.to_string())? {
        if body.len() + chunk.len() > limit {
            return Err(format!("more than {limit} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
