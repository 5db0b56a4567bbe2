//! `[EP-4]` Pots of sides that earned nothing: carried, aged, lapsed, and never paid to the other side.

use tandem_protocol::bundle::{CarriedPot, Carry, MAX_CARRY_EPOCHS, SubnetInputs, SubnetOutcome};
use tandem_protocol::outcome::compute;

use crate::support::{epoch_of, quiet_subnet};

fn run(subnet: SubnetInputs, epoch: u64) -> SubnetOutcome {
    compute(&epoch_of(epoch, vec![subnet])).unwrap().subnets.remove(0)
}

/// What is carried after so many epochs in which no validator spoke; 410 alpha and 195 USDC per side and epoch.
fn idle(epochs: u64) -> Carry {
    (0..epochs).fold(Carry::default(), |carry, epoch| {
        let outcome = run(SubnetInputs { rows: Vec::new(), carry, ..quiet_subnet(1, epoch) }, epoch);
        assert!(outcome.validator_alpha.iter().chain(&outcome.contributor_usdc).all(|amount| *amount == 0));
        outcome.carry
    })
}

fn after(epochs: u128, age: u16) -> Carry {
    let pot = CarriedPot { alpha: 410 * epochs, usdc: 195 * epochs, age };
    Carry { validators: pot, contributors: pot }
}

#[test]
fn pots_of_an_idle_subnet_add_up_and_age() {
    assert_eq!(MAX_CARRY_EPOCHS, 24);
    for epochs in 0..=24 {
        assert_eq!(idle(epochs), after(epochs.into(), epochs as u16));
    }
}

/// The first pot can still be paid in the 24th epoch after its own; the epoch pays 25 pots then.
#[test]
fn a_pot_is_paid_in_the_last_epoch_it_is_carried_to() {
    let outcome = run(SubnetInputs { carry: idle(24), ..quiet_subnet(1, 24) }, 24);
    assert_eq!(outcome.carry, Carry::default());
    assert_eq!(outcome.validator_alpha.iter().sum::<u128>(), 25 * 410);
    assert_eq!(outcome.validator_usdc.iter().sum::<u128>(), 25 * 195);
    assert_eq!(outcome.contributor_alpha.iter().sum::<u128>(), 25 * 410);
    assert_eq!(outcome.contributor_usdc.iter().sum::<u128>(), 25 * 195);
}

#[test]
fn a_pot_lapses_after_the_last_epoch_it_is_carried_to() {
    assert_eq!(idle(25), after(1, 1));
    assert_eq!(idle(48), after(24, 24));
    assert_eq!(idle(49), after(1, 1));
}

/// Older than any that this crate writes: not worth anything, in a paying epoch either.
#[test]
fn a_pot_beyond_its_age_is_never_paid() {
    for age in [25, u16::MAX] {
        let outcome = run(SubnetInputs { carry: after(1_000, age), ..quiet_subnet(1, 0) }, 0);
        assert_eq!(outcome.validator_alpha.iter().sum::<u128>(), 410);
        let idle = run(SubnetInputs { carry: after(1_000, age), rows: Vec::new(), ..quiet_subnet(1, 0) }, 0);
        assert_eq!(idle.carry, after(1, 1));
    }
}

#[test]
fn nothing_granted_is_nothing_carried() {
    let idle = run(SubnetInputs { rows: Vec::new(), alpha: 0, usdc: 0, ..quiet_subnet(1, 0) }, 0);
    assert_eq!(idle.carry, Carry::default());
}

/// Bonds that never grow earn no dividends: contributors are paid, validators' pot waits for validators.
#[test]
fn one_side_waits_while_the_other_is_paid() {
    let mut subnet = quiet_subnet(1, 0);
    subnet.hyperparameters.bonds_moving_average = 1_000_000;
    let outcome = run(subnet, 0);
    assert_eq!(outcome.contributor_alpha, [0, 0, 308, 102]);
    assert_eq!(outcome.dividends, [0; 4]);
    assert_eq!(outcome.carry, Carry { contributors: CarriedPot::default(), ..after(1, 1) });

    let next = run(SubnetInputs { carry: outcome.carry, ..quiet_subnet(1, 1) }, 1);
    assert_eq!(next.validator_alpha.iter().sum::<u128>(), 820);
    assert_eq!(next.contributor_alpha.iter().sum::<u128>(), 410);
}
