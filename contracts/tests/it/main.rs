//! The suite as it is deployed, in an in-process EVM.

#![allow(clippy::unwrap_used, reason = "the lint spares tests, but not the functions that tests share")]

mod artifacts;
mod authority;
mod book;
mod config;
mod credits;
mod deployment;
mod differential;
mod indexer;
mod law;
mod model;
mod scenarios;
mod support;
mod trace;
mod units;
