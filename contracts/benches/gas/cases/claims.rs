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
        let claims = Claims::measure(&mut net, kind, &format!("newcomer to {title}"), amount);
        rows.push(Row::new(title, claims.own).beside("npm distributor", &anchor).times(1.0));
        rows.push(Row::new(&format!("{title}, for somebody else"), claims.for_another));
        rows.push(Row::new(&format!("{title}, first of its kind in an epoch"), claims.first_in_epoch));
        rows.push(Row::new(&format!("{title}, first of an account"), claims.first_of_account));
    }
    rows.push(batch(&mut net));
    rows
}

/// Claims of one kind.
struct Claims {
    /// By the account itself, in an epoch in which somebody has claimed of the kind.
    own: Measured,
    /// The same by somebody else, to the account's payout address.
    for_another: Measured,
    /// The first that the budget of the kind pays in an epoch.
    first_in_epoch: Measured,
    /// Of an account that holds none of the token, in an epoch in which somebody has claimed.
    first_of_account: Measured,
}

impl Claims {
    fn measure(net: &mut Net, kind: u8, newcomer: &str, amount: U256) -> Self {
        let regular = ["contributor", "trader"];
        for name in regular {
            net.reward(kind, 1, name, amount);
        }
        net.days(1);
        net.tick();
        for name in regular {
            let claim = net.claim_tx(kind, 1, name);
            net.send(&claim);
        }
        for name in ["contributor", "trader", newcomer] {
            net.reward(kind, 1, name, amount);
        }
        net.days(1);
        net.tick();
        let first_in_epoch = net.claim_own_tx(kind, 1, "trader");
        let first_in_epoch = net.measure(first_in_epoch);
        let first_of_account = net.claim_own_tx(kind, 1, newcomer);
        let first_of_account = net.measure(first_of_account);
        let (own, for_another) = (net.claim_own_tx(kind, 1, "contributor"), net.claim_tx(kind, 1, "contributor"));
        let for_another = net.clone().measure(for_another);
        Self { own: net.measure(own), for_another, first_in_epoch, first_of_account }
    }
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
