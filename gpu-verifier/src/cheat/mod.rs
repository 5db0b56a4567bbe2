//! Contributors that cheat, for test networks and for measuring what verification catches; and [honest ones](Machine) whose
//! arithmetic is another's, for measuring what it catches wrongly.
//!
//! Each is an [`Engine`] and so sits behind the same node as an honest one. A cheat does what somebody would who wants to be
//! paid for less: its proofs are drawn through its own hidden states, its tokens at the positions and with the seed that were
//! asked for, unless that is the very thing that it cheats with.
//!
//! ```
//! use tandem_verifier::cheat::{self, Cheat, Materials};
//! # use tandem_verifier::{backend::{self, Backend as _}, engine::{Engine as _, Next}, generate, model::ModelFiles, testmodel};
//! # let dir = std::env::temp_dir().join(format!("tandem-cheat-doc-{}", std::process::id()));
//! # testmodel::write(&dir, 1, testmodel::Size::Full)?;
//! let files = ModelFiles::open(&dir)?;
//! let options = backend::Options::default();
//! let cheat = cheat::build(Cheat::Int4Weights, &Materials { files: &files, options: &options, other: None })?;
//! let request = generate::Request { prompt: vec![256, 72, 105], max_tokens: 8, seed: 7, temperature: 1.0 };
//! let answer = cheat.answer(&request, &mut |_| Next::Continue)?;
//! # assert_eq!(answer.proofs.len(), 1);
//! # std::fs::remove_dir_all(&dir)?;
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```

mod answers;
mod decode;
mod forge;
mod machine;
mod quantise;

use std::sync::Arc;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::backend::cpu::{CpuBackend, Quirks};
use crate::backend::{self, Backend, Options};
use crate::engine::{Engine, EngineError};
use crate::model::{ModelError, ModelFiles, TextError};
use answers::Prover;

pub use machine::Machine;

/// Of how many responses [`Cheat::Rarely`] cheats in one, on average.
pub const RARELY: u64 = 16;

/// Makes the enumeration and the list of its members from one table.
macro_rules! catalogue {
    ($(#[doc = $what:literal] $name:ident,)+) => {
        /// A way to be paid for less than what was sold. Names are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
        #[serde(rename_all = "kebab-case")]
        pub enum Cheat {
            $(#[doc = $what] $name,)+
        }

        impl Cheat {
            /// All of them, in the order of their chapters: the model, what it is fed, the end, the draw, answers, proofs, signatures.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// One line on what it does.
            pub fn describe(self) -> &'static str {
                match self {
                    $(Self::$name => $what.trim_ascii(),)+
                }
            }
        }
    };
}

catalogue! {
    /// Runs a smaller model with the same tokenizer.
    SmallerModel,
    /// Weights in int8, one scale per output.
    Int8Weights,
    /// Weights in int4, one scale per 128 inputs.
    Int4Weights,
    /// Weights in fp8 (e4m3), one scale per matrix.
    Fp8Weights,
    /// Keys and values in fp8 (e4m3), unscaled.
    Fp8Kv,
    /// Keys and values in int8, one scale per vector.
    Int8Kv,
    /// Keys and values in int4, one scale per 32 elements.
    Int4Kv,
    /// Puts a hidden instruction before the prompt.
    SystemPrompt,
    /// Feeds the last half of the prompt only.
    TruncatedContext,
    /// Breaks the answer off at half its length.
    EarlyStop,
    /// Ends the answer at half its length with a token that the model did not draw.
    FalseEnd,
    /// Goes on after the token that ends the answer.
    Padding,
    /// Draws another token wherever the model wants to end the answer.
    SuppressedEnd,
    /// Takes the likeliest token, whatever the temperature.
    Greedy,
    /// Draws at a temperature higher by a half.
    Hot,
    /// Draws with a seed of its own and names the one that was asked for.
    OtherSeed,
    /// Draws with several seeds, keeps the shortest answer and names its seed.
    BestOfSeeds,
    /// A smaller model draws, the asked one computes the proofs in one prefill.
    SmallDecodesBigPrefills,
    /// A smaller model proposes; the asked one keeps whatever is not far below its own choice.
    LenientDraft,
    /// The same answer for every request.
    CopiedAnswer,
    /// A smaller model answers, the proofs are those of an earlier, true answer.
    CopiedProofs,
    /// Runs no model, or a smaller one if there is one; every proof says the same typical value everywhere.
    ConstantPolynomial,
    /// As constant-polynomial, but proofs go through the means of the largest dimensions.
    StaticOutlierPolynomial,
    /// As constant-polynomial, with a modulus that folds all indices into one.
    ModulusOne,
    /// Every proof is the record that the Python library writes when it fails.
    NullProof,
    /// Proofs of half the length.
    ShortProof,
    /// Proofs of twice the length.
    LongProof,
    /// One proof too few.
    MissingProof,
    /// One proof too many.
    ExtraProof,
    /// Proofs with a coefficient not below the prime.
    NonCanonicalProof,
    /// Proofs that say of everything that it is no number.
    NanBits,
    /// Signs under the name of an accomplice.
    Replay,
    /// Signs under the nonce of the request before.
    StaleNonce,
    /// Weights in int4 in one response of sixteen; honest in the others.
    Rarely,
}

impl Cheat {
    /// Its name on the command line and in tables: lower case with hyphens.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether it takes a smaller model. Some others use one where there is one.
    pub fn needs_other(self) -> bool {
        matches!(self, Self::SmallerModel | Self::SmallDecodesBigPrefills | Self::LenientDraft | Self::CopiedProofs)
    }

    /// Whether tokens and proofs are honest, and it only lies in what it signs: nothing that
    /// [`verify_response`](crate::verify::verify_response) could see.
    pub fn only_signs(self) -> bool {
        matches!(self, Self::Replay | Self::StaleNonce)
    }
}

/// What a cheat is made of.
#[derive(Clone, Copy, Debug)]
pub struct Materials<'a> {
    /// The model that it is paid for.
    pub files: &'a ModelFiles,
    /// How it runs models.
    pub options: &'a Options,
    /// A cheaper model with the same tokenizer.
    pub other: Option<&'a ModelFiles>,
}

/// Why a cheat cannot be made.
#[derive(Debug, Error)]
pub enum CheatError {
    /// A model cannot be loaded.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Nothing to be cheaper with.
    #[error("{} takes a smaller model", .0.name())]
    NoOther(Cheat),
    /// The smaller model has another vocabulary.
    #[error("{} takes a model with the vocabulary of the other: {own} tokens, not {other}", cheat.name())]
    Vocabulary {
        /// The cheat.
        cheat: Cheat,
        /// Tokens of the model that is paid for.
        own: usize,
        /// Tokens of the smaller one.
        other: usize,
    },
    /// The text of a hidden instruction has no tokens.
    #[error("the tokenizer: {0}")]
    Tokenizer(TextError),
    /// What is to be measured in advance cannot be.
    #[error(transparent)]
    Measure(#[from] EngineError),
}

/// Makes a cheat. Whatever it prepares in advance is computed here.
///
/// # Errors
/// [`CheatError`].
pub fn build(cheat: Cheat, materials: &Materials<'_>) -> Result<Box<dyn Engine>, CheatError> {
    let Materials { files, options, other } = *materials;
    let config = files.config().clone();
    if let Some(other) = other.map(ModelFiles::config)
        && other.vocab_size != config.vocab_size
    {
        return Err(CheatError::Vocabulary { cheat, own: config.vocab_size, other: other.vocab_size });
    }
    let honest = || backend::open(files, options);
    let with_cache = |quirk: fn(&mut [f32])| -> Result<Arc<dyn Backend>, ModelError> {
        let quirks = Quirks { cache: Some(quirk), ..Quirks::default() };
        Ok(Arc::new(CpuBackend::load_with(files, options, quirks)?))
    };
    let int4 = || backend::open(&quantise::int4_weights(files)?, options);
    let small = || backend::open(other.ok_or(CheatError::NoOther(cheat))?, options).map_err(CheatError::from);
    let forger = |forge| -> Result<_, CheatError> {
        let cheap = other.map(|other| backend::open(other, options)).transpose()?;
        Ok(answers::forged(cheap, config.clone(), forge::Measured::new(honest()?.as_ref())?, forge))
    };

    let cheater = match cheat {
        Cheat::SmallerModel => answers::truly(small()?),
        Cheat::Int8Weights => answers::truly(backend::open(&quantise::int8_weights(files)?, options)?),
        Cheat::Int4Weights => answers::truly(int4()?),
        Cheat::Fp8Weights => answers::truly(backend::open(&quantise::fp8_weights(files)?, options)?),
        Cheat::Fp8Kv => answers::truly(with_cache(quantise::fp8_cache)?),
        Cheat::Int8Kv => answers::truly(with_cache(quantise::int8_cache)?),
        Cheat::Int4Kv => answers::truly(with_cache(quantise::int4_cache)?),
        Cheat::SystemPrompt => {
            let hidden = files.tokenizer()?.encode(answers::INSTRUCTION).map_err(CheatError::Tokenizer)?;
            answers::fed_otherwise(honest()?, move |prompt| answers::after(&hidden, prompt))
        }
        Cheat::TruncatedContext => answers::fed_otherwise(honest()?, |prompt| prompt[prompt.len() / 2..].to_vec()),
        Cheat::EarlyStop => answers::cut(honest()?, None),
        Cheat::FalseEnd => answers::cut(honest()?, config.eos_token_ids.first().copied()),
        Cheat::Padding => answers::longer(honest()?, false),
        Cheat::SuppressedEnd => answers::longer(honest()?, true),
        Cheat::Greedy => answers::drawn_otherwise(honest()?, |request| request.temperature = 0.0),
        Cheat::Hot => answers::drawn_otherwise(honest()?, |request| {
            request.temperature = (request.temperature + 0.5).min(crate::sampling::MAX_TEMPERATURE);
        }),
        Cheat::OtherSeed => {
            answers::drawn_otherwise(honest()?, |request| request.seed = answers::another(request.seed))
        }
        Cheat::BestOfSeeds => answers::best_of_seeds(honest()?),
        Cheat::SmallDecodesBigPrefills => answers::small_decodes_big_prefills(small()?, honest()?),
        Cheat::LenientDraft => answers::lenient_draft(small()?, honest()?),
        Cheat::CopiedAnswer => answers::copied_answer(honest()?),
        Cheat::CopiedProofs => answers::copied_proofs(small()?, honest()?),
        Cheat::ConstantPolynomial => forger(Prover::Constant)?,
        Cheat::StaticOutlierPolynomial => forger(Prover::StaticOutliers)?,
        Cheat::ModulusOne => forger(Prover::ModulusOne)?,
        Cheat::NullProof
        | Cheat::ShortProof
        | Cheat::LongProof
        | Cheat::MissingProof
        | Cheat::ExtraProof
        | Cheat::NonCanonicalProof
        | Cheat::NanBits => answers::damaged(honest()?, cheat),
        Cheat::Replay => answers::replay(honest()?),
        Cheat::StaleNonce => answers::stale_nonce(honest()?),
        Cheat::Rarely => answers::rarely(honest()?, int4()?),
    };
    Ok(Box::new(cheater.pretending(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stable_distinct_and_described() {
        let names: Vec<String> = Cheat::ALL.iter().map(|cheat| cheat.name()).collect();
        for (name, cheat) in names.iter().zip(Cheat::ALL) {
            assert_eq!(Cheat::from_str(name, false), Ok(*cheat));
            assert_eq!(serde_json::to_value(cheat).unwrap(), serde_json::Value::from(name.as_str()));
            assert!(cheat.describe().ends_with('.') && cheat.describe().len() < 110, "{name}");
        }
        assert_eq!(names.len(), 34);
        for name in ["smaller-model", "int4-weights", "fp8-kv", "constant-polynomial", "static-outlier-polynomial"] {
            assert!(names.iter().any(|found| found == name), "{name}");
        }
    }
}
