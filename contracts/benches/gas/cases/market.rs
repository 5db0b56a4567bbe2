//! Swaps beside those of Uniswap v2's router, and the auction.

use alloy::primitives::{Address, U256};
use tandem_contracts::bindings::{AlphaPools, BurnAuction, Settlement, TandemToken};

use crate::{
    anchors::Uniswap,
    explain::Names,
    net::{BLOCK, CONTRIBUTOR_UID, Net, ONE, Tx},
    report::{Measured, Row},
};

/// A little more than one token, with digits in all places.
pub(super) const AMOUNT: U256 = U256::from_limbs([1_234_567_890_123_456_789, 0, 0, 0]);
const TIMES: usize = 4;

fn deadline(net: &Net) -> U256 {
    U256::from(net.world.timestamp() + 10 * BLOCK)
}

fn nearly(amount: U256) -> U256 {
    amount * U256::from(99) / U256::from(100)
}

fn buy_tx(net: &Net, name: &str) -> Tx {
    let pools = net.suite().alpha_pools;
    let quoted = net.view(pools, AlphaPools::quoteBuyCall { netuid: 1, tndmIn: AMOUNT });
    let call = AlphaPools::buyCall { netuid: 1, tndmIn: AMOUNT, minAlphaOut: nearly(quoted), deadline: deadline(net) };
    net.tx(name, pools, &call)
}

fn sell_tx(net: &Net, name: &str) -> Tx {
    let pools = net.suite().alpha_pools;
    let quoted = net.view(pools, AlphaPools::quoteSellCall { netuid: 1, alphaIn: AMOUNT });
    let call = AlphaPools::sellCall { netuid: 1, alphaIn: AMOUNT, minTndmOut: nearly(quoted), deadline: deadline(net) };
    net.tx(name, pools, &call)
}

fn swap_tx(net: &Net, name: &str) -> Tx {
    let pools = net.suite().alpha_pools;
    let quoted = net.view(pools, AlphaPools::quoteSwapCall { from: 1, to: 2, alphaIn: AMOUNT });
    let call =
        AlphaPools::swapCall { from: 1, to: 2, alphaIn: AMOUNT, minAlphaOut: nearly(quoted), deadline: deadline(net) };
    net.tx(name, pools, &call)
}

/// What a swap on Uniswap costs, by direction.
struct Beside {
    buy: Measured,
    sell: Measured,
    two_hop: Measured,
}

fn on_uniswap(net: &mut Net, uniswap: &Uniswap, name: &str) -> Beside {
    let tndm = net.suite().tandem_token;
    let [first, second] = [net.alpha(1), net.alpha(2)];
    let mut steady = |path: &[Address]| net.steady(TIMES, |net, _| uniswap.swap_tx(net, name, path, AMOUNT));
    Beside { buy: steady(&[tndm, first]), sell: steady(&[first, tndm]), two_hop: steady(&[first, tndm, second]) }
}

pub(super) fn rows(mut net: Net, names: &mut Names) -> Vec<Row> {
    let uniswap = Uniswap::deploy(&mut net);
    names.insert(uniswap.router, "v2 router".into());
    names.extend(uniswap.pairs.iter().zip(1..).map(|(pair, netuid)| (*pair, format!("v2 pair {netuid}"))));

    let mut rows = Vec::new();
    for (name, suffix) in [("trader", ""), ("voter", ", delegated")] {
        if name == "voter" {
            make_voter(&mut net, &uniswap);
        }
        let v2 = on_uniswap(&mut net, &uniswap, name);
        let buy = net.steady(TIMES, |net, _| buy_tx(net, name));
        let sell = net.steady(TIMES, |net, _| sell_tx(net, name));
        let targets = |row: Row, most: f64| if suffix.is_empty() { row.times(most) } else { row };
        rows.push(targets(Row::new(&format!("pool buy{suffix}"), buy).beside("v2 buy", &v2.buy), 0.75));
        rows.push(targets(Row::new(&format!("pool sell{suffix}"), sell).beside("v2 sell", &v2.sell), 0.75));
        let swap = net.steady(TIMES, |net, _| swap_tx(net, name));
        let row = Row::new(&format!("pool alpha to alpha{suffix}"), swap).beside("v2 two-hop", &v2.two_hop);
        rows.push(targets(row, 0.57));
    }

    net.tick();
    rows.push(Row::new("pool buy, first of an epoch", net.steady(1, |net, _| buy_tx(net, "trader"))));
    net.tick();
    let pour = net.tx("anybody", net.suite().alpha_pools, &AlphaPools::pourCall { netuid: 1 });
    rows.push(Row::new("pool pour", net.measure(pour)));
    rows.push(auction(&mut net));
    rows
}

/// An account with tokens that votes itself with all of them.
fn make_voter(net: &mut Net, uniswap: &Uniswap) {
    let (tndm, pools) = (net.suite().tandem_token, net.suite().alpha_pools);
    let delegatee = net.account("voter");
    for token in [tndm, net.alpha(1), net.alpha(2)] {
        net.give(token, "voter", U256::from(100) * ONE);
        net.call("voter", token, TandemToken::delegateCall { delegatee });
        for spender in [uniswap.router, pools] {
            net.approve(token, "voter", spender);
        }
    }
}

/// A lot like others before it, of the margin that one subnet's users brought.
fn auction(net: &mut Net) -> Row {
    let auction = net.suite().burn_auction;
    net.buy_credits("spender", 3_000);
    let channel = net.open_channel("spender", CONTRIBUTOR_UID, 3_000);
    let mut last = None;
    for round in 1..=3 {
        let (voucher, signature) = net.voucher("spender", channel, round * 1_000_000);
        net.call("anybody", net.suite().settlement, Settlement::settleCall { voucher, signature });
        net.tick();
        let lot = net.call("anybody", auction, BurnAuction::startLotCall {}).ret;
        net.world.warp(BLOCK);
        let take = BurnAuction::takeCall { lotId: lot, maxTndm: U256::MAX, deadline: deadline(net) };
        let tx = net.tx("trader", auction, &take);
        last = Some(net.measure(tx));
    }
    Row::new("auction take", last.expect("three lots were sold"))
}
