//! Paying for completions: the arithmetic that a client and a contributor both do, without any I/O.
//!
//! Client and contributor keep the same [`PaymentMeter`] of a channel. For each request
//!
//! 1. the client calls [`PaymentMeter::authorize`] (or [`PaymentMeter::pay`], which signs as well) with the tokens of its
//!    prompt and its `max_tokens`. The voucher is cumulative since the channel's opening and names, per kind of token,
//!
//!    ```text
//!    prompt     = max(consumed.prompt + prompt tokens,   highest prompt signed before + 1)
//!    completion = max(consumed.completion + max_tokens,  highest completion signed before)
//!    amount     = ⌈(prompt · promptPerMillion + completion · completionPerMillion) / 10⁶⌉
//!    ```
//!
//!    so what an earlier request was granted and did not use is not paid again, and vouchers only ever grow: each one
//!    settles after any other;
//! 2. the contributor calls [`PaymentMeter::accept`], which takes exactly such vouchers, keeps the voucher, and answers;
//! 3. both call [`PaymentMeter::record`] with the tokens that the answer really had.
//!
//! An answer that is streamed may be paid in parts. The first voucher covers prompt and [`BATCH`] tokens at least; while the answer
//! runs, the client calls [`PaymentMeter::top_up`] for as many tokens of it as it wants to have covered in all, the
//! contributor [`PaymentMeter::accept_top_up`], and draws no token beyond [`PaymentMeter::covered`]. The formula is the same:
//! prompt tokens stay as they were signed, completion tokens grow.
//!
//! A channel serves one request at a time, one model and one version of its rate. At any moment a contributor can settle at
//! most one request's unused tokens more than it served, and a client has at most one response unpaid.
//!
//! A client that lost count (no answer came) learns the contributor's count from the `tandem` field of the next refusal and
//! calls [`PaymentMeter::catch_up`], which believes nothing beyond what the client had signed.
//!
//! ```
//! use tandem_protocol::payment::{PaymentMeter, Rate, Tokens};
//! use tandem_protocol::{U256, messages};
//!
//! let rate = Rate {
//!     model: messages::model_id("llama"),
//!     version: 1,
//!     prompt_per_million: 2_000_000,
//!     completion_per_million: 5_000_000,
//! };
//! let mut client = PaymentMeter::new(U256::from(7), 10_000, rate);
//! let mut contributor = client.clone();
//!
//! let voucher = client.authorize(10, 100).unwrap();
//! assert_eq!(voucher.amount, 10 * 2 + 100 * 5);
//! contributor.accept(&voucher, 10, 100).unwrap();
//! for side in [&mut client, &mut contributor] {
//!     side.record(Tokens { prompt: 10, completion: 40 }).unwrap();
//! }
//! assert_eq!(client.authorize(10, 100).unwrap().completionTokens, 140);
//! ```

use alloy_primitives::{Address, B256, U256};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::Eip712Domain;
use serde::{Deserialize, Serialize};

use crate::api::CompletionPayment;
use crate::messages::Voucher;
use crate::signed::{SignatureError, Signed};

/// Numbers of tokens, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// Of prompts.
    pub prompt: u64,
    /// Of completions.
    pub completion: u64,
}

impl Tokens {
    /// Both sums, `None` where one overflows.
    pub fn plus(self, other: Self) -> Option<Self> {
        Some(Self {
            prompt: self.prompt.checked_add(other.prompt)?,
            completion: self.completion.checked_add(other.completion)?,
        })
    }

    /// Whether neither kind exceeds the other's.
    pub const fn within(self, other: Self) -> bool {
        self.prompt <= other.prompt && self.completion <= other.completion
    }
}

/// One version of a model's prices, as RateCard publishes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// keccak256 of the model's id.
    pub model: B256,
    /// Version, from 1.
    pub version: u32,
    /// Credits (18 decimals) per million prompt tokens.
    #[serde(with = "crate::api::decimal")]
    pub prompt_per_million: u128,
    /// Credits (18 decimals) per million completion tokens.
    #[serde(with = "crate::api::decimal")]
    pub completion_per_million: u128,
}

impl Rate {
    /// Credits (18 decimals) for `tokens`, rounded up once over both kinds, as `RateCard.cost`; `None` from 2^128 on, which no
    /// channel holds.
    ///
    /// Rounding up once makes the price subadditive, `cost(a + b) ≤ cost(a) + cost(b)`: the difference of two cumulative
    /// vouchers never exceeds what Settlement allows for the tokens between them.
    pub fn cost(&self, tokens: Tokens) -> Option<u128> {
        // Below 2^128 · 2^64 · 2, far from 2^256.
        let per_million = U256::from(self.prompt_per_million) * U256::from(tokens.prompt)
            + U256::from(self.completion_per_million) * U256::from(tokens.completion);
        u128::try_from(per_million.div_ceil(U256::from(1_000_000))).ok()
    }
}

/// Upper bound of the tokens of a prompt, for a client without the model's tokenizer: a token of a byte-level tokenizer covers
/// at least one byte, and up to four special ones are put around the text.
pub const fn prompt_token_bound(prompt: &str) -> u64 {
    prompt.len() as u64 + 4
}

/// Tokens of a streamed answer that are paid at a time, at least. It is the number of tokens of one proof.
pub const BATCH: u64 = 32;

/// Why a voucher was not signed, not accepted, or a count not believed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PaymentError {
    /// The channel is spent.
    #[error("the channel holds {capacity} credits in all, {needed} are needed")]
    Exhausted {
        /// Cumulative credits that the voucher would need, base units.
        needed: u128,
        /// Credits that the channel was opened with.
        capacity: u128,
    },
    /// Token counters or prices beyond any channel.
    #[error("amount out of range")]
    OutOfRange,
    /// A voucher on another channel.
    #[error("the voucher is for channel {found}, not {expected}")]
    OtherChannel {
        /// Channel in the voucher.
        found: U256,
        /// Channel of the meter.
        expected: U256,
    },
    /// A voucher for another model or version of its rate than the channel is used with.
    #[error("the voucher names another model or rate version, expected version {version} of {model}")]
    OtherRate {
        /// Model of the meter.
        model: B256,
        /// Version of the meter.
        version: u32,
    },
    /// An old voucher, or one that takes back what an earlier one promised.
    #[error(
        "vouchers grow: prompt tokens above {} and completion tokens not below {} are needed",
        signed.prompt,
        signed.completion
    )]
    NotGrowing {
        /// The highest counters signed before.
        signed: Tokens,
    },
    /// Too little for what was consumed plus this request.
    #[error("the voucher must cover {} prompt and {} completion tokens", needed.prompt, needed.completion)]
    TooLittle {
        /// Least counters that the voucher must name.
        needed: Tokens,
    },
    /// The amount is not the rate's price of the voucher's tokens; more could not be settled.
    #[error("the voucher's tokens cost {expected}, it promises {found}")]
    WrongAmount {
        /// Amount in the voucher.
        found: u128,
        /// The rate's price.
        expected: u128,
    },
    /// More tokens are claimed as consumed than were ever signed for, or fewer than before.
    #[error("a consumption that no voucher covers")]
    NotCovered,
    /// The session key failed to sign.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// What a channel consumed and what was signed for it; kept by the client and by the contributor alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentMeter {
    channel_id: U256,
    #[serde(with = "crate::api::decimal")]
    capacity: u128,
    rate: Rate,
    consumed: Tokens,
    signed: Tokens,
}

impl PaymentMeter {
    /// The meter of a channel on which nothing was signed yet. `capacity`: credits that it was opened with, base units.
    pub const fn new(channel_id: U256, capacity: u128, rate: Rate) -> Self {
        Self {
            channel_id,
            capacity,
            rate,
            consumed: Tokens { prompt: 0, completion: 0 },
            signed: Tokens { prompt: 0, completion: 0 },
        }
    }

    /// The meter of a channel of which only its on-chain state is known: everything settled counts as consumed. `settled` are the
    /// credits settled for `tokens`.
    ///
    /// # Errors
    /// [`PaymentError::OtherRate`] if these tokens were settled at another price.
    pub fn resume(
        channel_id: U256,
        capacity: u128,
        rate: Rate,
        settled: u128,
        tokens: Tokens,
    ) -> Result<Self, PaymentError> {
        if rate.cost(tokens) != Some(settled) {
            return Err(PaymentError::OtherRate { model: rate.model, version: rate.version });
        }
        Ok(Self { consumed: tokens, signed: tokens, ..Self::new(channel_id, capacity, rate) })
    }

    /// The channel.
    pub const fn channel_id(&self) -> U256 {
        self.channel_id
    }

    /// Credits that the channel was opened with, base units.
    pub const fn capacity(&self) -> u128 {
        self.capacity
    }

    /// The rate that the channel is used with.
    pub const fn rate(&self) -> &Rate {
        &self.rate
    }

    /// Tokens of all recorded responses.
    pub const fn consumed(&self) -> Tokens {
        self.consumed
    }

    /// The highest counters signed.
    pub const fn signed(&self) -> Tokens {
        self.signed
    }

    /// Credits consumed, base units: what [`crate::api::CompletionEvidence::consumed`] says after a response.
    pub fn consumed_credits(&self) -> u128 {
        self.rate.cost(self.consumed).unwrap_or(u128::MAX)
    }

    /// Client: the voucher for a request of `prompt_tokens` (exact or an upper bound, at least 1) that may be answered with up to
    /// `max_tokens`. The meter remembers it as signed.
    ///
    /// # Errors
    /// [`PaymentError::Exhausted`] or [`PaymentError::OutOfRange`]; the meter is unchanged then.
    pub fn authorize(&mut self, prompt_tokens: u64, max_tokens: u64) -> Result<Voucher, PaymentError> {
        let needed = self.needed(prompt_tokens, max_tokens)?;
        let tokens = Tokens {
            prompt: needed.prompt.max(self.signed.prompt.checked_add(1).ok_or(PaymentError::OutOfRange)?),
            completion: needed.completion.max(self.signed.completion),
        };
        let amount = self.price(tokens)?;
        self.signed = tokens;
        Ok(self.voucher(tokens, amount))
    }

    /// Client: [`authorize`](Self::authorize), signed, as the `tandem` field of a request. `nonce` is the client's random name of
    /// the request, `domain` the settlement domain, `session` the channel's session key.
    ///
    /// # Errors
    /// As [`authorize`](Self::authorize), and [`PaymentError::Signature`].
    pub fn pay(
        &mut self,
        prompt_tokens: u64,
        max_tokens: u64,
        nonce: B256,
        domain: &Eip712Domain,
        session: &PrivateKeySigner,
    ) -> Result<CompletionPayment, PaymentError> {
        let voucher = Signed::new(self.authorize(prompt_tokens, max_tokens)?, domain, session)?;
        Ok(CompletionPayment { voucher: (&voucher).into(), nonce })
    }

    /// Contributor: takes a voucher for a request of exactly `prompt_tokens` and up to `max_tokens`. The signature is the
    /// caller's to check.
    ///
    /// # Errors
    /// Every reason why the voucher does not pay for the request or would not settle; the meter is unchanged then.
    pub fn accept(&mut self, voucher: &Voucher, prompt_tokens: u64, max_tokens: u64) -> Result<(), PaymentError> {
        let tokens = self.counters(voucher)?;
        if tokens.prompt <= self.signed.prompt || tokens.completion < self.signed.completion {
            return Err(PaymentError::NotGrowing { signed: self.signed });
        }
        let needed = self.needed(prompt_tokens, max_tokens)?;
        self.take(voucher, tokens, needed)
    }

    /// Both: completion tokens that the highest voucher covers beyond what was recorded: the longest that the answer under way
    /// may become.
    pub const fn covered(&self) -> u64 {
        self.signed.completion.saturating_sub(self.consumed.completion)
    }

    /// Client: the voucher that covers `completion_tokens` of the answer under way in all, from its first token on; `None` if they
    /// are covered. The meter remembers it as signed.
    ///
    /// # Errors
    /// [`PaymentError::Exhausted`] or [`PaymentError::OutOfRange`]; the meter is unchanged then.
    pub fn top_up(&mut self, completion_tokens: u64) -> Result<Option<Voucher>, PaymentError> {
        let completion = self.needed(0, completion_tokens)?.completion;
        if completion <= self.signed.completion {
            return Ok(None);
        }
        let tokens = Tokens { completion, ..self.signed };
        let amount = self.price(tokens)?;
        self.signed = tokens;
        Ok(Some(self.voucher(tokens, amount)))
    }

    /// Contributor: takes a voucher that covers at least `completion_tokens` of the answer under way in all, and more than the one
    /// before. The signature is the caller's to check.
    ///
    /// # Errors
    /// As [`accept`](Self::accept); the meter is unchanged then.
    pub fn accept_top_up(&mut self, voucher: &Voucher, completion_tokens: u64) -> Result<(), PaymentError> {
        let tokens = self.counters(voucher)?;
        if tokens.prompt < self.signed.prompt || tokens.completion <= self.signed.completion {
            return Err(PaymentError::NotGrowing { signed: self.signed });
        }
        let needed = Tokens { completion: self.needed(0, completion_tokens)?.completion, ..self.signed };
        self.take(voucher, tokens, needed)
    }

    /// Contributor: what the client has to sign for `completion_tokens` of the answer under way in all: the least counters
    /// and their price. The price may exceed the channel.
    ///
    /// # Errors
    /// [`PaymentError::OutOfRange`].
    pub fn due(&self, completion_tokens: u64) -> Result<(Tokens, u128), PaymentError> {
        let completion = self.needed(0, completion_tokens)?.completion.max(self.signed.completion);
        let least = Tokens { completion, ..self.signed };
        Ok((least, self.rate.cost(least).ok_or(PaymentError::OutOfRange)?))
    }

    /// Both: counts the tokens that a response really had.
    ///
    /// # Errors
    /// [`PaymentError::NotCovered`] if no voucher covers them; the meter is unchanged then.
    pub fn record(&mut self, used: Tokens) -> Result<(), PaymentError> {
        let consumed = self.consumed.plus(used).ok_or(PaymentError::OutOfRange)?;
        self.catch_up(consumed)
    }

    /// Client: takes over the contributor's count of consumed tokens.
    ///
    /// # Errors
    /// [`PaymentError::NotCovered`] if it exceeds what was signed or falls below the own count; the meter is unchanged then.
    pub fn catch_up(&mut self, consumed: Tokens) -> Result<(), PaymentError> {
        if !consumed.within(self.signed) || !self.consumed.within(consumed) {
            return Err(PaymentError::NotCovered);
        }
        self.consumed = consumed;
        Ok(())
    }

    fn voucher(&self, tokens: Tokens, amount: u128) -> Voucher {
        Voucher {
            channelId: self.channel_id,
            amount,
            model: self.rate.model,
            rateCardVersion: self.rate.version,
            promptTokens: tokens.prompt,
            completionTokens: tokens.completion,
        }
    }

    /// The counters of a voucher that is for this channel and rate.
    fn counters(&self, voucher: &Voucher) -> Result<Tokens, PaymentError> {
        if voucher.channelId != self.channel_id {
            return Err(PaymentError::OtherChannel { found: voucher.channelId, expected: self.channel_id });
        }
        if voucher.model != self.rate.model || voucher.rateCardVersion != self.rate.version {
            return Err(PaymentError::OtherRate { model: self.rate.model, version: self.rate.version });
        }
        Ok(Tokens { prompt: voucher.promptTokens, completion: voucher.completionTokens })
    }

    fn take(&mut self, voucher: &Voucher, tokens: Tokens, needed: Tokens) -> Result<(), PaymentError> {
        if !needed.within(tokens) {
            return Err(PaymentError::TooLittle { needed });
        }
        let expected = self.price(tokens)?;
        if voucher.amount != expected {
            return Err(PaymentError::WrongAmount { found: voucher.amount, expected });
        }
        self.signed = tokens;
        Ok(())
    }

    fn needed(&self, prompt_tokens: u64, max_tokens: u64) -> Result<Tokens, PaymentError> {
        let request = Tokens { prompt: prompt_tokens, completion: max_tokens };
        self.consumed.plus(request).ok_or(PaymentError::OutOfRange)
    }

    fn price(&self, tokens: Tokens) -> Result<u128, PaymentError> {
        let needed = self.rate.cost(tokens).ok_or(PaymentError::OutOfRange)?;
        if needed > self.capacity {
            return Err(PaymentError::Exhausted { needed, capacity: self.capacity });
        }
        Ok(needed)
    }
}

/// Whom to pay and how much: what a contributor says in the `tandem` field of `GET /v1/models` and beside the error of a refused
/// payment. Nothing in it has to be believed: all but the last three can be read from the chain, two of those are bounded by
/// what the client signed, and the last by the length of its prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentTerms {
    /// Chain.
    pub chain_id: u64,
    /// Settlement, where the channel is opened.
    pub settlement: Address,
    /// Subnet to open the channel to.
    pub netuid: u16,
    /// Neuron to open the channel to.
    pub uid: u16,
    /// Owner of that neuron, who earns.
    pub contributor: Address,
    /// The rate that vouchers must name.
    pub rate: Rate,
    /// The contributor's count of what the channel consumed, once it knows the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumed: Option<Tokens>,
    /// The highest counters of a voucher that it accepted on the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Tokens>,
    /// The least counters that a voucher for this very request must name, where one named fewer: how a client without the tokenizer
    /// learns the length of its prompt. To be compared with the text before it is believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed: Option<Tokens>,
}

/// What a stream says when the paid tokens of an answer come to an end: the least voucher that lets it go on. Nothing in it has to
/// be believed: a client that counts the tokens it received computes the same with [`PaymentMeter::top_up`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentDue {
    /// The channel.
    pub channel_id: U256,
    /// Tokens of the answer drawn so far.
    pub drawn: u64,
    /// Tokens of the answer that are covered so far; no further one is drawn.
    pub covered: u64,
    /// Tokens of the answer, from its first one on, that the next voucher must cover at least.
    pub completion_tokens: u64,
    /// The least counters that it must name.
    pub least: Tokens,
    /// The price of these, base units.
    #[serde(with = "crate::api::decimal")]
    pub amount: u128,
    /// How long the contributor waits once all covered tokens are drawn, milliseconds.
    pub within_ms: u64,
}
