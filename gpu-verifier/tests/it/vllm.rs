//! Verification through a server that speaks vLLM's completions API: the same model behind its shape of `prompt_logprobs`,
//! and servers that answer nonsense.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_verifier::generate::{Completion, Request};
use tandem_verifier::reference::{ReferenceError, ReferenceReport, ReferenceServer, Settings};
use tandem_verifier::verdict::{Policy, Reason, ResponseVerdict};
use tandem_verifier::verify::Claim;
use tokio::net::TcpListener;

use crate::common::{FULL, SMALL, answer, request};

/// What vLLM takes, as far as it matters here.
#[derive(Deserialize)]
struct Asked {
    model: String,
    prompt: Vec<u32>,
    max_tokens: u32,
    prompt_logprobs: usize,
}

/// As vLLM answers: the likeliest tokens of each position and the one that is there, by id, nothing for the first position.
async fn prompt_logprobs(headers: HeaderMap, Json(asked): Json<Asked>) -> (StatusCode, Json<Value>) {
    if headers.get("authorization").is_none_or(|value| value != "Bearer secret") {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": { "message": "who\nare you?" } })));
    }
    assert_eq!((asked.model.as_str(), asked.max_tokens), ("served-model", 1));
    let states = FULL.prefill(&asked.prompt).unwrap();
    let logits = FULL.logits(states.bits()).unwrap();
    let vocab = FULL.config().vocab_size;
    let positions = logits.chunks_exact(vocab).zip(&asked.prompt[1..]).map(|(logits, actual)| {
        let total: f64 = logits.iter().map(|logit| f64::from(*logit).exp()).sum();
        let mut order: Vec<u32> = (0..vocab as u32).collect();
        order.sort_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]));
        let ranks = order.iter().zip(1..).filter(|(token, rank)| *rank <= asked.prompt_logprobs || *token == actual);
        let entry = |(token, rank): (&u32, usize)| {
            let logprob = f64::from(logits[*token as usize]) - total.ln();
            (token.to_string(), json!({ "logprob": logprob as f32, "rank": rank, "decoded_token": "x" }))
        };
        json!(ranks.map(entry).collect::<BTreeMap<_, _>>())
    });
    let positions: Vec<Value> = std::iter::once(Value::Null).chain(positions).collect();
    let choice = json!({ "index": 0, "text": "x", "finish_reason": "length", "prompt_logprobs": positions });
    (StatusCode::OK, Json(json!({ "id": "cmpl-1", "object": "text_completion", "choices": [choice] })))
}

async fn serve(routes: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/base/", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, routes).into_future());
    url
}

/// A server that runs the full test model.
pub(crate) async fn start() -> ReferenceServer {
    server(&serve(Router::new().route("/base/v1/completions", post(prompt_logprobs))).await, 20, "secret")
}

fn server(url: &str, top: u16, key: &str) -> ReferenceServer {
    let (model, api_key) = ("served-model".to_owned(), Some(key.to_owned()));
    let patience = Duration::from_secs(20);
    ReferenceServer::new(Settings { url: url.parse().unwrap(), model, top, api_key, patience }).unwrap()
}

async fn check(server: &ReferenceServer, asked: &Request, given: &Completion) -> (ReferenceReport, Vec<Reason>) {
    let claim = Claim { request: asked, output: &given.output, proofs: &given.proofs };
    let report = server.verify(FULL.config(), &claim).await.unwrap();
    let reasons = match Policy::default().judge(&report.features) {
        ResponseVerdict::Pass => vec![],
        ResponseVerdict::Suspect(reasons) | ResponseVerdict::HardFault(reasons) => reasons,
    };
    (report, reasons)
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_answers_pass_and_other_models_seeds_and_temperatures_fail_through_a_foreign_server() {
    let url = serve(Router::new().route("/base/v1/completions", post(prompt_logprobs))).await;
    for top in [5, 20] {
        let server = server(&url, top, "secret");
        for (seed, temperature) in [(1, 1.0), (2, 0.0), (3, 0.7)] {
            let asked = request(seed, 60, temperature);
            let (report, reasons) = check(&server, &asked, &answer(&FULL, &asked)).await;
            assert_eq!(reasons, [], "{report:?}");
            let sampling = report.features.sampling.unwrap();
            assert_eq!((sampling.agreeing, sampling.max_margin), (sampling.tokens, 0.0));
            assert!(report.features.blocks.is_empty(), "hidden states are not compared");
            assert_eq!(report.certain == sampling.tokens, temperature == 0.0, "greedy answers are known exactly");
        }
        let asked = request(4, 60, 1.0);
        let mut other_seed = asked.clone();
        other_seed.seed += 1;
        let other_temperature = Request { temperature: 2.0, ..asked.clone() };
        for cheat in [answer(&SMALL, &asked), answer(&FULL, &other_seed), answer(&FULL, &other_temperature)] {
            let (report, reasons) = check(&server, &asked, &cheat).await;
            assert!(reasons.contains(&Reason::Sampling), "{report:?}");
        }
        let mut empty = answer(&FULL, &asked);
        empty.output.clear();
        assert_eq!(check(&server, &asked, &empty).await.1, [Reason::Malformed]);
    }
}

/// A proof of anything whatever passes: the documents say so.
#[tokio::test(flavor = "multi_thread")]
async fn proofs_are_parsed_but_not_compared_through_a_foreign_server() {
    let url = serve(Router::new().route("/base/v1/completions", post(prompt_logprobs))).await;
    let asked = request(6, 40, 1.0);
    let mut given = answer(&FULL, &asked);
    given.proofs = answer(&FULL, &request(7, 40, 1.0)).proofs.into_iter().cycle().take(given.proofs.len()).collect();
    assert_eq!(check(&server(&url, 20, "secret"), &asked, &given).await.1, []);
    given.proofs[0].truncate(100);
    assert_eq!(check(&server(&url, 20, "secret"), &asked, &given).await.1, [Reason::Malformed]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_server_that_refuses_or_answers_nonsense_is_no_fault_of_the_contributor() {
    let url = serve(Router::new().route("/base/v1/completions", post(prompt_logprobs))).await;
    let asked = Request { prompt: vec![256, 70], ..request(8, 2, 1.0) };
    let given = answer(&FULL, &asked);
    let claim = Claim { request: &asked, output: &given.output, proofs: &given.proofs };
    let refused = server(&url, 20, "wrong").verify(FULL.config(), &claim).await.unwrap_err();
    assert!(
        matches!(&refused, ReferenceError::Refused { status: 401, message } if !message.contains('\n')),
        "{refused}"
    );
    let nobody = server("http://127.0.0.1:9", 20, "").verify(FULL.config(), &claim).await.unwrap_err();
    assert!(matches!(nobody, ReferenceError::Http(_)));
    let settings = |api_key| Settings {
        url: url.parse().unwrap(),
        model: String::new(),
        top: 2,
        api_key,
        patience: Duration::from_secs(5),
    };
    assert!(matches!(ReferenceServer::new(settings(Some("\n".to_owned()))), Err(ReferenceError::Key)));

    let (first, last) = (given.output[0].to_string(), given.output[given.output.len() - 1].to_string());
    let good = |token: &str| json!({ token: { "logprob": -1.0 }, "3": { "logprob": -2.0 } });
    let body = |positions: Value| json!({ "choices": [{ "prompt_logprobs": positions }] });
    let with = |entry: Value| body(json!([null, good("70"), entry, good(&last)]));
    let cases = [
        (json!({ "choices": [] }), "not one choice"),
        (json!({ "choices": [{ "text": "x" }] }), "no prompt_logprobs"),
        (json!([1]), "invalid"),
        (body(json!([null])), "1 positions of 4 tokens"),
        (with(Value::Null), "nothing is listed"),
        (with(json!({ "1": { "logprob": -1.0 }, "3": { "logprob": -2.0 } })), "is not listed"),
        (with(json!({ &first: { "logprob": -1.0 } })), "1 tokens are listed, 2 were asked for"),
        (with(json!({ &first: { "logprob": 1.0 }, "3": { "logprob": -2.0 } })), "above 0"),
        (with(json!({ &first: { "logprob": -1e300 }, "3": { "logprob": -2.0 } })), "finite"),
        (with(json!({ &first: { "logprob": -1.0 }, "9999": { "logprob": -2.0 } })), "not one of the model's"),
        (with(json!({ &first: { "logprob": -1.0 }, "x": { "logprob": -2.0 } })), "no number"),
        (with(json!({ &first: { "logprob": -1.0 }, "+3": { "logprob": -2.0 } })), "spelt oddly"),
        (json!({ "choices": [{ "text": "x".repeat(1 << 20) }] }), "more than"),
    ];
    assert_eq!(given.output.len(), 2);
    for (answer, expected) in cases {
        let nonsense = Arc::new(answer);
        let routes = Router::new()
            .route(
                "/base/v1/completions",
                post(|State(answer): State<Arc<Value>>| async move { Json((*answer).clone()) }),
            )
            .with_state(nonsense.clone());
        let error = server(&serve(routes).await, 2, "").verify(FULL.config(), &claim).await.unwrap_err();
        assert!(
            matches!(error, ReferenceError::Answer(_)) && error.to_string().contains(expected),
            "{expected}: {error}"
        );
    }
}
