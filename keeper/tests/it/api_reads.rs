//! Reads: proofs by the batch, pages, tags, the API's description of itself.

use std::collections::BTreeSet;

use alloy_primitives::{Address, U256};
use alloy_sol_types::SolCall;
use reqwest::{Client, StatusCode, header};
use serde_json::{Value, json};
use tandem_contracts::bindings::RewardDistributor;
use tandem_keeper::api::{CODES, document};
use tandem_protocol::{
    api::{AuditCount, AuditOutcome, ClaimBatch, ClaimList, JobResult, LeaseRequest, LeaseResponse, Verdict},
    tree::root_from_proof,
};

use crate::{
    api::{code, setup},
    support::key,
};

/// What the claims of an account are in one piece, batches must say too, and in a form that the contract takes.
pub(crate) async fn check_batches(http: &Client, base: &str, one: &ClaimList) {
    let url = format!("{base}/v1/claims");
    let account = one.claims[0].reward.account;
    let ask = async |body: Value| http.post(&url).json(&body).send().await.unwrap();
    let batch: ClaimBatch = ask(json!({ "accounts": [account, account, Address::ZERO] })).await.json().await.unwrap();
    assert_eq!((batch.epoch, batch.root, &batch.claims), (one.epoch, one.root, &one.claims));
    let all: ClaimBatch = ask(json!({ "indexes": [2, 0, 1, 0] })).await.json().await.unwrap();
    assert_eq!(all.claims.iter().map(|leaf| leaf.index).collect::<Vec<_>>(), [0, 1, 2]);

    let call = RewardDistributor::claimBatchCall::abi_decode(&all.calldata).unwrap();
    assert_eq!((call.cs.len(), call.proofs.len()), (3, 3));
    for ((claim, proof), leaf) in call.cs.iter().zip(&call.proofs).zip(&all.claims) {
        let reward = leaf.reward;
        assert_eq!((claim.index, claim.kind, claim.netuid), (U256::from(leaf.index), reward.kind as u8, reward.netuid));
        assert_eq!((claim.account, claim.cumulative), (reward.account, U256::from(reward.cumulative)));
        assert_eq!(root_from_proof(reward.leaf_hash(leaf.index), leaf.index, proof), all.root);
    }
    assert_eq!(code(ask(json!({ "indexes": [u64::MAX] })).await).await, (404, "K-NOT-FOUND".into()));
    let many: Vec<u64> = (0..1_025).collect();
    assert_eq!(code(ask(json!({ "indexes": many })).await).await, (400, "K-QUERY-1".into()));
    assert_eq!(code(ask(json!({ "account": [account] })).await).await, (400, "K-BODY-1".into()));

    let first = http.get(format!("{url}/{account}")).send().await.unwrap();
    let tag = first.headers()[header::ETAG].clone();
    let again = http.get(format!("{url}/{account}")).header(header::IF_NONE_MATCH, &tag).send().await.unwrap();
    assert_eq!((again.status(), &again.headers()[header::ETAG]), (StatusCode::NOT_MODIFIED, &tag));
    assert_eq!(again.bytes().await.unwrap().len(), 0);
    let other = http.get(format!("{url}/{account}")).header(header::IF_NONE_MATCH, "\"0\"").send().await.unwrap();
    assert_eq!(other.status(), StatusCode::OK);
}

#[tokio::test]
async fn long_lists_are_read_page_by_page() {
    let setup = setup().await;
    for validator in [key(11), key(12)] {
        let ask = LeaseRequest { max_jobs: 64, wait_ms: 0 };
        let leased: LeaseResponse = setup.signed("/v1/jobs/lease", &ask, &validator).await.json().await.unwrap();
        for lease in leased.leases {
            let outcome = AuditOutcome {
                verdict: Verdict::Pass,
                tokens_audited: 1,
                speed_class: 1_000,
                commitment: None,
                detail: String::new(),
            };
            let result = JobResult { job: lease.job.id, attempt: lease.attempt, outcome };
            assert_eq!(setup.signed("/v1/jobs/complete", &result, &validator).await.status(), StatusCode::OK);
        }
    }
    let all: Vec<AuditCount> = setup.get("/v1/epochs/2/audits").await.json().await.unwrap();
    assert_eq!(all.len(), 2);
    let mut pages = Vec::new();
    let mut offset = Some("0".to_owned());
    while let Some(at) = offset {
        let page = setup.get(&format!("/v1/epochs/2/audits?limit=1&offset={at}")).await;
        offset = page.headers().get("x-next-offset").map(|next| next.to_str().unwrap().to_owned());
        let page: Vec<AuditCount> = page.json().await.unwrap();
        assert_eq!(page.len(), 1);
        pages.extend(page);
    }
    assert_eq!(pages, all);
    let beyond: Vec<AuditCount> = setup.get("/v1/epochs/2/audits?offset=9").await.json().await.unwrap();
    assert_eq!(beyond, []);
    for wrong in ["limit=0", "limit=10001", "limit=-1", "offset=x"] {
        let answer = setup.get(&format!("/v1/epochs/2/audits?{wrong}")).await;
        assert_eq!(code(answer).await, (400, "K-QUERY-1".into()), "{wrong}");
    }
    let largest = format!("/v1/epochs/{}/audits", u64::MAX);
    assert_eq!(code(setup.get(&largest).await).await, (404, "K-NOT-FOUND".into()));
}

#[tokio::test]
async fn health_tells_liveness_from_readiness_and_status_says_why() {
    let setup = setup().await;
    for path in ["/health", "/health/ready", "/health/live"] {
        assert_eq!(setup.get(path).await.status(), StatusCode::OK, "{path}");
    }
    let status: Value = setup.get("/v1/status").await.json().await.unwrap();
    assert_eq!((&status["not_ready"], status["head_age"].is_u64()), (&json!([]), true));

    setup.running.store.close().await;
    let (status_code, fault) = code(setup.get("/health/ready").await).await;
    assert_eq!((status_code, fault.as_str()), (503, "K-INTERNAL"));
    assert_eq!(setup.get("/health/live").await.status(), StatusCode::OK);
    let status: Value = setup.get("/v1/status").await.json().await.unwrap();
    assert_eq!(status["not_ready"], json!(["the store does not answer"]));
}

#[test]
fn the_committed_description_is_what_the_handlers_say() {
    let now = document().to_pretty_json().unwrap() + "\n";
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/keeper-openapi.json");
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    if committed != now {
        let fresh = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("keeper-openapi.json");
        std::fs::write(&fresh, now).unwrap();
        panic!("docs/keeper-openapi.json is out of date; copy {} there", fresh.display());
    }
}

#[test]
fn the_book_explains_every_code() {
    let page = include_str!("../../../docs/errors.md");
    for (code, _) in CODES {
        assert!(page.contains(&format!("| `{code}` |")), "{code}");
    }
}

#[tokio::test]
async fn the_description_has_every_route_and_code_and_leads_nowhere_else() {
    let setup = setup().await;
    let served: Value = setup.get("/v1/openapi.json").await.json().await.unwrap();
    assert_eq!(served, serde_json::to_value(document()).unwrap());
    let codes: BTreeSet<&str> = served
        .pointer("/components/schemas/ApiError/properties/code/enum")
        .unwrap()
        .as_array()
        .unwrap()
        .iter()
        .map(|code| code.as_str().unwrap())
        .collect();
    assert_eq!(codes, CODES.iter().map(|(code, _)| *code).collect());

    // Every path leads to a handler, and every reference to a schema.
    for (path, item) in served["paths"].as_object().unwrap() {
        let url = path.replace("{epoch}", "2").replace("{hash}", &"0".repeat(64)).replace("{account}", "0x0");
        let wrong = setup.http.patch(format!("{}{url}", setup.base)).send().await.unwrap();
        assert_eq!(wrong.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        for operation in item.as_object().unwrap().values() {
            assert!(operation["responses"]["default"].is_object(), "{path}");
            assert!(operation["tags"].is_array() && operation["summary"].is_string(), "{path}");
        }
    }
    let schemas = served["components"]["schemas"].as_object().unwrap();
    let text = served.to_string();
    let references: BTreeSet<&str> =
        text.split("\"#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    for reference in references {
        assert!(schemas.contains_key(reference), "{reference}");
    }
    // Routes that are served without being described, on purpose.
    assert_eq!(setup.get("/v1/openapi.json").await.status(), StatusCode::OK);
}
