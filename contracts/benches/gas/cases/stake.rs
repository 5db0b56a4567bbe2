//! Stake and votes.

use alloy::primitives::U256;
use tandem_contracts::bindings::{Staking, TandemToken};

use super::market::AMOUNT;
use crate::{
    net::{Net, ONE},
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
    rows
}
