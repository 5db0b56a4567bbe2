//! The genesis configuration: everything that is decided when a suite is born.

use std::fmt;
use std::str::FromStr;

use alloy::primitives::Address;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    ConfigError,
    units::{
        Alpha, Credit, Fraction, QuantityError, Seconds, Tndm, TndmPerAlpha, TndmPerCredit, TndmPerUsdc, Usdc,
        UsdcPerCredit,
    },
};

/// Every parameter that a constructor of the suite takes, and who holds what at birth.
///
/// In TOML each table is one of the fields below; unknown keys are refused, numbers carry their unit (see the types of
/// the fields). Who takes part (keepers, authorities, subnets, validators, allocations) may be left out of the file
/// and filled in by the program that deploys; [`GenesisConfig::validate`] says what is still missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisConfig {
    /// Names the suite; part of every salt, so two suites of one deployer on one chain need two names.
    pub suite: String,
    /// Allows what only a development network may do: few keepers, short unbonding and notice.
    #[serde(default)]
    pub devnet: bool,
    /// The stablecoin of the chain; must be absent on local chains, where the suite brings a test USDC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usdc: Option<Address>,
    /// Time.
    pub epochs: Epochs,
    /// The compute credit.
    pub credits: Credits,
    /// The law of emission's parameters.
    pub emission: Emission,
    /// The alpha pools.
    pub pools: Pools,
    /// The burn auction.
    pub auction: Auction,
    /// Registration of subnets and neurons.
    pub subnets: Subnets,
    /// Stake.
    pub staking: Staking,
    /// The keeper set of epoch 0.
    pub keepers: Keepers,
    /// What double signing costs.
    pub slashing: Slashing,
    /// From mesh to markets.
    pub launch: Launch,
    /// The governor and its timelock.
    pub governance: Governance,
    /// Who may do what from the first day.
    #[serde(default)]
    pub authorities: Authorities,
    /// Subnets 1..=n, in this order.
    #[serde(default)]
    pub genesis_subnets: Vec<GenesisSubnet>,
    /// Virtual stake of the mesh phase.
    #[serde(default)]
    pub mesh_validators: Vec<MeshValidator>,
    /// Genesis TNDM; what they leave over goes to the timelock, see [`Launch::treasury_vesting`].
    #[serde(default)]
    pub allocations: Vec<Allocation>,
    /// First entries of the rate card.
    #[serde(default)]
    pub models: Vec<ModelRate>,
}

/// Time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epochs {
    /// Start of epoch 0.
    pub genesis: Genesis,
    /// L, length of an epoch.
    pub length: Seconds,
    /// Between a report's posting and its activation.
    pub activation_delay: Seconds,
    /// The shortest gap between two blocks that extends the deadlines in it.
    pub outage: Seconds,
}

/// Start of epoch 0: `"next + 20 s"` (chosen when the deployment begins) or seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Genesis {
    /// So long after the block at which the deployment begins.
    Next(Seconds),
    /// A point in time, seconds since 1970.
    At(u64),
}

/// The compute credit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credits {
    /// What a user pays, at first.
    pub price: UsdcPerCredit,
    /// What a contributor is paid, for ever.
    pub payout_rate: UsdcPerCredit,
    /// Part of recognised margin that buys back.
    pub buyback_share: Fraction,
    /// How long after its expiry a channel can be settled.
    pub settle_grace: Seconds,
}

/// The law of emission's parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Emission {
    /// φ, allowance per TNDM burned.
    pub phi: Fraction,
    /// s, epochs over which an allowance is spent at most.
    pub smoothing: u64,
    /// Over which an unspent allowance fades.
    pub fade: Seconds,
    /// TNDM ceiling of a day, before halvings.
    pub tndm_per_day: Tndm,
    /// Alpha schedule of a day and subnet, before halvings.
    pub alpha_per_day: Alpha,
}

/// The alpha pools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pools {
    /// Swap fee, taken in TNDM.
    pub fee: Fraction,
    /// Rate of the price EMA per epoch, at full age.
    pub ema_rate: Fraction,
    /// Age at which the rate is half of it.
    pub ema_half_age: Seconds,
    /// Part of a pool's TNDM that one pour may add.
    pub pour_cap: Fraction,
}

/// The burn auction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auction {
    /// From *markets* to the first lot.
    pub open_delay: Seconds,
    /// Between the starts of two lots.
    pub lot_interval: Seconds,
    /// After which an unsold lot may be restarted.
    pub lot_duration: Seconds,
    /// In which the price halves.
    pub half_life: Seconds,
    /// In which a subnet's smoothed revenue halves.
    pub revenue_half_life: Seconds,
    /// Largest lot.
    pub max_lot: Usdc,
    /// Sales of smaller lots teach no price.
    pub pricing_lot: Usdc,
    /// The price that the first lot starts from; later ones start at twice the last sale.
    pub genesis_price: TndmPerUsdc,
    /// The floor of the first lots.
    pub genesis_floor: TndmPerUsdc,
}

/// Registration of subnets and neurons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subnets {
    /// Lock price of the first registration.
    pub first_lock: Tndm,
    /// Below which the lock price never falls.
    pub floor_lock: Tndm,
    /// In which the lock price halves.
    pub lock_half_life: Seconds,
    /// How many subnets there may be at once, at first; a vote can raise it to 256.
    pub max_subnets: u16,
    /// For which a new subnet cannot be pruned.
    pub subnet_immunity: Seconds,
    /// For which a new neuron cannot be evicted.
    pub neuron_immunity: Seconds,
    /// Between two changes of a subnet's hyperparameters.
    pub hyperparameter_period: Seconds,
    /// A neuron's fee before *markets*.
    pub neuron_fee: Usdc,
    /// A neuron's price from *markets* on, at rest.
    pub neuron_price: Tndm,
    /// In which a raised neuron price halves.
    pub neuron_half_life: Seconds,
    /// Of every subnet until its owner changes them.
    pub hyperparameters: Hyperparameters,
}

/// Yuma's hyperparameters, in the units of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hyperparameters {
    /// κ, of 65,535.
    pub kappa: u16,
    /// Bonds' moving average, per million.
    pub bonds_moving_average: u32,
    /// Bonds penalty, of 65,535.
    pub bonds_penalty: u16,
    /// K, permits of a subnet.
    pub max_validators: u16,
    /// Neurons of a subnet.
    pub max_uids: u16,
    /// Epochs without weights after which a validator counts as inactive.
    pub activity_cutoff: u64,
}

/// Stake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Staking {
    /// From unstaking to withdrawal.
    pub unbonding: Seconds,
    /// Over which virtual stake fades, from *markets* on.
    pub virtual_fade: Seconds,
    /// Minimum stake of a validator, of the alpha outside the vault.
    pub minimum_share: Fraction,
    /// Weight of bonded TNDM, at first.
    pub root_weight_start: Fraction,
    /// Weight of bonded TNDM, in the end.
    pub root_weight_floor: Fraction,
    /// Over which it glides there.
    pub root_weight_glide: Seconds,
    /// Least stake or bond of a delegator behind one hotkey; of TNDM and of alpha alike.
    pub minimum_delegation: Tndm,
    /// What a validator takes of its delegators' dividends before it says otherwise.
    pub take_default: Fraction,
    /// What it can take at most.
    pub take_bound: Fraction,
    /// By how much it can raise its take at once.
    pub take_step: Fraction,
    /// Between two rises.
    pub take_period: Seconds,
}

/// What double signing costs, as parts of a stake or bond. Governance can change it within the bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slashing {
    /// Of a validator's stake and bond, for two commits with one number.
    pub commit_share: Fraction,
    /// Of a keeper's bond, for two reports for one attempt.
    pub report_share: Fraction,
    /// Below which neither share can be set.
    pub least: Fraction,
    /// Above which neither share can be set.
    pub most: Fraction,
    /// From an epoch's end, for which a fault in it can be shown.
    pub evidence: Seconds,
}

/// The keeper set of epoch 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keepers {
    /// Signatures that a report needs.
    pub threshold: u16,
    /// From leaving the set to the withdrawal of a bond.
    pub unbonding: Seconds,
    /// The keepers, in any order.
    #[serde(default)]
    pub members: Vec<Address>,
}

/// From mesh to markets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Launch {
    /// Recognised margin × buyback share that *token* needs.
    pub buyback_margin: Usdc,
    /// Qualified contributors that *token* needs.
    pub verified_contributors: u32,
    /// Verified epochs that qualify a contributor.
    pub verified_epochs_each: u32,
    /// For how long every epoch must have been reported.
    pub clean_period: Seconds,
    /// From the announcement to *token*.
    pub notice: Seconds,
    /// After which anyone may announce.
    pub public_after: Seconds,
    /// From *token* to *markets*, at least.
    pub token_period: Seconds,
    /// TNDM that must be claimable when *markets* opens.
    pub claimable: Tndm,
    /// TNDM that seeds the pool of each genesis subnet.
    pub pool_seed: Tndm,
    /// First price of the genesis pools.
    pub initial_price: TndmPerAlpha,
    /// Over which the treasury's allocation (what the listed ones leave over) vests, beneficiary: the timelock.
    pub treasury_vesting: Seconds,
    /// TNDM for those who earned credits in the mesh phase.
    pub airdrop: Tndm,
    /// What one credit brings at most; the rest is the treasury's.
    pub airdrop_per_credit: TndmPerCredit,
    /// Part that is free when *markets* opens.
    pub airdrop_immediate: Fraction,
    /// Over which the rest of it vests once *markets* opened.
    pub airdrop_vesting: Seconds,
}

/// The governor and its timelock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Governance {
    /// Between the scheduling and the execution of an operation.
    pub timelock_delay: Seconds,
    /// From a proposal to the snapshot of its votes.
    pub voting_delay: Seconds,
    /// For which a proposal can be voted on.
    pub voting_period: Seconds,
    /// For which voting goes on at least once a quorum is reached.
    pub vote_extension: Seconds,
    /// From the opening of the token, for which the guardian can cancel proposals.
    pub guardian_period: Seconds,
    /// Votes that a proposer needs.
    pub proposal_threshold: Tndm,
    /// Per cent of the circulating supply that must vote.
    pub quorum_percent: u8,
    /// Below which a quorum never falls.
    pub quorum_floor: Tndm,
}

/// Who may do what from the first day. What is not named belongs to the timelock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authorities {
    /// Proposes to the timelock until *token* opens.
    #[serde(default)]
    pub council: Address,
    /// Pauses buying, stops lots, vetoes reports.
    #[serde(default)]
    pub guardian: Address,
    /// Sets the credit's price; the timelock if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_setter: Option<Address>,
    /// Publishes rates; the timelock if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_publisher: Option<Address>,
}

/// One of the subnets that exist at birth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisSubnet {
    /// Its owner.
    pub owner: Address,
    /// Its name.
    pub name: String,
}

/// A validator with virtual stake in a genesis subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeshValidator {
    /// The subnet, 1..=n.
    pub netuid: u16,
    /// The validator.
    pub hotkey: Address,
    /// Who alone may register the hotkey, in any subnet: the registry binds it at birth.
    pub owner: Address,
    /// Its virtual stake.
    pub weight: Alpha,
}

/// A genesis allocation of TNDM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allocation {
    /// What it is for.
    pub label: String,
    /// Who receives it.
    pub beneficiary: Address,
    /// How much.
    pub amount: Tndm,
    /// Over which the rest vests once *markets* opened.
    pub duration: Seconds,
    /// Part that is free when *markets* opens.
    pub immediate: Fraction,
}

/// First entry of a model on the rate card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRate {
    /// The model's id, as clients name it.
    pub id: String,
    /// For a million prompt tokens.
    pub prompt_per_million: Credit,
    /// For a million completion tokens.
    pub completion_per_million: Credit,
}

impl GenesisConfig {
    /// The devnet's numbers (`deployments/genesis/devnet.toml`), without anybody taking part yet.
    pub fn devnet() -> Self {
        Self::from_toml(include_str!("../../../deployments/genesis/devnet.toml"))
            .expect("the embedded preset is parsed by a test")
    }

    /// Reads a configuration; says which key is wrong. Does not [`validate`](Self::validate) it.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::Syntax(error.to_string()))
    }

    /// Writes the configuration as TOML that [`from_toml`](Self::from_toml) reads back.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|error| ConfigError::Syntax(error.to_string()))
    }

    /// Fixes genesis, if it was relative, to `now` (seconds since 1970) plus its offset; returns it. Whoever deploys
    /// keeps the result: a deployment that is resumed must use the same.
    pub fn resolve_genesis(&mut self, now: u64) -> u64 {
        let at = match self.epochs.genesis {
            Genesis::Next(offset) => now.saturating_add(offset.0),
            Genesis::At(at) => at,
        };
        self.epochs.genesis = Genesis::At(at);
        at
    }
}

impl FromStr for Genesis {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        match text.trim().strip_prefix("next").map(str::trim_start) {
            Some("") => Ok(Self::Next(Seconds(0))),
            Some(rest) if rest.starts_with('+') => rest[1..].parse().map(Self::Next),
            _ => Err(QuantityError::Unit {
                text: text.into(),
                expected: "seconds since 1970, or be like \"next + 20 s\"",
            }),
        }
    }
}

impl fmt::Display for Genesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Next(offset) => write!(f, "next + {offset}"),
            Self::At(at) => write!(f, "{at}"),
        }
    }
}

impl Serialize for Genesis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Next(_) => serializer.collect_str(self),
            Self::At(at) => serializer.serialize_u64(*at),
        }
    }
}

impl<'de> Deserialize<'de> for Genesis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a time like \"next + 20 s\" or seconds since 1970")]
        enum Written {
            At(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::At(at) => Ok(Self::At(at)),
            Written::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}
