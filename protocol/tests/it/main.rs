//! What all sides agree on, held against second implementations, hostile input and frozen bytes.
#![allow(clippy::unwrap_used, reason = "the lint spares tests, but not the functions that tests share")]

mod api;
mod bundle;
mod carry;
mod clock;
mod eip712;
mod jobs;
mod outcome;
mod payment;
mod payout;
mod reveal;
mod rewards;
mod signatures;
mod support;
