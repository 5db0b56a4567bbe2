//! The sender's pure parts: what refusals mean, what to pay.

use proptest::prelude::*;
use tandem_keeper::{
    config::SenderConfig,
    sender::{FeeModel, FeeRules, Fees, Market, Refusal, classify},
};

/// Client, words, meaning.
const REFUSALS: [(&str, &str, Refusal); 58] = [
    ("geth", "already known", Refusal::AlreadyKnown),
    ("geth", "nonce too low: next nonce 5, tx nonce 4", Refusal::NonceTooLow),
    ("geth", "nonce too high: address 0x01, tx: 9 state: 5", Refusal::NonceTooHigh),
    ("geth", "replacement transaction underpriced", Refusal::ReplacementUnderpriced),
    ("geth", "future transaction tries to replace pending", Refusal::ReplacementUnderpriced),
    ("geth", "transaction underpriced: gas tip cap 0, minimum needed 1000000", Refusal::Underpriced),
    (
        "geth",
        "max fee per gas less than block base fee: address 0x0, maxFeePerGas: 1, baseFee: 7",
        Refusal::Underpriced,
    ),
    (
        "geth",
        "insufficient funds for gas * price + value: balance 0, tx cost 1, overshot 1",
        Refusal::InsufficientFunds,
    ),
    ("geth", "transaction would cause overdraft", Refusal::InsufficientFunds),
    ("geth", "txpool is full", Refusal::Busy),
    ("geth", "exceeds block gas limit", Refusal::GasLimit),
    ("geth", "intrinsic gas too low: gas 1, minimum needed 21000", Refusal::GasLimit),
    ("geth", "transaction gas limit too high (cap: 16777216, tx: 20000000)", Refusal::GasLimit),
    ("geth", "tx fee (1.10 ether) exceeds the configured cap (1.00 ether)", Refusal::FeeCap),
    ("geth", "gapped-nonce tx from delegated accounts", Refusal::NonceTooHigh),
    ("geth", "unknown transaction", Refusal::Other),
    ("geth", "execution reverted", Refusal::Other),
    (
        "op-geth",
        "failed to forward tx to sequencer, please try again. Error message: 'nonce too low'",
        Refusal::NonceTooLow,
    ),
    ("op-geth", "failed to forward tx to sequencer: already known", Refusal::AlreadyKnown),
    ("op-geth", "insufficient funds for gas * price + value + L1 cost", Refusal::InsufficientFunds),
    ("erigon", "existing tx with same hash", Refusal::AlreadyKnown),
    ("erigon", "could not replace existing tx", Refusal::ReplacementUnderpriced),
    ("erigon", "INTERNAL_ERROR: could not replace existing tx", Refusal::ReplacementUnderpriced),
    ("erigon", "fee too low", Refusal::Underpriced),
    ("erigon", "underpriced", Refusal::Underpriced),
    ("erigon", "baseFee sub-pool is full", Refusal::Busy),
    ("nethermind", "AlreadyKnown", Refusal::AlreadyKnown),
    ("nethermind", "OldNonce, Current nonce: 5, nonce of rejected tx: 4", Refusal::NonceTooLow),
    ("nethermind", "NonceGap, Future nonce. Expected nonce: 3", Refusal::NonceTooHigh),
    ("nethermind", "NonceTooFarInFuture", Refusal::NonceTooHigh),
    ("nethermind", "FeeTooLow, MaxFeePerGas needs to be at least 7", Refusal::Underpriced),
    ("nethermind", "FeeTooLowToCompete", Refusal::Underpriced),
    ("nethermind", "ReplacementNotAllowed", Refusal::ReplacementUnderpriced),
    ("nethermind", "InsufficientFunds, Balance is 0 less than sending value + gas 1", Refusal::InsufficientFunds),
    ("nethermind", "GasLimitExceeded, Gas limit: 1", Refusal::GasLimit),
    ("besu", "Known transaction", Refusal::AlreadyKnown),
    ("besu", "Nonce too low", Refusal::NonceTooLow),
    ("besu", "Transaction nonce is too distant from current sender nonce", Refusal::NonceTooHigh),
    ("besu", "An invalid transaction with a lower nonce exists", Refusal::NonceTooHigh),
    ("besu", "Replacement transaction underpriced", Refusal::ReplacementUnderpriced),
    ("besu", "Gas price below current base fee", Refusal::Underpriced),
    ("besu", "Gas price below configured minimum gas price", Refusal::Underpriced),
    ("besu", "Upfront cost exceeds account balance", Refusal::InsufficientFunds),
    ("besu", "Transaction gas limit exceeds block gas limit", Refusal::GasLimit),
    ("besu", "Transaction fee cap exceeded", Refusal::FeeCap),
    ("reth", "[0xabcd] already imported", Refusal::AlreadyKnown),
    ("reth", "insufficient gas price to replace existing transaction", Refusal::ReplacementUnderpriced),
    ("reth", "gas price 1 below chain minimum 7", Refusal::Underpriced),
    ("reth", "transaction discarded outright due to pool size constraints", Refusal::Busy),
    ("anvil", "transaction already imported", Refusal::AlreadyKnown),
    ("anvil", "Insufficient funds for gas * price + value", Refusal::InsufficientFunds),
    ("nitro", "nonce too low: address 0x01, tx: 4 state: 5", Refusal::NonceTooLow),
    (
        "nitro",
        "max fee per gas less than block base fee: address 0x01, maxFeePerGas: 1 baseFee: 7",
        Refusal::Underpriced,
    ),
    ("service", "ALREADY_EXISTS: already known", Refusal::AlreadyKnown),
    ("service", "known transaction. transaction with hash 0x01 is already in the system", Refusal::AlreadyKnown),
    ("service", "Your app has exceeded its compute units per second capacity", Refusal::Busy),
    ("service", "daily request limit reached", Refusal::Busy),
    ("service", "the method does not exist", Refusal::Other),
];

#[test]
fn refusals_are_told_apart_by_their_words_whatever_their_code() {
    for (client, words, expected) in REFUSALS {
        for code in [-32_000, -32_603, -32_010, 3] {
            assert_eq!(classify(code, words), expected, "{client}: {words}");
            assert_eq!(classify(code, &format!("err: {}!", words.to_uppercase())), expected, "{client}: {words}");
        }
    }
    assert_eq!(classify(-32_005, "nonce too low"), Refusal::NonceTooLow, "words come first");
    assert_eq!(classify(-32_005, "limit exceeded"), Refusal::Busy);
    assert_eq!(classify(429, ""), Refusal::Busy);
}

fn rules() -> FeeRules {
    FeeRules { floor: 1_000, ceiling: 1_000_000, min_tip: 10 }
}

#[test]
fn a_first_fee_leaves_room_for_the_base_fee_to_double_between_floor_and_ceiling() {
    let first = |model, base, tip| rules().first(model, Market { base, tip });
    assert_eq!(first(FeeModel::Ethereum, 5_000, 100), Ok(Fees { max: 10_100, tip: 100 }));
    assert_eq!(first(FeeModel::OpStack, 7, 0), Ok(Fees { max: 1_000, tip: 10 }), "the floors");
    assert_eq!(first(FeeModel::Arbitrum, 5_000, 100), Ok(Fees { max: 10_000, tip: 0 }), "tips buy nothing");
    assert_eq!(first(FeeModel::Ethereum, 999_990, 500), Ok(Fees { max: 1_000_000, tip: 10 }), "it just fits");
    assert_eq!(first(FeeModel::Ethereum, 999_991, 10), Err(1_000_001));
}

#[test]
fn the_ceiling_is_used_up_before_it_forbids_a_raise() {
    let last = Fees { max: 880_000, tip: 10 };
    let crazy = Some(Market { base: 9_000_000, tip: 1 });
    assert_eq!(rules().replacing(FeeModel::Ethereum, crazy, last), Some(Fees { max: 1_000_000, tip: 12 }));
    assert_eq!(rules().replacing(FeeModel::Ethereum, crazy, Fees { max: 888_889, tip: 10 }), None);
    assert_eq!(FeeRules::new(&SenderConfig { max_fee_wei: 5, ..SenderConfig::default() }).floor, 5);
}

proptest! {
    /// Every node takes a replacement, and no bump ever leaves the limits, whatever the market does.
    #[test]
    fn a_replacement_pays_an_eighth_more_in_both_fees_and_never_more_than_the_ceiling(
        base in 0u128..2_000_000, tip in 0u128..2_000_000, known: bool, bumps in 1usize..80, arbitrum: bool,
    ) {
        let model = if arbitrum { FeeModel::Arbitrum } else { FeeModel::OpStack };
        let mut last = rules().first(model, Market { base: 100, tip: 1 }).unwrap();
        for _ in 0..bumps {
            let market = known.then_some(Market { base, tip });
            let Some(next) = rules().replacing(model, market, last) else {
                prop_assert!(last.max * 9 > rules().ceiling * 8 - 9 || last.tip * 9 > rules().ceiling * 8 - 9);
                break;
            };
            prop_assert!(next.max * 8 >= last.max * 9 && next.tip * 8 >= last.tip * 9);
            prop_assert!(next.max <= rules().ceiling && next.tip <= next.max && next.max >= rules().floor);
            prop_assert!(!arbitrum || next.tip == 0);
            last = next;
        }
    }
}
