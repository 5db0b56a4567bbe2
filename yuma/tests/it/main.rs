//! Behaviour of the consensus engine.
#![allow(clippy::unwrap_used, reason = "the lint spares tests, but not the functions that tests share")]

mod cases;
mod differential;
mod explain;
mod input;
mod many;
mod median;
mod payout;
mod plain;
mod profiles;
mod properties;
mod published;
mod vectors;
