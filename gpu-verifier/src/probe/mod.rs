//! Requests that look like anybody's: text, length, temperature, seed and form are drawn from private randomness.
//!
//! A contributor that recognises audits serves them alone. What it could go by, and what is done about it:
//! - *the text*: from the operator's own file of prompts, or written by the model itself ([`prompts`]); no list in this
//!   repository is ever sent as it stands;
//! - *the form of the request*: keys in the order of the common client libraries, what they leave out left out, their headers,
//!   the same on one channel (`Client`);
//! - *who pays*: a channel like any other. The payer's address is public, and who watches where its credits come from may guess
//!   whose it is. Fund it like a user, and change it from time to time.

#[cfg(feature = "network")]
mod client;
mod openings;
pub mod prompts;

use rand::Rng;
use rand::seq::IndexedRandom as _;
use serde_json::Map;
use thiserror::Error;

use crate::model::{ChatError, Message, Role, Text, TextError};

#[cfg(feature = "network")]
pub use client::Client;
pub use openings::opening;

/// What a probe asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Text to go on from.
    pub prompt: String,
    /// Longest answer, tokens.
    pub max_tokens: u64,
    /// Temperature in thousandths; left to the default if none.
    pub temperature_milli: Option<u32>,
    /// Sampling seed; most people do not care.
    pub seed: Option<u64>,
    /// Asked as a user in a conversation, not as a text to go on from.
    pub chat: bool,
    /// Whether the answer is to come piece by piece.
    pub stream: bool,
}

/// Why a probe has no tokens.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// The tokenizer failed.
    #[error("tokenizer: {0}")]
    Text(TextError),
    /// The chat template failed.
    #[error(transparent)]
    Chat(#[from] ChatError),
}

/// Longest conversation that is rendered, bytes; the longest prompt is a fraction of it.
const CHAT_BYTES: usize = 1 << 20;
/// Lengths that clients ask for.
const LENGTHS: [u64; 8] = [16, 24, 32, 40, 48, 64, 80, 100];
/// Temperatures that clients ask for, thousandths; greedy answers show least.
const TEMPERATURES: [Option<u32>; 8] = [Some(0), Some(300), Some(700), Some(700), Some(800), Some(1000), None, None];
/// What the API takes a missing temperature for.
const DEFAULT_TEMPERATURE_MILLI: u32 = 1000;

impl Probe {
    /// Draws a probe of at most `max_tokens` (at least 1) about `prompt`; `chats` says whether the model has a chat template.
    pub fn draw(random: &mut impl Rng, prompt: String, max_tokens: u64, chats: bool) -> Self {
        Self {
            prompt,
            max_tokens: (*LENGTHS.choose(random).unwrap_or(&16)).min(max_tokens).max(1),
            temperature_milli: TEMPERATURES.choose(random).copied().flatten(),
            seed: random.random_ratio(1, 3).then(|| random.random_range(0..1 << 31)),
            chat: chats && random.random_ratio(2, 3),
            stream: random.random(),
        }
    }

    /// The temperature that the answer is drawn with, thousandths.
    pub fn temperature_drawn(&self) -> u32 {
        self.temperature_milli.unwrap_or(DEFAULT_TEMPERATURE_MILLI)
    }

    /// Path of the endpoint that is asked.
    pub const fn path(&self) -> &'static str {
        if self.chat { "/v1/chat/completions" } else { "/v1/completions" }
    }

    /// The prompt's tokens, cut to fit a model of `max_positions` together with the answer. Cutting text, not tokens: what is
    /// sent is text, and the contributor must find the same tokens.
    ///
    /// # Errors
    /// The tokenizer's or the chat template's own message.
    pub fn fit(&mut self, text: &Text, max_positions: usize) -> Result<Vec<u32>, ProbeError> {
        let room = max_positions.saturating_sub(self.max_tokens as usize).max(1);
        loop {
            let tokens = self.tokens(text)?;
            if tokens.len() <= room || self.prompt.is_empty() {
                return Ok(tokens);
            }
            self.prompt.truncate(self.prompt.floor_char_boundary(self.prompt.len() / 2));
        }
    }

    fn tokens(&self, text: &Text) -> Result<Vec<u32>, ProbeError> {
        if !self.chat {
            return text.encode(&self.prompt).map_err(ProbeError::Text);
        }
        let message = Message { role: Role::User, content: self.prompt.clone() };
        Ok(text.encode_chat(&[message], &Map::new(), CHAT_BYTES)?)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn probes_differ_in_everything_that_a_client_may_choose() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let probes: Vec<Probe> = (0..200).map(|_| Probe::draw(&mut random, "Hello".to_owned(), 64, true)).collect();
        assert!(probes.iter().all(|probe| (1..=64).contains(&probe.max_tokens)));
        let some = |what: fn(&Probe) -> bool| probes.iter().filter(|probe| what(probe)).count();
        for count in [
            some(|probe| probe.seed.is_none()),
            some(|probe| probe.seed.is_some()),
            some(|probe| probe.temperature_milli.is_none()),
            some(|probe| probe.temperature_milli == Some(0)),
            some(|probe| probe.max_tokens == 16),
            some(|probe| probe.chat && probe.stream),
            some(|probe| !probe.chat && !probe.stream),
        ] {
            assert!((10..190).contains(&count), "{count}");
        }
    }
}
