//! The keeper's tests: pure parts directly, the API over real HTTP with real signatures, the sender and the whole keeper
//! against a real anvil with the real contracts.
#![allow(clippy::unwrap_used, reason = "the lint spares tests, but not the functions that tests share")]

mod agree;
mod agreement;
mod api;
mod chain;
mod config;
mod decide;
mod guard;
mod lead;
mod on_chain;
mod postgres;
mod rows;
mod rpc_faults;
mod sender;
mod sender_rules;
mod simulation;
mod store;
mod store_places;
mod suite;
mod support;
