//! Claims with a proof of twenty levels beside those of the Merkle distributor, over the same tokens.

use alloy::primitives::U256;
use tandem_contracts::bindings::RewardDistributor;

use super::market::AMOUNT;
use crate::{
    anchors::Distributor,
    explain::Names,
    net::{CONTRIBUTOR_ALPHA, CONTRIBUTOR_USDC, Net, USDC},
    report::{Measured, Row},
};

const USDC_AMOUNT: U256 = U256::from_limbs([345_678, 0, 0, 0]);

pub(super) fn rows(mut net: Net, names: &mut Names) -> Vec<Row> {
    let (alpha, usdc) = (net.alpha(1), net.suite().usdc);
    net.fund("trader", usdc, 1_000);
    // Recipients hold some of each token, as those who claim regularly do.
    net.give(alpha, "contributor", AMOUNT);
    net.give(usdc, "contributor", USDC);

    let mut rows = Vec::new();
    for (kind, title, token, amount) in
        [(CONTRIBUTOR_ALPHA, "claim alpha", alpha, AMOUNT), (CONTRIBUTOR_USDC, "claim USDC", usdc, USDC_AMOUNT)]
    {
        let distributor = Distributor::deploy(&mut net, token, &["trader", "contributor"], amount);
        names.insert(distributor.address, "npm distributor".into());
        let anchor = net.steady(2, |net, time| distributor.claim_tx(net, ["trader", "contributor"][time]));
        let (first, again) = claims(&mut net, kind, &format!("newcomer to {title}"), amount);
        rows.push(Row::new(title, again).beside("npm distributor", &anchor).times(1.0));
        rows.push(Row::new(&format!("{title}, first of an account"), first));
    }
    rows.push(batch(&mut net));
    rows
}

/// The first claim of an account that holds none of the token, and one of an account that claims regularly.
fn claims(net: &mut Net, kind: u8, newcomer: &str, amount: U256) -> (Measured, Measured) {
    for name in [newcomer, "contributor"] {
        net.reward(kind, 1, name, amount);
    }
    net.days(1);
    net.tick();
    let [first, earlier] = [newcomer, "contributor"].map(|name| net.claim_tx(kind, 1, name));
    let first = net.measure(first);
    net.send(&earlier);
    net.reward(kind, 1, "contributor", amount);
    net.days(1);
    net.tick();
    let again = net.claim_tx(kind, 1, "contributor");
    (first, net.measure(again))
}

/// Both kinds at once.
fn batch(net: &mut Net) -> Row {
    net.reward(CONTRIBUTOR_ALPHA, 1, "contributor", AMOUNT);
    net.reward(CONTRIBUTOR_USDC, 1, "contributor", USDC_AMOUNT);
    net.days(1);
    net.tick();
    let (cs, proofs) =
        [CONTRIBUTOR_ALPHA, CONTRIBUTOR_USDC].map(|kind| net.claim(kind, 1, "contributor")).into_iter().unzip();
    let call = RewardDistributor::claimBatchCall { cs, proofs };
    let tx = net.tx("contributor", net.suite().reward_distributor, &call);
    Row::each("claim in a batch of two, each", net.measure(tx), 2)
}
