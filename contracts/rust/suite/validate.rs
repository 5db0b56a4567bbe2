//! What a genesis configuration must satisfy before anything is sent.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use alloy::primitives::{Address, U256, uint};

use super::{
    config::{Genesis, GenesisConfig},
    units::{Alpha, Fraction, Seconds, Tndm, UsdcPerCredit},
};

/// A configuration that cannot be read or used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML, an unknown or missing key, or a value of another unit; says where.
    #[error("the genesis configuration cannot be read: {0}")]
    Syntax(String),
    /// Readable, but against the rules; all violations at once.
    #[error("the genesis configuration is not valid:{}", list(.0))]
    Invalid(Vec<Violation>),
}

/// One rule that a configuration breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The key, as written in TOML: `credits.buyback_share`.
    pub key: String,
    /// What it should be.
    pub reason: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.reason)
    }
}

fn list(violations: &[Violation]) -> String {
    violations.iter().map(|violation| format!("\n  {violation}")).collect()
}

/// Supply of TNDM and of each alpha token, base units.
pub(super) const SUPPLY: U256 = uint!(21_000_000_000000000000000000_U256);
/// The half of it that is there to be emitted; the halvings are counted on it.
pub(super) const EMISSION_VAULT: U256 = uint!(10_500_000_000000000000000000_U256);
const ONE: Fraction = Fraction::ONE;
/// Epochs whose reports may wait for their activation while one more is posted.
const MAX_PENDING_EPOCHS: u64 = 255;
/// Epochs are shorter than this many seconds.
const MAX_EPOCH_LENGTH: u64 = 1 << 20;
/// Most keepers that a set may have.
const MAX_KEEPERS: usize = 31;

struct Rules(Vec<Violation>);

impl Rules {
    fn require(&mut self, holds: bool, key: impl Into<String>, reason: impl Into<String>) {
        if !holds {
            self.0.push(Violation { key: key.into(), reason: reason.into() });
        }
    }

    fn positive(&mut self, key: &str, value: U256) {
        self.require(!value.is_zero(), key, "must be above zero");
    }

    fn lasting(&mut self, key: &str, value: Seconds) {
        self.positive(key, U256::from(value.0));
    }

    fn share(&mut self, key: &str, value: Fraction) {
        self.require(value <= ONE, key, "must be at most 1");
    }
}

fn wad(text: &str) -> Fraction {
    text.parse().expect("written in this file")
}

impl GenesisConfig {
    /// Checks every rule that does not depend on a chain and reports all that are broken. Amounts that a contract keeps
    /// in fewer bits are bounded by the supplies.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut rules = Rules(Vec::new());
        self.check_time(&mut rules);
        self.check_economics(&mut rules);
        self.check_market(&mut rules);
        self.check_stake(&mut rules);
        self.check_keepers(&mut rules);
        self.check_launch(&mut rules);
        self.check_participants(&mut rules);
        if rules.0.is_empty() { Ok(()) } else { Err(ConfigError::Invalid(rules.0)) }
    }

    /// TNDM that neither the emission vault nor the listed allocations, the airdrop and the pool seeds take; the timelock's. `None`
    /// if they take more than there is.
    pub(super) fn treasury(&self) -> Option<U256> {
        let seeds = self.pool_seeds()?;
        self.allocations
            .iter()
            .try_fold(SUPPLY - EMISSION_VAULT, |left, allocation| left.checked_sub(allocation.amount.0))?
            .checked_sub(self.launch.airdrop.0)?
            .checked_sub(seeds)
    }

    /// The liquidity tranche: a seed for each genesis subnet.
    pub(super) fn pool_seeds(&self) -> Option<U256> {
        self.launch.pool_seed.0.checked_mul(U256::from(self.genesis_subnets.len()))
    }

    /// Each mesh validator's hotkey once, with its owner.
    pub(super) fn hotkey_owners(&self) -> BTreeMap<Address, Address> {
        self.mesh_validators.iter().map(|validator| (validator.hotkey, validator.owner)).collect()
    }

    fn check_time(&self, rules: &mut Rules) {
        rules.require(!self.suite.is_empty() && self.suite.len() <= 64, "suite", "must be a name of at most 64 bytes");
        rules.require(self.epochs.genesis != Genesis::At(0), "epochs.genesis", "must be a point in time");
        rules.lasting("epochs.length", self.epochs.length);
        let longest = Seconds(self.epochs.length.0.saturating_mul(MAX_PENDING_EPOCHS));
        rules.require(
            self.epochs.length.0 == 0 || self.epochs.activation_delay <= longest,
            "epochs.activation_delay",
            format!("must be at most {MAX_PENDING_EPOCHS} × epochs.length = {longest}: the oracle keeps no more reports waiting"),
        );
        rules.lasting("credits.settle_grace", self.credits.settle_grace);
        rules.lasting("epochs.outage", self.epochs.outage);
        rules.require(
            self.epochs.length.0 < MAX_EPOCH_LENGTH,
            "epochs.length",
            format!("must be below {}: pools sum up prices over an epoch in bounded words", Seconds(MAX_EPOCH_LENGTH)),
        );
    }

    fn check_economics(&self, rules: &mut Rules) {
        let credits = &self.credits;
        rules.positive("credits.payout_rate", credits.payout_rate.0);
        // The contract compares price·1e18 with payoutRate·1.05e18.
        let least = (credits.payout_rate.0.saturating_mul(U256::from(105))).div_ceil(U256::from(100));
        rules.require(
            credits.price.0 >= least && credits.price.0 <= U256::from(u64::MAX),
            "credits.price",
            format!("must be at least 1.05 × payout_rate = {}", UsdcPerCredit(least)),
        );
        rules.require(
            credits.buyback_share >= wad("0.40") && credits.buyback_share <= ONE,
            "credits.buyback_share",
            "must lie between 0.40 and 1",
        );
        let emission = &self.emission;
        rules.require(
            emission.phi <= wad("0.95") && !emission.phi.0.is_zero(),
            "emission.phi",
            "must be above 0 and at most 0.95",
        );
        rules.require(emission.smoothing > 0, "emission.smoothing", "must be at least 1 epoch");
        rules.require(
            emission.fade >= self.epochs.length,
            "emission.fade",
            format!("must be at least epochs.length = {}", self.epochs.length),
        );
        rules.positive("emission.tndm_per_day", emission.tndm_per_day.0);
        rules.positive("emission.alpha_per_day", emission.alpha_per_day.0);
        rules.require(
            emission.alpha_per_day.0 <= SUPPLY,
            "emission.alpha_per_day",
            format!("must be at most the supply, {}", Alpha(SUPPLY)),
        );
    }

    fn check_market(&self, rules: &mut Rules) {
        let pools = &self.pools;
        rules.require(pools.fee <= wad("0.1"), "pools.fee", "must be at most 0.1");
        rules.share("pools.ema_rate", pools.ema_rate);
        rules.positive("pools.ema_rate", pools.ema_rate.0);
        rules.lasting("pools.ema_half_age", pools.ema_half_age);
        rules.require(
            pools.pour_cap <= ONE && pools.pour_cap.0 < pools.fee.0.saturating_mul(U256::from(4)),
            "pools.pour_cap",
            "must be at most 1 and below 4 × pools.fee, or pushing the price before a pour would pay",
        );
        rules.positive("pools.pour_cap", pools.pour_cap.0);
        let auction = &self.auction;
        rules.lasting("auction.lot_interval", auction.lot_interval);
        rules.lasting("auction.half_life", auction.half_life);
        let shortest = Seconds(auction.half_life.0.saturating_mul(2).max(1));
        rules.require(
            auction.lot_duration >= shortest,
            "auction.lot_duration",
            format!("must be at least 2 × half_life = {shortest}"),
        );
        rules.lasting("auction.revenue_half_life", auction.revenue_half_life);
        rules.require(auction.max_lot.0 >= U256::from(1_000_000), "auction.max_lot", "must be at least 1 USDC");
        rules.require(
            auction.pricing_lot <= auction.max_lot,
            "auction.pricing_lot",
            format!("must be at most max_lot = {}", auction.max_lot),
        );
        rules.require(auction.max_lot.0 <= U256::from(u128::MAX), "auction.max_lot", "must fit in 128 bits");
        rules.positive("auction.genesis_floor", auction.genesis_floor.0);
        rules.require(
            auction.genesis_price >= auction.genesis_floor,
            "auction.genesis_price",
            format!("must be at least genesis_floor = {}", auction.genesis_floor),
        );
        let subnets = &self.subnets;
        rules.positive("subnets.floor_lock", subnets.floor_lock.0);
        rules.require(
            subnets.first_lock >= subnets.floor_lock && subnets.first_lock.0 <= SUPPLY,
            "subnets.first_lock",
            format!("must lie between floor_lock = {} and the supply", subnets.floor_lock),
        );
        rules.lasting("subnets.lock_half_life", subnets.lock_half_life);
        rules.lasting("subnets.neuron_half_life", subnets.neuron_half_life);
        rules.positive("subnets.neuron_fee", subnets.neuron_fee.0);
        rules.positive("subnets.neuron_price", subnets.neuron_price.0);
        rules.require(
            (1..=256).contains(&subnets.max_subnets) && usize::from(subnets.max_subnets) >= self.genesis_subnets.len(),
            "subnets.max_subnets",
            "must lie between the number of genesis subnets and 256",
        );
        rules.require(
            subnets.subnet_immunity >= self.epochs.length,
            "subnets.subnet_immunity",
            format!("must be at least epochs.length = {}", self.epochs.length),
        );
        let hyper = &subnets.hyperparameters;
        rules.require(
            hyper.bonds_moving_average <= 975_000,
            "subnets.hyperparameters.bonds_moving_average",
            "must be at most 975_000 per million",
        );
        rules.require(hyper.kappa > 0, "subnets.hyperparameters.kappa", "must be above zero");
        rules.require(
            (1..=256).contains(&hyper.max_uids),
            "subnets.hyperparameters.max_uids",
            "must lie between 1 and 256",
        );
        rules.require(
            (3..=hyper.max_uids.min(64)).contains(&hyper.max_validators),
            "subnets.hyperparameters.max_validators",
            "must lie between 3 (owners that an eligible subnet needs) and 64, and not above max_uids",
        );
        rules.require(hyper.activity_cutoff > 0, "subnets.hyperparameters.activity_cutoff", "must be at least 1 epoch");
    }

    fn check_stake(&self, rules: &mut Rules) {
        let staking = &self.staking;
        let least = Seconds(
            self.epochs.length.0.saturating_add(self.epochs.activation_delay.0).saturating_add(Seconds::days(7).0),
        );
        for (key, unbonding) in
            [("staking.unbonding", staking.unbonding), ("keepers.unbonding", self.keepers.unbonding)]
        {
            let least = if self.devnet { self.epochs.length } else { least };
            rules.require(
                unbonding >= least,
                key,
                format!("must be at least {least}: epochs.length, + activation_delay + 7 d outside a devnet"),
            );
        }
        rules.lasting("staking.virtual_fade", staking.virtual_fade);
        rules.share("staking.minimum_share", staking.minimum_share);
        rules.share("staking.root_weight_start", staking.root_weight_start);
        rules.require(
            staking.root_weight_floor <= staking.root_weight_start,
            "staking.root_weight_floor",
            format!("must be at most root_weight_start = {}", staking.root_weight_start),
        );
        rules.lasting("staking.root_weight_glide", staking.root_weight_glide);
        rules.positive("staking.minimum_delegation", staking.minimum_delegation.0);
        rules.share("staking.take_bound", staking.take_bound);
        rules.require(
            staking.take_default <= staking.take_bound,
            "staking.take_default",
            format!("must be at most take_bound = {}", staking.take_bound),
        );
        rules.share("staking.take_step", staking.take_step);
        let slashing = &self.slashing;
        rules.positive("slashing.least", slashing.least.0);
        rules.share("slashing.most", slashing.most);
        for (key, share) in
            [("slashing.commit_share", slashing.commit_share), ("slashing.report_share", slashing.report_share)]
        {
            rules.require(
                (slashing.least..=slashing.most).contains(&share),
                key,
                format!("must lie between least = {} and most = {}", slashing.least, slashing.most),
            );
        }
        let reachable = staking.unbonding.min(self.keepers.unbonding);
        rules.require(
            slashing.evidence.0 > 0 && slashing.evidence <= reachable,
            "slashing.evidence",
            format!("must be at most the shorter unbonding, {reachable}: later the guilty are gone"),
        );
    }

    fn check_keepers(&self, rules: &mut Rules) {
        let members = &self.keepers.members;
        let (n, threshold) = (members.len(), usize::from(self.keepers.threshold));
        let distinct: BTreeSet<&Address> = members.iter().collect();
        rules.require(
            distinct.len() == n && !distinct.contains(&Address::ZERO),
            "keepers.members",
            "must be distinct addresses",
        );
        rules.require(
            (1..=MAX_KEEPERS).contains(&n) && (self.devnet || n >= 4),
            "keepers.members",
            format!("must be 4 to {MAX_KEEPERS} (1 to {MAX_KEEPERS} on a devnet), not {n}"),
        );
        let quorum = n * 2 / 3 + 1;
        let majority = (n / 2 + 1..=n).contains(&threshold);
        rules.require(
            threshold == quorum || (self.devnet && n < 4 && majority),
            "keepers.threshold",
            format!("must be ⌊2n/3⌋ + 1 = {quorum} of {n} keepers (a majority of fewer than 4 on a devnet)"),
        );
    }

    fn check_launch(&self, rules: &mut Rules) {
        let launch = &self.launch;
        rules.require(self.devnet || launch.notice >= Seconds::days(7), "launch.notice", "must be at least 7 d");
        if !self.devnet {
            rules.lasting("governance.timelock_delay", self.governance.timelock_delay);
        }
        let governance = &self.governance;
        rules.lasting("governance.voting_period", governance.voting_period);
        for (key, seconds) in [
            ("governance.voting_delay", governance.voting_delay),
            ("governance.voting_period", governance.voting_period),
            ("governance.vote_extension", governance.vote_extension),
        ] {
            rules.require(
                seconds.0 <= u64::from(u32::MAX),
                key,
                format!("must be at most {}", Seconds(u32::MAX.into())),
            );
        }
        rules.require(
            self.devnet || governance.voting_delay >= Seconds::days(1),
            "governance.voting_delay",
            "must be at least 1 d: votes that were borrowed for a block must not count",
        );
        rules.require(
            (1..=100).contains(&governance.quorum_percent),
            "governance.quorum_percent",
            "must lie between 1 and 100",
        );
        rules.positive("governance.quorum_floor", governance.quorum_floor.0);
        rules.positive("launch.airdrop", launch.airdrop.0);
        rules.require(launch.airdrop.0 <= SUPPLY, "launch.airdrop", "must be at most the supply");
        rules.positive("launch.airdrop_per_credit", launch.airdrop_per_credit.0);
        rules.share("launch.airdrop_immediate", launch.airdrop_immediate);
        let promised = self
            .allocations
            .iter()
            .fold(self.treasury().unwrap_or_default(), |sum, allocation| sum.saturating_add(allocation.amount.0));
        let needed = governance.quorum_floor.0.saturating_mul(U256::from(2));
        rules.require(
            promised >= needed,
            "governance.quorum_floor",
            format!("twice of it must be delegated before the token opens, and only {} is allocated", Tndm(promised)),
        );
        rules.positive("launch.buyback_margin", launch.buyback_margin.0);
        rules.require(launch.verified_contributors > 0, "launch.verified_contributors", "must be at least 1");
        rules.require(launch.verified_epochs_each > 0, "launch.verified_epochs_each", "must be at least 1");
        rules.positive("launch.pool_seed", launch.pool_seed.0);
        rules.positive("launch.initial_price", launch.initial_price.0);
        if !launch.initial_price.0.is_zero() {
            let alpha = launch.pool_seed.0.saturating_mul(ONE.0) / launch.initial_price.0;
            rules.require(
                alpha <= SUPPLY / U256::from(10),
                "launch.pool_seed",
                format!(
                    "a pool is born with at most 10 % of its alpha, this one with {} at {}",
                    Alpha(alpha),
                    launch.initial_price
                ),
            );
        }
        rules.require(
            self.treasury().is_some(),
            "allocations",
            format!(
                "with the pool seeds they are more than the {} that are not there to be emitted",
                Tndm(SUPPLY - EMISSION_VAULT)
            ),
        );
        let free = self.allocations.iter().fold(U256::ZERO, |sum, allocation| {
            sum.saturating_add(allocation.amount.0.saturating_mul(allocation.immediate.0) / ONE.0)
        });
        rules.require(
            free >= launch.claimable.0,
            "launch.claimable",
            format!("only {} of the allocations are free when markets open", Tndm(free)),
        );
    }

    fn check_participants(&self, rules: &mut Rules) {
        rules.require(!self.authorities.council.is_zero(), "authorities.council", "must be named");
        rules.require(!self.authorities.guardian.is_zero(), "authorities.guardian", "must be named");
        let n = self.genesis_subnets.len();
        rules.require(
            n >= 1 && (self.devnet || n <= 4),
            "genesis_subnets",
            "must be 1 to 4: thin revenue cannot feed more",
        );
        for (index, subnet) in self.genesis_subnets.iter().enumerate() {
            let named = !subnet.owner.is_zero() && !subnet.name.is_empty() && subnet.name.len() <= 32;
            rules.require(named, format!("genesis_subnets[{index}]"), "needs an owner and a name of at most 32 bytes");
        }
        let mut seen = BTreeSet::new();
        let owners = self.hotkey_owners();
        for (index, validator) in self.mesh_validators.iter().enumerate() {
            let key = format!("mesh_validators[{index}]");
            let known = (1..=n).contains(&usize::from(validator.netuid));
            rules.require(known, &key, format!("netuid must lie between 1 and {n}"));
            rules.require(
                !validator.weight.0.is_zero() && validator.weight.0 <= U256::from(u128::MAX),
                &key,
                "weight must be above zero and fit in 128 bits",
            );
            let fresh = !validator.hotkey.is_zero() && seen.insert((validator.netuid, validator.hotkey));
            rules.require(fresh, &key, "hotkey must be named, once per subnet");
            let one_owner = owners.get(&validator.hotkey) == Some(&validator.owner);
            rules.require(
                one_owner && !validator.owner.is_zero(),
                &key,
                "owner must be named, the same in all subnets of a hotkey",
            );
        }
        for (index, allocation) in self.allocations.iter().enumerate() {
            let key = format!("allocations[{index}]");
            rules.require(!allocation.beneficiary.is_zero(), &key, "beneficiary must be named");
            rules.require(!allocation.amount.0.is_zero(), &key, "amount must be above zero");
            rules.require(allocation.immediate <= ONE, &key, "immediate must be at most 1");
        }
        let mut ids = BTreeSet::new();
        for (index, model) in self.models.iter().enumerate() {
            let key = format!("models[{index}]");
            let fits = !model.id.is_empty() && model.id.len() <= 256 && ids.insert(&model.id);
            rules.require(fits, &key, "id must be of 1 to 256 bytes, each model once");
            let bounded = |rate: U256| rate <= U256::from(u128::MAX);
            rules.require(
                bounded(model.prompt_per_million.0) && bounded(model.completion_per_million.0),
                &key,
                "rates must fit in 128 bits",
            );
        }
    }
}
