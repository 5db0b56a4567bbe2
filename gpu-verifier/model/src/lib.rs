//! Language models that prove what they computed: everything of verified inference that knows no network. `tandem-verifier`
//! shows these modules as its own; they are a crate by themselves because this one is optimised in every profile.
//!
//! - [`model`] reads `config.json`, safetensors and `tokenizer.json`, and trusts none of them.
//! - [`backend`] turns tokens into hidden states and logits; the CPU one is exact: same bits whatever the machine, the
//!   number of threads or the way tokens are batched.
//! - [`sampling`] draws the next token with a counter-based generator, so that a verifier can draw it again.
//! - [`generate`] decodes and proves; [`verify`] re-runs one prefill and measures, [`audit`] being the part of it that a
//!   device can do by itself.
//! - [`testmodel`] writes small models with seeded random weights.

pub mod audit;
pub mod backend;
pub mod commitment;
pub mod generate;
pub mod model;
pub mod numeric;
pub mod sampling;
pub mod testmodel;
pub mod verify;
