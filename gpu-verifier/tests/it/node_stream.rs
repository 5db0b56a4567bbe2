//! Chats, streams, stop sequences, and answers that are paid as they come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::{B256, U256};
use serde_json::{Map, Value, json};
use tandem_protocol::api::{CompletionEvidence, TopUp, TopUpReceipt, VoucherJson};
use tandem_protocol::evidence::{self, Asked};
use tandem_protocol::messages::{Voucher, model_id};
use tandem_protocol::payment::{BATCH, Tokens};
use tandem_protocol::signed::Signed;
use tandem_verifier::generate::{Completion, Request};
use tandem_verifier::model::{Message, Role, stop_at};
use tandem_verifier::node::Limits;
use tandem_verifier::node::openai::{ChatResponse, CompletionResponse};
use tandem_verifier::verify::Termination;

use crate::common::{FULL, answer, check};
use crate::sse::{Events, Frame, Told};
use crate::town::{Kind, MODEL, NETUID, Town, TownNode, User, limits, text};

const PROMPT: &str = "Tell me a long story";

/// What the model says to `prompt`, computed here.
fn expected(prompt: Vec<u32>, max_tokens: usize, seed: u64) -> (Request, Completion) {
    let request = Request { prompt, max_tokens, seed, temperature: 1.0 };
    let completion = answer(&FULL, &request);
    (request, completion)
}

/// A seed with which the model goes on for `max_tokens` after [`PROMPT`].
fn talkative(max_tokens: usize) -> (u64, Completion) {
    let prompt = text().encode(PROMPT).unwrap();
    let mut all = (0..200).map(|seed| (seed, expected(prompt.clone(), max_tokens, seed).1));
    all.find(|(_, completion)| completion.output.len() == max_tokens).unwrap()
}

/// A streamed request for `max_tokens` of which `first` are paid.
fn streamed(user: &mut User, town: &Town, max_tokens: u64, first: u64, seed: u64) -> Value {
    let mut body = user.request(town, PROMPT, first);
    body["max_tokens"] = json!(max_tokens);
    body["seed"] = json!(seed);
    body["stream"] = json!(true);
    body
}

fn top_up(user: &mut User, town: &Town, completion_tokens: u64) -> TopUp {
    let voucher = user.meter.top_up(completion_tokens).unwrap().unwrap();
    TopUp { voucher: sign(user, town, voucher) }
}

fn sign(user: &User, town: &Town, voucher: Voucher) -> VoucherJson {
    (&Signed::new(voucher, &town.network.settlement_domain(), &user.session).unwrap()).into()
}

async fn send(node: &TownNode, top_up: &TopUp) -> (u16, Value) {
    node.post_to("/v1/vouchers", json!(top_up).to_string()).await
}

fn checked(town: &Arc<Town>, node: &TownNode, evidence: &CompletionEvidence, max_tokens: u64, seed: u64) -> Tokens {
    let asked = Asked {
        hotkey: town.key("miner hotkey").address(),
        netuid: NETUID,
        uid: node.uid,
        model: model_id(MODEL),
        nonce: B256::repeat_byte(9),
        prompt: None,
        max_tokens,
        seed: Some(seed),
        temperature_milli: 1000,
    };
    evidence::check(evidence, &asked, &town.network.oracle_domain()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_is_rendered_by_the_models_own_template() {
    let town = Town::new();
    let node = TownNode::start(&town, "miner", Kind::Honest).await;
    let mut user = User::open(&town, "user", node.uid, 5, 3_600).await;
    let messages = json!([
        { "role": "developer", "content": "Be kind." },
        { "role": "user", "content": [{ "type": "text", "text": "Hello" }, { "type": "text", "text": "there" }] },
        { "role": "assistant", "content": " Hi! ", "refusal": null, "annotations": [], "tool_calls": null },
        { "role": "user", "content": "Go on" },
    ]);
    let said = |role, content: &str| Message { role, content: content.to_owned() };
    let turns = [
        said(Role::System, "Be kind."),
        said(Role::User, "Hello\nthere"),
        said(Role::Assistant, " Hi! "),
        said(Role::User, "Go on"),
    ];
    let rendered = text().encode_chat(&turns, &Map::new(), 10_000).unwrap();
    let by_hand = "system\nBe kind.\n|user\nHello\nthere\n|assistant\nHi!\n|user\nGo on\n|assistant\n";
    let by_hand: Vec<u32> =
        [256, 260].into_iter().chain(by_hand.bytes().map(|b| if b == b'|' { 260 } else { b.into() })).collect();
    assert_eq!(rendered, by_hand);

    let domain = town.network.settlement_domain();
    for (field, tokens) in [("max_completion_tokens", 24), ("max_tokens", 9)] {
        let payment =
            user.meter.pay(rendered.len() as u64, tokens, B256::repeat_byte(9), &domain, &user.session).unwrap();
        let body = json!({ "model": MODEL, "messages": messages, field: tokens, "seed": 3, "tandem": payment });
        let (status, answer) = node.post_to("/v1/chat/completions", body.to_string()).await;
        assert_eq!(status, 200, "{answer}");
        let response: ChatResponse = serde_json::from_value(answer).unwrap();
        let (request, completion) = expected(rendered.clone(), tokens as usize, 3);
        assert_eq!((&response.tandem.prompt_tokens, &response.tandem.output_tokens), (&rendered, &completion.output));
        assert_eq!(response.choices[0].message.content, text().decode(&completion.output).unwrap());
        assert_eq!(response.choices[0].finish_reason, completion.finish);
        let used = checked(&town, &node, &response.tandem, tokens, 3);
        user.meter.record(used).unwrap();
        assert_eq!(response.tandem.consumed, user.meter.consumed_credits());
        // A verifier needs the tokens alone.
        assert_eq!(check(&request, &response.tandem.output_tokens, &response.tandem.proofs).0.malformed, None);
    }

    // Without a length, an answer may be as long as was paid for.
    let payment = user.meter.pay(rendered.len() as u64, 21, B256::repeat_byte(9), &domain, &user.session).unwrap();
    let longest = user.meter.covered();
    let body = json!({ "model": MODEL, "messages": messages, "seed": 3, "tandem": payment });
    let (status, answer) = node.post_to("/v1/chat/completions", body.to_string()).await;
    let response: ChatResponse = serde_json::from_value(answer).unwrap();
    assert_eq!(status, 200);
    assert_eq!(response.tandem.output_tokens, expected(rendered, longest as usize, 3).1.output);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_that_cannot_be_understood_are_refused_by_name() {
    let town = Town::new();
    let node = TownNode::start(&town, "miner", Kind::Honest).await;
    let mut user = User::open(&town, "user", node.uid, 5, 3_600).await;
    let paid = user.request(&town, "Hello", 8)["tandem"].clone();
    let say = |message: Value| json!({ "model": MODEL, "messages": [message], "tandem": paid });
    let with = |name: &str, value: Value| {
        let mut body = say(json!({ "role": "user", "content": "Hi" }));
        body[name] = value;
        body
    };
    let image = json!([{ "type": "image_url", "image_url": { "url": "http://x" } }]);
    for (body, status, code, param) in [
        (json!({ "model": MODEL }), 400, "missing_required_parameter", "messages"),
        (with("messages", json!([])), 400, "invalid_value", "messages"),
        (with("messages", json!("Hi")), 400, "invalid_value", "messages"),
        (say(json!({ "role": "tool", "content": "Hi" })), 400, "invalid_value", "messages[0].role"),
        (say(json!({ "content": "Hi" })), 400, "invalid_value", "messages[0].role"),
        (say(json!({ "role": "user" })), 400, "invalid_value", "messages[0].content"),
        (say(json!({ "role": "user", "content": image })), 400, "invalid_value", "messages[0].content"),
        (say(json!({ "role": "user", "content": 7 })), 400, "invalid_value", "messages[0].content"),
        (
            say(json!({ "role": "user", "content": "Hi", "name": "Bob" })),
            400,
            "unsupported_parameter",
            "messages[0].name",
        ),
        (with("prompt", json!("Hi")), 400, "unsupported_parameter", "prompt"),
        (with("tools", json!([{ "type": "function" }])), 400, "unsupported_parameter", "tools"),
        (with("response_format", json!({ "type": "json_object" })), 400, "unsupported_parameter", "response_format"),
        (with("logprobs", json!(true)), 400, "unsupported_parameter", "logprobs"),
        (with("n", json!(2)), 400, "unsupported_parameter", "n"),
        (with("top_p", json!(0.9)), 400, "unsupported_parameter", "top_p"),
        (with("max_completion_tokens", json!(0)), 400, "invalid_value", "max_completion_tokens"),
        (with("chat_template_kwargs", json!({ "x": [1] })), 400, "invalid_value", "chat_template_kwargs"),
        (
            with("messages", json!(vec![json!({ "role": "user", "content": "x" }); 300])),
            400,
            "context_length_exceeded",
            "prompt",
        ),
    ] {
        let (found, answer) = node.post_to("/v1/chat/completions", body.to_string()).await;
        let short = body.to_string().chars().take(120).collect::<String>();
        let error = &answer["error"];
        assert_eq!(
            (found, error["code"].as_str(), error["param"].as_str()),
            (status, Some(code), Some(param)),
            "{short}"
        );
    }
    // Nothing but the price of a longer prompt is wrong with this one; the node says how long it is.
    let (status, answer) = node.post_to("/v1/chat/completions", with("tools", json!([])).to_string()).await;
    let rendered =
        text().encode_chat(&[Message { role: Role::User, content: "Hi".to_owned() }], &Map::new(), 99).unwrap();
    assert_eq!((status, answer["error"]["code"].as_str()), (402, Some("voucher_insufficient")));
    assert_eq!(answer["tandem"]["needed"], json!({ "prompt": rendered.len(), "completion": 1 }));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_brings_the_same_answer_piece_by_piece() {
    let town = Town::new();
    let node = TownNode::start(&town, "miner", Kind::Honest).await;
    let mut user = User::open(&town, "user", node.uid, 5, 3_600).await;
    for (seed, max_tokens) in [(1, 120), (2, 7), (3, 64), (4, 1)] {
        let mut body = streamed(&mut user, &town, max_tokens, max_tokens, seed);
        body["stream_options"] = json!({ "include_usage": true });
        let told = Told::all(Events::open(&node, "/v1/completions", &body).await).await;
        let (_, completion) = expected(text().encode(PROMPT).unwrap(), max_tokens as usize, seed);
        assert_eq!(told.text, text().decode(&completion.output).unwrap());
        assert_eq!((&told.tokens, &told.evidence().output_tokens), (&completion.output, &completion.output));
        assert_eq!(told.evidence().proofs, completion.proofs);
        assert_eq!(json!(told.finish), json!(completion.finish));
        assert!(told.done && told.error.is_none() && told.dues.is_empty(), "{told:?}");
        let used = checked(&town, &node, told.evidence(), max_tokens, seed);
        assert_eq!(told.usage.as_ref().unwrap()["completion_tokens"], json!(used.completion));
        user.meter.record(used).unwrap();
        assert_eq!(told.evidence().consumed, user.meter.consumed_credits());
    }

    let message = Message { role: Role::User, content: "Hi".to_owned() };
    let rendered = text().encode_chat(&[message], &Map::new(), 99).unwrap();
    let domain = town.network.settlement_domain();
    let payment = user.meter.pay(rendered.len() as u64, 40, B256::repeat_byte(9), &domain, &user.session).unwrap();
    let body = json!({
        "model": MODEL, "messages": [{ "role": "user", "content": "Hi" }], "max_tokens": 40, "seed": 8, "stream": true,
        "tandem": payment,
    });
    let mut events = Events::open(&node, "/v1/chat/completions", &body).await;
    let Some(Frame::Data(first)) = events.next().await else { panic!() };
    assert_eq!(first["object"], "chat.completion.chunk");
    assert_eq!(first["choices"][0]["delta"], json!({ "role": "assistant", "content": "" }));
    let told = Told::all(events).await;
    let (_, completion) = expected(rendered, 40, 8);
    assert_eq!(told.text, text().decode(&completion.output).unwrap());
    assert!(told.done && told.usage.is_none());
    node.stop().await;
}

/// [CR-5] A client that pays batch by batch gets the answer that it would have got at once, and never risks more than a batch.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_paid_batch_by_batch_is_the_same_answer() {
    let town = Town::new();
    let node = TownNode::start(&town, "miner", Kind::Honest).await;
    let mut user = User::open(&town, "user", node.uid, 5, 3_600).await;
    let (seed, completion) = talkative(150);
    for patient in [true, false] {
        let body = streamed(&mut user, &town, 150, BATCH, seed);
        let mut events = Events::open(&node, "/v1/completions", &body).await;
        let (mut told, mut owed) = (Told::default(), None);
        while let Some(frame) = events.next().await {
            if let Some(due) = told.take(frame) {
                assert!(due.drawn + BATCH / 2 >= due.covered && due.covered == user.meter.covered(), "{due:?}");
                owed = Some(due);
            }
            // The patient client pays when it has everything that it paid for, the other at once.
            let all_there = told.tokens.len() as u64 == user.meter.covered();
            if let Some(due) = owed.take_if(|_| !patient || all_there) {
                let top_up = top_up(&mut user, &town, due.completion_tokens);
                assert_eq!(
                    (top_up.voucher.amount, top_up.voucher.completion_tokens),
                    (due.amount, due.least.completion)
                );
                let (status, receipt) = send(&node, &top_up).await;
                assert_eq!(status, 200, "{receipt}");
                let receipt: TopUpReceipt = serde_json::from_value(receipt).unwrap();
                assert_eq!((receipt.covered, receipt.channel_id), (user.meter.covered(), user.meter.channel_id()));
            }
        }
        assert_eq!(told.tokens, completion.output);
        assert_eq!((told.dues.len(), told.finish.as_deref()), (4, Some("length")));
        let used = checked(&town, &node, told.evidence(), 150, seed);
        user.meter.record(used).unwrap();
        assert_eq!(user.meter.covered(), 0, "to the token");
        assert_eq!(told.evidence().consumed, user.meter.consumed_credits());
    }
    node.stop().await;
}

/// [CR-5] Nothing is computed that is not paid; what was paid is proved, and is as long as it had to be.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_paid_on_ends_there_and_is_proved() {
    let town = Town::new();
    let node = TownNode::start(&town, "miner", Kind::Honest).await;
    let mut user = User::open(&town, "user", node.uid, 5, 3_600).await;
    let (seed, completion) = talkative(150);
    let body = streamed(&mut user, &town, 150, 40, seed);
    let started = Instant::now();
    let told = Told::all(Events::open(&node, "/v1/completions", &body).await).await;
    assert!(started.elapsed() >= limits().top_up, "it waits a while");
    assert_eq!((told.tokens.as_slice(), told.finish.as_deref()), (&completion.output[..40], Some("length")));
    assert_eq!((told.dues.len(), told.dues[0].completion_tokens, told.dues[0].covered), (1, 72, 40));
    let used = checked(&town, &node, told.evidence(), user.meter.covered(), seed);
    assert_eq!(used.completion, 40);
    let judge = |max_tokens| {
        let request = Request { prompt: text().encode(PROMPT).unwrap(), max_tokens, seed, temperature: 1.0 };
        check(&request, &told.evidence().output_tokens, &told.evidence().proofs).0.termination.unwrap()
    };
    assert_eq!((judge(40), judge(150)), (Termination::Length, Termination::Early));
    user.meter.record(used).unwrap();

    // The channel is free again, and too late a top-up is not taken.
    let late = top_up(&mut user, &town, 32);
    let (status, answer) = send(&node, &late).await;
    assert_eq!((status, answer["error"]["code"].as_str()), (409, Some("no_answer_under_way")));
    assert_eq!(node.post(&user.request(&town, "Hello", 8)).await.0, 200);
    node.stop().await;
}

/// [CR-5] What a thief sends while an answer waits extends nothing.
#[tokio::test(flavor = "multi_thread")]
async fn forged_small_foreign_and_replayed_top_ups_buy_nothing() {
    let town = Town::new();
    let patient = Limits { top_up: Duration::from_secs(60), stream: Duration::from_secs(120), ..limits() };
    let node = TownNode::start_with(&town, "miner", Kind::Honest, patient).await;
    let mut user = User::open(&town, "user", node.uid, 5, 3_600).await;
    let mut other = User::open(&town, "stranger", node.uid, 5, 3_600).await;
    assert_eq!(node.post(&other.request(&town, "Hello", 8)).await.0, 200, "known to the node");
    let (seed, completion) = talkative(150);
    let body = streamed(&mut user, &town, 150, BATCH, seed);
    let first: VoucherJson = serde_json::from_value(body["tandem"]["voucher"].clone()).unwrap();
    let mut events = Events::open(&node, "/v1/completions", &body).await;
    let mut told = Told::default();
    while told.tokens.len() < BATCH as usize {
        told.take(events.next().await.unwrap());
    }
    let voucher = user.meter.clone().top_up(2 * BATCH).unwrap().unwrap();
    let forged = sign(&other, &town, voucher.clone());
    let mut bent = sign(&user, &town, voucher.clone());
    bent.amount += 1;
    let small = sign(&user, &town, user.meter.clone().top_up(BATCH + 1).unwrap().unwrap());
    let cheap = sign(&user, &town, Voucher { amount: voucher.amount - 1, ..voucher.clone() });
    let dear = sign(&user, &town, Voucher { amount: voucher.amount + 1, ..voucher.clone() });
    let backwards = sign(&user, &town, Voucher { promptTokens: 1, ..voucher.clone() });
    let model = sign(&user, &town, Voucher { model: B256::ZERO, ..voucher.clone() });
    let nowhere = sign(&user, &town, Voucher { channelId: U256::from(77), ..voucher.clone() });
    let elsewhere = sign(&other, &town, other.meter.clone().top_up(BATCH).unwrap().unwrap());
    let rich = user.meter.rate().cost(Tokens { prompt: voucher.promptTokens, completion: 1 << 40 }).unwrap();
    let rich = sign(&user, &town, Voucher { completionTokens: 1 << 40, amount: rich, ..voucher.clone() });
    for (voucher, status, code) in [
        (first, 402, "voucher_not_growing"),
        (forged, 402, "voucher_signature"),
        (bent, 402, "voucher_signature"),
        (small, 402, "voucher_insufficient"),
        (cheap, 402, "voucher_insufficient"),
        (dear, 402, "voucher_insufficient"),
        (backwards, 402, "voucher_not_growing"),
        (model, 402, "voucher_rate"),
        (rich, 402, "channel_exhausted"),
        (nowhere, 409, "no_answer_under_way"),
        (elsewhere, 409, "no_answer_under_way"),
    ] {
        let (found, answer) = send(&node, &TopUp { voucher }).await;
        assert_eq!((found, answer["error"]["code"].as_str()), (status, Some(code)), "{answer}");
    }
    for body in ["", "{}", "[]", "{\"voucher\":{}}", "{\"voucher\":null}"] {
        let (status, answer) = node.post_to("/v1/vouchers", body.to_owned()).await;
        assert_eq!((status, answer["error"]["code"].as_str()), (400, Some("invalid_value")), "{body}");
    }
    assert_eq!(send(&node, &top_up(&mut user, &town, 150)).await.0, 200, "who pays is served all the same");
    while let Some(frame) = events.next().await {
        told.take(frame);
    }
    assert_eq!(told.tokens, completion.output);
    let used = checked(&town, &node, told.evidence(), 150, seed);
    user.meter.record(used).unwrap();
    assert_eq!(told.evidence().consumed, user.meter.consumed_credits());
    node.stop().await;
}

/// [CR-5] Who hangs up pays for what was computed, and the node does not go on for long.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_pays_for_what_was_computed() {
    let town = Town::new();
    let node = TownNode::start(&town, "miner", Kind::Slow).await;
    let mut user = User::open(&town, "user", node.uid, 5, 3_600).await;
    let (seed, _) = talkative(400);
    let first = streamed(&mut user, &town, 400, 400, seed);
    // A replay is refused, but only when it is the channel's turn.
    let state = async || {
        let (status, answer) = node.post(&first).await;
        assert!(matches!(status, 402 | 429), "{answer}");
        (status == 402).then_some(answer)
    };
    for streams in [true, false] {
        let before = user.meter.consumed();
        if streams {
            let mut events = Events::open(&node, "/v1/completions", &first).await;
            let mut told = Told::default();
            while told.tokens.len() < 10 {
                told.take(events.next().await.unwrap());
            }
        } else {
            let mut body = streamed(&mut user, &town, 400, 400, seed);
            body["stream"] = json!(false);
            let mut asking = Box::pin(node.post(&body));
            // Polled for long enough that the model is at work.
            for busy in 0..20 {
                let gone = tokio::time::timeout(Duration::from_millis(50), &mut asking).await;
                assert!(gone.is_err(), "it takes two seconds at least");
                if busy > 3 && state().await.is_none() {
                    break;
                }
            }
        }
        // The channel is free again long before the answer would have ended.
        let terms = loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if let Some(answer) = state().await {
                break answer["tandem"].clone();
            }
        };
        let consumed: Tokens = serde_json::from_value(terms["consumed"].clone()).unwrap();
        user.meter.catch_up(consumed).unwrap();
        let drawn = consumed.completion - before.completion;
        assert!((1..300).contains(&drawn), "{drawn} tokens");
        assert_eq!(consumed.prompt - before.prompt, PROMPT.len() as u64 + 1);
    }
    node.stop().await;
}

/// An answer ends with the token that completes a stop sequence, and whoever knows the request can check that.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_sequence_ends_the_answer_where_a_verifier_expects_it() {
    let town = Town::new();
    let node = TownNode::start(&town, "miner", Kind::Honest).await;
    let mut user = User::open(&town, "user", node.uid, 5, 3_600).await;
    let (seed, completion) = talkative(150);
    let whole = text().decode(&completion.output).unwrap();
    let characters: Vec<char> = whole.chars().collect();
    // A text of several tokens from the middle of the answer, without what bytes of no character become.
    let at = (20..).find(|&at| characters[at..at + 3].iter().all(char::is_ascii)).unwrap();
    let stop: String = characters[at..at + 3].iter().collect();
    let stops = vec!["never said ".repeat(3), stop.clone()];
    let length = stop_at(&text(), &completion.output, &stops).unwrap().unwrap();
    let shown = &whole[..whole.find(&stop).unwrap()];
    for streams in [false, true] {
        let mut body = streamed(&mut user, &town, 150, 150, seed);
        body["stop"] = json!(stops);
        body["stream"] = json!(streams);
        let (evidence, said, finish) = if streams {
            let told = Told::all(Events::open(&node, "/v1/completions", &body).await).await;
            (told.evidence().clone(), told.text.clone(), told.finish.unwrap())
        } else {
            let response: CompletionResponse = serde_json::from_value(node.post(&body).await.1).unwrap();
            (response.tandem, response.choices[0].text.clone(), "stop".to_owned())
        };
        assert_eq!((said.as_str(), finish.as_str()), (shown, "stop"));
        assert_eq!(evidence.output_tokens, completion.output[..length]);
        // The verifier's limit is the lower of `max_tokens` and the length at which the stop sequence is complete.
        let request = Request { prompt: text().encode(PROMPT).unwrap(), max_tokens: length, seed, temperature: 1.0 };
        let features = check(&request, &evidence.output_tokens, &evidence.proofs).0;
        assert_eq!((features.malformed, features.termination), (None, Some(Termination::Length)));
        user.meter.record(checked(&town, &node, &evidence, 150, seed)).unwrap();
    }
    let mut unmet = user.request(&town, PROMPT, 20);
    unmet["stop"] = json!("never said");
    let response: CompletionResponse = serde_json::from_value(node.post(&unmet).await.1).unwrap();
    let (_, completion) = expected(text().encode(PROMPT).unwrap(), 20, 5);
    assert_eq!(response.choices[0].text, text().decode(&completion.output).unwrap());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_may_come_as_tokens() {
    let town = Town::new();
    let node = TownNode::start(&town, "miner", Kind::Honest).await;
    let mut user = User::open(&town, "user", node.uid, 5, 3_600).await;
    let prompt = text().encode(PROMPT).unwrap();
    let mut body = user.request(&town, PROMPT, 30);
    body["prompt"] = json!(prompt);
    let response: CompletionResponse = serde_json::from_value(node.post(&body).await.1).unwrap();
    assert_eq!(response.tandem.prompt_tokens, prompt);
    assert_eq!(response.tandem.output_tokens, expected(prompt, 30, 5).1.output);
    node.stop().await;
}
