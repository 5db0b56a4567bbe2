//! A network of any size, the same in every process: whoever needs a key, a row or a bundle makes it of its number.

use std::path::Path;

use alloy_primitives::{Address, B256, FixedBytes, keccak256};
use alloy_signer_local::PrivateKeySigner;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tandem_keeper::{
    bundles::Bundles,
    chain::{Granted, KeeperSetFacts, NeuronFacts, SubnetFacts},
    network::Network,
    rows::proposer,
};
use tandem_protocol::{
    bundle::{EpochInputs, Hyperparameters, NeuronInput, RULES_VERSION, SubnetInputs},
    clock::EpochClock,
    delegation::{Backing, Delegation},
    messages::EpochReport,
    outcome,
    reveal::Reveal,
    tree::{Reward, RewardKind},
};

use crate::support::{self, memory::MemoryChain};

/// Length of an epoch, as on a real network.
pub(crate) const LENGTH: u64 = 3_600;
/// The epoch that is measured; the one before is posted and active.
pub(crate) const EPOCH: u64 = 1;
/// What every subnet is granted per epoch.
const GRANTED: Granted = Granted { alpha: 14_000_000_000_000_000_000, usdc: 1_000_000_000 };
/// Of a validator's dividends, a share of 18 %.
const TAKE: u16 = 11_796;

/// How large a network is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Size {
    pub(crate) keepers: u16,
    pub(crate) subnets: u16,
    /// The first uids of each subnet.
    pub(crate) validators: u16,
    /// All uids of each subnet, which every row weighs.
    pub(crate) uids: u16,
    /// Accounts with a stake in each validator.
    pub(crate) delegators: u16,
    /// Accounts that have earned something in earlier epochs.
    pub(crate) claimants: u32,
    /// Whether contributors serve, so that there are audits.
    pub(crate) serving: bool,
}

impl Size {
    pub(crate) fn network(&self) -> Network {
        Network { clock: EpochClock::new(support::GENESIS, LENGTH).unwrap(), ..support::network() }
    }

    /// Keys of all keepers, ascending by address.
    pub(crate) fn keepers(&self) -> Vec<PrivateKeySigner> {
        let mut keys: Vec<_> = (0..self.keepers).map(|number| signer("keeper", 0, number.into())).collect();
        keys.sort_by_key(PrivateKeySigner::address);
        keys
    }

    pub(crate) fn threshold(&self) -> usize {
        2 * usize::from(self.keepers) / 3 + 1
    }

    /// The keeper whose turn the measured epoch is.
    pub(crate) fn me(&self, set: &KeeperSetFacts) -> PrivateKeySigner {
        let turn = proposer(set, EPOCH, 0).unwrap();
        self.keepers().into_iter().find(|key| key.address() == turn).unwrap()
    }

    pub(crate) fn chain(&self) -> MemoryChain {
        let keepers: Vec<Address> = self.keepers().iter().map(PrivateKeySigner::address).collect();
        let now = self.network().clock.start_of(EPOCH) + 10;
        let chain = MemoryChain::of(self.network(), (keepers, self.threshold()), self.facts(), GRANTED, now);
        chain.set_endpoints(vec!["memory".to_owned(); usize::from(self.keepers)]);
        chain
    }

    fn facts(&self) -> Vec<SubnetFacts> {
        (1..=self.subnets).into_par_iter().map(|netuid| self.subnet(netuid)).collect()
    }

    fn subnet(&self, netuid: u16) -> SubnetFacts {
        let neuron = |uid: u16| {
            let validates = uid < self.validators;
            let stake = if validates { u128::from(1_000 + uid) * 1_000_000_000_000_000_000 } else { 0 };
            let hotkey =
                if validates { self.validator(netuid, uid).address() } else { account("hotkey", netuid, uid.into()) };
            NeuronFacts {
                input: NeuronInput {
                    owner: account("owner", netuid, uid.into()),
                    hotkey,
                    registered_at: 0,
                    stake,
                    backing: if validates { self.backing(netuid, uid, stake) } else { Backing::default() },
                },
                endpoint: if validates || !self.serving { String::new() } else { "http://contributor".to_owned() },
            }
        };
        SubnetFacts {
            netuid,
            owner: account("subnet", netuid, 0),
            hyperparameters: Hyperparameters {
                kappa: 32_767,
                bonds_moving_average: 900_000,
                bonds_penalty: 65_535,
                max_validators: self.validators,
            },
            neurons: (0..self.uids).map(neuron).collect(),
        }
    }

    fn backing(&self, netuid: u16, uid: u16, stake: u128) -> Backing {
        let first = u32::from(uid) * u32::from(self.delegators);
        let delegation = |number| Delegation {
            account: account("delegator", netuid, first + number),
            shares: u128::from(number + 1) * 1_000_000_000_000_000_000,
        };
        let mut delegations: Vec<_> = (0..u32::from(self.delegators)).map(delegation).collect();
        delegations.sort_unstable_by_key(|delegation| delegation.account);
        Backing { take: TAKE, alpha: stake, bond: 0, alpha_delegations: delegations, bond_delegations: Vec::new() }
    }

    pub(crate) fn validator(&self, netuid: u16, uid: u16) -> PrivateKeySigner {
        signer("hotkey", netuid, uid.into())
    }

    /// Every validator as (netuid, uid).
    pub(crate) fn rows(&self) -> Vec<(u16, u16)> {
        (1..=self.subnets).flat_map(|netuid| (0..self.validators).map(move |uid| (netuid, uid))).collect()
    }

    /// What a validator thinks of all uids: nearly what the others think.
    pub(crate) fn row(&self, netuid: u16, uid: u16) -> Vec<(u16, u16)> {
        let weight = |target: u16| {
            let common = mixed(u64::from(netuid) << 16 | u64::from(target)) % 50_000;
            let own = mixed(u64::from(uid) << 32 | u64::from(netuid) << 16 | u64::from(target)) % 2_000;
            (5_000 + common + own) as u16
        };
        (0..self.uids).map(|target| (target, weight(target))).collect()
    }

    pub(crate) fn claimant(&self, number: u32) -> Address {
        account("claimant", 0, number)
    }

    /// The epoch before, computed as any epoch is, but of rows that nobody signed; put where a keeper finds it.
    pub(crate) async fn before(&self, folder: &Path) -> EpochReport {
        let bundle = outcome::bundle(self.inputs_before()).unwrap();
        let report = outcome::report(&bundle);
        let bundles = Bundles::in_folder(folder).unwrap();
        bundles.put(report.bundleHash, bundle.encode().into()).await.unwrap();
        report
    }

    fn inputs_before(&self) -> EpochInputs {
        let network = self.network();
        let keepers: Vec<Address> = self.keepers().iter().map(PrivateKeySigner::address).collect();
        let subnets = self.facts().into_iter().map(|facts| {
            let mut rows: Vec<Reveal> = (0..self.validators).map(|uid| self.unsigned(&facts, uid, &keepers)).collect();
            rows.sort_unstable_by_key(|reveal| reveal.validator);
            SubnetInputs {
                netuid: facts.netuid,
                owner: facts.owner,
                hyperparameters: facts.hyperparameters,
                bonds: vec![Vec::new(); facts.neurons.len()],
                neurons: facts.neurons.into_iter().map(|neuron| neuron.input).collect(),
                rows,
                dropped: Vec::new(),
                alpha: GRANTED.alpha,
                usdc: GRANTED.usdc,
                carry: Default::default(),
            }
        });
        let subnets = subnets.collect();
        let mut rewards: Vec<Reward> = (0..self.claimants)
            .map(|number| Reward {
                kind: RewardKind::ContributorUsdc,
                netuid: 1,
                account: self.claimant(number),
                cumulative: u128::from(number) + 1,
            })
            .collect();
        rewards.sort_unstable_by_key(Reward::key);
        EpochInputs {
            chain_id: network.chain_id,
            oracle: network.oracle,
            epoch: EPOCH - 1,
            attempt: 0,
            rules_version: RULES_VERSION,
            config_digest: B256::ZERO,
            inputs_block_number: 1,
            inputs_block: B256::repeat_byte(1),
            epoch_start: network.clock.start_of(EPOCH - 1),
            bonds_since: 0,
            previous_report: B256::ZERO,
            previous_bundle: B256::ZERO,
            neuron_immunity: 60,
            keepers,
            subnets,
            rewards_before: rewards,
        }
    }

    fn unsigned(&self, facts: &SubnetFacts, uid: u16, keepers: &[Address]) -> Reveal {
        Reveal {
            netuid: facts.netuid,
            epoch: EPOCH - 1,
            validator: facts.neurons[usize::from(uid)].input.hotkey,
            seq: 1,
            salt: support::SALT,
            row: self.row(facts.netuid, uid),
            signature: FixedBytes::repeat_byte(1),
            receipts: keepers.iter().map(|keeper| (*keeper, FixedBytes::repeat_byte(2))).collect(),
        }
    }
}

fn seed(kind: &str, netuid: u16, number: u32) -> B256 {
    keccak256([kind.as_bytes(), &netuid.to_be_bytes(), &number.to_be_bytes()].concat())
}

fn signer(kind: &str, netuid: u16, number: u32) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&seed(kind, netuid, number)).unwrap()
}

fn account(kind: &str, netuid: u16, number: u32) -> Address {
    Address::from_word(seed(kind, netuid, number))
}

/// SplitMix64: a number that looks like chance.
fn mixed(number: u64) -> u64 {
    let mut state = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}
