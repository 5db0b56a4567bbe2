//! The keeper's tests: pure parts directly, the API over real HTTP with real signatures, the sender and the whole keeper
//! against a real anvil with the real contracts.
#![allow(clippy::unwrap_used, reason = "the lint spares tests, but not the functions that tests share")]

mod agree;
mod agreement;
mod api;
#[cfg(feature = "deep")]
mod api_fuzz;
mod api_hostile;
mod api_reads;
mod bundles;
mod chain;
mod chaos;
mod commands;
mod config;
mod decide;
mod fleet;
mod guard;
mod keeper_sets;
mod keys;
#[cfg(feature = "kill-points")]
mod kills;
mod lead;
mod load;
#[path = "../../benches/keeper/load/mod.rs"]
#[allow(dead_code, reason = "what is the program's alone")]
mod measured;
mod observability;
mod on_chain;
mod operate;
#[cfg(feature = "otel")]
mod otel;
mod outages;
mod peers;
mod postgres;
mod row_names;
mod rows;
mod rpc_faults;
mod sender;
mod sender_rules;
mod simulation;
mod store;
mod store_jobs;
mod store_places;
mod suite;
mod support;
mod units;
