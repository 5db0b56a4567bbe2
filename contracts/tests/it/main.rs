//! The suite as it is deployed, in an in-process EVM.

mod artifacts;
mod config;
mod credits;
mod deployment;
mod law;
mod support;
mod units;
