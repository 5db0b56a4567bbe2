//! The suite of contracts: its genesis configuration, its addresses and the plan that brings it to a chain.
//!
//! Nothing here talks to a chain. [`Plan::new`] turns a [`GenesisConfig`] into ordered [`Step`]s, each with a
//! [`Check`] that says whether it is done already; whoever sends them (the command line, [`crate::world::World`]) walks
//! the list, skips what is done, and so may be interrupted and started again at any step.

mod address;
mod config;
mod constructors;
mod plan;
mod units;
mod validate;
mod wiring;

pub use address::{
    CREATE2_FACTORY, CREATE2_FACTORY_CODE, Suite, factory_address, factory_init_code, salt_of, suite_address,
};
pub use config::{
    Allocation, Auction, Authorities, Credits, Emission, Epochs, Genesis, GenesisConfig, GenesisSubnet, Governance,
    Hyperparameters, Keepers, Launch, MeshValidator, ModelRate, Pools, Slashing, Staking, Subnets,
};
pub use plan::{ChainFacts, Check, Deployment, Plan, PlanError, Query, Stage, Step};
pub use units::{
    Alpha, Credit, Fraction, QuantityError, Seconds, Tndm, TndmPerAlpha, TndmPerCredit, TndmPerUsdc, Usdc,
    UsdcPerCredit,
};
pub use validate::{ConfigError, Violation};
pub use wiring::{FunctionRole, Role, RoleGrant};
