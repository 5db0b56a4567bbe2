//! The whole walk: mesh, token, markets, and the law of emission on the way.

use alloy::primitives::{B256, U256};
use tandem_contracts::bindings::{
    AlphaPools, BurnAuction, CreditDesk, EmissionController, GenesisAllocation, LaunchGate, RewardDistributor, Staking,
    reward_distributor::IRewardDistributor,
};
use tandem_contracts::suite::GenesisConfig;

use crate::support::{CREDIT, Net, leaf, net, net_with, root_of_two};

/// `RewardKind.ContributorUsdc`.
const CONTRIBUTOR_USDC: u8 = 5;

fn burned_and_emitted(net: &Net) -> (U256, U256) {
    let controller = net.suite().emission_controller;
    let burned = net.view(controller, EmissionController::totalBurnedCall {});
    let emitted = net.view(controller, EmissionController::totalEmittedCall {});
    assert!(emitted * CREDIT <= burned * net.config.emission.phi.0, "[EM-1] {emitted} emitted, {burned} burned");
    (burned, emitted)
}

/// Three validators and two contributors in subnet 1, each contributor paid for work by a user.
fn work(net: &mut Net) {
    for n in 1..=3 {
        net.register(1, &format!("validator {n}"), &format!("hotkey {n}"));
    }
    net.buy_credits("user", 40);
    for n in 1..=2 {
        let uid = net.register(1, &format!("miner {n}"), &format!("miner hotkey {n}"));
        let channel = net.open_channel("user", 1, uid, 20);
        let voucher = net.voucher(channel, 20_000);
        net.settle_voucher("user", voucher).unwrap();
    }
    // Margin counts in its epoch's pot only if it gets there before the epoch is settled.
    let forward = CreditDesk::forwardMarginCall { netuid: 1 };
    net.as_account("anybody", net.suite().credit_desk, forward).unwrap();
}

/// Epochs 0 and 1 are reported; both contributors claim half of the pot and qualify.
fn verify(net: &mut Net) {
    let suite = net.suite();
    net.go_to(1, 0);
    net.settle_epochs();
    net.report(0, B256::ZERO);
    net.go_to(2, 0);
    assert!(net.view(suite.staking, Staking::eligibleAtCall { netuid: 1, epoch: 1 }));
    net.settle_epochs();
    let ask = RewardDistributor::budgetOfCall { netuid: 1, kind: CONTRIBUTOR_USDC };
    let pot = net.view(suite.reward_distributor, ask).granted;
    // 40 credits carry 6 USDC of margin, half of it is the pot, 39 % of that the contributors'.
    assert_eq!(pot, 1_170_000);
    let claims = [1, 2].map(|n: u64| IRewardDistributor::Claim {
        index: U256::from(n - 1),
        kind: CONTRIBUTOR_USDC,
        netuid: 1,
        account: net.world.account(&format!("miner {n}")),
        cumulative: U256::from(pot / 2),
    });
    let leaves = claims.each_ref().map(leaf);
    net.report(1, root_of_two(leaves[0], leaves[1]));
    for (claim, sibling) in claims.iter().zip([leaves[1], leaves[0]]) {
        assert_eq!(net.claim(claim, vec![sibling]), U256::from(pot / 2));
        assert_eq!(net.claim(claim, vec![sibling]), U256::ZERO, "paid once");
        net.as_account("anybody", suite.launch_gate, LaunchGate::qualifyCall { account: claim.account }).unwrap();
    }
}

fn launch(net: &mut Net) {
    let gate = net.suite().launch_gate;
    let stranger = net.as_account("anybody", gate, LaunchGate::announceCall {}).unwrap_err();
    assert_eq!(stranger.name, "LaunchGate_NotCouncil");
    net.world.warp(net.config.launch.clean_period.0);
    let delegate = GenesisAllocation::delegateCall { delegatee: net.world.account("statesman") };
    net.as_account("trader", net.suite().genesis_allocation, delegate).unwrap();
    net.as_account("council", gate, LaunchGate::announceCall {}).unwrap();
    let early = net.as_account("anybody", gate, LaunchGate::openTokenCall {}).unwrap_err();
    assert_eq!(early.name, "LaunchGate_TooEarly");
    net.world.warp(net.config.launch.notice.0);
    net.as_account("anybody", gate, LaunchGate::openTokenCall {}).unwrap();
    net.world.warp(net.config.launch.token_period.0);
    net.as_account("anybody", gate, LaunchGate::openMarketsCall {}).unwrap();
    assert_eq!(net.view(gate, LaunchGate::phaseCall {}), 2);
}

/// [EM-1] [GV-1]
#[test]
fn emission_is_earned_by_burning_from_mesh_to_markets() {
    let mut net = net();
    let suite = net.suite();
    work(&mut net);
    verify(&mut net);
    launch(&mut net);
    assert!(net.world.timestamp() < net.plan.genesis + 3 * net.config.epochs.length.0, "markets open within epoch 2");
    net.as_account("anybody", suite.genesis_allocation, GenesisAllocation::releaseCall { id: U256::ZERO }).unwrap();
    assert_eq!(burned_and_emitted(&net), (U256::ZERO, U256::ZERO), "the mesh phase emits nothing");

    // Mesh money is sold in a lot of its own, whose burn earns nobody an allowance.
    net.world.warp(net.config.auction.open_delay.0);
    let lot = net.as_account("anybody", suite.burn_auction, BurnAuction::startLotCall {}).unwrap().ret;
    net.world.warp(net.config.auction.half_life.0);
    let trader = net.world.account("trader");
    for spender in [suite.burn_auction, suite.emission_controller, suite.alpha_pools] {
        net.world.approve(suite.tandem_token, trader, spender, U256::MAX).unwrap();
    }
    let take = BurnAuction::takeCall { lotId: lot, maxTndm: U256::MAX, deadline: U256::MAX };
    let paid = net.as_account("trader", suite.burn_auction, take).unwrap().ret;
    assert!(paid > U256::ZERO);
    assert_eq!(burned_and_emitted(&net), (U256::ZERO, U256::ZERO));

    let sponsored = U256::from(1_000) * CREDIT;
    let sponsor = EmissionController::sponsorCall { netuid: 1, amount: sponsored };
    net.as_account("trader", suite.emission_controller, sponsor).unwrap();
    let mut last = U256::ZERO;
    for epoch in 4..=8 {
        net.go_to(epoch, 0);
        net.settle_epochs();
        let (burned, emitted) = burned_and_emitted(&net);
        assert_eq!(burned, sponsored);
        assert!(emitted > last, "epoch {epoch} spends part of what is left");
        last = emitted;
        let poured = net.as_account("anybody", suite.alpha_pools, AlphaPools::pourCall { netuid: 1 }).unwrap().ret;
        assert!(poured.tndm > U256::ZERO && poured.alpha > U256::ZERO);
    }
    // Halved five times over, 900 leave less than 30 behind.
    assert!(last > U256::from(870) * CREDIT, "{last} of 900 emitted");
    let idle = net.view(suite.emission_controller, EmissionController::ledgerOfCall { netuid: 2 });
    assert_eq!(idle.emitted, 0, "nobody burned for subnet 2");
    let pool = net.view(suite.alpha_pools, AlphaPools::poolOfCall { netuid: 1 });
    assert!(U256::from(pool.issued) < U256::from(21_000_000) * CREDIT, "[EM-3]");
}

/// A network whose markets have just opened: two subnets, the trader's TNDM released.
pub(crate) fn opened() -> Net {
    opened_with(|_| ())
}

/// The same with other numbers.
pub(crate) fn opened_with(change: impl FnOnce(&mut GenesisConfig)) -> Net {
    let mut net = net_with(change);
    work(&mut net);
    verify(&mut net);
    launch(&mut net);
    let release = GenesisAllocation::releaseCall { id: U256::ZERO };
    net.as_account("anybody", net.suite().genesis_allocation, release).unwrap();
    net
}

/// [EM-2]
#[test]
fn a_thousand_epochs_that_nobody_settled_are_settled_in_batches_of_bounded_gas() {
    let mut net = net();
    let controller = net.suite().emission_controller;
    net.go_to(1_000, 1);
    let mut settled = 0;
    while settled < 1_000 {
        let call = EmissionController::settleCall { maxSubnets: U256::from(512) };
        let batch = net.as_account("anybody", controller, call).unwrap();
        assert!(batch.ret > settled, "every batch leads on");
        assert!(batch.gas_used < 7_000_000, "{} gas", batch.gas_used);
        settled = batch.ret;
    }
    assert_eq!(settled, 1_000);
}
