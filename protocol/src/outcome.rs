//! From an epoch's inputs to its outcome: the pure function that every keeper computes for itself before it signs, and
//! that anybody can run again.
//!
//! Per subnet: permits are the K largest stakes as of the epoch's start; a validator without a row that counts is
//! inactive and earns nothing; [`yuma`] turns rows, stakes and old bonds into incentives and dividends; the granted
//! alpha and USDC are split by role ([`crate::payout`]) and then by share, exact to the unit. A side that earned nothing
//! has its pot carried. Keepers share theirs evenly, validators with their delegators ([`crate::delegation`]). What
//! everybody earned is added to the cumulative rewards.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, keccak256};
use alloy_sol_types::SolValue;
use yuma::{Epoch, Hyperparameters as YumaParameters, Neuron, Payout, Profile, Rules};

use crate::bundle::{
    BUNDLE_VERSION, CarriedPot, Carry, EpochBundle, EpochInputs, EpochOutcome, MAX_CARRY_EPOCHS, RULES_VERSION,
    SubnetInputs, SubnetOutcome,
};
use crate::messages::EpochReport;
use crate::payout::{split_alpha, split_usdc};
use crate::tree::{Reward, RewardKind, RewardTree, TreeError, merkle_root};

/// Why inputs have no outcome.
#[derive(Debug, thiserror::Error)]
pub enum OutcomeError {
    /// Made for rules this program does not know.
    #[error("rules version {0} is unknown, this program computes {RULES_VERSION}")]
    UnknownRules(u32),
    /// Subnets are not strictly ascending.
    #[error("subnet {0} does not come after its predecessor")]
    SubnetsNotAscending(u16),
    /// A row was made for another subnet or epoch, does not come after its predecessor by validator, or its validator
    /// holds no uid.
    #[error("rows of subnet {netuid}: {validator}'s is another subnet's or epoch's, out of order, or without a uid")]
    Row {
        /// Subnet.
        netuid: u16,
        /// Validator.
        validator: Address,
    },
    /// Bonds of more neurons than there are.
    #[error("subnet {netuid} has {neurons} neurons but {rows} rows of bonds")]
    Bonds {
        /// Subnet.
        netuid: u16,
        /// Neurons.
        neurons: usize,
        /// Rows of bonds.
        rows: usize,
    },
    /// The parts of a validator's stake do not fit into it, or its delegations do not ascend by account.
    #[error("subnet {netuid}: what stands behind {hotkey} does not add up")]
    Backing {
        /// Subnet.
        netuid: u16,
        /// Validator.
        hotkey: Address,
    },
    /// The engine refused a subnet.
    #[error("subnet {netuid}: {reason}")]
    Yuma {
        /// Subnet.
        netuid: u16,
        /// The engine's reason.
        reason: yuma::Error,
    },
    /// What is carried and what is granted leave the range of 128 bits together.
    #[error("pots of subnet {netuid} overflow")]
    Pot {
        /// Subnet.
        netuid: u16,
    },
    /// A sum of rewards left the range of 128 bits.
    #[error("rewards of {account} overflow")]
    Overflow {
        /// Account.
        account: Address,
    },
    /// Earlier rewards are out of order.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Computes the outcome of an epoch.
pub fn compute(inputs: &EpochInputs) -> Result<EpochOutcome, OutcomeError> {
    if inputs.rules_version != RULES_VERSION {
        return Err(OutcomeError::UnknownRules(inputs.rules_version));
    }
    if let Some(pair) = inputs.subnets.windows(2).find(|pair| pair[0].netuid >= pair[1].netuid) {
        return Err(OutcomeError::SubnetsNotAscending(pair[1].netuid));
    }
    let mut ledger = Ledger::open(&inputs.rewards_before)?;
    let mut subnets = Vec::with_capacity(inputs.subnets.len());
    for subnet in &inputs.subnets {
        subnets.push(compute_subnet(inputs, subnet, &mut ledger)?);
    }
    let leaves: Vec<B256> = subnets.iter().map(subnet_leaf).collect();
    let tree = RewardTree::new(ledger.close())?;
    Ok(EpochOutcome {
        subnets_root: merkle_root(&leaves),
        rewards_root: tree.root(),
        rewards: tree.rewards().to_vec(),
        subnets,
    })
}

/// Computes the outcome and puts it into a bundle with its inputs.
pub fn bundle(inputs: EpochInputs) -> Result<EpochBundle, OutcomeError> {
    let outcome = compute(&inputs)?;
    Ok(EpochBundle { version: BUNDLE_VERSION, inputs, outcome })
}

/// The report that keepers sign for a bundle.
pub fn report(bundle: &EpochBundle) -> EpochReport {
    report_named(bundle, bundle.hash())
}

/// As [`report`], of a bundle whose [`EpochBundle::hash`] is known: the largest takes seconds to name.
pub fn report_named(bundle: &EpochBundle, hash: B256) -> EpochReport {
    let EpochBundle { inputs, outcome, .. } = bundle;
    EpochReport {
        epoch: inputs.epoch,
        attempt: inputs.attempt,
        configDigest: inputs.config_digest,
        inputsBlock: inputs.inputs_block,
        previousReport: inputs.previous_report,
        subnetsRoot: outcome.subnets_root,
        rewardsRoot: outcome.rewards_root,
        bundleHash: hash,
        rulesVersion: inputs.rules_version,
    }
}

/// At most so many uids are listed for eviction: more cannot register before the next list.
pub const MAX_PRUNE_LIST: usize = 64;

/// The leaf of a subnet in the tree of `subnets_root`, as `SubnetRegistry` opens it:
/// `keccak256(keccak256(abi.encode(netuid, trace, keccak256(abi.encode(pruneList)))))` with [`subnet_hash`] as trace.
pub fn subnet_leaf(outcome: &SubnetOutcome) -> B256 {
    let prune = keccak256(outcome.prune_list.abi_encode());
    keccak256(keccak256((outcome.netuid, subnet_hash(outcome), prune).abi_encode()))
}

/// The hash of a subnet's whole outcome.
pub fn subnet_hash(outcome: &SubnetOutcome) -> B256 {
    keccak256(borsh::to_vec(outcome).expect("writing to memory cannot fail and no length exceeds u32"))
}

fn compute_subnet(
    inputs: &EpochInputs,
    subnet: &SubnetInputs,
    ledger: &mut Ledger,
) -> Result<SubnetOutcome, OutcomeError> {
    let netuid = subnet.netuid;
    if let Some(neuron) = subnet.neurons.iter().find(|neuron| !neuron.backing.is_sound(neuron.stake)) {
        return Err(OutcomeError::Backing { netuid, hotkey: neuron.hotkey });
    }
    let scores = run_yuma(inputs, subnet)?;
    let alpha = split_alpha(subnet.alpha);
    let usdc = split_usdc(subnet.usdc);

    ledger.add(RewardKind::OwnerAlpha, netuid, subnet.owner, alpha.owner)?;
    ledger.add(RewardKind::OwnerUsdc, netuid, subnet.owner, usdc.owner)?;
    let keepers = yuma::split_exact(usdc.keepers, &vec![1u64; inputs.keepers.len()]);
    for (keeper, amount) in inputs.keepers.iter().zip(keepers) {
        ledger.add(RewardKind::KeeperUsdc, netuid, *keeper, amount)?;
    }

    let overflow = || OutcomeError::Pot { netuid };
    let validators = Side { alpha: alpha.validators, usdc: usdc.validators, carried: subnet.carry.validators }
        .pay(|pot| scores.pay_dividends(pot), subnet.neurons.len())
        .ok_or_else(overflow)?;
    let contributors = Side { alpha: alpha.contributors, usdc: usdc.contributors, carried: subnet.carry.contributors }
        .pay(|pot| scores.pay_incentives(pot), subnet.neurons.len())
        .ok_or_else(overflow)?;
    for (uid, neuron) in subnet.neurons.iter().enumerate() {
        let (stake, owner) = (neuron.stake, neuron.owner);
        for (account, amount) in neuron.backing.split(validators.alpha[uid], stake, owner) {
            ledger.add(RewardKind::ValidatorAlpha, netuid, account, amount)?;
        }
        for (account, amount) in neuron.backing.split(validators.usdc[uid], stake, owner) {
            ledger.add(RewardKind::ValidatorUsdc, netuid, account, amount)?;
        }
        ledger.add(RewardKind::ContributorAlpha, netuid, neuron.owner, contributors.alpha[uid])?;
        ledger.add(RewardKind::ContributorUsdc, netuid, neuron.owner, contributors.usdc[uid])?;
    }

    let prune_list = prune_list(inputs, subnet, &scores);
    let u16s = |values: &[yuma::Q32]| values.iter().map(|value| value.to_u16()).collect();
    Ok(SubnetOutcome {
        netuid,
        consensus: u16s(&scores.consensus),
        incentive: u16s(&scores.incentive),
        dividends: u16s(&scores.dividends),
        validator_trust: u16s(&scores.validator_trust),
        permits: scores.permits,
        bonds: scores.bonds,
        contributor_alpha: contributors.alpha,
        contributor_usdc: contributors.usdc,
        validator_alpha: validators.alpha,
        validator_usdc: validators.usdc,
        carry: Carry { validators: validators.carry, contributors: contributors.carry },
        prune_list,
    })
}

/// Who may be evicted: the lowest sum of incentive and dividends first, among equals the oldest registration, then the lower
/// uid. Spared are permit holders, whose stake would be left without a uid, and whoever was immune when the epoch began.
fn prune_list(inputs: &EpochInputs, subnet: &SubnetInputs, scores: &yuma::Outcome) -> Vec<u16> {
    let immune_since = inputs.epoch_start.saturating_sub(inputs.neuron_immunity);
    let mut ranked: Vec<_> = (0..=u16::MAX)
        .zip(&subnet.neurons)
        .filter(|(uid, neuron)| !scores.permits[usize::from(*uid)] && neuron.registered_at <= immune_since)
        .map(|(uid, neuron)| {
            let place = usize::from(uid);
            let score = u128::from(scores.incentive[place].raw()) + u128::from(scores.dividends[place].raw());
            (score, neuron.registered_at, uid)
        })
        .collect();
    ranked.sort_unstable();
    ranked.truncate(MAX_PRUNE_LIST);
    ranked.into_iter().map(|(.., uid)| uid).collect()
}

fn run_yuma(inputs: &EpochInputs, subnet: &SubnetInputs) -> Result<yuma::Outcome, OutcomeError> {
    let netuid = subnet.netuid;
    if subnet.bonds.len() > subnet.neurons.len() {
        return Err(OutcomeError::Bonds { netuid, neurons: subnet.neurons.len(), rows: subnet.bonds.len() });
    }
    let mut rows: BTreeMap<Address, &[(u16, u16)]> = BTreeMap::new();
    for reveal in &subnet.rows {
        let validator = reveal.validator;
        // A validator has the same hotkey in several subnets: its signature alone does not tell where a row belongs.
        let here = reveal.netuid == netuid && reveal.epoch == inputs.epoch;
        let known = subnet.neurons.iter().any(|neuron| neuron.hotkey == validator);
        let ascending = rows.last_key_value().is_none_or(|(last, _)| *last < validator);
        if !here || !known || !ascending {
            return Err(OutcomeError::Row { netuid, validator });
        }
        rows.insert(validator, &reveal.row);
    }
    let params = YumaParameters {
        rules: Rules::Yuma3,
        liquid_alpha: None,
        profile: Profile::Tandem,
        kappa: subnet.hyperparameters.kappa,
        bonds_moving_average: subnet.hyperparameters.bonds_moving_average,
        bonds_penalty: subnet.hyperparameters.bonds_penalty,
        max_validators: subnet.hyperparameters.max_validators,
        // Whoever has no row that counts in this very epoch is inactive in it.
        activity_cutoff: 0,
        stake_threshold: 0,
        // A bundle does not tell when a validator had its last permit.
        permit_grace: 0,
    };
    // Above the zero that stands for "never updated".
    let now = inputs.epoch_start.max(1);
    let mut epoch = Epoch { now, bonds_since: inputs.bonds_since, owner: None, neurons: Vec::new() };
    epoch.neurons = subnet
        .neurons
        .iter()
        .map(|neuron| Neuron { stake: neuron.stake, registered: neuron.registered_at, ..Neuron::default() })
        .collect();
    let yuma_error = |reason| OutcomeError::Yuma { netuid, reason };
    // Stakes are those of the epoch's start, so permits need not lag an epoch behind them.
    let permits = epoch.next_permits(&params).map_err(yuma_error)?;
    for (uid, (neuron, input)) in epoch.neurons.iter_mut().zip(&subnet.neurons).enumerate() {
        neuron.permit = permits[uid];
        neuron.bonds = subnet.bonds.get(uid).cloned().unwrap_or_default();
        if let Some(row) = rows.get(&input.hotkey) {
            neuron.weights = row.to_vec();
            neuron.last_update = now;
        }
    }
    epoch.run(&params).map_err(yuma_error)
}

/// One side's pots of this epoch, and what earlier epochs carried.
struct Side {
    alpha: u128,
    usdc: u128,
    carried: CarriedPot,
}

struct PaidSide {
    alpha: Vec<u128>,
    usdc: Vec<u128>,
    carry: CarriedPot,
}

impl Side {
    /// Pays all of it or carries all of it; `None` if a sum overflows.
    fn pay(self, split: impl Fn(u128) -> Payout, neurons: usize) -> Option<PaidSide> {
        let fresh = CarriedPot { alpha: self.alpha, usdc: self.usdc, age: 0 };
        let carried = if self.carried.age > MAX_CARRY_EPOCHS { CarriedPot::default() } else { self.carried };
        let pot = fresh.merge(carried)?;
        match (split(pot.alpha), split(pot.usdc)) {
            (Payout::Paid(alpha), Payout::Paid(usdc)) => Some(PaidSide { alpha, usdc, carry: CarriedPot::default() }),
            _ => {
                // This was the last epoch in which what has been carried for so long could be paid.
                let kept = if carried.age == MAX_CARRY_EPOCHS { fresh } else { pot };
                let carry = if kept.alpha == 0 && kept.usdc == 0 {
                    CarriedPot::default()
                } else {
                    CarriedPot { age: kept.age + 1, ..kept }
                };
                Some(PaidSide { alpha: vec![0; neurons], usdc: vec![0; neurons], carry })
            }
        }
    }
}

impl CarriedPot {
    /// Both pots in one, as old as the older.
    fn merge(self, other: Self) -> Option<Self> {
        Some(Self {
            alpha: self.alpha.checked_add(other.alpha)?,
            usdc: self.usdc.checked_add(other.usdc)?,
            age: self.age.max(other.age),
        })
    }
}

/// Cumulative rewards by key.
struct Ledger(BTreeMap<(RewardKind, u16, Address), u128>);

impl Ledger {
    fn open(rewards: &[Reward]) -> Result<Self, TreeError> {
        if let Some(at) = rewards.windows(2).position(|pair| pair[0].key() >= pair[1].key()) {
            return Err(TreeError::NotAscending { index: at + 1 });
        }
        Ok(Self(rewards.iter().map(|reward| (reward.key(), reward.cumulative)).collect()))
    }

    fn add(&mut self, kind: RewardKind, netuid: u16, account: Address, amount: u128) -> Result<(), OutcomeError> {
        if amount == 0 {
            return Ok(());
        }
        let cumulative = self.0.entry((kind, netuid, account)).or_default();
        *cumulative = cumulative.checked_add(amount).ok_or(OutcomeError::Overflow { account })?;
        Ok(())
    }

    fn close(self) -> Vec<Reward> {
        self.0
            .into_iter()
            .map(|((kind, netuid, account), cumulative)| Reward { kind, netuid, account, cumulative })
            .collect()
    }
}
