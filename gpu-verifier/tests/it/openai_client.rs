//! The ordinary `openai` client from PyPI, in the version pinned in `tests/openai/requirements.txt`, against a node.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use alloy_primitives::B256;
use serde_json::{Map, Value, json};
use tandem_protocol::api::{CompletionEvidence, TopUp, VoucherJson};
use tandem_protocol::payment::{BATCH, Tokens};
use tandem_protocol::signed::Signed;
use tandem_verifier::generate::Request;
use tandem_verifier::model::{Message, Role};
use tandem_verifier::node::Limits;
use tandem_verifier::verdict::ResponseVerdict;

use crate::common::{FULL, answer, check};
use crate::town::{Kind, MODEL, Town, TownNode, User, limits, text};

const PROMPT: &str = "Tell me a long story";

/// The folder of the client's script.
fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openai")
}

fn succeed(command: &mut Command) {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A Python with the client, made once.
fn python() -> PathBuf {
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openai-client");
    let python = environment.join("bin/python");
    if !environment.join("ready").exists() {
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&environment));
        let requirements = scripts().join("requirements.txt");
        succeed(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(requirements));
        std::fs::write(environment.join("ready"), "").unwrap();
    }
    python
}

fn run(plan: &Value) -> Value {
    let mut child = Command::new(python())
        .arg(scripts().join("client.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(plan.to_string().as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success());
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Signs payments for answers whose lengths are known beforehand, because the model runs here too.
struct Payer<'a> {
    town: &'a Town,
    user: User,
}

impl Payer<'_> {
    /// A payment, and the tokens that the model answers; the answer counts as received.
    fn pay(&mut self, prompt: &[u32], max_tokens: u64, seed: u64) -> (Value, Vec<u32>) {
        let (payment, output, _) = self.pay_by_batch(prompt, max_tokens, max_tokens, seed);
        (payment, output)
    }

    fn pay_by_batch(
        &mut self,
        prompt: &[u32],
        max_tokens: u64,
        first: u64,
        seed: u64,
    ) -> (Value, Vec<u32>, Vec<TopUp>) {
        let domain = self.town.network.settlement_domain();
        let (meter, session) = (&mut self.user.meter, &self.user.session);
        let payment = meter.pay(prompt.len() as u64, first, B256::repeat_byte(9), &domain, session).unwrap();
        let request = Request { prompt: prompt.to_vec(), max_tokens: max_tokens as usize, seed, temperature: 1.0 };
        let output = answer(&FULL, &request).output;
        let mut top_ups = Vec::new();
        while meter.covered() < output.len() as u64 {
            let voucher = meter.top_up((meter.covered() + BATCH).min(max_tokens)).unwrap().unwrap();
            let voucher = Signed::new(voucher, &domain, session).unwrap();
            top_ups.push(TopUp { voucher: VoucherJson::from(&voucher) });
        }
        meter.record(Tokens { prompt: prompt.len() as u64, completion: output.len() as u64 }).unwrap();
        (json!({ "tandem": payment }), output, top_ups)
    }
}

/// That an answer is the model's, proved, and shown as it was drawn.
fn judge(prompt: &[u32], max_tokens: usize, seed: u64, output: &[u32], seen: &Value) {
    let evidence: CompletionEvidence = serde_json::from_value(seen["evidence"].clone()).unwrap();
    assert_eq!((evidence.prompt_tokens.as_slice(), evidence.output_tokens.as_slice()), (prompt, output));
    assert_eq!(seen["text"], json!(text().decode(output).unwrap()));
    let request = Request { prompt: prompt.to_vec(), max_tokens, seed, temperature: 1.0 };
    assert_eq!(check(&request, output, &evidence.proofs).1, ResponseVerdict::Pass);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ordinary_openai_client_works_against_a_node() {
    let town = Town::new();
    let node =
        TownNode::start_with(&town, "miner", Kind::Honest, Limits { top_up: Duration::from_secs(10), ..limits() })
            .await;
    let hasty = Limits { stream: Duration::from_millis(300), ..limits() };
    let slow = TownNode::start_with(&town, "snail", Kind::Slow, hasty).await;
    let mut payer = Payer { town: &town, user: User::open(&town, "user", node.uid, 5, 3_600).await };
    let mut patient = Payer { town: &town, user: User::open(&town, "patient", slow.uid, 5, 3_600).await };

    let plain = text().encode(PROMPT).unwrap();
    let turns = json!([{ "role": "system", "content": "Be brief." }, { "role": "user", "content": [{ "type": "text", "text": "Hi" }] }]);
    let said = |role, content: &str| Message { role, content: content.to_owned() };
    let chat =
        text().encode_chat(&[said(Role::System, "Be brief."), said(Role::User, "Hi")], &Map::new(), 1_000).unwrap();
    let long = (0..).find(|&seed| {
        let request = Request { prompt: plain.clone(), max_tokens: 150, seed, temperature: 1.0 };
        answer(&FULL, &request).output.len() == 150
    });
    let long = long.unwrap();

    let (completion, completed) = payer.pay(&plain, 30, 1);
    let (answered, chatted) = payer.pay(&chat, 40, 2);
    let (streamed, streaming) = payer.pay(&chat, 70, 3);
    let (by_batch, batches, top_ups) = payer.pay_by_batch(&plain, 150, BATCH, long);
    let (lasting, _) = patient.pay(&plain, 150, long);
    let number = top_ups.len();
    let replayed = completion.clone();
    let with = |extra: Value| json!({ "model": MODEL, "prompt": PROMPT, "max_tokens": 30, "extra_body": extra });
    let mut sampled = with(json!({}));
    sampled["top_p"] = json!(0.5);
    let mut elsewhere = with(json!({}));
    elsewhere["model"] = json!("gpt-5");
    let mut endless = with(json!({}));
    endless["max_tokens"] = json!(0);
    let plan = json!({
        "url": node.url, "slow_url": slow.url,
        "completion": { "model": MODEL, "prompt": PROMPT, "max_tokens": 30, "seed": 1, "extra_body": completion },
        "chat": { "model": MODEL, "messages": turns, "max_completion_tokens": 40, "seed": 2, "extra_body": answered },
        "chat_stream": { "model": MODEL, "messages": turns, "max_tokens": 70, "seed": 3, "extra_body": streamed },
        "paid_by_batch": { "model": MODEL, "prompt": plain, "max_tokens": 150, "seed": long, "extra_body": by_batch },
        "top_ups": top_ups,
        "refused": [
            ["", with(json!({}))],
            ["", with(replayed)],
            ["", sampled],
            ["", elsewhere],
            ["", endless],
            ["chat", { "model": MODEL, "messages": [{ "role": "tool", "content": "x", "tool_call_id": "y" }] }],
        ],
        "slow": { "model": MODEL, "prompt": PROMPT, "max_tokens": 150, "seed": long, "extra_body": lasting },
    });
    let seen = tokio::task::spawn_blocking(move || run(&plan)).await.unwrap();

    assert_eq!(seen["models"], json!([[MODEL, node.uid]]));
    judge(&plain, 30, 1, &completed, &seen["completion"]);
    let (prompt, drawn) = (plain.len(), completed.len());
    assert_eq!(seen["completion"]["usage"], json!([prompt, drawn, prompt + drawn]));
    assert_eq!(seen["completion"]["named"], true);
    judge(&chat, 40, 2, &chatted, &seen["chat"]);
    assert_eq!((&seen["chat"]["role"], &seen["chat"]["usage"]), (&json!("assistant"), &json!(chatted.len())));
    judge(&chat, 70, 3, &streaming, &seen["chat_stream"]);
    assert_eq!(
        (&seen["chat_stream"]["tokens"], &seen["chat_stream"]["usage"]),
        (&json!(streaming), &json!(streaming.len()))
    );
    judge(&plain, 150, long, &batches, &seen["paid_by_batch"]);
    assert_eq!((&seen["paid_by_batch"]["paid"], &seen["paid_by_batch"]["finish"]), (&json!(number), &json!("length")));

    let error = |class: &str, status: u16, code: &str, param: Value| json!({ "class": class, "status": status, "code": code, "param": param, "named": true, "retry_after": null });
    assert_eq!(
        seen["refusals"],
        json!([
            error("APIStatusError", 402, "payment_required", json!("tandem")),
            error("APIStatusError", 402, "voucher_not_growing", json!("tandem")),
            error("BadRequestError", 400, "unsupported_parameter", json!("top_p")),
            error("NotFoundError", 404, "model_not_found", Value::Null),
            error("BadRequestError", 400, "invalid_value", json!("max_tokens")),
            error("BadRequestError", 400, "invalid_value", json!("messages[0].role")),
        ])
    );
    assert_eq!(
        (&seen["cut_off"]["class"], &seen["cut_off"]["code"]),
        (&json!("APIError"), &json!("no_answer_in_time"))
    );
    node.stop().await;
    slow.stop().await;
}
