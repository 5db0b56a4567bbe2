//! Stake and votes.

use alloy::{primitives::U256, sol_types::SolCall};
use tandem_contracts::bindings::{CreditDesk, Staking, TandemGovernor, TandemToken};

use super::market::AMOUNT;
use crate::{
    net::{BLOCK, Net, ONE},
    report::Row,
};

pub(super) fn rows(mut net: Net) -> Vec<Row> {
    let (tndm, staking) = (net.suite().tandem_token, net.suite().staking);
    let alpha = net.alpha(1);
    net.approve(alpha, "trader", staking);
    net.approve(tndm, "trader", staking);
    let hotkey = net.account("hotkey 1");
    let stake = Staking::stakeCall { netuid: 1, hotkey, alphaAmount: AMOUNT };
    let unstake = Staking::unstakeCall { netuid: 1, hotkey, alphaAmount: AMOUNT / U256::from(7) };
    let bond = Staking::bondCall { hotkey, tndmAmount: AMOUNT };
    let unbond = Staking::unbondCall { hotkey, tndmAmount: AMOUNT / U256::from(7) };

    // The first of an epoch writes a checkpoint; those after it change that one.
    let mut rows = vec![
        Row::new("stake", net.steady(3, |net, _| net.tx("trader", staking, &stake))),
        Row::new("unstake", net.steady(3, |net, _| net.tx("trader", staking, &unstake))),
        Row::new("bond", net.steady(3, |net, _| net.tx("trader", staking, &bond))),
        Row::new("unbond", net.steady(3, |net, _| net.tx("trader", staking, &unbond))),
    ];
    let id = net.view(staking, Staking::unbondingCountCall {});
    net.tick();
    rows.push(Row::new("stake, first of an epoch", net.steady(1, |net, _| net.tx("trader", staking, &stake))));
    net.world.warp(net.config.staking.unbonding.0);
    let withdraw = net.tx("trader", staking, &Staking::withdrawCall { unbondingId: id });
    rows.push(Row::new("withdraw", net.measure(withdraw)));

    net.give(tndm, "voter", U256::from(100) * ONE);
    let delegatees = ["voter", "trader", "voter"].map(|name| net.account(name));
    let delegate =
        net.steady(3, |net, time| net.tx("voter", tndm, &TandemToken::delegateCall { delegatee: delegatees[time] }));
    rows.push(Row::new("delegate", delegate));
    rows.push(vote(&mut net));
    rows
}

/// The vote of somebody with tokens on a proposal that others have voted on.
fn vote(net: &mut Net) -> Row {
    let (tndm, governor) = (net.suite().tandem_token, net.suite().tandem_governor);
    let electors = ["elector 1", "elector 2", "elector 3"];
    for name in electors {
        net.give(tndm, name, U256::from(2_000) * ONE);
        net.call(name, tndm, TandemToken::delegateCall { delegatee: net.account(name) });
    }
    net.world.warp(BLOCK);
    let price = CreditDesk::setPriceCall { newPrice: U256::from(1_100_000) };
    let propose = TandemGovernor::proposeCall {
        targets: vec![net.suite().credit_desk],
        values: vec![U256::ZERO],
        calldatas: vec![price.abi_encode().into()],
        description: "A dearer credit".into(),
    };
    let proposal = net.call(electors[0], governor, propose).ret;
    net.world.warp(net.config.governance.voting_delay.0);
    let cast = TandemGovernor::castVoteCall { proposalId: proposal, support: 1 };
    Row::new("vote", net.steady(electors.len(), |net, time| net.tx(electors[time], governor, &cast)))
}
