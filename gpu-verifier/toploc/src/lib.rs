//! TOPLOC proofs of inference: a strict parser, a builder and a tie-aware verifier.
//!
//! A contributor that serves a language model commits to the final hidden states of what it decoded: for every block of
//! 32 rows it takes the 128 elements largest by magnitude, draws the one polynomial over GF(65497) through the points
//! (flat index, bf16 bits), and publishes its coefficients: 258 bytes per block. A verifier recomputes the hidden
//! states with one prefill, picks its *own* largest elements, and compares what the polynomial says there.
//!
//! Proofs are byte for byte those of the Python library `toploc` 0.1.6 (with `skip_prefill=True`) for the same set of
//! elements; the check is stricter than that library's: malformed proofs are refused before any arithmetic, ties at the
//! boundary of the top-k cannot hurt an honest prover, signs are compared, and *decoys* catch polynomials that say
//! "something large" everywhere. All arithmetic is exact, on whole numbers, so every machine agrees.
//!
//! ```
//! use toploc::{Activations, Params, Thresholds};
//!
//! // 40 rows of 64 bf16 values, as raw bits.
//! let bits: Vec<u16> = (0..40 * 64u32).map(|i| 0x3f00 + (i.wrapping_mul(2_654_435_761) >> 23) as u16).collect();
//! let activations = Activations::new(&bits, 64)?;
//! let params = Params::default();
//!
//! let proofs: Vec<String> = toploc::build(activations, params)?.iter().map(toploc::Proof::to_base64).collect();
//! assert_eq!(proofs.len(), 2);
//!
//! let reports = toploc::verify_base64(activations, &proofs, params)?;
//! assert!(reports.iter().all(|report| Thresholds::default().judge(report).is_empty()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod activations;
mod build;
mod field;
mod judge;
mod proof;
mod select;
mod selection;
mod verify;

pub use activations::{ActivationError, Activations, Params};
pub use build::{BuildError, build, build_block, build_from_indices};
pub use field::PRIME;
pub use judge::{Fault, Thresholds};
pub use proof::{MIN_MODULUS, ParseError, Proof};
pub use selection::{Element, Question, Selection};
pub use verify::{BlockReport, DECOYS, NO_MATCH, VerifyError, verify, verify_base64, verify_block};
