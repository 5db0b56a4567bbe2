//! Users of the network: they buy credits, open channels, ask for completions and pay with vouchers.

use alloy::primitives::{B256, U256};
use alloy::signers::SignerSync as _;
use alloy::sol;
use alloy::sol_types::{Eip712Domain, SolEvent as _, SolStruct as _, eip712_domain};
use eyre::{Context, Result, ensure, eyre};
use futures_util::future::{join_all, try_join_all};
use serde::Deserialize;
use serde_json::json;
use tandem_contracts::bindings::{CreditDesk, RateCard, Settlement, TestUSDC};
use tandem_protocol::api::CompletionEvidence;
use tandem_protocol::evidence::{self, Asked};
use tandem_protocol::messages::{model_id, settlement_domain};
use tandem_protocol::payment::{PaymentMeter, Rate, prompt_token_bound};
use tracing::warn;

use super::actors::{Contributor, User};
use super::network::{MODEL_ID, Network};
use crate::chain::Call;

/// Credits (18 decimals) that every user buys at first.
pub(super) const CREDITS_BOUGHT: u128 = 400_000_000_000_000_000_000;
/// Credits that each channel is opened with.
const CHANNEL_CREDITS: u128 = 40_000_000_000_000_000_000;
const CHANNEL_SECONDS: u64 = 3_600;
const MAX_TOKENS: u64 = 48;
const TEMPERATURE_MILLI: u32 = 800;

const PROMPTS: [&str; 6] = [
    "Write a short note to the neighbours about the street party.",
    "List three reasons why bridges need joints.",
    "What should a keeper do when the chain is late?",
    "Explain to a child how a compass finds north.",
    "Describe the smell of rain on warm stone.",
    "Summarise the rules of a fair auction.",
];

sol! {
    struct Permit {
        address owner;
        address spender;
        uint256 value;
        uint256 nonce;
        uint256 deadline;
    }
}

/// A user's channel to one contributor.
#[derive(Debug)]
struct Channel {
    contributor: usize,
    meter: PaymentMeter,
}

/// A user with open channels.
#[derive(Debug)]
pub(super) struct Client {
    user: User,
    channels: Vec<Channel>,
    requests: u64,
}

/// What one round of requests came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Answers {
    /// Answered with sound evidence.
    pub good: u64,
    /// Not answered, or with evidence that does not fit.
    pub bad: u64,
}

/// The part of a completion that a user needs.
#[derive(Debug, Deserialize)]
struct Completion {
    tandem: CompletionEvidence,
}

impl Network {
    /// Buys credits, the first user by ERC-2612 permit, and opens a channel to every contributor.
    pub(super) async fn open_clients(&self) -> Result<Vec<Client>> {
        try_join_all(self.actors.users.iter().enumerate().map(|(index, user)| self.open_client(user, index == 0))).await
    }

    async fn open_client(&self, user: &User, by_permit: bool) -> Result<Client> {
        let desk = self.suite.credit_desk;
        let credits = U256::from(CREDITS_BOUGHT);
        let cost = self.chain.read(desk, &CreditDesk::quoteCall { credits }).await?;
        if by_permit {
            let (deadline, v, r, s) = self.permit(user, cost).await?;
            let call = CreditDesk::buyWithPermitCall { credits, maxUsdc: cost, deadline, v, r, s };
            self.chain.send(&user.key, Call::new("buy credits by permit", desk, &call)).await?;
        } else {
            self.approve(&user.key, self.suite.usdc, desk).await?;
            let call = CreditDesk::buyCall { credits, maxUsdc: cost };
            self.chain.send(&user.key, Call::new("buy credits", desk, &call)).await?;
        }

        let rate = self.rate().await?;
        let expiry = self.chain.head().await?.timestamp + CHANNEL_SECONDS;
        let calls = self
            .actors
            .contributors
            .iter()
            .zip(&self.contributor_uids)
            .map(|(contributor, uid)| {
                let open = Settlement::openCall {
                    netuid: contributor.netuid,
                    uid: *uid,
                    amount: CHANNEL_CREDITS,
                    expiry,
                    sessionKey: user.session.address(),
                };
                Call::new(
                    format!("{} opens a channel to {}", user.name, contributor.name),
                    self.suite.settlement,
                    &open,
                )
            })
            .collect();
        let receipts = self.chain.send_all(&user.key, calls).await?;
        let channels = receipts
            .iter()
            .enumerate()
            .map(|(contributor, receipt)| {
                let opened =
                    receipt.inner.logs().iter().find_map(|log| Settlement::ChannelOpened::decode_log(&log.inner).ok());
                let opened = opened.ok_or_else(|| eyre!("a channel was opened without an event"))?;
                Ok(Channel { contributor, meter: PaymentMeter::new(opened.channelId, CHANNEL_CREDITS, rate) })
            })
            .collect::<Result<_>>()?;
        Ok(Client { user: user.clone(), channels, requests: 0 })
    }

    pub(crate) async fn rate(&self) -> Result<Rate> {
        let model = model_id(MODEL_ID);
        let card = self.suite.rate_card;
        let version = self.chain.read(card, &RateCard::latestVersionCall { model }).await?;
        let rate = self.chain.read(card, &RateCard::rateOfCall { model, version }).await?;
        Ok(Rate {
            model,
            version,
            prompt_per_million: rate.promptPerMillion,
            completion_per_million: rate.completionPerMillion,
        })
    }

    async fn permit(&self, user: &User, value: U256) -> Result<(U256, u8, B256, B256)> {
        let usdc = self.suite.usdc;
        let own = self.chain.read(usdc, &TestUSDC::eip712DomainCall {}).await?;
        let domain = eip712_domain! {
            name: own.name, version: own.version, chain_id: self.chain.id(), verifying_contract: usdc,
        };
        let owner = user.key.address();
        let nonce = self.chain.read(usdc, &TestUSDC::noncesCall { owner }).await?;
        let deadline = U256::from(self.chain.head().await?.timestamp + CHANNEL_SECONDS);
        let permit = Permit { owner, spender: self.suite.credit_desk, value, nonce, deadline };
        let signature =
            user.key.sign_hash_sync(&permit.eip712_signing_hash(&domain)).wrap_err("cannot sign a permit")?;
        Ok((deadline, 27 + u8::from(signature.v()), signature.r().into(), signature.s().into()))
    }

    /// One request of a client to every contributor that it still trusts, all at once.
    pub(super) async fn ask_everybody(&self, http: &reqwest::Client, client: &mut Client) -> Answers {
        let Client { user, channels, requests } = client;
        let domain = settlement_domain(self.chain.id(), self.suite.settlement);
        let round = *requests;
        *requests += 1;
        let answers = join_all(channels.iter_mut().map(|channel| {
            let contributor = &self.actors.contributors[channel.contributor];
            let url = &self.contributor_urls[channel.contributor];
            let uid = self.contributor_uids[channel.contributor];
            let domain = &domain;
            let user = &*user;
            async move {
                let answer = self.ask(http, user, &mut channel.meter, contributor, uid, url, domain, round).await;
                if let Err(error) = &answer {
                    warn!(user = user.name, contributor = contributor.name, "request failed: {error:#}");
                }
                answer.is_ok()
            }
        }))
        .await;
        let good = answers.iter().filter(|good| **good).count() as u64;
        Answers { good, bad: answers.len() as u64 - good }
    }

    #[expect(clippy::too_many_arguments, reason = "one request has this many parts")]
    async fn ask(
        &self,
        http: &reqwest::Client,
        user: &User,
        meter: &mut PaymentMeter,
        contributor: &Contributor,
        uid: u16,
        url: &str,
        domain: &Eip712Domain,
        round: u64,
    ) -> Result<()> {
        let prompt = PROMPTS[(round as usize + usize::from(uid)) % PROMPTS.len()];
        let nonce = B256::from(rand::random::<[u8; 32]>());
        let seed: u64 = rand::random::<u64>() >> 1;
        let payment = meter.pay(prompt_token_bound(prompt), MAX_TOKENS, nonce, domain, &user.session)?;
        let body = json!({
            "model": MODEL_ID, "prompt": prompt, "max_tokens": MAX_TOKENS,
            "temperature": f64::from(TEMPERATURE_MILLI) / 1_000.0, "seed": seed, "tandem": payment,
        });
        let response = http.post(format!("{url}/v1/completions")).json(&body).send().await.wrap_err("no answer")?;
        let status = response.status();
        ensure!(status.is_success(), "{status}: {}", response.text().await.unwrap_or_default());
        let completion: Completion = response.json().await.wrap_err("an answer without evidence")?;
        let asked = Asked {
            hotkey: contributor.hotkey.address(),
            netuid: contributor.netuid,
            uid,
            model: model_id(MODEL_ID),
            nonce,
            prompt: None,
            max_tokens: MAX_TOKENS,
            seed: Some(seed),
            temperature_milli: TEMPERATURE_MILLI,
        };
        let oracle = tandem_protocol::messages::oracle_domain(self.chain.id(), self.suite.epoch_oracle);
        let used = evidence::check(&completion.tandem, &asked, &oracle)?;
        meter.record(used)?;
        Ok(())
    }
}

impl Client {
    /// Users leave contributors whose last active score is zero: they risk one response, not a channel. `scored` says by
    /// the actors' order who has one.
    pub(super) fn keep_scored(&mut self, scored: &[bool]) {
        self.channels.retain(|channel| scored[channel.contributor]);
    }
}
