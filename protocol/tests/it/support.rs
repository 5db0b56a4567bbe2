//! What the tests share: keys, one quiet subnet, and random epochs.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_signer_local::PrivateKeySigner;
use proptest::prelude::*;
use tandem_protocol::bundle::{
    CarriedPot, Carry, EpochInputs, Hyperparameters, NeuronInput, RULES_VERSION, SubnetInputs,
};
use tandem_protocol::delegation::{Backing, Delegation};
use tandem_protocol::messages::SignatureBytes;
use tandem_protocol::reveal::Reveal;
use tandem_protocol::tree::{Reward, RewardKind};

pub(crate) const CHAIN: u64 = 31_337;
pub(crate) const ORACLE: Address = Address::repeat_byte(0x0a);

pub(crate) fn address(n: u64) -> Address {
    Address::from_word(keccak256(n.to_be_bytes()))
}

pub(crate) fn key(n: u64) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&keccak256(n.to_le_bytes())).unwrap()
}

pub(crate) fn word() -> impl Strategy<Value = B256> {
    any::<[u8; 32]>().prop_map(B256::from)
}

pub(crate) fn account() -> impl Strategy<Value = Address> {
    any::<[u8; 20]>().prop_map(Address::from)
}

pub(crate) fn uint256() -> impl Strategy<Value = U256> {
    any::<[u8; 32]>().prop_map(U256::from_be_bytes)
}

/// Hotkey of a uid; the same validator has the same hotkey in every subnet.
pub(crate) fn hotkey(uid: usize) -> Address {
    address(1_000 + uid as u64)
}

/// A row as `compute` takes it: whether it was signed is checked elsewhere.
pub(crate) fn unsigned(netuid: u16, epoch: u64, uid: usize, row: Vec<(u16, u16)>) -> Reveal {
    Reveal {
        netuid,
        epoch,
        validator: hotkey(uid),
        seq: 1,
        salt: B256::ZERO,
        row,
        signature: SignatureBytes::ZERO,
        receipts: Vec::new(),
    }
}

/// Two validators (600 and 400 of stake) and two contributors, whom the first two weigh alike; every uid has an owner of
/// its own, the subnet too.
pub(crate) fn quiet_subnet(netuid: u16, epoch: u64) -> SubnetInputs {
    let neuron = |uid: usize| NeuronInput {
        owner: address(100 + uid as u64),
        hotkey: hotkey(uid),
        registered_at: 10,
        stake: [600, 400, 0, 0][uid] * 10u128.pow(18),
        backing: Backing::default(),
    };
    let mut rows: Vec<Reveal> = (0..2).map(|uid| unsigned(netuid, epoch, uid, vec![(2, 3), (3, 1)])).collect();
    rows.sort_unstable_by_key(|row| row.validator);
    SubnetInputs {
        netuid,
        owner: address(99),
        hyperparameters: Hyperparameters {
            kappa: 32_767,
            bonds_moving_average: 900_000,
            bonds_penalty: u16::MAX,
            max_validators: 64,
        },
        neurons: (0..4).map(neuron).collect(),
        bonds: Vec::new(),
        rows,
        dropped: Vec::new(),
        alpha: 1_000,
        usdc: 500,
        carry: Carry::default(),
    }
}

/// An epoch of the given subnets and two keepers, with nothing before it.
pub(crate) fn epoch_of(epoch: u64, subnets: Vec<SubnetInputs>) -> EpochInputs {
    let mut keepers = vec![address(2_000), address(2_001)];
    keepers.sort_unstable();
    EpochInputs {
        chain_id: CHAIN,
        oracle: ORACLE,
        epoch,
        attempt: 0,
        rules_version: RULES_VERSION,
        config_digest: B256::repeat_byte(0xc0),
        inputs_block_number: 77,
        inputs_block: B256::repeat_byte(0xb1),
        epoch_start: 1_000 + 100 * epoch,
        bonds_since: 900 + 100 * epoch,
        previous_report: B256::repeat_byte(0x11),
        previous_bundle: B256::repeat_byte(0x22),
        neuron_immunity: 50,
        keepers,
        subnets,
        rewards_before: Vec::new(),
    }
}

fn amount() -> impl Strategy<Value = u128> {
    prop_oneof![Just(0), 1..300u128, 0..1u128 << 90]
}

fn row(count: usize) -> BoxedStrategy<Vec<(u16, u16)>> {
    if count == 0 {
        return Just(Vec::new()).boxed();
    }
    let value = prop_oneof![Just(0), Just(1), Just(u16::MAX), any::<u16>()];
    prop::collection::btree_map(0..count as u16, value, 0..=count).prop_map(|row| row.into_iter().collect()).boxed()
}

fn pot() -> impl Strategy<Value = CarriedPot> {
    (amount(), amount(), 0..27u16).prop_map(|(alpha, usdc, age)| CarriedPot { alpha, usdc, age })
}

fn hyperparameters() -> impl Strategy<Value = Hyperparameters> {
    (prop_oneof![Just(32_767), any::<u16>()], 0..=1_000_000u32, any::<u16>(), 0..8u16).prop_map(
        |(kappa, bonds_moving_average, bonds_penalty, max_validators)| Hyperparameters {
            kappa,
            bonds_moving_average,
            bonds_penalty,
            max_validators,
        },
    )
}

/// A uid: its neuron with an owner out of four, the row it reveals, its bonds.
type Uid = (NeuronInput, Option<Vec<(u16, u16)>>, Vec<(u16, u16)>);

fn delegations() -> impl Strategy<Value = Vec<Delegation>> {
    let shares = prop_oneof![Just(0), 1..9u128, Just(u128::MAX), any::<u128>()];
    prop::collection::btree_map((0..6u64).prop_map(address), shares, 0..5)
        .prop_map(|shares| shares.into_iter().map(|(account, shares)| Delegation { account, shares }).collect())
}

/// What stands behind a stake, in every sound proportion.
pub(crate) fn backing(stake: u128) -> impl Strategy<Value = Backing> {
    (any::<u16>(), 0..=stake, any::<bool>(), delegations(), delegations()).prop_map(
        move |(take, alpha, bonded, alpha_delegations, bond_delegations)| Backing {
            take,
            alpha,
            bond: if bonded { stake - alpha } else { (stake - alpha) / 3 },
            alpha_delegations,
            bond_delegations,
        },
    )
}

fn uid(count: usize) -> impl Strategy<Value = Uid> {
    let stake = prop_oneof![0..4u128, 0..1u128 << 92];
    let backed = stake.prop_flat_map(|stake| (Just(stake), backing(stake)));
    (0..4u64, backed, 0..6u64, prop::option::weighted(0.7, row(count)), row(count)).prop_map(
        |(owner, (stake, backing), registered_at, row, bonds)| {
            let neuron = NeuronInput { owner: address(owner), hotkey: Address::ZERO, registered_at, stake, backing };
            (neuron, row, bonds)
        },
    )
}

fn subnet() -> impl Strategy<Value = SubnetInputs> {
    let uids = (0..7usize).prop_flat_map(|count| prop::collection::vec(uid(count), count));
    (uids, 0..4u64, hyperparameters(), amount(), amount(), pot(), pot(), 0..8usize).prop_map(
        |(uids, owner, hyperparameters, alpha, usdc, validators, contributors, with_bonds)| {
            let (mut neurons, mut rows, mut bonds) = (Vec::new(), Vec::new(), Vec::new());
            for (uid, (neuron, row, held)) in uids.into_iter().enumerate() {
                neurons.push(NeuronInput { hotkey: hotkey(uid), ..neuron });
                rows.extend(row.map(|row| unsigned(0, 0, uid, row)));
                bonds.push(held);
            }
            rows.sort_unstable_by_key(|reveal| reveal.validator);
            bonds.truncate(with_bonds);
            SubnetInputs {
                netuid: 0,
                owner: address(owner),
                hyperparameters,
                neurons,
                bonds,
                rows,
                dropped: Vec::new(),
                alpha,
                usdc,
                carry: Carry { validators, contributors },
            }
        },
    )
}

fn rewards() -> impl Strategy<Value = Vec<Reward>> {
    let key = (0..RewardKind::ALL.len(), 1..5u16, 0..4u64)
        .prop_map(|(kind, netuid, owner)| (RewardKind::ALL[kind], netuid, address(owner)));
    prop::collection::btree_map(key, 0..1u128 << 100, 0..20).prop_map(|rewards: BTreeMap<_, _>| {
        rewards
            .into_iter()
            .map(|((kind, netuid, account), cumulative)| Reward { kind, netuid, account, cumulative })
            .collect()
    })
}

/// Epochs of up to three subnets with up to six uids, in every state that a chain can be in and some that it cannot.
pub(crate) fn epochs() -> impl Strategy<Value = EpochInputs> {
    (prop::collection::vec(subnet(), 0..4), rewards(), 1..5u64, any::<u32>(), 0..8u64, 0..8u64, 0..8u64).prop_map(
        |(mut subnets, rewards_before, keepers, epoch, epoch_start, bonds_since, neuron_immunity)| {
            let epoch = u64::from(epoch);
            for (place, subnet) in subnets.iter_mut().enumerate() {
                subnet.netuid = place as u16 + 1;
                for reveal in &mut subnet.rows {
                    (reveal.netuid, reveal.epoch) = (subnet.netuid, epoch);
                }
            }
            let mut keepers: Vec<Address> = (0..keepers).map(|n| address(2_000 + n)).collect();
            keepers.sort_unstable();
            EpochInputs {
                keepers,
                rewards_before,
                epoch_start,
                bonds_since,
                neuron_immunity,
                ..epoch_of(epoch, subnets)
            }
        },
    )
}
