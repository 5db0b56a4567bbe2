//! Re-reads a chain and compares it with its manifest and with this build: addresses, code, wiring, roles, clock.

use alloy::providers::Provider as _;
use eyre::{Context, Result};
use serde::Serialize;
use tandem_contracts::artifacts::Artifact;
use tandem_contracts::bindings::{EpochOracle, TandemAccess};
use tandem_contracts::suite::{ChainFacts, GenesisConfig, Plan};

use crate::chain::Chain;
use crate::deploy::is_done;
use crate::manifest::{Manifest, Role};

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was compared.
    pub what: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found instead, or a remark.
    pub detail: String,
}

/// Compares everything that can be compared; an error means that the chain or the manifest could not be read at all.
pub async fn run(chain: &Chain, manifest: &Manifest) -> Result<Vec<Finding>> {
    let mut findings = Findings(Vec::new());
    findings.equal("chain id", &manifest.chain_id, &chain.id());
    findings.check("the deployment is complete", manifest.complete, "an earlier `tandem deploy` did not finish");

    let config = GenesisConfig::from_toml(&manifest.config).wrap_err("the manifest's configuration")?;
    let plan = Plan::new(&config, manifest.deployer, ChainFacts { chain_id: manifest.chain_id })?;
    let fresh = Manifest::of_plan(&plan, &config)?;
    findings.equal("compiler", &manifest.compiler, &fresh.compiler);
    for (name, contract) in &manifest.contracts {
        let expected = fresh.contracts.get(name).map(|contract| contract.address);
        findings.equal(&format!("address of {name}"), &Some(contract.address), &expected);
    }
    for deployment in plan.deployments() {
        let code = chain.provider().get_code_at(deployment.address).await.wrap_err("cannot read code")?;
        let artifact: &Artifact = deployment.artifact();
        findings.check(
            &format!("code of {}", deployment.contract),
            artifact.matches(&code),
            if code.is_empty() { "no code at its address" } else { "other code than this build's" },
        );
    }
    for step in plan.steps.iter().filter(|step| step.deployment.is_none()) {
        findings.check(&step.name, is_done(chain, &step.done).await?, "not so on the chain");
    }
    let manager = plan.suite.tandem_access;
    for role in &manifest.roles {
        let answer = chain.read(manager, &TandemAccess::hasRoleCall { roleId: role.id, account: role.account }).await?;
        findings.check(&format!("{} holds {}", role.account, role.role), answer.isMember, "the role is gone");
    }
    findings.equal("roles", &manifest.roles, &plan.grants.iter().map(Role::from).collect());
    let oracle = plan.suite.epoch_oracle;
    findings.equal("genesis", &manifest.genesis, &chain.read(oracle, &EpochOracle::GENESISCall {}).await?);
    findings.equal("epoch length", &manifest.epoch_length, &chain.read(oracle, &EpochOracle::LENGTHCall {}).await?);
    Ok(findings.0)
}

struct Findings(Vec<Finding>);

impl Findings {
    fn check(&mut self, what: &str, ok: bool, otherwise: &str) {
        let detail = if ok { String::new() } else { otherwise.to_owned() };
        self.0.push(Finding { what: what.to_owned(), ok, detail });
    }

    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, expected: &T, found: &T) {
        self.check(what, expected == found, &format!("expected {expected:?}, found {found:?}"));
    }
}
