//! `status`.

use std::time::Duration;

use clap::Args;
use reqwest::Client;
use serde_json::{Map, Value, json};

use super::table;
use crate::chain::without_urls;

const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a status beyond which it is none.
const MAX_STATUS: usize = 64 << 10;

/// Of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Base URL of a keeper; may be given more than once.
    #[arg(long = "url", env = "TANDEM_KEEPER_URL", value_name = "URL", default_value = "http://127.0.0.1:9400")]
    pub urls: Vec<String>,
    /// Say it as JSON, a line for each keeper.
    #[arg(long)]
    pub json: bool,
}

/// Asks keepers how they are; answers whether all are healthy.
pub async fn status(args: StatusArgs) -> anyhow::Result<bool> {
    let http = Client::builder().timeout(PATIENCE).build()?;
    let (mut all_healthy, mut rows) = (true, Vec::new());
    for url in &args.urls {
        let base = url.trim_end_matches('/');
        let answer = ask(&http, base).await;
        let healthy = answer.as_ref().is_ok_and(|(healthy, _)| *healthy);
        all_healthy &= healthy;
        let (status, error) = match answer {
            Ok((_, status)) => (status, None),
            Err(reason) => (Map::new(), Some(reason)),
        };
        if args.json {
            println!("{}", json!({ "url": url, "healthy": healthy, "error": error, "status": status }));
            continue;
        }
        rows.push(vec![url.clone(), if healthy { "healthy" } else { "NOT HEALTHY" }.to_owned()]);
        rows.extend(error.map(|reason| vec!["  error".to_owned(), reason]));
        rows.extend(status.iter().flat_map(|(key, value)| match (key.as_str(), value.as_array()) {
            ("peers", Some(peers)) => peers.iter().map(|peer| vec!["  peer".to_owned(), peer_shown(peer)]).collect(),
            _ => vec![vec![format!("  {key}"), shown(value)]],
        }));
    }
    print!("{}", table(&rows));
    Ok(all_healthy)
}

async fn ask(http: &Client, base: &str) -> Result<(bool, Map<String, Value>), String> {
    let words = |error: reqwest::Error| without_urls(&error);
    let healthy = http.get(format!("{base}/health")).send().await.map_err(words)?.status().is_success();
    let mut answer = http.get(format!("{base}/v1/status")).send().await.map_err(words)?;
    if !answer.status().is_success() {
        return Err(format!("HTTP status {}", answer.status()));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(words)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_STATUS {
            return Err("this is no keeper's status".to_owned());
        }
    }
    let status = serde_json::from_slice(&bytes).map_err(|_| "this is no keeper's status".to_owned())?;
    Ok((healthy, status))
}

/// Who it is, when it last answered, and what is wrong with it.
fn peer_shown(peer: &Value) -> String {
    let answered = match peer["answered_s"].as_u64() {
        Some(seconds) => format!("answered {seconds} s ago"),
        None => "has not answered yet".to_owned(),
    };
    let error = peer["error"].as_str().map(|error| format!("; {error}")).unwrap_or_default();
    format!("{} {answered}{error}", shown(&peer["keeper"]))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
