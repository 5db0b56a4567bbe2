//! `deployments/<chainId>.json`: what lies where on a chain, and everything needed to check it again.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use alloy::primitives::{Address, B256, Bytes};
use eyre::{Context, Result, bail, eyre};
use serde::{Deserialize, Serialize};
use tandem_contracts::suite::{GenesisConfig, Plan, RoleGrant};
use tandem_protocol::clock::EpochClock;

/// Version of this file's shape.
pub const SCHEMA_VERSION: u32 = 1;

/// One network on one chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Chain.
    pub chain_id: u64,
    /// Name of the suite.
    pub suite: String,
    /// Who deployed; without rights since the hand-over.
    pub deployer: Address,
    /// Start of epoch 0, seconds since 1970.
    pub genesis: u64,
    /// Seconds in an epoch.
    pub epoch_length: u64,
    /// Whether every step is done, the hand-over included.
    pub complete: bool,
    /// What compiled it.
    pub compiler: Compiler,
    /// Contracts by name.
    pub contracts: BTreeMap<String, Contract>,
    /// Who holds which role at TandemAccess.
    pub roles: Vec<Role>,
    /// The genesis configuration, as TOML.
    pub config: String,
}

/// The compiler and its input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Compiler {
    /// Version of solc.
    pub solc: String,
    /// Hash of the standard-JSON input.
    pub standard_json_hash: String,
}

/// A deployed contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Contract {
    /// Where it lies.
    pub address: Address,
    /// Its salt at the factory; none for what the suite did not deploy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub salt: Option<B256>,
    /// ABI-encoded constructor arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constructor_arguments: Option<Bytes>,
    /// keccak256 of creation code and arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_code_hash: Option<B256>,
    /// keccak256 of the runtime code with its immutables set to zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_hash: Option<B256>,
    /// Transaction that deployed it, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction: Option<B256>,
    /// Its block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<u64>,
}

/// A holder of a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Role {
    /// The role's label.
    pub role: String,
    /// The role's number.
    pub id: u64,
    /// Who holds it.
    pub account: Address,
}

impl From<&RoleGrant> for Role {
    fn from(grant: &RoleGrant) -> Self {
        Self { role: grant.role.to_string(), id: grant.role.id(), account: grant.account }
    }
}

impl Manifest {
    /// The manifest of a plan of which nothing is done yet.
    pub fn of_plan(plan: &Plan, config: &GenesisConfig) -> Result<Self> {
        let mut contracts: BTreeMap<String, Contract> = plan
            .suite
            .contracts()
            .into_iter()
            .map(|(name, address)| {
                let known = Contract {
                    address,
                    salt: None,
                    constructor_arguments: None,
                    init_code_hash: None,
                    code_hash: None,
                    transaction: None,
                    block: None,
                };
                (name.to_owned(), known)
            })
            .collect();
        for deployment in plan.deployments() {
            // The test USDC is listed by the name that every chain knows its stablecoin by.
            let entry =
                contracts.values_mut().find(|contract| contract.address == deployment.address).ok_or_else(|| {
                    eyre!("the plan deploys {} at an address the suite does not list", deployment.contract)
                })?;
            entry.salt = Some(deployment.salt);
            entry.constructor_arguments = Some(deployment.constructor_arguments.clone());
            entry.init_code_hash = Some(deployment.init_code_hash);
            entry.code_hash = Some(deployment.artifact().masked_code_hash());
        }
        Ok(Self {
            schema_version: SCHEMA_VERSION,
            chain_id: plan.chain_id,
            suite: plan.name.clone(),
            deployer: plan.deployer,
            genesis: plan.genesis,
            epoch_length: config.epochs.length.0,
            complete: false,
            compiler: Compiler {
                solc: tandem_contracts::artifacts::SOLC_VERSION.to_owned(),
                standard_json_hash: tandem_contracts::artifacts::STANDARD_JSON_HASH.to_string(),
            },
            contracts,
            roles: plan.grants.iter().map(Role::from).collect(),
            config: config.to_toml()?,
        })
    }

    /// Where the manifest of a chain lies in a folder.
    pub fn path(folder: &Path, chain_id: u64) -> PathBuf {
        folder.join(format!("{chain_id}.json"))
    }

    /// Reads a manifest.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).wrap_err_with(|| {
            format!("cannot read the manifest {}; deploy first with `tandem deploy`", path.display())
        })?;
        let manifest: Self =
            serde_json::from_str(&text).wrap_err_with(|| format!("{} is not a manifest", path.display()))?;
        if manifest.schema_version != SCHEMA_VERSION {
            bail!(
                "{} has schema version {}, this program reads {SCHEMA_VERSION}",
                path.display(),
                manifest.schema_version
            );
        }
        Ok(manifest)
    }

    /// Writes it whole or not at all.
    pub fn write(&self, path: &Path) -> Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).wrap_err_with(|| format!("cannot create {}", folder.display()))?;
        let mut file = tempfile::NamedTempFile::new_in(folder)
            .wrap_err_with(|| format!("cannot write to {}", folder.display()))?;
        serde_json::to_writer_pretty(&mut file, self).wrap_err("cannot write the manifest")?;
        writeln!(file).wrap_err("cannot write the manifest")?;
        file.as_file().sync_all().wrap_err("cannot write the manifest")?;
        file.persist(path).wrap_err_with(|| format!("cannot write {}", path.display()))?;
        Ok(())
    }

    /// The address of a contract.
    pub fn address(&self, contract: &str) -> Result<Address> {
        self.contracts
            .get(contract)
            .map(|contract| contract.address)
            .ok_or_else(|| eyre!("the manifest of chain {} lists no {contract}", self.chain_id))
    }

    /// The network's clock.
    pub fn clock(&self) -> Result<EpochClock> {
        EpochClock::new(self.genesis, self.epoch_length).ok_or_else(|| eyre!("the manifest has epochs of length zero"))
    }
}
