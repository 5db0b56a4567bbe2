//! From inputs to outcome: what holds for every epoch, and what has no outcome.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, b256};
use alloy_sol_types::SolStruct;
use proptest::prelude::*;
use tandem_protocol::bundle::{CarriedPot, EpochInputs, MAX_CARRY_EPOCHS, NeuronInput, SubnetInputs};
use tandem_protocol::delegation::{Backing, Delegation};
use tandem_protocol::outcome::{MAX_PRUNE_LIST, OutcomeError, bundle, compute, report, subnet_leaf};
use tandem_protocol::payout::{split_alpha, split_usdc};
use tandem_protocol::tree::{Reward, RewardKind, RewardTree, TreeError, merkle_root};

use crate::support::{address, backing, epoch_of, epochs, hotkey, quiet_subnet, unsigned};

fn sum(amounts: &[u128]) -> u128 {
    amounts.iter().sum()
}

/// One side's alpha or USDC: granted, carried in, paid by uid, carried out.
fn conserved(fresh: u128, carried: u128, age: u16, paid: &[u128], kept: u128, earned: bool) {
    let carried = if age > MAX_CARRY_EPOCHS { 0 } else { carried };
    if earned {
        assert_eq!((sum(paid), kept), (fresh + carried, 0));
    } else {
        let lapsed = if age == MAX_CARRY_EPOCHS { carried } else { 0 };
        assert_eq!((sum(paid), kept), (0, fresh + carried - lapsed));
    }
}

proptest! {
    /// `[EP-4]` Nothing is lost, nothing is doubled, and no side ever gets what was the other's.
    #[test]
    fn every_unit_is_paid_or_carried_on_its_own_side(inputs in epochs()) {
        let outcome = compute(&inputs).unwrap();
        for (subnet, result) in inputs.subnets.iter().zip(&outcome.subnets) {
            let (alpha, usdc) = (split_alpha(subnet.alpha), split_usdc(subnet.usdc));
            let (before, after) = (subnet.carry, result.carry);
            let side = |before: CarriedPot, after: CarriedPot, alpha: (u128, &[u128]), usdc: (u128, &[u128]), shares: &[u16]| {
                let earned = shares.iter().any(|share| *share > 0);
                conserved(alpha.0, before.alpha, before.age, alpha.1, after.alpha, earned);
                conserved(usdc.0, before.usdc, before.age, usdc.1, after.usdc, earned);
                assert!(after.age <= MAX_CARRY_EPOCHS);
                assert_eq!(after.age == 0, after == CarriedPot::default());
                // Shares are floored to 1/65535 each.
                let total: u32 = shares.iter().map(|share| u32::from(*share)).sum();
                assert!(!earned || (65_535 - shares.len() as u32..=65_535).contains(&total));
            };
            side(
                before.validators, after.validators, (alpha.validators, &result.validator_alpha),
                (usdc.validators, &result.validator_usdc), &result.dividends,
            );
            side(
                before.contributors, after.contributors, (alpha.contributors, &result.contributor_alpha),
                (usdc.contributors, &result.contributor_usdc), &result.incentive,
            );
        }
    }

    /// What was earned is summed per owner over all its uids and roles, exactly, on top of what was there.
    #[test]
    fn cumulative_rewards_grow_by_exactly_what_was_earned(inputs in epochs()) {
        let outcome = compute(&inputs).unwrap();
        let mut expected: BTreeMap<(RewardKind, u16, Address), u128> =
            inputs.rewards_before.iter().map(|reward| (reward.key(), reward.cumulative)).collect();
        for (subnet, result) in inputs.subnets.iter().zip(&outcome.subnets) {
            let mut add = |kind, account, amount: u128| {
                if amount > 0 {
                    *expected.entry((kind, subnet.netuid, account)).or_default() += amount;
                }
            };
            add(RewardKind::OwnerAlpha, subnet.owner, split_alpha(subnet.alpha).owner);
            add(RewardKind::OwnerUsdc, subnet.owner, split_usdc(subnet.usdc).owner);
            // Evenly; what is left over goes to the first keepers, one unit each.
            let pot = split_usdc(subnet.usdc).keepers;
            let count = inputs.keepers.len() as u128;
            for (place, keeper) in inputs.keepers.iter().enumerate() {
                add(RewardKind::KeeperUsdc, *keeper, pot / count + u128::from((place as u128) < pot % count));
            }
            for (uid, neuron) in subnet.neurons.iter().enumerate() {
                let (stake, owner) = (neuron.stake, neuron.owner);
                for (account, amount) in neuron.backing.split(result.validator_alpha[uid], stake, owner) {
                    add(RewardKind::ValidatorAlpha, account, amount);
                }
                for (account, amount) in neuron.backing.split(result.validator_usdc[uid], stake, owner) {
                    add(RewardKind::ValidatorUsdc, account, amount);
                }
                add(RewardKind::ContributorAlpha, neuron.owner, result.contributor_alpha[uid]);
                add(RewardKind::ContributorUsdc, neuron.owner, result.contributor_usdc[uid]);
            }
        }
        let found: BTreeMap<_, _> = outcome.rewards.iter().map(|reward| (reward.key(), reward.cumulative)).collect();
        for before in &inputs.rewards_before {
            prop_assert!(found[&before.key()] >= before.cumulative);
        }
        prop_assert_eq!(found, expected);
        prop_assert!(outcome.rewards.is_sorted_by(|a, b| a.key() < b.key()));
    }

    #[test]
    fn a_validator_without_a_row_or_a_permit_earns_nothing(inputs in epochs()) {
        for (subnet, result) in inputs.subnets.iter().zip(compute(&inputs).unwrap().subnets) {
            prop_assert!(result.permits.iter().filter(|permit| **permit).count()
                <= usize::from(subnet.hyperparameters.max_validators));
            for (uid, neuron) in subnet.neurons.iter().enumerate() {
                let spoke = subnet.rows.iter().any(|row| row.validator == neuron.hotkey);
                if !spoke || !result.permits[uid] || neuron.stake == 0 {
                    let earned = (result.dividends[uid], result.validator_alpha[uid], result.validator_usdc[uid]);
                    prop_assert_eq!(earned, (0, 0, 0));
                }
            }
        }
    }

    /// Who owns a uid decides who is paid, never how much.
    #[test]
    fn owners_do_not_change_what_a_uid_earns(inputs in epochs(), owners in prop::collection::vec(0..9u64, 7)) {
        let mut sold = inputs.clone();
        for neuron in sold.subnets.iter_mut().flat_map(|subnet| subnet.neurons.iter_mut().zip(&owners)) {
            neuron.0.owner = address(*neuron.1);
        }
        let (before, after) = (compute(&inputs).unwrap(), compute(&sold).unwrap());
        prop_assert_eq!(before.subnets_root, after.subnets_root);
        prop_assert_eq!(before.subnets, after.subnets);
        prop_assert_eq!(
            before.rewards.iter().map(|reward| reward.cumulative).sum::<u128>(),
            after.rewards.iter().map(|reward| reward.cumulative).sum::<u128>()
        );
    }

    #[test]
    fn a_subnet_does_not_feel_the_others(inputs in epochs()) {
        let together = compute(&inputs).unwrap().subnets;
        for (subnet, result) in inputs.subnets.iter().zip(together) {
            let alone = compute(&EpochInputs { subnets: vec![subnet.clone()], ..inputs.clone() }).unwrap();
            prop_assert_eq!(&alone.subnets, &vec![result]);
        }
    }

    /// Anybody who reads the inputs, in either form, computes the same bits; the roots are those of the parts.
    #[test]
    fn an_outcome_is_recomputed_from_what_is_published(inputs in epochs()) {
        let outcome = compute(&inputs).unwrap();
        let json: EpochInputs = serde_json::from_str(&serde_json::to_string(&inputs).unwrap()).unwrap();
        prop_assert_eq!(&compute(&json).unwrap(), &outcome);
        let bytes: EpochInputs = borsh::from_slice(&borsh::to_vec(&inputs).unwrap()).unwrap();
        prop_assert_eq!(&compute(&bytes).unwrap(), &outcome);
        let leaves: Vec<B256> = outcome.subnets.iter().map(subnet_leaf).collect();
        prop_assert_eq!(outcome.subnets_root, merkle_root(&leaves));
        prop_assert_eq!(outcome.rewards_root, RewardTree::new(outcome.rewards.clone()).unwrap().root());
    }

    /// Bonds of uids that came since may be listed as empty or not at all.
    #[test]
    fn newcomers_have_no_bonds(inputs in epochs()) {
        let mut padded = inputs.clone();
        for subnet in &mut padded.subnets {
            subnet.bonds.resize(subnet.neurons.len(), Vec::new());
        }
        prop_assert_eq!(compute(&padded).unwrap(), compute(&inputs).unwrap());
    }
}

/// An owner with a validator and two contributors has one leaf per kind.
#[test]
fn an_owner_of_several_uids_is_paid_their_sum() {
    let apart = quiet_subnet(1, 0);
    let mut together = apart.clone();
    for neuron in &mut together.neurons {
        neuron.owner = address(7);
    }
    let outcome = compute(&epoch_of(0, vec![together])).unwrap();
    let mine: Vec<(RewardKind, u128)> = outcome
        .rewards
        .iter()
        .filter(|reward| reward.account == address(7))
        .map(|reward| (reward.kind, reward.cumulative))
        .collect();
    assert_eq!(
        mine,
        [
            (RewardKind::ValidatorAlpha, 410),
            (RewardKind::ContributorAlpha, 410),
            (RewardKind::ValidatorUsdc, 195),
            (RewardKind::ContributorUsdc, 195),
        ]
    );
    assert_eq!(outcome.subnets, compute(&epoch_of(0, vec![apart])).unwrap().subnets);
}

/// Epoch after epoch from the last one's outcome. The numbers are those of rules version 2, which old epochs are replayed
/// by for ever: they change only with a new version.
#[test]
fn the_rules_of_version_2_do_not_drift() {
    let mut first = epoch_of(0, vec![quiet_subnet(1, 0), quiet_subnet(9, 0)]);
    first.subnets[1].rows[0].row = vec![(2, 1), (3, 65_535)];
    let first = bundle(first).unwrap();
    assert_eq!(first.outcome.subnets[0].contributor_alpha, [0, 0, 308, 102]);
    assert_eq!(first.outcome.subnets_root, b256!("0x892087fd83018cbc9800c28ecdf453c354dc55d4ba4033d694c14cb690869fa9"));

    let mut second = epoch_of(1, vec![quiet_subnet(1, 1), quiet_subnet(9, 1)]);
    second.previous_report = report(&first).eip712_hash_struct();
    second.previous_bundle = first.hash();
    second.rewards_before = first.outcome.rewards.clone();
    for (subnet, before) in second.subnets.iter_mut().zip(&first.outcome.subnets) {
        (subnet.bonds, subnet.carry) = (before.bonds.clone(), before.carry);
    }
    let second = bundle(second).unwrap();
    assert_eq!(
        (second.outcome.subnets_root, second.outcome.rewards_root, second.hash()),
        (
            b256!("0x45c03d3e56344b4f3d3486b6fc5a6be64b08f74dd67b4717f5a1291c87bd66e7"),
            b256!("0xd1622d5dfae3f3b77989664ac937e357d27c3c8319fb0ff5cdf14cce721206c8"),
            b256!("0xfe11986cf04607e705fb78e5c331d57ec1508787df168ef34fb80b886838ddcb"),
        )
    );

    let report = report(&second);
    assert_eq!((report.epoch, report.attempt, report.rulesVersion), (1, 0, 2));
    assert_eq!(report.inputsBlock, second.inputs.inputs_block);
    assert_eq!(report.configDigest, second.inputs.config_digest);
    assert_eq!(report.previousReport, second.inputs.previous_report);
    assert_eq!((report.subnetsRoot, report.rewardsRoot), (second.outcome.subnets_root, second.outcome.rewards_root));
    assert_eq!(report.bundleHash, second.hash());
}

fn fault(change: impl FnOnce(&mut EpochInputs)) -> OutcomeError {
    let mut inputs = epoch_of(3, vec![quiet_subnet(1, 3), quiet_subnet(2, 3)]);
    compute(&inputs).unwrap();
    change(&mut inputs);
    compute(&inputs).unwrap_err()
}

fn row_fault(change: impl FnOnce(&mut SubnetInputs)) -> bool {
    let error = fault(|inputs| change(&mut inputs.subnets[1]));
    matches!(error, OutcomeError::Row { netuid: 2, .. })
}

/// A validator has one hotkey in all subnets, so a row that is sound in one must not be counted in another.
#[test]
fn a_row_counts_in_its_own_subnet_and_epoch_only() {
    assert!(row_fault(|subnet| subnet.rows[0].netuid = 1));
    assert!(row_fault(|subnet| subnet.rows[1].netuid = 3));
    assert!(row_fault(|subnet| subnet.rows[0].epoch = 2));
    assert!(row_fault(|subnet| subnet.rows.reverse()));
    assert!(row_fault(|subnet| subnet.rows.push(subnet.rows[1].clone())));
    assert!(row_fault(|subnet| subnet.rows = vec![unsigned(2, 3, 50, vec![(2, 1)])]));
}

#[test]
fn what_cannot_be_computed_is_refused_by_name() {
    assert!(matches!(fault(|inputs| inputs.rules_version = 1), OutcomeError::UnknownRules(1)));
    assert!(matches!(fault(|inputs| inputs.subnets.reverse()), OutcomeError::SubnetsNotAscending(1)));
    let doubled = |inputs: &mut EpochInputs| inputs.subnets.insert(0, inputs.subnets[0].clone());
    assert!(matches!(fault(doubled), OutcomeError::SubnetsNotAscending(1)));

    let five = fault(|inputs| inputs.subnets[0].bonds = vec![Vec::new(); 5]);
    assert!(matches!(five, OutcomeError::Bonds { netuid: 1, neurons: 4, rows: 5 }));
    let unsorted = fault(|inputs| inputs.subnets[0].rows[0].row = vec![(3, 1), (2, 1)]);
    assert!(matches!(unsorted, OutcomeError::Yuma { netuid: 1, reason: yuma::Error::UnsortedUid { .. } }));
    let beyond = fault(|inputs| inputs.subnets[0].bonds = vec![vec![(4, 1)]]);
    assert!(matches!(beyond, OutcomeError::Yuma { netuid: 1, reason: yuma::Error::UidOutOfRange { .. } }));
    let unbacked = fault(|inputs| inputs.subnets[0].neurons[1].backing.alpha = u128::MAX);
    assert!(matches!(unbacked, OutcomeError::Backing { netuid: 1, hotkey: found } if found == hotkey(1)));
    let whale = fault(|inputs| inputs.subnets[1].neurons[0].stake = u128::MAX);
    assert!(matches!(whale, OutcomeError::Yuma { netuid: 2, reason: yuma::Error::StakeTooLarge { .. } }));

    let pot = fault(|inputs| inputs.subnets[1].carry.contributors = CarriedPot { alpha: u128::MAX, usdc: 0, age: 1 });
    assert!(matches!(pot, OutcomeError::Pot { netuid: 2 }));
    let owner = Reward { kind: RewardKind::OwnerAlpha, netuid: 1, account: address(99), cumulative: u128::MAX };
    let full = fault(|inputs| inputs.rewards_before = vec![owner]);
    assert!(matches!(full, OutcomeError::Overflow { account } if account == address(99)));
    let twice = fault(|inputs| inputs.rewards_before = vec![owner, owner]);
    assert!(matches!(twice, OutcomeError::Tree(TreeError::NotAscending { index: 1 })));
}

/// A uid's new holder does not inherit bonds, and old bonds on it end.
#[test]
fn a_new_holder_of_a_uid_begins_without_bonds() {
    let run = |registered_at| {
        let mut subnet = quiet_subnet(1, 0);
        subnet.bonds = vec![vec![(2, 65_535), (3, 65_535)]];
        subnet.neurons[0].registered_at = registered_at;
        compute(&epoch_of(0, vec![subnet])).unwrap().subnets.remove(0)
    };
    let (known, new) = (run(10), run(950));
    assert_eq!(known.dividends[0], 62_853);
    assert_eq!(new.dividends[0], 39_321);
    assert_eq!(new.bonds[0], new.bonds[1]);
    assert_eq!(hotkey(0), quiet_subnet(1, 0).neurons[0].hotkey);
}

/// Owner, a delegator of alpha and one of TNDM behind validator 0 of [`quiet_subnet`]: 246 alpha and 117 USDC of dividends,
/// a tenth of it taken, then two thirds and a third.
#[test]
fn delegators_of_both_kinds_get_their_part_after_the_take() {
    let mut subnet = quiet_subnet(1, 0);
    let (alpha, bond) = (400 * 10u128.pow(18), 200 * 10u128.pow(18));
    let mut alpha_delegations =
        vec![Delegation { account: address(5), shares: 3 }, Delegation { account: address(6), shares: 1 }];
    alpha_delegations.sort_unstable_by_key(|delegation| delegation.account);
    let bond_delegations = vec![Delegation { account: address(5), shares: 7 }];
    subnet.neurons[0].backing = Backing { take: 6_554, alpha, bond, alpha_delegations, bond_delegations };
    let plain = compute(&epoch_of(0, vec![quiet_subnet(1, 0)])).unwrap();
    let outcome = compute(&epoch_of(0, vec![subnet])).unwrap();
    assert_eq!(outcome.subnets, plain.subnets, "who stands behind a validator changes nothing that it earns");

    let dividend = outcome.subnets[0].validator_alpha[0];
    let of = |account: Address| {
        let of_kind = |reward: &&Reward| reward.kind == RewardKind::ValidatorAlpha && reward.account == account;
        outcome.rewards.iter().find(of_kind).map_or(0, |reward| reward.cumulative)
    };
    let take = dividend * 6_554 / 65_535;
    let (alpha, bond) = ((dividend - take) * 400 / 600, (dividend - take) * 200 / 600);
    assert_eq!(of(address(5)), alpha * 3 / 4 + bond);
    assert_eq!(of(address(6)), alpha / 4);
    assert_eq!(of(address(100)), dividend - alpha * 3 / 4 - alpha / 4 - bond);
    assert!(of(address(100)) >= take);
}

/// Ten contributors who were weighed differently; uid 9 registered after the epoch began to count immunity.
#[test]
fn the_lowest_scores_may_be_evicted_first_and_neither_permits_nor_newcomers() {
    let mut subnet = quiet_subnet(1, 0);
    let owner = |uid: usize| address(100 + uid as u64);
    for uid in 4..10 {
        subnet.neurons.push(NeuronInput {
            owner: owner(uid),
            hotkey: hotkey(uid),
            registered_at: [0, 0, 0, 0, 7, 7, 8, 9, 10, 951][uid],
            stake: 0,
            backing: Backing::default(),
        });
    }
    for row in &mut subnet.rows {
        row.row = vec![(2, 3), (3, 1), (6, 1), (8, 9)];
    }
    let outcome = compute(&epoch_of(0, vec![subnet.clone()])).unwrap();
    assert_eq!(outcome.subnets[0].prune_list, [4, 5, 7, 6, 3, 2, 8], "uid 9 came 49 s before the epoch");

    for uid in 10..100 {
        subnet.neurons.push(NeuronInput { owner: owner(uid), hotkey: hotkey(uid), ..subnet.neurons[4].clone() });
    }
    let full = compute(&epoch_of(0, vec![subnet])).unwrap();
    assert_eq!(full.subnets[0].prune_list.len(), MAX_PRUNE_LIST);
    assert_eq!(full.subnets[0].prune_list[..3], [4, 5, 10]);
}

/// What a newcomer shows to the registry: the list and the trace, folded to the root that the report carries.
#[test]
fn a_subnet_leaf_binds_netuid_trace_and_prune_list() {
    let outcome = compute(&epoch_of(0, vec![quiet_subnet(1, 0)])).unwrap().subnets.remove(0);
    let leaf = subnet_leaf(&outcome);
    let mut other = outcome.clone();
    other.netuid = 2;
    assert_ne!(subnet_leaf(&other), leaf);
    let mut other = outcome.clone();
    other.prune_list.push(3);
    assert_ne!(subnet_leaf(&other), leaf);
    let mut other = outcome;
    other.consensus[2] ^= 1;
    assert_ne!(subnet_leaf(&other), leaf);
}

proptest! {
    /// [YU-3] holds behind a validator too: its dividends are paid out to the unit, whoever shares them.
    #[test]
    fn a_dividend_is_split_to_the_unit(
        (stake, backing) in (1..1u128 << 100).prop_flat_map(|stake| (Just(stake), backing(stake))),
        amount in prop_oneof![0..1_000u128, any::<u128>()],
    ) {
        let paid = backing.split(amount, stake, address(77));
        let sum: u128 = paid.iter().map(|(_, amount)| amount).sum();
        prop_assert_eq!(sum, amount);
        let kept: u128 = paid.iter().filter(|(account, _)| *account == address(77)).map(|(_, amount)| amount).sum();
        prop_assert!(kept >= amount / 65_535 * u128::from(backing.take), "the owner has at least its take");
        for delegation in backing.alpha_delegations.iter().chain(&backing.bond_delegations) {
            if delegation.shares == 0 {
                let got = paid.iter().any(|(account, amount)| *account == delegation.account && *amount > 0);
                let elsewhere = backing.alpha_delegations.iter().chain(&backing.bond_delegations)
                    .any(|other| other.account == delegation.account && other.shares > 0);
                prop_assert!(!got || elsewhere, "no shares, no part");
            }
        }
    }
}
