//! What an epoch granted to each subnet, as the packed event of EmissionController tells it.

use alloy::primitives::U256;

use crate::bindings::emission_controller::EmissionController::Granted;

/// What the closing of an epoch changed for one subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubnetGrant {
    /// The subnet.
    pub netuid: u16,
    /// TNDM emitted, in wei.
    pub emitted: u128,
    /// Alpha budgeted, in wei.
    pub alpha_out: u128,
    /// USDC budgeted, in units; `u64::MAX` stands for that and more.
    pub usdc: u64,
    /// What is left of the allowance, in wei of TNDM.
    pub allowance_left: u128,
    /// EMA of the price before this closing, WAD; zero for a subnet that took no part in emission.
    pub price: u128,
}

/// The grants in the order of the event; `None` if its two lists differ in length, which the contract's never do.
pub fn subnet_grants(event: &Granted) -> Option<Vec<SubnetGrant>> {
    let Granted { grants, states, .. } = event;
    (grants.len() == states.len())
        .then(|| grants.iter().zip(states).map(|(grant, state)| unpack(*grant, *state)).collect())
}

fn unpack(grant: U256, state: U256) -> SubnetGrant {
    let bits = |word: U256, at: usize, count: usize| ((word >> at) & ((U256::ONE << count) - U256::ONE)).to::<u128>();
    SubnetGrant {
        emitted: bits(grant, 0, 80),
        alpha_out: bits(grant, 80, 80),
        usdc: bits(grant, 160, 64) as u64,
        netuid: bits(grant, 224, 16) as u16,
        allowance_left: bits(state, 0, 128),
        price: bits(state, 128, 128),
    }
}
