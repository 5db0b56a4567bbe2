//! What operators look at: metrics, dashboard, alerts, logs.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use reqwest::StatusCode;
use serde_json::Value;
use tandem_protocol::api::LeaseRequest;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    api::setup,
    support::{commit, key, network},
};

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Names of metrics in an expression.
fn names(expression: &str) -> BTreeSet<String> {
    let word = |symbol: char| symbol.is_ascii_alphanumeric() || symbol == '_';
    expression.split(|symbol| !word(symbol)).filter(|name| name.starts_with("tandem_")).map(str::to_owned).collect()
}

/// Samples of the metrics text: name to label sets.
fn samples(metrics: &str) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let name = line.split(['{', ' ']).next().unwrap();
        let labels = line.split_once('{').map_or("", |(_, rest)| rest.split_once('}').unwrap().0);
        found.entry(name.to_owned()).or_default().push(labels.to_owned());
    }
    found
}

/// Names of the metrics that the code declares.
fn declared() -> BTreeSet<String> {
    let source = text("src/telemetry.rs");
    let declared: BTreeSet<String> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split_once(": &str = \"tandem_"))
        .map(|(_, name)| format!("tandem_{}", name.trim_end_matches("\";")))
        .collect();
    assert!(declared.len() > 25, "{declared:?}");
    declared
}

async fn metrics() -> String {
    let setup = setup().await;
    setup.get("/metrics").await.text().await.unwrap()
}

#[tokio::test]
async fn every_metric_that_the_code_names_is_there_from_the_start_with_help() {
    let metrics = metrics().await;
    let there = samples(&metrics);
    for name in declared() {
        let helped = metrics.lines().any(|line| line.starts_with(&format!("# HELP {name} ")));
        assert!(helped, "{name} has no help");
        let histogram = format!("{name}_bucket");
        assert!(there.contains_key(&name) || there.contains_key(&histogram), "{name} is not there");
    }
    // Nothing is served that the code does not name.
    for name in there.keys() {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(declared().contains(base) || declared().contains(name), "{name}");
    }
}

#[tokio::test]
async fn dashboard_and_alerts_use_metrics_and_labels_that_exist() {
    let there = samples(&metrics().await);
    let check = |place: &str, expression: &str| {
        let used = names(expression);
        assert!(!used.is_empty() || expression.starts_with("up{"), "{place}: {expression}");
        for name in used {
            let labels = there.get(&name).unwrap_or_else(|| panic!("{place}: {name} does not exist"));
            // Labels that are grouped by or selected must be the metric's own, or those that Prometheus adds.
            for label in labels_of(expression) {
                let own = labels.iter().any(|set| set.contains(&format!("{label}=")));
                let added = ["job", "instance", "le"].contains(&label.as_str());
                assert!(own || added || names(expression).len() > 1, "{place}: {name} has no label {label}");
            }
        }
    };

    let dashboard: Value = serde_json::from_str(&text("deploy/grafana/keeper.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut shown = BTreeSet::new();
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{}", panel["title"]);
        for target in targets {
            let expression = target["expr"].as_str().unwrap();
            check(panel["title"].as_str().unwrap(), expression);
            shown.extend(names(expression));
        }
    }
    for name in declared().iter().filter(|name| !name.ends_with("build_info")) {
        assert!(shown.iter().any(|shown| shown.starts_with(name)), "no panel shows {name}");
    }

    let alerts: Value = yaml_serde::from_str(&text("deploy/prometheus/keeper-alerts.yml")).unwrap();
    let runbook = text("../docs/operate/runbook.md");
    let chapters: Vec<&str> = runbook.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let mut rules = Vec::new();
    for rule in alerts["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()) {
        let name = rule["alert"].as_str().unwrap();
        check(name, rule["expr"].as_str().unwrap());
        let severity = rule["labels"]["severity"].as_str().unwrap();
        let anchor = rule["annotations"]["runbook"].as_str().unwrap();
        assert_eq!(anchor, format!("docs/operate/runbook.md#{}", name.to_lowercase()));
        let at = runbook.find(&format!("### {name}\n")).unwrap_or_else(|| panic!("{name} is not in the runbook"));
        assert!(runbook[at..].contains(&format!("*{severity}.*")), "{name}");
        assert!(rule["annotations"]["summary"].is_string(), "{name}");
        rules.push(name);
    }
    assert!(rules.len() >= 12);
    assert_eq!(rules, chapters, "the runbook has the alerts in their order and no others");
}

/// Labels that an expression selects or groups by.
fn labels_of(expression: &str) -> BTreeSet<String> {
    let mut labels = BTreeSet::new();
    for selector in expression.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
        labels.extend(
            selector.split(',').filter_map(|one| one.split(['=', '!']).next()).map(|name| name.trim().to_owned()),
        );
    }
    for group in expression.split("by (").skip(1).filter_map(|rest| rest.split(')').next()) {
        labels.extend(group.split(',').map(|name| name.trim().to_owned()));
    }
    labels
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Everything that every crate says, at the lowest level, while a keeper works.
#[tokio::test]
async fn logs_carry_request_ids_and_epochs_and_never_a_key() {
    let sink = Sink::default();
    let writer = sink.clone();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(writer).with_ansi(false).init();
    let setup = setup().await;
    let ask = LeaseRequest { max_jobs: 1, wait_ms: 0 };
    assert_eq!(setup.signed("/v1/jobs/lease", &ask, &key(11)).await.status(), StatusCode::OK);
    let commit = commit(&network(), &key(11), 2, 1, 1, &[(3, 1)]);
    assert_eq!(setup.post("/v1/commits", &commit).await.status(), StatusCode::OK);
    let answer = setup.http.get(format!("{}/v1/nowhere", setup.base)).header("x-request-id", "my-own-name");
    assert_eq!(answer.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    setup.running.keeper.step().await.unwrap();
    for path in ["/v1/status", "/metrics", "/v1/epochs/2/evidence"] {
        assert_eq!(setup.get(path).await.status(), StatusCode::OK);
    }

    let said = String::from_utf8_lossy(&sink.0.lock().unwrap()).into_owned();
    assert!(said.contains("my-own-name") && said.contains("K-NOT-FOUND"), "request ids are in the log");
    assert!(said.contains("/v1/commits"));
    // What is decided and done says for which epoch, in every line of it.
    assert!(said.contains("step{epoch=2 working_epoch=1}"));
    assert!(said.contains("action{name=\"publish_jobs\" epoch=2}"));
    for number in [1, 2, 3, 11] {
        let bytes = key(number).to_bytes();
        let hex = format!("{bytes:x}");
        let list = format!("{:?}", bytes.0);
        assert!(!said.to_lowercase().contains(hex.trim_start_matches("0x")), "key {number} is in the log");
        assert!(!said.contains(list.trim_matches(['[', ']'])), "key {number} is in the log");
    }
}
