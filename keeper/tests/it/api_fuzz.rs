//! The API fuzzed from its own description by schemathesis, in the version pinned in `tests/fuzz/requirements.txt`.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use tandem_keeper::api::{ApiConfig, MAX_BODY};
use tandem_protocol::{
    api::{SIGNATURE_HEADER, SIGNER_HEADER, TIMESTAMP_HEADER},
    messages::{SignedRequest, request_hash},
    signed::Signed,
};

use crate::{
    api::{Setup, nonce, setup_with, unix_seconds},
    support::{GENESIS, LENGTH, key, network},
};

fn succeed(command: &mut Command) {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// The program, installed once for each list of requirements.
fn schemathesis() -> PathBuf {
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/requirements.txt");
    let wanted = std::fs::read_to_string(&requirements).unwrap();
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis");
    let ready = environment.join("ready");
    if std::fs::read_to_string(&ready).is_ok_and(|installed| installed == wanted) {
        return environment.join("bin/schemathesis");
    }
    succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment));
    let mut pip = Command::new(environment.join("bin/python"));
    succeed(pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "-r"]).arg(&requirements));
    std::fs::write(ready, wanted).unwrap();
    environment.join("bin/schemathesis")
}

/// Stands between the fuzzer and the keeper and signs what is to be signed: then it gets past the door.
async fn sign_and_forward(State(setup): State<Arc<Setup>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut body = to_bytes(body, 4 * MAX_BODY).await.unwrap_or_default();
    let mut path = parts.uri.path_and_query().unwrap().to_string();
    let mut forwarded = reqwest::header::HeaderMap::new();
    for name in ["content-type", "if-none-match"] {
        if let Some(value) = parts.headers.get(name) {
            forwarded.insert(name, value.clone());
        }
    }
    if path.starts_with("/v1/jobs/") {
        body = without_waiting(body);
        path = format!("{path}{}nonce={}", if path.contains('?') { '&' } else { '?' }, nonce());
        let body_hash = request_hash(parts.method.as_str(), &path, &body);
        let message = SignedRequest { signer: key(11).address(), bodyHash: body_hash, timestamp: unix_seconds() };
        let signed = Signed::new(message, &network().domain(), &key(11)).unwrap();
        forwarded.insert(SIGNER_HEADER, signed.message.signer.to_string().parse().unwrap());
        forwarded.insert(TIMESTAMP_HEADER, signed.message.timestamp.into());
        forwarded.insert(SIGNATURE_HEADER, signed.signature.to_string().parse().unwrap());
    }
    let url = format!("{}{path}", setup.base);
    let answer = setup.http.request(parts.method, url).headers(forwarded).body(body).send().await.unwrap();
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove("transfer-encoding");
    (status, headers, answer.bytes().await.unwrap()).into_response()
}

/// Long-polls would make a long day of it.
fn without_waiting(body: Bytes) -> Bytes {
    let Ok(mut json) = serde_json::from_slice::<serde_json::Value>(&body) else { return body };
    if json.get("wait_ms").is_some_and(|wait| wait.as_u64().is_some_and(|wait| wait <= 20_000)) {
        json["wait_ms"] = 0.into();
        return json.to_string().into();
    }
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_the_description_allows_or_forbids_makes_the_keeper_fail() {
    let program = tokio::task::spawn_blocking(schemathesis).await.unwrap();
    let much = 1_000_000;
    let config = ApiConfig {
        requests_per_address: much,
        requests_per_signer: much,
        signatures_per_address: much,
        ..ApiConfig::default()
    };
    let setup = Arc::new(setup_with(config).await);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let proxy = Router::new().fallback(sign_and_forward).with_state(setup.clone());
    tokio::spawn(async move { axum::serve(listener, proxy).await });

    // Time goes on, else the keeper says rightly that its chain stands still.
    let passing = setup.clone();
    tokio::spawn(async move {
        for second in 1.. {
            passing.chain.set_time(GENESIS + 2 * LENGTH + LENGTH / 2 + second);
            let _ = passing.running.keeper.step().await;
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    });

    let folder = tempfile::tempdir().unwrap();
    let description = folder.path().join("openapi.json");
    std::fs::write(&description, tandem_keeper::api::document().to_json().unwrap()).unwrap();
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                  response_schema_conformance,unsupported_method,use_after_free";
    let mut run = Command::new(program);
    run.current_dir(folder.path())
        .arg("run")
        .arg(&description)
        .args(["--url", &base, "--checks", checks, "--phases", "examples,coverage,fuzzing", "--seed", "1"])
        .args(["--max-examples", "200", "--no-color", "--suppress-health-check", "all", "--warnings", "off"]);
    let done = tokio::task::spawn_blocking(move || run.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
}
