//! Behaviour of the consensus engine.
#![allow(clippy::unwrap_used, reason = "the lint spares tests, but not the functions that tests share")]

mod cases;
mod differential;
mod explain;
#[cfg(feature = "cli")]
mod fuzz;
mod input;
mod many;
mod median;
mod memory;
mod numbers;
mod payout;
mod plain;
mod profiles;
mod properties;
mod published;
#[cfg(feature = "cli")]
mod targets;
#[cfg(feature = "cli")]
mod tool;
mod vectors;
