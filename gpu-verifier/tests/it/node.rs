//! A node against clients that pay and clients that would rather not.

use std::collections::HashMap;

use alloy_primitives::{B256, U256};
use serde_json::{Value, json};
use tandem_protocol::api::{CompletionPayment, VoucherJson};
use tandem_protocol::evidence::{self, Asked};
use tandem_protocol::messages::{Voucher, model_id};
use tandem_protocol::payment::{PaymentTerms, Tokens};
use tandem_protocol::signed::Signed;
use tandem_verifier::node::openai::CompletionResponse;
use tandem_verifier::node::settler;
use tokio::net::TcpListener;

use crate::town::{CREDIT, Kind, MODEL, NETUID, Town, TownNode, User, text, till};

fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

/// [CR-5] From a paid request to credits on the chain.
#[tokio::test(flavor = "multi_thread")]
async fn a_paid_request_is_answered_proved_counted_and_settled() {
    let town = Town::new();
    let node = TownNode::start(&town, "miner", Kind::Honest).await;
    let mut user = User::open(&town, "user", node.uid, 5, 3_600).await;
    let mut consumed = 0;
    for (prompt, max_tokens) in [("Hello there", 40), ("And once more, at length", 7)] {
        let request = user.request(&town, prompt, max_tokens);
        let (status, answer) = node.post(&request).await;
        assert_eq!(status, 200, "{answer}");
        let response: CompletionResponse = serde_json::from_value(answer).unwrap();
        let asked = Asked {
            hotkey: town.key("miner hotkey").address(),
            netuid: NETUID,
            uid: node.uid,
            model: model_id(MODEL),
            nonce: B256::repeat_byte(9),
            prompt: Some(&text().encode(prompt).unwrap()),
            max_tokens,
            seed: Some(5),
            temperature_milli: 1000,
        };
        let used = evidence::check(&response.tandem, &asked, &town.network.oracle_domain()).unwrap();
        let Tokens { prompt, completion } = used;
        assert_eq!((response.usage.prompt_tokens, response.usage.completion_tokens), (prompt, completion));
        user.meter.record(used).unwrap();
        assert_eq!(response.tandem.consumed, user.meter.consumed_credits());
        consumed = response.tandem.consumed;
    }
    settler::settle(&node.till, town.resident("gas").as_ref(), &mut HashMap::new()).await.unwrap();
    let earned = town.credits_of("miner");
    let signed = user.meter.rate().cost(user.meter.signed()).unwrap();
    assert_eq!(earned, signed, "what the last voucher promised");
    assert!(earned >= consumed && consumed > 0);
    assert!(node.till.owed(10).await.unwrap().is_empty(), "nothing is settled twice");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_pay_is_told_what_and_whom_to_pay() {
    let town = Town::new();
    let node = TownNode::start(&town, "miner", Kind::Honest).await;
    let (status, answer) = node.post(&json!({ "model": MODEL, "prompt": "Hello" })).await;
    assert_eq!((status, code(&answer)), (402, "payment_required"));
    let terms: PaymentTerms = serde_json::from_value(answer["tandem"].clone()).unwrap();
    assert_eq!((terms.settlement, terms.netuid, terms.uid), (town.network.settlement, NETUID, node.uid));
    assert_eq!(terms.contributor, town.key("miner").address());
    assert_eq!((terms.rate.version, terms.rate.prompt_per_million), (1, 1_000 * CREDIT));
    let (status, models) = node.get("/v1/models").await;
    assert_eq!(
        (status, &models["data"][0]["id"], &models["data"][0]["tandem"]),
        (200, &MODEL.into(), &answer["tandem"])
    );
    assert_eq!(node.get("/health").await.0, 200);
    assert_eq!(node.get("/nothing").await.0, 404);
    node.stop().await;
}

/// [CR-5] Nothing of what a thief tries is served, and none of it hurts the honest client.
#[tokio::test(flavor = "multi_thread")]
async fn forged_replayed_short_and_foreign_vouchers_buy_nothing() {
    let town = Town::new();
    let node = TownNode::start(&town, "miner", Kind::Honest).await;
    let other = town.register("rival", String::new());
    let mut user = User::open(&town, "user", node.uid, 5, 3_600).await;
    let mut elsewhere = User::open(&town, "stranger", other, 5, 3_600).await;
    let mut ending = User::open(&town, "late", node.uid, 5, 62).await;
    let first = user.request(&town, "Hello", 8);
    assert_eq!(node.post(&first).await.0, 200);
    user.meter.record(Tokens { prompt: 6, completion: 1 }).unwrap();

    let domain = town.network.settlement_domain();
    let sign = |voucher: Voucher| Signed::new(voucher, &domain, &user.session).unwrap();
    let send = async |voucher: Signed<Voucher>| {
        let payment = CompletionPayment { voucher: VoucherJson::from(&voucher), nonce: B256::ZERO };
        let body = json!({ "model": MODEL, "prompt": "Hello", "max_tokens": 8, "tandem": payment });
        let (status, answer) = node.post(&body).await;
        (status, code(&answer).to_owned())
    };
    let good = user.meter.clone().authorize(6, 100).unwrap();
    let more = Voucher { promptTokens: good.promptTokens + 1, ..good.clone() };
    let forged = Signed::new(good.clone(), &domain, &elsewhere.session).unwrap();
    let mut bent = sign(good.clone());
    bent.signature.0[64] ^= 1;

    let refused = |code: &str| (402, code.to_owned());
    assert_eq!(node.post(&first).await.1["error"]["code"], "voucher_not_growing", "a replay");
    assert_eq!(send(forged).await, refused("voucher_signature"));
    assert_eq!(send(bent).await, refused("voucher_signature"));
    assert_eq!(send(Signed { message: more.clone(), ..sign(good.clone()) }).await, refused("voucher_signature"));
    assert_eq!(send(sign(more)).await, refused("voucher_insufficient"), "an amount below the card's price");
    let amount = good.amount + 1;
    assert_eq!(send(sign(Voucher { amount, ..good.clone() })).await, refused("voucher_insufficient"), "unsettlable");
    let short = user.meter.clone().authorize(6, 5).unwrap();
    assert_eq!(send(sign(short)).await, refused("voucher_insufficient"), "fewer tokens than asked for");
    let newer = Voucher { rateCardVersion: 2, ..good.clone() };
    assert_eq!(send(sign(newer)).await, refused("voucher_rate"));
    assert_eq!(send(sign(Voucher { model: B256::ZERO, ..good.clone() })).await, refused("voucher_rate"));
    let nowhere = Voucher { channelId: U256::from(77), ..good.clone() };
    assert_eq!(send(sign(nowhere)).await, refused("unknown_channel"));
    let rich = Voucher {
        promptTokens: 100_000,
        amount: user.meter.rate().cost(Tokens { prompt: 100_000, completion: good.completionTokens }).unwrap(),
        ..good.clone()
    };
    assert_eq!(send(sign(rich)).await, refused("channel_exhausted"));
    let (status, answer) = node.post(&elsewhere.request(&town, "Hello", 8)).await;
    assert_eq!((status, code(&answer)), (402, "channel_of_another_contributor"));
    let now = town.world().timestamp();
    town.go_to(now + 40);
    node.till.refresh().await.unwrap();
    let (status, answer) = node.post(&ending.request(&town, "Hello", 8)).await;
    assert_eq!((status, code(&answer)), (402, "channel_expired"));

    // The client counted one token; the node's count comes with a refusal, and is believed as far as it was signed for.
    let (_, answer) = node.post(&first).await;
    let terms: PaymentTerms = serde_json::from_value(answer["tandem"].clone()).unwrap();
    user.meter.catch_up(terms.consumed.unwrap()).unwrap();
    let (status, answer) = node.post(&user.request(&town, "Hello", 8)).await;
    assert_eq!(status, 200, "{answer}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_be_served_are_refused_before_payment() {
    let town = Town::new();
    let node = TownNode::start(&town, "miner", Kind::Honest).await;
    let mut user = User::open(&town, "user", node.uid, 5, 3_600).await;
    let paid = user.request(&town, "Hello", 8)["tandem"].clone();
    let with_paid = |name: &str, value: Value| {
        let mut body = json!({ "model": MODEL, "prompt": "Hello", "tandem": paid });
        body[name] = value;
        body
    };
    let with = |name: &str, value: Value| {
        let mut body = json!({ "model": MODEL, "prompt": "Hello" });
        body[name] = value;
        body
    };
    let cases = [
        (with("model", json!("gpt-5")), 404, "model_not_found"),
        (with_paid("prompt", json!("x".repeat(2_100))), 400, "context_length_exceeded"),
        (with_paid("max_tokens", json!(2_045)), 400, "context_length_exceeded"),
        (with_paid("max_tokens", json!(u64::MAX)), 400, "context_length_exceeded"),
        (with("max_tokens", json!(0)), 400, "invalid_value"),
        (with("max_tokens", json!(-1)), 400, "invalid_value"),
        (with("prompt", json!(["Hello"])), 400, "invalid_value"),
        (with("prompt", Value::Null), 400, "missing_required_parameter"),
        (with("temperature", json!(2.1)), 400, "invalid_value"),
        (with("temperature", json!(0.70001)), 400, "invalid_value"),
        (with("seed", json!(-1)), 400, "invalid_value"),
        (with("stream", json!("yes")), 400, "invalid_value"),
        (with("stream_options", json!({ "include_usage": true })), 400, "invalid_value"),
        (with("stop", json!(["a", "b", "c", "d", "e"])), 400, "invalid_value"),
        (with("stop", json!("")), 400, "invalid_value"),
        (with("stop", json!("\u{fffd}")), 400, "invalid_value"),
        (with_paid("prompt", json!([1, 2, 288])), 400, "invalid_value"),
        (with("prompt", json!([[1, 2], [3]])), 400, "invalid_value"),
        (with("prompt", json!([-1])), 400, "invalid_value"),
        (with_paid("prompt", json!([])), 400, "invalid_value"),
        (with_paid("prompt", json!(vec![7; 2_040])), 400, "context_length_exceeded"),
        (with("max_completion_tokens", json!(8)), 400, "unsupported_parameter"),
        (with("messages", json!([])), 400, "unsupported_parameter"),
        (with("n", json!(2)), 400, "unsupported_parameter"),
        (with("tandem", json!({ "voucher": {} })), 400, "invalid_value"),
        (with("nonsense", json!(1)), 400, "unsupported_parameter"),
        // Nothing is tokenized for nothing.
        (with("prompt", json!("x".repeat(2_100))), 402, "payment_required"),
        // Harmless, so the only thing missing is money.
        (with("top_p", json!(1)), 402, "payment_required"),
        (with("stop", Value::Null), 402, "payment_required"),
    ];
    for (body, status, expected) in cases {
        let (found, answer) = node.post(&body).await;
        let short = body.to_string().chars().take(80).collect::<String>();
        assert_eq!((found, code(&answer)), (status, expected), "{short}");
    }
    for (body, status, expected) in [
        (String::new(), 400, "invalid_json"),
        ("[1]".to_owned(), 400, "invalid_json"),
        ("{\"model\":".to_owned(), 400, "invalid_json"),
        ("[".repeat(20_000), 400, "invalid_json"),
        (" ".repeat(33 << 10), 413, "body_too_large"),
    ] {
        let (found, answer) = node.post_raw(body).await;
        assert_eq!((found, code(&answer)), (status, expected));
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_node_knows_its_vouchers_and_takes_none_twice() {
    let town = Town::new();
    let node = TownNode::start(&town, "miner", Kind::Honest).await;
    let uid = node.uid;
    let mut user = User::open(&town, "user", uid, 5, 3_600).await;
    let first = user.request(&town, "Hello", 8);
    assert_eq!(node.post(&first).await.0, 200);
    let state = node.stop().await;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let node = TownNode::run(&town, "miner", uid, Kind::Honest, listener, state).await;
    assert_eq!(code(&node.post(&first).await.1), "voucher_not_growing");
    assert_eq!(node.till.owed(10).await.unwrap().len(), 1);
    let state = node.stop().await;
    settler::settle(
        till(&town, "miner", uid, state.path()).await.as_ref(),
        town.resident("gas").as_ref(),
        &mut HashMap::new(),
    )
    .await
    .unwrap();
    assert_eq!(town.credits_of("miner"), user.meter.rate().cost(user.meter.signed()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_that_the_client_did_not_choose_follows_from_its_nonce() {
    let town = Town::new();
    let node = TownNode::start(&town, "miner", Kind::Honest).await;
    let mut user = User::open(&town, "user", node.uid, 5, 3_600).await;
    let mut request = user.request(&town, "Hello there", 12);
    request.as_object_mut().unwrap().remove("seed");
    let (status, answer) = node.post(&request).await;
    assert_eq!(status, 200, "{answer}");
    let response: CompletionResponse = serde_json::from_value(answer).unwrap();
    let nonce = B256::repeat_byte(9);
    assert_eq!(response.tandem.commitment.message.seed, evidence::default_seed(nonce));
    let asked = |seed| Asked {
        hotkey: town.key("miner hotkey").address(),
        netuid: NETUID,
        uid: node.uid,
        model: model_id(MODEL),
        nonce,
        prompt: None,
        max_tokens: 12,
        seed,
        temperature_milli: 1000,
    };
    let check = |seed| evidence::check(&response.tandem, &asked(seed), &town.network.oracle_domain());
    check(None).unwrap();
    assert_eq!(check(Some(7)), Err(evidence::EvidenceFault::Mismatch("seed")), "as for any other seed");
    assert_ne!(evidence::default_seed(nonce), evidence::default_seed(B256::repeat_byte(8)));
    node.stop().await;
}
