//! A node that fails as the test wishes: an HTTP proxy before a real anvil that hangs, lies, truncates, refuses or lags,
//! method by method.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// What becomes of a call.
#[derive(Clone)]
pub(crate) enum Fault {
    /// No answer for a minute.
    Hang,
    /// An HTTP status, and perhaps a `Retry-After` in seconds.
    Status(u16, Option<u64>),
    /// Half of the answer.
    Truncated,
    /// A JSON-RPC error instead of asking.
    Error(i64, &'static str),
    /// The node is asked, the answer (`result`) is changed.
    Twist(Arc<dyn Fn(Value) -> Value + Send + Sync>),
    /// The node is asked, its answer replaced by an error: what was sent is there all the same.
    LostAnswer,
}

#[derive(Default)]
struct Rules {
    faults: Vec<(String, Fault, usize)>,
    asked: Vec<String>,
}

#[derive(Clone)]
struct Shared {
    node: String,
    http: reqwest::Client,
    rules: Arc<Mutex<Rules>>,
}

pub(crate) struct Proxy {
    pub(crate) url: String,
    rules: Arc<Mutex<Rules>>,
    server: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Proxy {
    pub(crate) async fn before(node: &str) -> Self {
        let rules = Arc::default();
        let shared = Shared { node: node.to_owned(), http: reqwest::Client::new(), rules: Arc::clone(&rules) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/", post(serve)).with_state(shared);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, rules, server }
    }

    /// From now on calls of `method` (`*` is all) fail like this, so many times.
    pub(crate) fn fail(&self, method: &str, fault: Fault, times: usize) {
        self.rules.lock().unwrap().faults.push((method.to_owned(), fault, times));
    }

    pub(crate) fn twist(&self, method: &str, twist: impl Fn(Value) -> Value + Send + Sync + 'static) {
        self.fail(method, Fault::Twist(Arc::new(twist)), usize::MAX);
    }

    pub(crate) fn heal(&self) {
        self.rules.lock().unwrap().faults.clear();
    }

    /// How often a method was called.
    pub(crate) fn asked(&self, method: &str) -> usize {
        self.rules.lock().unwrap().asked.iter().filter(|asked| *asked == method).count()
    }
}

async fn serve(State(shared): State<Shared>, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let method = request["method"].as_str().unwrap_or_default().to_owned();
    let fault = {
        let mut rules = shared.rules.lock().unwrap();
        rules.asked.push(method.clone());
        let due = rules.faults.iter_mut().find(|(of, _, times)| (*of == method || of == "*") && *times > 0);
        due.map(|(_, fault, times)| {
            *times = times.saturating_sub(1);
            fault.clone()
        })
    };
    let forward = async || -> Value {
        let asked = shared.http.post(&shared.node).header("content-type", "application/json").body(body.clone());
        match asked.send().await {
            Ok(answer) => answer.json().await.unwrap_or_default(),
            // The node behind is gone.
            Err(_) => Value::Null,
        }
    };
    let error = |code: i64, message: &str| {
        json!({"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": message}}).to_string()
    };
    match fault {
        None => forward().await.to_string().into_response(),
        Some(Fault::Hang) => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        Some(Fault::Status(status, wait)) => {
            let mut headers = HeaderMap::new();
            if let Some(seconds) = wait {
                headers.insert("retry-after", HeaderValue::from(seconds));
            }
            (StatusCode::from_u16(status).unwrap(), headers, "not now").into_response()
        }
        Some(Fault::Truncated) => {
            let whole = forward().await.to_string();
            whole[..whole.len() / 2].to_owned().into_response()
        }
        Some(Fault::Error(code, message)) => error(code, message).into_response(),
        Some(Fault::Twist(twist)) => {
            let mut answer = forward().await;
            answer["result"] = twist(answer["result"].take());
            answer.to_string().into_response()
        }
        Some(Fault::LostAnswer) => {
            forward().await;
            StatusCode::BAD_GATEWAY.into_response()
        }
    }
}
