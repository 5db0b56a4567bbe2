//! Where the contracts of a suite lie: the factory by CREATE2, everything else by the factory's CREATE3.

use alloy::{
    primitives::{Address, B256, Bytes, address, b256, hex, keccak256},
    sol_types::SolValue,
};
use serde::{Deserialize, Serialize};

use crate::bindings::SuiteFactory;

/// The CREATE2 factory that lies at the same address on every chain
/// (<https://github.com/Arachnid/deterministic-deployment-proxy>): its calldata is a salt and then initcode.
pub const CREATE2_FACTORY: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");

/// Its runtime code.
pub const CREATE2_FACTORY_CODE: [u8; 69] = hex!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe036016000"
    "81602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);

/// Salt of the suite factory; no other suite needs another one.
const FACTORY_SALT: B256 = B256::ZERO;

/// keccak256 of the initcode of OpenZeppelin's Create3 proxy.
const PROXY_INIT_CODE_HASH: B256 = b256!("57a34f6e879358dd76825d6700df87013ad6a3fb43c0d0c602f70a8772c153bd");

macro_rules! suite {
    ($($(#[$doc:meta])* $field:ident: $contract:literal),* $(,)?) => {
        /// The addresses of one suite; in JSON by the names of the contracts.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Suite {
            $($(#[$doc])* #[serde(rename = $contract)] pub $field: Address,)*
        }

        impl Suite {
            fn from_names(mut address_of: impl FnMut(&str) -> Address) -> Self {
                Self { $($field: address_of($contract),)* }
            }

            /// Each contract's name, as in Solidity, and its address. The name of the stablecoin is `USDC`.
            pub fn contracts(&self) -> Vec<(&'static str, Address)> {
                vec![$(($contract, self.$field),)*]
            }
        }
    };
}

suite! {
    /// Deploys the others.
    suite_factory: "SuiteFactory",
    /// The chain's stablecoin; a test one on local chains.
    usdc: "USDC",
    /// Who may call what, in the whole suite.
    tandem_access: "TandemAccess",
    /// The governance timelock, sole admin after the hand-over.
    tandem_timelock: "TandemTimelock",
    /// TNDM.
    tandem_token: "TandemToken",
    /// CREDIT.
    compute_credit: "ComputeCredit",
    /// Sells and redeems credits.
    credit_desk: "CreditDesk",
    /// Channels and vouchers.
    settlement: "Settlement",
    /// Prices of models.
    rate_card: "RateCard",
    /// Creates alpha tokens.
    alpha_factory: "AlphaFactory",
    /// Pools and the alpha vault.
    alpha_pools: "AlphaPools",
    /// Swaps in more ways; holds nothing.
    alpha_router: "AlphaRouter",
    /// Sells revenue for TNDM and burns it.
    burn_auction: "BurnAuction",
    /// Subnets and neurons.
    subnet_registry: "SubnetRegistry",
    /// Stake.
    staking: "Staking",
    /// The law of emission.
    emission_controller: "EmissionController",
    /// The ratios that the network is steered by.
    network_health: "NetworkHealth",
    /// Gaps between blocks, which extend deadlines.
    outages: "Outages",
    /// Keepers.
    keeper_set: "KeeperSet",
    /// Epoch reports.
    epoch_oracle: "EpochOracle",
    /// Claims.
    reward_distributor: "RewardDistributor",
    /// Commits of weights that no keeper can refuse.
    weight_commits: "WeightCommits",
    /// Proofs of double signing.
    slashing: "Slashing",
    /// Mesh, token, markets.
    launch_gate: "LaunchGate",
    /// Vesting genesis TNDM.
    genesis_allocation: "GenesisAllocation",
    /// TNDM for those who served in the mesh phase.
    airdrop: "Airdrop",
    /// Votes of TNDM, wherever it lies.
    tandem_votes: "TandemVotes",
    /// Proposes to the timelock once the token is open.
    tandem_governor: "TandemGovernor",
}

impl Suite {
    /// Predicts the suite of this name that `deployer` deploys, the same on every chain, with the given stablecoin or,
    /// if `None`, the test USDC that the suite brings on local chains.
    pub fn predict(suite: &str, deployer: Address, usdc: Option<Address>) -> Self {
        Self::from_names(|contract| match contract {
            "SuiteFactory" => factory_address(),
            "USDC" => usdc.unwrap_or_else(|| suite_address(deployer, salt_of(suite, "TestUSDC"))),
            _ => suite_address(deployer, salt_of(suite, contract)),
        })
    }

    /// The address of the contract of this name.
    pub fn address_of(&self, contract: &str) -> Option<Address> {
        self.contracts().into_iter().find(|(name, _)| *name == contract).map(|(_, address)| address)
    }
}

/// What is sent to [`CREATE2_FACTORY`] to deploy the suite factory: its salt and its initcode.
pub fn factory_init_code() -> Bytes {
    [FACTORY_SALT.as_slice(), &SuiteFactory::BYTECODE].concat().into()
}

/// Where the suite factory lies on every chain.
pub fn factory_address() -> Address {
    CREATE2_FACTORY.create2_from_code(FACTORY_SALT, &SuiteFactory::BYTECODE)
}

/// The salt of a contract in the suite of this name.
pub fn salt_of(suite: &str, contract: &str) -> B256 {
    keccak256(format!("{suite}/{contract}"))
}

/// Where `SuiteFactory.deploy(salt, …)` called by `deployer` puts a contract: CREATE3 with the salt bound to the caller.
pub fn suite_address(deployer: Address, salt: B256) -> Address {
    let bound = keccak256((deployer, salt).abi_encode());
    factory_address().create2(bound, PROXY_INIT_CODE_HASH).create(1)
}
