//! Deploying a suite into a world, by the plan that also deploys it to a chain.

use alloy::primitives::{Address, Bytes, U256};

use super::{Outcome, Revert, World};
use crate::suite::{
    Allocation, Alpha, ChainFacts, Check, Credit, Fraction, GenesisConfig, GenesisSubnet, MeshValidator, ModelRate,
    Plan, PlanError, Query, Seconds, Stage, Tndm,
};

/// Why a suite was not deployed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DeployError {
    /// There is no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A step failed.
    #[error("{step}: {revert}")]
    Step {
        /// The step's name.
        step: String,
        /// What the contract said.
        revert: Revert,
    },
    /// A step was executed and is not done.
    #[error("{step}: executed, but its result is not there")]
    NotDone {
        /// The step's name.
        step: String,
    },
}

/// What executing a plan did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Execution {
    /// Each step that was sent, by name, and what came of it (its gas, its events).
    pub sent: Vec<(String, Outcome<Bytes>)>,
    /// How many steps were done already.
    pub skipped: usize,
}

impl World {
    /// Whether a check holds in this world.
    pub fn holds(&self, check: &Check) -> bool {
        let answer = match check.query() {
            Query::Code(address) => self.code(address),
            Query::Call { to, data } => {
                self.simulate(Address::ZERO, to, data).map(|outcome| outcome.ret).unwrap_or_default()
            }
        };
        check.is_met_by(&answer)
    }

    /// Sends every step of a plan that is not done yet, as the deployer; once the plan is handed over, no wiring.
    pub fn execute(&mut self, plan: &Plan) -> Result<Execution, DeployError> {
        let mut execution = Execution::default();
        let handed_over = self.holds(&plan.handed_over());
        for step in &plan.steps {
            if (handed_over && step.stage != Stage::Deploy) || self.holds(&step.done) {
                execution.skipped += 1;
                continue;
            }
            let outcome = self
                .send(plan.deployer, step.to, step.data.clone(), U256::ZERO)
                .map_err(|revert| DeployError::Step { step: step.name.clone(), revert })?;
            if !self.holds(&step.done) {
                return Err(DeployError::NotDone { step: step.name.clone() });
            }
            execution.sent.push((step.name.clone(), outcome));
        }
        Ok(execution)
    }

    /// Fixes the configuration's genesis relative to now, if it is open, plans and executes.
    pub fn deploy(&mut self, config: &mut GenesisConfig, deployer: Address) -> Result<Plan, DeployError> {
        config.resolve_genesis(self.timestamp());
        let plan = Plan::new(config, deployer, ChainFacts { chain_id: self.chain_id() })?;
        self.execute(&plan)?;
        Ok(plan)
    }

    /// Fills a configuration that names nobody with accounts of this world: keepers `keeper 1` to `3`, `council` and
    /// `guardian`, genesis subnets 1 and 2 of `owner 1` and `owner 2`, three mesh validators `hotkey 1` to `3` of
    /// `validator 1` to `3` with 10,000 alpha in each, 500,000 TNDM for `trader` free at *markets*, and the model `tandem/test` at 1,000 and
    /// 2,000 credits per million prompt and completion tokens.
    pub fn populate(&self, config: &mut GenesisConfig) {
        let each = |name: &str, count: usize| -> Vec<Address> {
            (1..=count).map(|index| self.account(&format!("{name} {index}"))).collect()
        };
        let whole = |amount: u64| U256::from(amount) * Fraction::ONE.0;
        config.keepers.members = each("keeper", 3);
        config.authorities.council = self.account("council");
        config.authorities.guardian = self.account("guardian");
        config.genesis_subnets = each("owner", 2)
            .into_iter()
            .zip(["text", "code"])
            .map(|(owner, name)| GenesisSubnet { owner, name: name.into() })
            .collect();
        config.mesh_validators = (1..=2)
            .flat_map(|netuid| {
                each("hotkey", 3).into_iter().zip(each("validator", 3)).map(move |(hotkey, owner)| MeshValidator {
                    netuid,
                    hotkey,
                    owner,
                    weight: Alpha(whole(10_000)),
                })
            })
            .collect();
        config.allocations = vec![Allocation {
            label: "ecosystem".into(),
            beneficiary: self.account("trader"),
            amount: Tndm(whole(500_000)),
            duration: Seconds(0),
            immediate: Fraction::ONE,
        }];
        config.models = vec![ModelRate {
            id: "tandem/test".into(),
            prompt_per_million: Credit(whole(1_000)),
            completion_per_million: Credit(whole(2_000)),
        }];
    }
}
