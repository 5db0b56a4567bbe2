//! Nodes that hang, lie, lag, truncate and refuse, before a real anvil.

use std::time::{Duration, Instant};

use alloy::{eips::BlockNumberOrTag, providers::Provider, rpc::types::TransactionRequest};
use alloy_primitives::{Address, B256, bytes};
use serde_json::json;
use tandem_keeper::{chain::Nodes, config::Finality};

use crate::support::{
    anvil::Anvil,
    proxy::{Fault, Proxy},
};

struct Rig {
    anvil: Anvil,
    proxies: Vec<Proxy>,
}

impl Rig {
    async fn start() -> Self {
        let anvil = Anvil::start(&["--no-mining"]).await;
        anvil.ask("anvil_mine", json!([30])).await;
        let mut proxies = Vec::new();
        for _ in 0..3 {
            proxies.push(Proxy::before(&anvil.url).await);
        }
        Self { anvil, proxies }
    }

    fn nodes(&self, count: usize) -> Nodes {
        Nodes::connect(self.proxies[..count].iter().map(|proxy| proxy.url.as_str()), None).unwrap()
    }
}

/// `[KP-1]`
#[tokio::test]
async fn a_read_gets_past_every_kind_of_failing_node() {
    let rig = Rig::start().await;
    for fault in [
        Fault::Status(500, None),
        Fault::Status(503, None),
        Fault::Status(429, Some(60)),
        Fault::Truncated,
        Fault::Error(-32_603, "internal error"),
        Fault::Error(-32_000, "header not found"),
        Fault::Error(-32_005, "limit exceeded"),
    ] {
        rig.proxies[0].fail("*", fault.clone(), usize::MAX);
        let number = rig.nodes(2).in_turn().get_block_number().await.unwrap();
        assert_eq!(number, 30);
        rig.proxies[0].heal();
        // Alone, it has until the fault is over.
        if !matches!(fault, Fault::Status(429, _) | Fault::Error(-32_000 | -32_603, _)) {
            rig.proxies[0].fail("*", fault, 1);
            assert_eq!(rig.nodes(1).in_turn().get_block_number().await.unwrap(), 30);
            rig.proxies[0].heal();
        }
    }
    rig.proxies[0].fail("*", Fault::Hang, usize::MAX);
    let nodes = rig.nodes(2);
    let started = Instant::now();
    assert_eq!(nodes.in_turn().get_block_number().await.unwrap(), 30);
    assert!(started.elapsed() < Duration::from_secs(6));
    let started = Instant::now();
    nodes.in_turn().get_block_number().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "the node that hung is asked last from then on");
    rig.proxies[1].fail("*", Fault::Status(429, Some(1)), 1);
    assert_eq!(
        Nodes::connect([rig.proxies[1].url.as_str()], None).unwrap().in_turn().get_block_number().await.unwrap(),
        30
    );
}

#[tokio::test]
async fn a_contracts_refusal_is_an_answer_and_no_other_node_is_asked() {
    let rig = Rig::start().await;
    let target = Address::repeat_byte(0x77);
    rig.anvil.ask("anvil_setCode", json!([target, "0x5f5ffd"])).await;
    let nodes = rig.nodes(2);
    let call = TransactionRequest::default().to(target);
    let refused = nodes.in_turn().call(call.clone()).await.unwrap_err();
    assert!(refused.as_error_resp().is_some());
    assert_eq!((rig.proxies[0].asked("eth_call"), rig.proxies[1].asked("eth_call")), (1, 0));
    rig.proxies[0].fail("eth_sendRawTransaction", Fault::Error(-32_603, "err: nonce too low"), 1);
    assert!(nodes.in_turn().send_raw_transaction(&bytes!("01")).await.is_err());
    assert_eq!(rig.proxies[1].asked("eth_sendRawTransaction"), 0, "a used nonce is used at every node");
    assert_eq!(nodes.in_turn().get_block_number().await.unwrap(), 30);
    assert_eq!(rig.proxies[1].asked("eth_blockNumber"), 0, "and is nothing against the node");
    assert!(rig.nodes(3).agreed().call(call).await.unwrap_err().as_error_resp().is_some());
}

#[tokio::test]
async fn one_lying_node_of_three_changes_nothing_and_two_are_noticed() {
    let rig = Rig::start().await;
    let nodes = rig.nodes(3);
    let honest = nodes.heads(Finality::Finalized).await.unwrap();
    assert_eq!((honest.latest.number, honest.last_final.number), (30, 28));
    let wrong_hash = |mut block: serde_json::Value| {
        block["hash"] = json!(B256::repeat_byte(9));
        block
    };
    let target = Address::repeat_byte(0x78);
    rig.anvil.ask("anvil_setCode", json!([target, "0x5f355f5260205ff3"])).await;
    let call = TransactionRequest::default().to(target).input(bytes!("01").into());
    let truth = nodes.agreed().call(call.clone()).await.unwrap();
    rig.proxies[0].twist("eth_getBlockByNumber", wrong_hash);
    rig.proxies[0].twist("eth_call", |_| json!(B256::repeat_byte(7)));
    rig.proxies[0].twist("eth_getTransactionCount", |_| json!("0x63"));
    assert_eq!(nodes.heads(Finality::Finalized).await.unwrap(), honest);
    assert_eq!(nodes.heads(Finality::Behind(3)).await.unwrap().last_final.number, 27);
    assert_eq!(nodes.agreed().call(call.clone()).await.unwrap(), truth);
    assert_eq!(nodes.nonce(Address::ZERO).await.unwrap(), 0);
    // Now two differ from the third, and from each other.
    rig.proxies[1].twist("eth_call", |_| json!(B256::repeat_byte(8)));
    let error = nodes.agreed().call(call).await.unwrap_err().to_string();
    assert!(error.contains("[K-CHAIN-5]"), "{error}");
    rig.proxies[1].twist("eth_getBlockByNumber", |mut block| {
        block["hash"] = json!(B256::repeat_byte(10));
        block
    });
    let error = nodes.block(BlockNumberOrTag::Number(5)).await.unwrap_err().to_string();
    assert!(error.contains("[K-CHAIN-5]"), "{error}");
}

#[tokio::test]
async fn a_node_that_lags_or_runs_ahead_is_not_followed() {
    let rig = Rig::start().await;
    let nodes = rig.nodes(3);
    let old =
        rig.anvil.provider.raw_request::<_, serde_json::Value>("eth_getBlockByNumber".into(), ("0x3", false)).await;
    let old = old.unwrap();
    rig.proxies[0].twist("eth_getBlockByNumber", move |_| old.clone());
    assert_eq!(nodes.heads(Finality::Finalized).await.unwrap().latest.number, 30);
    rig.proxies[0].heal();
    rig.proxies[0].twist("eth_getBlockByNumber", |mut block| {
        block["number"] = json!("0xffffff");
        block["timestamp"] = json!("0xffffffffff");
        block
    });
    let heads = nodes.heads(Finality::Finalized).await.unwrap();
    assert_eq!(heads.latest.number, 30);
    assert!(heads.latest.time < 0xffff_ffff);
    rig.proxies[0].heal();
    // Two of three are gone: nothing is believed that money hangs on.
    for proxy in &rig.proxies[..2] {
        proxy.fail("*", Fault::Status(500, None), usize::MAX);
    }
    assert!(nodes.heads(Finality::Finalized).await.is_err());
    let error = nodes.agreed().get_balance(Address::ZERO).await.unwrap_err().to_string();
    assert!(error.contains("[K-CHAIN-6]"), "{error}");
    assert_eq!(nodes.in_turn().get_block_number().await.unwrap(), 30);
}

#[test]
fn a_quorum_larger_than_the_nodes_or_none_is_refused() {
    let urls = ["http://127.0.0.1:1", "http://127.0.0.1:2"];
    assert_eq!(Nodes::connect(urls, None).unwrap().quorum(), 2);
    assert!(Nodes::connect(urls, Some(3)).is_err());
    assert!(Nodes::connect(urls, Some(0)).is_err());
    assert!(Nodes::connect([], None).is_err());
}
