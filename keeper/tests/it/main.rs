//! The keeper's tests: pure parts directly, the API over real HTTP with real signatures, the sender and the whole keeper
//! against a real anvil with the real contracts.
#![allow(clippy::unwrap_used, reason = "the lint spares tests, but not the functions that tests share")]

mod agreement;
mod api;
#[cfg(feature = "deep")]
mod api_fuzz;
mod api_hostile;
mod api_reads;
mod chain;
mod config;
mod decide;
mod guard;
mod observability;
#[cfg(feature = "otel")]
mod otel;
mod rows;
mod sender;
mod store;
mod suite;
mod support;
