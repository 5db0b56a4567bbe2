//! What users and contributors do.

use alloy::primitives::{U256, keccak256};
use tandem_contracts::bindings::{CreditDesk, Settlement};

use crate::{
    net::{BLOCK, CONTRIBUTOR_UID, MODEL, Net, ONE, Tx},
    report::Row,
};

const PAYERS: usize = 10;
/// Tokens of a voucher more than of the one before it: 1.234 credits.
const TOKENS: u64 = 1_234;

pub(super) fn rows(mut net: Net) -> Vec<Row> {
    let mut rows = vouchers(&mut net);
    let (desk, settlement) = (net.suite().credit_desk, net.suite().settlement);

    net.fund("user", desk, 1_000);
    let buy = CreditDesk::buyCall { credits: U256::from(3) * ONE, maxUsdc: U256::from(3_000_000) };
    rows.push(Row::new("credits buy", net.steady(2, |net, _| net.tx("user", desk, &buy))));

    let to = net.account("contributor");
    net.fund("contributor", desk, 1);
    let cash_out = CreditDesk::cashOutCall { credits: U256::from(3) * ONE, to };
    rows.push(Row::new("credits cash-out", net.steady(2, |net, _| net.tx("contributor", desk, &cash_out))));

    let open = net.steady(2, |net, _| {
        let call = Settlement::openCall {
            netuid: 1,
            uid: CONTRIBUTOR_UID,
            amount: ONE.to(),
            expiry: net.world.timestamp() + 100 * BLOCK,
            sessionKey: net.account("user session"),
        };
        net.tx("user", settlement, &call)
    });
    rows.push(Row::new("channel open", open));
    let channel = net.view(settlement, Settlement::channelCountCall {});
    net.world.warp(100 * BLOCK + net.config.credits.settle_grace.0 + 1);
    let reclaim = net.tx("user", settlement, &Settlement::reclaimCall { channelId: channel });
    rows.push(Row::new("channel reclaim", net.measure(reclaim)));
    rows
}

/// Vouchers of ten payers to one contributor: one alone, and ten in one transaction.
fn vouchers(net: &mut Net) -> Vec<Row> {
    let payers: Vec<String> = (1..=PAYERS).map(|n| format!("payer {n}")).collect();
    let channels: Vec<(String, U256)> = payers
        .into_iter()
        .map(|payer| {
            net.buy_credits(&payer, 100);
            let channel = net.open_channel(&payer, CONTRIBUTOR_UID, 50);
            (payer, channel)
        })
        .collect();
    // Others' vouchers have been settled today: the subnet's revenue of the epoch is not the first.
    net.buy_credits("user", 10);
    let early = net.open_channel("user", CONTRIBUTOR_UID, 10);
    let (voucher, signature) = net.voucher("user", early, TOKENS);
    net.call("contributor", net.suite().settlement, Settlement::settleCall { voucher, signature });

    let batch = |net: &Net, round: usize| -> Tx {
        let vouchers = channels.iter().map(|(payer, id)| net.compact_voucher(payer, *id, TOKENS * round as u64));
        let call = Settlement::settleBatchCall {
            contributor: net.account("contributor"),
            netuid: 1,
            model: keccak256(MODEL),
            rateCardVersion: 1,
            vouchers: vouchers.collect(),
        };
        net.tx("contributor", net.suite().settlement, &call)
    };
    let first = net.steady(1, |net, _| batch(net, 1));
    let repeat = net.steady(2, |net, time| batch(net, 2 + time));
    let single = net.steady(2, |net, time| {
        let (payer, id) = &channels[0];
        let (voucher, signature) = net.voucher(payer, *id, TOKENS * (4 + time as u64));
        net.tx("contributor", net.suite().settlement, &Settlement::settleCall { voucher, signature })
    });
    vec![
        Row::each("voucher of ten, each", repeat, PAYERS as u64).gas(20_000),
        Row::each("voucher of ten, each, first of its channel", first, PAYERS as u64).gas(20_000),
        Row::new("voucher alone", single),
    ]
}
