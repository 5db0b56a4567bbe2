//! What all sides of Tandem agree on, byte by byte.
//!
//! Keepers, verifier workers, contributors, clients and auditors must compute the same digests, the same reward tree and
//! the same epoch outcome from the same inputs. Everything they share lives here, and nothing here does I/O:
//!
//! * [`messages`]: the EIP-712 messages that travel between the parties, and [`signed`], their signatures;
//! * [`clock`]: epochs and the deadlines inside one;
//! * [`jobs`]: which audits a validator owes in an epoch, a pure function of the beacon;
//! * [`reveal`]: revealed rows of weights and the rules by which one counts;
//! * [`payment`]: what a client signs and a contributor accepts for a response, and [`evidence`], what it gets in return;
//! * [`manifest`]: which network this is, as services read it;
//! * [`tree`]: the cumulative reward tree whose root goes on chain;
//! * [`bundle`]: all inputs and outputs of an epoch in a canonical encoding, content-addressed;
//! * [`outcome`]: the pure function from inputs to outcome that keepers sign and anybody can replay, with [`payout`], the split
//!   by roles;
//! * [`api`]: the JSON that keepers, workers and contributors exchange over HTTP.
//!
//! ```
//! use tandem_protocol::clock::EpochClock;
//!
//! let clock = EpochClock::new(1_700_000_000, 3_600).unwrap();
//! assert_eq!(clock.epoch_at(1_700_003_600), Some(1));
//! assert_eq!(clock.commit_deadline(1), 1_700_000_000 + 2 * 3_600 - 360);
//! ```

pub mod api;
pub mod bundle;
pub mod clock;
pub mod delegation;
pub mod evidence;
pub mod jobs;
pub mod manifest;
pub mod messages;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod outcome;
pub mod payment;
pub mod payout;
pub mod reveal;
pub mod signed;
pub mod tree;

pub use alloy_primitives::{Address, B256, U256};
