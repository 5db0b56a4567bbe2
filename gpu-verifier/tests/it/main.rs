//! Tests of verified inference: exact arithmetic, honest and dishonest responses, hostile files, the command line.
#![allow(clippy::unwrap_used, reason = "a failed unwrap in a helper is a failed test")]

mod arithmetic;
mod attacks;
mod calibrate;
mod cheats;
mod command_line;
mod common;
mod evidence;
mod files;
mod golden;
mod lm;
#[cfg(feature = "network")]
mod node;
mod proofs_of_files;
mod published;
mod reference;
#[cfg(feature = "network")]
mod rpc;
#[cfg(feature = "network")]
mod town;
mod verdict;
#[cfg(feature = "network")]
mod worker;
