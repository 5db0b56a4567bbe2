//! Paying for answers: what a client signs, a contributor accepts, and never twice.

use alloy_primitives::{B256, U256};
use proptest::prelude::*;
use tandem_protocol::messages::Voucher;
use tandem_protocol::payment::{BATCH, PaymentError, PaymentMeter, Rate, Tokens};

fn rate(prompt_per_million: u128, completion_per_million: u128) -> Rate {
    Rate { model: B256::repeat_byte(7), version: 3, prompt_per_million, completion_per_million }
}

#[test]
fn the_price_rounds_up_once_over_both_kinds() {
    let rate = rate(1, 1);
    assert_eq!(rate.cost(Tokens { prompt: 1, completion: 1 }), Some(1));
    assert_eq!(rate.cost(Tokens { prompt: 1_000_000, completion: 1 }), Some(2));
    assert_eq!(rate.cost(Tokens::default()), Some(0));
    let dearest = Rate { prompt_per_million: u128::MAX, completion_per_million: u128::MAX, ..rate };
    assert_eq!(dearest.cost(Tokens { prompt: u64::MAX, completion: u64::MAX }), None);
}

#[test]
fn a_spent_channel_signs_nothing_and_stays_as_it_is() {
    let mut meter = PaymentMeter::new(U256::ONE, 99, rate(1_000_000, 1_000_000));
    let before = meter.clone();
    assert_eq!(meter.authorize(50, 50), Err(PaymentError::Exhausted { needed: 100, capacity: 99 }));
    assert_eq!(meter, before);
    assert!(meter.authorize(50, 49).is_ok());
    assert!(matches!(meter.authorize(u64::MAX, 1), Err(PaymentError::Exhausted { .. })));
}

#[test]
fn a_count_beyond_what_was_signed_is_not_believed() {
    let mut meter = PaymentMeter::new(U256::ONE, 1_000, rate(1_000_000, 1_000_000));
    meter.authorize(10, 10).unwrap();
    assert_eq!(meter.record(Tokens { prompt: 10, completion: 11 }), Err(PaymentError::NotCovered));
    meter.catch_up(Tokens { prompt: 10, completion: 4 }).unwrap();
    assert_eq!(meter.catch_up(Tokens { prompt: 9, completion: 4 }), Err(PaymentError::NotCovered));
}

proptest! {
    /// [CR-5] What a client signs a contributor accepts, and any of it settles after any other: no replay, no decrease, never
    /// above the rate card's price of the increase.
    #[test]
    fn a_clients_vouchers_are_accepted_and_settle_in_any_selection(
        requests in prop::collection::vec((1u64..3_000, 0u64..3_000, 1u64..3_000, 0u64..=100, any::<bool>()), 1..40),
        prompt_price in 0u128..10_000_000,
        completion_price in 0u128..10_000_000,
    ) {
        let rate = rate(prompt_price, completion_price);
        let mut client = PaymentMeter::new(U256::from(5), u128::MAX, rate);
        let mut contributor = client.clone();
        let mut settled = (Tokens::default(), 0u128);
        let mut last: Option<Voucher> = None;
        for (prompt, slack, max_tokens, used, settle) in requests {
            let voucher = client.authorize(prompt + slack, max_tokens).unwrap();
            if let Some(old) = &last {
                prop_assert!(contributor.clone().accept(old, 1, 1).is_err(), "a replay");
            }
            contributor.accept(&voucher, prompt, max_tokens).unwrap();
            let used = Tokens { prompt, completion: max_tokens * used / 100 };
            client.record(used).unwrap();
            contributor.record(used).unwrap();
            prop_assert_eq!(&client, &contributor);
            prop_assert!(voucher.amount >= client.consumed_credits());
            if settle {
                let increase = voucher.amount - settled.1;
                let added = Tokens {
                    prompt: voucher.promptTokens - settled.0.prompt,
                    completion: voucher.completionTokens - settled.0.completion,
                };
                prop_assert!(increase <= rate.cost(added).unwrap());
                settled = (Tokens { prompt: voucher.promptTokens, completion: voucher.completionTokens }, voucher.amount);
            }
            last = Some(voucher);
        }
    }

    #[test]
    fn a_tampered_voucher_is_refused_and_changes_nothing(
        amount in any::<u128>(), prompt in any::<u64>(), completion in any::<u64>(),
    ) {
        let mut meter = PaymentMeter::new(U256::from(5), 1 << 80, rate(3_000_001, 7_000_003));
        meter.authorize(100, 100).unwrap();
        let voucher = Voucher {
            channelId: U256::from(5), amount, model: meter.rate().model, rateCardVersion: 3,
            promptTokens: prompt, completionTokens: completion,
        };
        let before = meter.clone();
        if meter.accept(&voucher, 10, 10).is_err() {
            prop_assert_eq!(before, meter);
        } else {
            prop_assert_eq!(Some(amount), meter.rate().cost(Tokens { prompt, completion }));
        }
    }

    /// [CR-5] However an answer is paid in parts: both sides agree after each step, no token is drawn that is not covered, what is
    /// consumed is paid exactly once, and nothing that was signed exceeds what the answers and one batch cost.
    #[test]
    fn an_answer_paid_in_parts_costs_what_it_would_cost_at_once(
        answers in prop::collection::vec((1u64..500, 1u64..400, 1u64..400, 1u64..100), 1..12),
        prompt_price in 0u128..10_000_000,
        completion_price in 0u128..10_000_000,
    ) {
        let rate = rate(prompt_price, completion_price);
        let mut client = PaymentMeter::new(U256::from(5), u128::MAX, rate);
        let mut contributor = client.clone();
        let (mut total, mut longest_batch) = (Tokens::default(), BATCH);
        for (prompt, max_tokens, drawn, batch) in answers {
            let (drawn, batch) = (drawn.min(max_tokens), batch.max(BATCH));
            longest_batch = longest_batch.max(batch);
            let first = max_tokens.min(BATCH);
            let voucher = client.authorize(prompt, first).unwrap();
            contributor.accept(&voucher, prompt, first).unwrap();
            prop_assert!(contributor.accept_top_up(&voucher, first).is_err(), "a replay");
            prop_assert!(contributor.covered() >= first);
            while contributor.covered() < drawn {
                let more = (contributor.covered() + batch).min(max_tokens);
                let (least, price) = contributor.due(more).unwrap();
                let voucher = client.top_up(more).unwrap().unwrap();
                prop_assert_eq!((voucher.promptTokens, voucher.completionTokens, voucher.amount),
                    (least.prompt, least.completion, price));
                let before = contributor.clone();
                prop_assert!(contributor.accept_top_up(&voucher, more + 1).is_err(), "too little");
                prop_assert!(contributor.accept(&voucher, 1, 1).is_err(), "no new request");
                prop_assert_eq!(&before, &contributor);
                contributor.accept_top_up(&voucher, more).unwrap();
                prop_assert_eq!(contributor.covered(), client.covered());
                prop_assert!(client.top_up(more).unwrap().is_none(), "covered is covered");
                prop_assert!(contributor.accept_top_up(&voucher, more).is_err(), "a replay");
            }
            let used = Tokens { prompt, completion: drawn };
            client.record(used).unwrap();
            contributor.record(used).unwrap();
            prop_assert_eq!(&client, &contributor);
            total = total.plus(used).unwrap();
            prop_assert_eq!(client.consumed_credits(), rate.cost(total).unwrap());
            prop_assert!(client.covered() <= longest_batch, "one batch is at risk");
        }
    }

    #[test]
    fn no_number_of_tokens_breaks_a_meter(
        capacity in any::<u128>(), prices in any::<(u128, u128)>(),
        steps in prop::collection::vec(any::<(u64, u64, bool)>(), 1..20),
    ) {
        let mut meter = PaymentMeter::new(U256::from(5), capacity, rate(prices.0, prices.1));
        for (prompt, tokens, top) in steps {
            let before = meter.clone();
            let signed = if top { meter.top_up(tokens) } else { meter.authorize(prompt, tokens).map(Some) };
            match signed {
                Ok(Some(voucher)) => prop_assert!(voucher.amount <= capacity && before.signed().within(meter.signed())),
                _ => prop_assert_eq!(&before, &meter),
            }
            let _ = (meter.due(tokens), meter.covered(), meter.consumed_credits());
            let _ = meter.record(Tokens { prompt: prompt / 2, completion: tokens / 2 });
            prop_assert!(meter.consumed().within(meter.signed()));
        }
    }
}
