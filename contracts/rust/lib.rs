//! Everything Rust needs to know of the Tandem contract suite.
//!
//! The build script compiles `contracts/src` once; from that one compilation come
//!
//! - [`bindings`]: typed calls, events and errors of every deployable contract,
//! - [`artifacts`]: bytecode, to compare deployed code with (immutables masked) and to verify sources with,
//! - [`suite`]: the genesis configuration and the ordered plan that deploys, wires and hands over a suite,
//! - [`grants`]: the one event that is packed, in words,
//! - [`world`]: an in-process EVM in which a suite lives, for tests and for simulating a plan before it is sent,
//! - [`decode_revert`]: revert data in words.
//!
//! ```
//! use tandem_contracts::{suite::GenesisConfig, world::World};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut world = World::new();
//! let deployer = world.account("deployer");
//! let mut config = GenesisConfig::devnet();
//! world.populate(&mut config); // keepers, owners, authorities: accounts of this world
//! let plan = world.deploy(&mut config, deployer)?;
//! assert!(!world.code(plan.suite.tandem_token).is_empty());
//! # Ok(())
//! # }
//! ```

pub mod artifacts;
pub mod grants;
mod revert;
pub mod suite;
pub mod world;

pub use revert::{decode_revert, revert_name};

/// Typed bindings, one module per contract (its name in snake case), each contract re-exported here.
///
/// Value types and enums of the Solidity are plain integers (`Netuid` is `u16`, `RewardKind` is `u8`). A struct lives in
/// the module of the contract that speaks it, under the interface that declares it:
/// `bindings::settlement::ISettlement::Voucher`.
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "written by alloy's sol! from the compiler's output")]
pub mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}
