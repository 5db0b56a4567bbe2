//! What the command `yuma` is made of: reading an epoch from JSON, writing what it decides, the attack lab.
//!
//! Only with the feature `cli`, which needs the standard library; the engine knows nothing of it.

pub mod attacks;
mod input;
mod output;
mod refusal;

pub use input::{Case, MAX_BYTES, MAX_CELLS, MAX_UIDS};
pub use output::{Stories, epoch_json, explain};
pub use refusal::{Code, Refusal};

/// The epoch by which the help and the book teach the tool.
pub const EXAMPLE: &str = include_str!("example.json");
