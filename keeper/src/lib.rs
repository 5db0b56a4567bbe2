//! The Tandem keeper.
//!
//! A keeper hands out audits to validators' workers, takes in their commits and rows of weights, agrees with the other
//! keepers on the list of rows that count, computes the epoch, signs its report once, and sends it to the chain when a
//! quorum has signed the same. It owns nothing: the chain is the truth, its database a cache of what others said.
//!
//! ```text
//!   chain ──▶ collectors ──▶ view ──▶ decide ──▶ actions ──▶ executors ──▶ chain, store, peers
//!   peers ──▶ (keeper::collect)       (pure)                 (keeper::act)
//!   store ──▶
//! ```
//!
//! * [`chain`] reads, [`sender`] writes, both behind traits;
//! * [`rows`], [`agree`], [`inputs`] and [`decide`] are pure: which rows count, which list of them is agreed on, what an
//!   epoch is computed from, what to do next;
//! * of several processes that share a store, [`lead`] says which one acts;
//! * [`store`], [`guard`] and [`bundles`] remember; [`attester`] holds the key and signs reports only past the guard;
//! * [`api`] serves workers, validators, peers and claimants; [`peers`] asks the other keepers the same questions;
//! * [`replay`] recomputes a posted epoch from public data, [`watch`] every one;
//! * [`config`] reads what an operator wrote, [`keys`] reaches keys wherever they are, [`commands`] is the program.
//!
//! Whose turn it is follows from the keeper set and the epoch alone:
//!
//! ```
//! use alloy_primitives::{Address, B256};
//! use tandem_keeper::{chain::KeeperSetFacts, rows::{proposer, turn_of}};
//!
//! let keepers = vec![Address::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(3)];
//! let set = KeeperSetFacts { keepers, endpoints: vec![String::new(); 3], threshold: 3, config_digest: B256::ZERO };
//! let first = proposer(&set, 7, 0).unwrap();
//! assert_eq!(turn_of(&set, 7, first), Some(0));
//! assert_eq!(proposer(&set, 7, 3), Some(first));
//! ```

pub mod agree;
pub mod api;
pub mod attester;
pub mod bundles;
pub mod chain;
pub mod claims;
pub mod commands;
pub mod config;
pub mod decide;
pub mod guard;
pub mod inputs;
pub mod keeper;
pub mod keys;
pub mod kill;
pub mod lead;
pub mod network;
pub mod peers;
pub mod replay;
pub mod rows;
pub mod sender;
pub mod service;
mod sqlite;
pub mod store;
pub mod telemetry;
pub mod watch;
