//! The ordered steps that bring a suite to a chain.

use alloy::{
    primitives::{Address, B256, Bytes, keccak256},
    sol_types::{SolCall, SolValue},
};
use serde::Serialize;

use super::{
    ConfigError,
    address::{CREATE2_FACTORY, Suite, factory_address, factory_init_code, salt_of, suite_address},
    config::{Genesis, GenesisConfig},
    constructors::{Blueprint, blueprints},
    wiring::{FunctionRole, Role, RoleGrant, function_roles, role_grants},
};
use crate::{
    artifacts::Artifact,
    bindings::{RateCard, SuiteFactory, TandemAccess},
};

/// What the plan depends on besides the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainFacts {
    /// The chain's id.
    pub chain_id: u64,
}

impl ChainFacts {
    /// Whether this is a development chain, on which the suite brings its own test USDC.
    pub const fn is_local(self) -> bool {
        matches!(self.chain_id, 1337 | 31_337)
    }
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The configuration breaks a rule.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Genesis is still relative.
    #[error("epochs.genesis is still \"{0}\": fix it first (GenesisConfig::resolve_genesis)")]
    OpenGenesis(Genesis),
    /// No stablecoin is named for a public chain.
    #[error("usdc: chain {0} is not a local one, so the address of its USDC must be given")]
    NoUsdc(u64),
    /// A stablecoin is named for a local chain.
    #[error("usdc: chain {0} is a local one, where the suite brings a test USDC; remove the key")]
    ForeignUsdc(u64),
}

/// A suite on its way to a chain: where everything will lie and what has to be sent, in order, by the deployer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The suite's name.
    pub name: String,
    /// The chain it is for.
    pub chain_id: u64,
    /// Start of epoch 0, seconds since 1970.
    pub genesis: u64,
    /// Who sends every step.
    pub deployer: Address,
    /// Where everything lies in the end.
    pub suite: Suite,
    /// What to send, in order.
    pub steps: Vec<Step>,
    /// Functions with a role of their own; every other restricted function is the admin's.
    pub function_roles: Vec<FunctionRole>,
    /// Holders of roles in the end, the timelock as sole admin among them.
    pub grants: Vec<RoleGrant>,
}

/// Which part of the deployment a step belongs to. Stages follow each other in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Contracts come into being.
    Deploy,
    /// Roles and first entries.
    Wire,
    /// The deployer gives up its rights.
    HandOver,
}

/// One transaction of the deployer, without value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What it does, for people: `"deploy CreditDesk"`.
    pub name: String,
    /// Which part of the deployment it belongs to.
    pub stage: Stage,
    /// The receiver.
    pub to: Address,
    /// The calldata.
    pub data: Bytes,
    /// What comes into being, if this deploys.
    pub deployment: Option<Deployment>,
    /// Whether it is done already.
    pub done: Check,
}

/// A contract that a step brings into being.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deployment {
    /// The contract's name; its [`Artifact`] has the same.
    pub contract: &'static str,
    /// Where it will lie.
    pub address: Address,
    /// Its salt at the factory that deploys it.
    pub salt: B256,
    /// Its ABI-encoded constructor arguments.
    pub constructor_arguments: Bytes,
    /// keccak256 of creation code and arguments.
    pub init_code_hash: B256,
}

impl Deployment {
    /// The compiled contract, to compare the deployed code with.
    pub fn artifact(&self) -> &'static Artifact {
        Artifact::by_name(self.contract).expect("the plan deploys compiled contracts only")
    }
}

/// How to find out whether a step is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// There is code at the address.
    HasCode(Address),
    /// A static call returns exactly these bytes.
    Returns {
        /// The contract asked.
        to: Address,
        /// The calldata.
        data: Bytes,
        /// The answer.
        expected: Bytes,
    },
    /// A static call returns something else than zeros.
    ReturnsNonZero {
        /// The contract asked.
        to: Address,
        /// The calldata.
        data: Bytes,
    },
}

/// What to ask a chain for a [`Check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// The code at an address.
    Code(Address),
    /// The answer of a static call.
    Call {
        /// The contract asked.
        to: Address,
        /// The calldata.
        data: Bytes,
    },
}

impl Check {
    /// What to ask the chain.
    pub fn query(&self) -> Query {
        match self {
            Self::HasCode(address) => Query::Code(*address),
            Self::Returns { to, data, .. } | Self::ReturnsNonZero { to, data } => {
                Query::Call { to: *to, data: data.clone() }
            }
        }
    }

    /// Whether the answer to [`query`](Self::query) says that the step is done. Pass no bytes for a call that failed.
    pub fn is_met_by(&self, answer: &[u8]) -> bool {
        match self {
            Self::HasCode(_) => !answer.is_empty(),
            Self::Returns { expected, .. } => answer == &expected[..],
            Self::ReturnsNonZero { .. } => answer.iter().any(|byte| *byte != 0),
        }
    }
}

impl Plan {
    /// Plans the suite of a valid configuration with a fixed genesis.
    pub fn new(config: &GenesisConfig, deployer: Address, chain: ChainFacts) -> Result<Self, PlanError> {
        config.validate()?;
        let Genesis::At(genesis) = config.epochs.genesis else {
            return Err(PlanError::OpenGenesis(config.epochs.genesis));
        };
        match config.usdc {
            None if !chain.is_local() => return Err(PlanError::NoUsdc(chain.chain_id)),
            Some(_) if chain.is_local() => return Err(PlanError::ForeignUsdc(chain.chain_id)),
            _ => {}
        }
        let suite = Suite::predict(&config.suite, deployer, config.usdc);
        let function_roles = function_roles(&suite);
        let mut grants = role_grants(&suite, &config.authorities);

        let mut steps = vec![factory_step()];
        steps.extend(
            blueprints(config, &suite, deployer, chain.is_local())
                .into_iter()
                .map(|blueprint| deploy_step(config, deployer, blueprint)),
        );
        // Rates first: once publishing has a role of its own the deployer can no longer do it.
        steps.extend(config.models.iter().map(|model| {
            let call = RateCard::publishCall {
                modelId: model.id.clone(),
                promptPerMillion: model.prompt_per_million.0.saturating_to(),
                completionPerMillion: model.completion_per_million.0.saturating_to(),
            };
            let latest = RateCard::latestVersionCall { model: keccak256(&model.id) };
            let done = Check::ReturnsNonZero { to: suite.rate_card, data: latest.abi_encode().into() };
            wire_step(format!("publish the rate of {}", model.id), suite.rate_card, &call, done)
        }));
        steps.extend(function_roles.iter().map(|entry| function_step(&suite, entry)));
        steps.extend(grants.iter().map(|grant| grant_step(&suite, grant, Stage::Wire)));

        let admin = RoleGrant { role: Role::Admin, account: suite.tandem_timelock };
        steps.push(grant_step(&suite, &admin, Stage::HandOver));
        steps.push(renounce_step(&suite, deployer));
        grants.insert(0, admin);
        Ok(Self {
            name: config.suite.clone(),
            chain_id: chain.chain_id,
            genesis,
            deployer,
            suite,
            steps,
            function_roles,
            grants,
        })
    }

    /// The contracts that the plan deploys, in order.
    pub fn deployments(&self) -> impl Iterator<Item = &Deployment> {
        self.steps.iter().filter_map(|step| step.deployment.as_ref())
    }

    /// Whether the deployer has given up its rights. If so, the steps after [`Stage::Deploy`] are done, whatever their own
    /// checks say: governance may have changed since what they set.
    pub fn handed_over(&self) -> Check {
        self.steps.last().map_or(Check::HasCode(self.suite.tandem_timelock), |step| step.done.clone())
    }
}

fn factory_step() -> Step {
    let init_code = factory_init_code();
    let (salt, code) = init_code.split_at(32);
    Step {
        name: "deploy SuiteFactory".into(),
        stage: Stage::Deploy,
        to: CREATE2_FACTORY,
        deployment: Some(Deployment {
            contract: "SuiteFactory",
            address: factory_address(),
            salt: B256::from_slice(salt),
            constructor_arguments: Bytes::new(),
            init_code_hash: keccak256(code),
        }),
        done: Check::HasCode(factory_address()),
        data: init_code,
    }
}

fn deploy_step(config: &GenesisConfig, deployer: Address, blueprint: Blueprint) -> Step {
    let Blueprint { contract, creation, arguments } = blueprint;
    let salt = salt_of(&config.suite, contract);
    let address = suite_address(deployer, salt);
    let init_code: Bytes = [&creation[..], &arguments[..]].concat().into();
    Step {
        name: format!("deploy {contract}"),
        stage: Stage::Deploy,
        to: factory_address(),
        deployment: Some(Deployment {
            contract,
            address,
            salt,
            init_code_hash: keccak256(&init_code),
            constructor_arguments: arguments,
        }),
        data: SuiteFactory::deployCall { salt, initcode: init_code }.abi_encode().into(),
        done: Check::HasCode(address),
    }
}

fn wire_step(name: String, to: Address, call: &impl SolCall, done: Check) -> Step {
    Step { name, stage: Stage::Wire, to, data: call.abi_encode().into(), deployment: None, done }
}

fn function_step(suite: &Suite, entry: &FunctionRole) -> Step {
    let call = TandemAccess::setTargetFunctionRoleCall {
        target: entry.target,
        selectors: vec![entry.selector],
        roleId: entry.role.id(),
    };
    let ask = TandemAccess::getTargetFunctionRoleCall { target: entry.target, selector: entry.selector };
    let done = Check::Returns {
        to: suite.tandem_access,
        data: ask.abi_encode().into(),
        expected: entry.role.id().abi_encode().into(),
    };
    let name = format!("let {} call {}.{}", entry.role, entry.contract, entry.function);
    wire_step(name, suite.tandem_access, &call, done)
}

fn holds_role(suite: &Suite, role: Role, account: Address, holds: bool) -> Check {
    Check::Returns {
        to: suite.tandem_access,
        data: TandemAccess::hasRoleCall { roleId: role.id(), account }.abi_encode().into(),
        expected: (holds, 0_u32).abi_encode().into(),
    }
}

fn grant_step(suite: &Suite, grant: &RoleGrant, stage: Stage) -> Step {
    let call = TandemAccess::grantRoleCall { roleId: grant.role.id(), account: grant.account, executionDelay: 0 };
    let done = holds_role(suite, grant.role, grant.account, true);
    let name = format!("make {} {}", grant.account, grant.role);
    Step { stage, ..wire_step(name, suite.tandem_access, &call, done) }
}

fn renounce_step(suite: &Suite, deployer: Address) -> Step {
    let call = TandemAccess::renounceRoleCall { roleId: Role::Admin.id(), callerConfirmation: deployer };
    let done = holds_role(suite, Role::Admin, deployer, false);
    let name = "give up the deployer's rights".into();
    Step { stage: Stage::HandOver, ..wire_step(name, suite.tandem_access, &call, done) }
}
