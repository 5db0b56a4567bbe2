//! Tests of verified inference: exact arithmetic, honest and dishonest responses, hostile files, the command line.
#![allow(clippy::unwrap_used, reason = "a failed unwrap in a helper is a failed test")]

mod arithmetic;
mod attacks;
mod calibrate;
#[cfg(feature = "cuda")]
mod cards;
mod chat_files;
mod cheats;
mod command_line;
mod common;
#[cfg(feature = "network")]
mod desk;
mod evidence;
mod files;
mod golden;
#[cfg(feature = "network")]
mod leases;
mod lm;
#[cfg(feature = "network")]
mod node;
#[cfg(feature = "network")]
mod node_hostile;
#[cfg(feature = "network")]
mod node_stream;
#[cfg(all(feature = "network", feature = "deep"))]
mod openai_client;
mod proofs_of_files;
mod published;
mod reference;
#[cfg(feature = "network")]
mod rpc;
#[path = "../shared/mod.rs"]
mod shared;
mod sharing;
mod speech;
#[cfg(feature = "network")]
mod sse;
mod stream;
#[cfg(feature = "network")]
mod town;
mod verdict;
#[cfg(feature = "network")]
mod vllm;
#[cfg(feature = "network")]
mod worker;
