//! What a contributor says about a response, and how anyone who asked checks that the saying fits the response. Whether the
//! response is what the model computes is another question, which takes the model.
//!
//! `proofsHash` is [`proofs_hash`] over the proofs as they travel, in base64: it is defined for whatever a contributor sends.

use alloy_primitives::{Address, B256};
use alloy_sol_types::Eip712Domain;

use crate::api::CompletionEvidence;
use crate::messages::{ResponseCommitment, proofs_hash, tokens_hash};
use crate::payment::Tokens;
use crate::signed::SignatureError;

/// What the client asked for and of whom.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Hotkey of the neuron, from the registry.
    pub hotkey: Address,
    /// Subnet.
    pub netuid: u16,
    /// Neuron.
    pub uid: u16,
    /// keccak256 of the model's id.
    pub model: B256,
    /// The client's name of the request.
    pub nonce: B256,
    /// Tokens of the prompt, if the client has the tokenizer.
    pub prompt: Option<&'a [u32]>,
    /// Most tokens of an answer that were asked for **and paid**: of a streamed answer that was not paid to its end, what the last
    /// voucher covered ([`PaymentMeter::covered`](crate::payment::PaymentMeter::covered) before the answer is recorded).
    pub max_tokens: u64,
    /// The sampling seed, if the client chose one.
    pub seed: Option<u64>,
    /// Temperature in thousandths.
    pub temperature_milli: u32,
}

/// Evidence that is worthless.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum EvidenceFault {
    /// The hotkey did not sign it.
    #[error("commitment: {0}")]
    Signature(#[from] SignatureError),
    /// A field of the commitment is about something else than the request or the response.
    #[error("the commitment's {0} does not fit")]
    Mismatch(&'static str),
    /// More tokens than were asked for.
    #[error("{found} tokens, at most {asked} were asked for")]
    TooManyTokens {
        /// Tokens answered.
        found: u64,
        /// Tokens asked for.
        asked: u64,
    },
}

/// Checks that the commitment is signed and is about this request and this response; returns the tokens to pay for.
///
/// # Errors
/// The first [`EvidenceFault`].
pub fn check(
    evidence: &CompletionEvidence,
    asked: &Asked<'_>,
    oracle_domain: &Eip712Domain,
) -> Result<Tokens, EvidenceFault> {
    let ResponseCommitment {
        hotkey,
        netuid,
        uid,
        model,
        nonce,
        promptHash,
        outputHash,
        proofsHash,
        seed,
        temperatureMilli,
        speedClass: _,
    } = &evidence.commitment.message;
    evidence.commitment.verify(oracle_domain, asked.hotkey)?;
    let fits = [
        ("hotkey", *hotkey == asked.hotkey),
        ("netuid", *netuid == asked.netuid),
        ("uid", *uid == asked.uid),
        ("model", *model == asked.model),
        ("nonce", *nonce == asked.nonce),
        ("seed", asked.seed.is_none_or(|chosen| chosen == *seed)),
        ("temperature", *temperatureMilli == asked.temperature_milli),
        ("prompt", *promptHash == tokens_hash(&evidence.prompt_tokens)),
        ("prompt", asked.prompt.is_none_or(|prompt| prompt == evidence.prompt_tokens)),
        ("output", *outputHash == tokens_hash(&evidence.output_tokens)),
        ("proofs", *proofsHash == proofs_hash(&evidence.proofs)),
    ];
    if let Some((field, _)) = fits.iter().find(|(_, fits)| !fits) {
        return Err(EvidenceFault::Mismatch(field));
    }
    let found = evidence.output_tokens.len() as u64;
    if found > asked.max_tokens {
        return Err(EvidenceFault::TooManyTokens { found, asked: asked.max_tokens });
    }
    Ok(Tokens { prompt: evidence.prompt_tokens.len() as u64, completion: found })
}
