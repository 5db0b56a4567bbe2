//! Verified inference: run a language model, commit to its hidden states, and check what others committed to.
//!
//! From the bottom up, up to [`verify`] and with [`testmodel`] in the crate `tandem-model`:
//! - [`model`] reads `config.json`, safetensors and `tokenizer.json`, and trusts none of them.
//! - [`backend`] turns tokens into hidden states and logits; the CPU one is exact: same bits whatever the machine, the
//!   number of threads or the way tokens are batched.
//! - [`sampling`] draws the next token with a counter-based generator, so that a verifier can draw it again.
//! - [`generate`] decodes and proves; [`verify`] re-runs one prefill and measures; [`verdict`] judges measurements.
//! - [`engine`] is what answers: a model, or one of the [`cheat`]s that verification is measured with.
//! - [`trial`] asks an engine many things that worker's [`probe`]s ask and measures its answers; [`calibration`] turns that
//!   into limits and tests with stated error rates, by [`stats`] and [`sequential`] sums of evidence.
//! - [`testmodel`] writes small models with seeded random weights.
//!
//! With the feature `network` (on by default):
//! - `reference` checks tokens through a vLLM-compatible server;
//! - `chain` reads prices, neurons and channels, opens channels and settles vouchers;
//! - `node` serves completions that are paid by voucher and proved; `worker` audits those who do, and weighs them.
//!
//! ```
//! use tandem_verifier::{backend, generate, model::ModelFiles, testmodel, verdict, verify};
//!
//! # let dir = std::env::temp_dir().join(format!("tandem-verifier-doc-{}", std::process::id()));
//! testmodel::write(&dir, 1, testmodel::Size::Full)?;
//! let files = ModelFiles::open(&dir)?;
//! let backend = backend::open(&files, &backend::Options::default())?;
//! let tokenizer = files.tokenizer()?;
//!
//! let prompt = tokenizer.encode("Once upon a time")?;
//! let request = generate::Request { prompt, max_tokens: 40, seed: 7, temperature: 1.0 };
//! let answer = generate::run(backend.as_ref(), &request)?;
//!
//! let claim = verify::Claim { request: &request, output: &answer.output, proofs: &answer.proofs };
//! let features = verify::verify_response(backend.as_ref(), &claim)?;
//! assert_eq!(verdict::Policy::default().judge(&features), verdict::ResponseVerdict::Pass);
//! # std::fs::remove_dir_all(&dir)?;
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```

pub mod calibration;
#[cfg(feature = "network")]
pub mod chain;
pub mod cheat;
pub mod engine;
pub mod evidence;
#[cfg(feature = "network")]
pub mod node;
pub mod probe;
#[cfg(feature = "network")]
pub mod reference;
pub mod sequential;
#[cfg(feature = "network")]
pub mod service;
pub mod stats;
pub mod trial;
pub mod verdict;
#[cfg(feature = "network")]
pub mod worker;

pub use tandem_model::{audit, backend, commitment, generate, model, numeric, sampling, testmodel, verify};
