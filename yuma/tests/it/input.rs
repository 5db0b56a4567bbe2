//! What is refused, and with which words; what masks and permits admit.

use yuma::{Epoch, Error, Hyperparameters, LiquidAlpha, Neuron, Profile, Q32, Row, Rules, Snapshot, Table};

const FULL: u16 = u16::MAX;

fn validator(stake: u128, weights: &[(u16, u16)]) -> Neuron {
    Neuron { stake, permit: true, last_update: 1, weights: weights.to_vec(), ..Neuron::default() }
}

fn epoch(neurons: Vec<Neuron>) -> Epoch {
    Epoch { now: 1, bonds_since: 1, owner: None, neurons }
}

fn params() -> Hyperparameters {
    Hyperparameters::subtensor(Rules::Yuma3)
}

fn refusal(epoch: &Epoch) -> (Error, String) {
    let error = epoch.run(&params()).unwrap_err();
    (error, error.to_string())
}

#[test]
fn a_row_with_unsorted_duplicate_or_unknown_uids_is_refused_naming_the_place() {
    let weighing = |row: &[(u16, u16)]| epoch(vec![Neuron::default(), validator(1, row), Neuron::default()]);
    let (table, row) = (Table::Weights, 1);
    let (error, text) = refusal(&weighing(&[(0, 1), (2, 1), (1, 1)]));
    assert_eq!(error, Error::UnsortedUid { table, row, position: 2, uid: 1, previous: 2 });
    assert_eq!(text, "neurons[1].weights[2] names uid 1 after 2; uids must ascend");
    let (error, text) = refusal(&weighing(&[(0, 1), (0, 2)]));
    assert_eq!(error, Error::DuplicateUid { table, row, position: 1, uid: 0 });
    assert_eq!(text, "neurons[1].weights[1] names uid 0 a second time");
    let (error, text) = refusal(&weighing(&[(0, 1), (3, 1), (4, 1)]));
    assert_eq!(error, Error::UidOutOfRange { table, row, position: 1, uid: 3, count: 3 });
    assert_eq!(text, "neurons[1].weights[1] names uid 3, but there are only 3 neurons");

    let bonded = Neuron { bonds: vec![(1, 1)], ..Neuron::default() };
    let expected = Error::UidOutOfRange { table: Table::Bonds, row: 0, position: 0, uid: 1, count: 1 };
    assert_eq!(refusal(&epoch(vec![bonded])).0, expected);
}

#[test]
fn more_neurons_than_uids_are_refused_and_as_many_are_not() {
    let most = epoch(vec![Neuron::default(); 1 << 16]);
    assert_eq!(most.run(&params()).unwrap().incentive.len(), 1 << 16);
    let (error, text) = refusal(&epoch(vec![Neuron::default(); (1 << 16) + 1]));
    assert_eq!(error, Error::TooManyNeurons { count: 65_537 });
    assert_eq!(text, "65537 neurons, at most 65536 have a uid");
}

#[test]
fn an_owner_a_moving_average_or_a_range_that_cannot_be_is_refused() {
    let strange = Epoch { owner: Some(1), ..epoch(vec![Neuron::default()]) };
    assert_eq!(refusal(&strange).0, Error::Owner { uid: 1, count: 1 });
    let params = Hyperparameters { bonds_moving_average: 1_000_001, ..params() };
    assert_eq!(epoch(Vec::new()).run(&params), Err(Error::BondsMovingAverage { given: 1_000_001 }));
    let ranged = |low, high| {
        let liquid_alpha = Some(LiquidAlpha { low, high, ..LiquidAlpha::default() });
        epoch(Vec::new()).run(&Hyperparameters { liquid_alpha, bonds_moving_average: 0, ..params.clone() })
    };
    assert!(ranged(7, 7).is_ok());
    assert_eq!(ranged(8, 7), Err(Error::AlphaRange { low: 8, high: 7 }));
}

#[test]
fn stake_is_normalised_exactly_up_to_2_to_the_96_and_refused_from_there() {
    let half = (1 << 95) - 1;
    let outcome = epoch(vec![validator(half, &[]), validator(half, &[])]).run(&params()).unwrap();
    assert_eq!(outcome.stake, [Q32::from_raw(1 << 31); 2]);
    assert_eq!(
        refusal(&epoch(vec![validator(1 << 95, &[]), validator(1 << 95, &[])])).0,
        Error::StakeTooLarge { uid: 1 }
    );
    assert_eq!(refusal(&epoch(vec![validator(u128::MAX, &[]), validator(1, &[])])).0, Error::StakeTooLarge { uid: 0 });
}

#[test]
fn an_empty_subnet_has_an_empty_outcome() {
    let outcome = epoch(Vec::new()).run(&params()).unwrap();
    assert!(outcome.incentive.is_empty() && outcome.bonds.is_empty());
}

#[test]
fn permits_go_to_the_largest_stakes_the_higher_uid_first_and_to_the_owner() {
    let subnet = epoch([3, 1, 2, 2, 2, 0].map(|stake| validator(stake, &[])).to_vec());
    let permits = |owner, max_validators| {
        let params = Hyperparameters { max_validators, ..params() };
        let epoch = Epoch { owner, ..subnet.clone() };
        let permits = epoch.run(&params).unwrap().permits;
        // They can be told without an epoch.
        assert_eq!(epoch.next_permits(&params).as_ref(), Ok(&permits));
        permits.iter().enumerate().filter(|(_, permit)| **permit).map(|(uid, _)| uid).collect::<Vec<_>>()
    };
    assert_eq!(permits(None, 3), [0, 3, 4]);
    assert_eq!(permits(None, 100), [0, 1, 2, 3, 4]);
    assert_eq!(permits(None, 0), [0; 0]);
    assert_eq!(permits(Some(5), 1), [0, 5]);
}

#[test]
fn only_the_last_epochs_permits_vote_in_this_one() {
    let newcomer = Neuron { permit: false, ..validator(9, &[(2, FULL)]) };
    let outcome =
        epoch(vec![validator(1, &[(3, FULL)]), newcomer, Neuron::default(), Neuron::default()]).run(&params()).unwrap();
    assert_eq!(outcome.incentive[3], Q32::ONE);
    assert_eq!(outcome.active_stake, [Q32::ONE, Q32::ZERO, Q32::ZERO, Q32::ZERO]);
    assert!(outcome.permits[1]);
}

#[test]
fn inactive_stake_does_not_vote() {
    let sleeper = Neuron { last_update: 4, ..validator(9, &[(2, FULL)]) };
    let awake = Neuron { last_update: 5, ..validator(1, &[(3, FULL)]) };
    let subnet = Epoch { now: 10, ..epoch(vec![sleeper, awake, Neuron::default(), Neuron::default()]) };
    let outcome = subnet.run(&Hyperparameters { activity_cutoff: 5, ..params() }).unwrap();
    assert_eq!(outcome.active[..2], [false, true]);
    assert_eq!(outcome.incentive[3], Q32::ONE);
}

#[test]
fn stake_below_the_threshold_counts_for_the_owner_alone() {
    let subnet = epoch(vec![validator(4, &[]), validator(6, &[]), validator(4, &[])]);
    let params = Hyperparameters { stake_threshold: 5, ..params() };
    let raw = |owner| Epoch { owner, ..subnet.clone() }.run(&params).unwrap().stake.iter().map(|s| s.raw()).collect();
    let (without, with): (Vec<u64>, Vec<u64>) = (raw(None), raw(Some(2)));
    assert_eq!(without, [0, 1 << 32, 0]);
    assert_eq!(with, [0, (6 << 32) / 10, (4 << 32) / 10]);
}

#[test]
fn weight_on_oneself_counts_for_the_owner_alone() {
    let subnet = epoch(vec![validator(1, &[(0, FULL), (1, FULL)]), Neuron::default()]);
    assert_eq!(subnet.run(&params()).unwrap().incentive, [Q32::ZERO, Q32::ONE]);
    let half = Q32::from_raw(1 << 31);
    assert_eq!(Epoch { owner: Some(0), ..subnet }.run(&params()).unwrap().incentive, [half, half]);
}

#[test]
fn a_snapshots_weights_on_oneself_count_for_nobody_and_the_others_stay() {
    let (permits, active) = ([true, true, false, false], [true; 4]);
    let run = |first: &[(u16, u16)], second: &[(u16, u16)]| {
        let weights: [Row<'_>; 4] = [first, second, &[], &[]];
        let bonds: [Row<'_>; 4] = [&[]; 4];
        let snapshot =
            Snapshot { stakes: &[3, 2, 0, 0], permits: &permits, active: &active, weights: &weights, bonds: &bonds };
        snapshot.run(&params()).unwrap()
    };
    let with = run(&[(0, 9_000), (2, 300), (3, 100)], &[(1, 5), (3, 40)]);
    assert_eq!(with, run(&[(2, 300), (3, 100)], &[(3, 40)]));
    assert!(with.incentive[2] > Q32::ZERO && with.incentive[3] > Q32::ZERO);
}

#[test]
fn weights_and_bonds_do_not_pass_to_the_next_holder_of_a_uid() {
    let holder = |registered| Neuron { registered, ..Neuron::default() };
    let voter = Neuron { last_update: 5, bonds: vec![(1, 9_999), (2, 9_999)], ..validator(1, &[(1, 1), (2, 1)]) };
    let subnet = Epoch { now: 6, bonds_since: 5, ..epoch(vec![voter, holder(5), holder(4)]) };
    let outcome = subnet.run(&params()).unwrap();
    assert_eq!(outcome.incentive, [Q32::ZERO, Q32::ZERO, Q32::ONE]);
    assert!(outcome.bonds[0].iter().all(|&(uid, _)| uid == 2));
}

#[test]
fn a_new_validator_does_not_inherit_the_bonds_of_its_uid() {
    let bonded = Neuron { last_update: 9, bonds: vec![(2, FULL)], ..validator(1, &[]) };
    let heir = Neuron { registered: 5, ..bonded.clone() };
    let voter = Neuron { last_update: 9, ..validator(9, &[(2, 1)]) };
    let subnet = Epoch { now: 9, bonds_since: 5, ..epoch(vec![bonded, heir, Neuron::default(), voter]) };
    for rules in [Rules::Yuma2, Rules::Yuma3] {
        let params = Hyperparameters { profile: Profile::Tandem, ..Hyperparameters::subtensor(rules) };
        let outcome = subnet.run(&params).unwrap();
        assert!(outcome.dividends[0] > Q32::ZERO && !outcome.bonds[0].is_empty());
        assert!(outcome.dividends[1] == Q32::ZERO && outcome.bonds[1].is_empty());
    }
}

#[test]
fn bonds_end_with_the_permit() {
    let subnet = epoch(vec![validator(1, &[(2, FULL)]), validator(2, &[(2, FULL)]), Neuron::default()]);
    let outcome = subnet.run(&Hyperparameters { max_validators: 1, ..params() }).unwrap();
    assert_eq!(outcome.bonds[0], []);
    assert_eq!(outcome.bonds[1].len(), 1);
    assert!(outcome.dividends[0] > Q32::ZERO, "the permit of the last epoch still earns in this one");
}

/// The bond of a validator whose only weight is clipped to nothing: `1 − penalty` of it remains.
#[test]
fn the_bonds_penalty_interpolates_between_set_and_clipped_weights() {
    let subnet =
        epoch(vec![validator(2, &[(2, FULL)]), validator(1, &[(3, FULL)]), Neuron::default(), Neuron::default()]);
    let bond = |bonds_penalty| {
        let params = Hyperparameters { bonds_penalty, bonds_moving_average: 0, ..params() };
        subnet.run(&params).unwrap().bonds[1].first().map_or(0, |&(_, bond)| bond)
    };
    assert_eq!([bond(0), bond(32_768), bond(FULL)], [FULL, 32_767, 0]);
}
