//! From a user's stablecoin to a contributor's.

use alloy::{
    primitives::{Address, U256},
    sol,
    sol_types::{SolStruct, eip712_domain},
};
use alloy_signer::SignerSync;
use tandem_contracts::bindings::{ComputeCredit, CreditDesk, Settlement, TestUSDC};

use crate::support::{CREDIT, Net, net};

fn assert_reserve_covers(net: &Net) {
    let suite = net.suite();
    let reserve = net.view(suite.credit_desk, CreditDesk::reserveCall {});
    let needed = net.world.total_supply(suite.compute_credit) * net.config.credits.payout_rate.0;
    assert!(reserve * CREDIT >= needed, "[CR-2] {reserve} does not cover {needed}");
    let deferred = net.view(suite.credit_desk, CreditDesk::deferredMarginCall {});
    assert!(net.world.balance_of(suite.usdc, suite.credit_desk) >= reserve + deferred);
}

/// [CR-2] [CR-3]
#[test]
fn a_credit_is_bought_spent_earned_and_cashed_out() {
    let mut net = net();
    let suite = net.suite();
    let uid = net.register(1, "miner", "miner hotkey");
    net.buy_credits("user", 10);
    assert_reserve_covers(&net);
    let channel = net.open_channel("user", 1, uid, 6);
    net.go_to(0, 1);

    let voucher = net.voucher(channel, 4_000);
    let settled = net.settle_voucher("user", voucher).unwrap();
    assert_eq!(settled.ret, U256::from(4) * CREDIT);
    let event = settled.event::<Settlement::Settled>().unwrap();
    assert_eq!((event.amount, event.margin), (U256::from(4) * CREDIT, U256::from(600_000)));
    let recognised = settled.event::<CreditDesk::MarginRecognised>().unwrap();
    assert_eq!(recognised.margin, U256::from(600_000));
    let forward = CreditDesk::forwardMarginCall { netuid: 1 };
    let forwarded = net.as_account("anybody", suite.credit_desk, forward).unwrap();
    let parts = forwarded.event::<CreditDesk::MarginForwarded>().unwrap();
    assert_eq!((parts.toBuyback, parts.toPot), (U256::from(300_000), U256::from(300_000)));
    assert!(settled.gas_used > 21_000);
    assert_reserve_covers(&net);

    let to = net.world.account("miner's bank");
    let call = CreditDesk::cashOutCall { credits: U256::from(4) * CREDIT, to };
    let paid = net.as_account("miner", suite.credit_desk, call).unwrap().ret;
    assert_eq!(paid, U256::from(3_400_000), "0.85 USDC for each");
    assert_eq!(net.world.balance_of(suite.usdc, to), paid);
    assert_eq!(net.world.total_supply(suite.compute_credit), U256::from(6) * CREDIT);
    assert_reserve_covers(&net);
}

/// [CR-5]
#[test]
fn a_voucher_settles_once_and_by_the_session_key_alone() {
    let mut net = net();
    let uid = net.register(1, "miner", "miner hotkey");
    net.buy_credits("user", 10);
    let channel = net.open_channel("user", 1, uid, 6);
    let voucher = net.voucher(channel, 1_000);
    let hash = net.view(net.suite().settlement, Settlement::hashVoucherCall { voucher: voucher.clone() });
    let domain = eip712_domain! {
        name: "Tandem Settlement",
        version: "1",
        chain_id: 31_337,
        verifying_contract: net.suite().settlement,
    };
    assert_eq!(hash, voucher.eip712_signing_hash(&domain));

    let signature = net.sign("somebody else", &voucher);
    let forged = Settlement::settleCall { voucher: voucher.clone(), signature };
    let refused = net.as_account("miner", net.suite().settlement, forged).unwrap_err();
    assert_eq!(refused.name, "Settlement_InvalidSignature");
    net.settle_voucher("user", voucher.clone()).unwrap();
    assert_eq!(net.settle_voucher("user", voucher).unwrap_err().name, "Settlement_NothingNew");
    let above = net.settle_voucher("user", net.voucher(channel, 6_001)).unwrap_err();
    assert_eq!(above.name, "Settlement_AboveChannel");
}

/// [CR-1]
#[test]
fn purchased_credits_neither_move_nor_cash_out() {
    let mut net = net();
    let suite = net.suite();
    net.buy_credits("user", 1);
    let to = net.world.account("friend");
    let value = U256::from(1);
    let transfer = ComputeCredit::transferCall { _0: to, _1: value };
    let refused = net.as_account("user", suite.compute_credit, transfer).unwrap_err();
    assert_eq!(refused.name, "ComputeCredit_Soulbound");
    net.as_account("user", suite.credit_desk, CreditDesk::cashOutCall { credits: value, to }).unwrap_err();
}

sol! {
    struct Permit { address owner; address spender; uint256 value; uint256 nonce; uint256 deadline; }
}

#[test]
fn credits_can_be_bought_with_a_signed_permit() {
    let mut net = net();
    let suite = net.suite();
    let user = net.world.signer("user");
    let cost = U256::from(2_000_000);
    net.world.mint_usdc(suite.usdc, user.address(), cost).unwrap();
    let deadline = U256::from(net.world.timestamp() + 60);
    let permit = Permit { owner: user.address(), spender: suite.credit_desk, value: cost, nonce: U256::ZERO, deadline };
    let domain = eip712_domain! {
        name: "USD Coin (test)",
        version: "1",
        chain_id: 31_337,
        verifying_contract: suite.usdc,
    };
    let separator = net.view(suite.usdc, TestUSDC::DOMAIN_SEPARATORCall {});
    assert_eq!(separator, domain.separator());
    let signature = user.sign_hash_sync(&permit.eip712_signing_hash(&domain)).unwrap();
    let call = CreditDesk::buyWithPermitCall {
        credits: U256::from(2) * CREDIT,
        maxUsdc: cost,
        deadline,
        v: 27 + u8::from(signature.v()),
        r: signature.r().into(),
        s: signature.s().into(),
    };
    net.as_account("user", suite.credit_desk, call).unwrap();
    assert_eq!(net.world.balance_of(suite.compute_credit, user.address()), U256::from(2) * CREDIT);
    assert_eq!(net.world.balance_of(suite.usdc, user.address()), U256::ZERO);
    assert_ne!(user.address(), Address::ZERO);
}
