//! What is made of the chain's answers, and of none.

use std::time::Duration;

use alloy_primitives::Address;
use tandem_keeper::{
    chain::{ChainReader, NeuronFacts, RpcChain, SubnetFacts, without_urls},
    config::Finality,
    keeper::{FROZEN_AFTER, STALE_AFTER, chain_time},
};
use tandem_protocol::bundle::{Hyperparameters, NeuronInput};
use tandem_protocol::delegation::Backing;

use crate::support::network;

#[tokio::test]
async fn the_nodes_url_and_the_key_in_it_are_in_no_error() {
    for url in ["http://user:secret@127.0.0.1:1/v2/secret?key=secret", "not-a-url/secret", "ftp://secret/secret"] {
        let failed = match RpcChain::connect(url, network(), Finality::Behind(0)) {
            Ok(chain) => chain.heads().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(failed.to_string().starts_with("[K-CHAIN-2]"), "{failed}");
        assert!(!format!("{failed} {failed:?}").contains("secret"), "{failed}");
    }
    for (words, shown) in [
        ("error for url (https://a.example/v3/key), twice wss://b?c", "error for url ([url]), twice [url]"),
        ("https://a/b", "[url]"),
        ("nothing: here / there", "nothing: here / there"),
        ("é\"http://ü/é\"é://", "é\"[url]\"é[url]"),
    ] {
        assert_eq!(without_urls(&words), shown);
    }
}

#[test]
fn chain_time_goes_on_from_the_head_and_ends_with_a_node_that_stands_still() {
    let second = Duration::from_secs(1);
    assert_eq!(chain_time(100, second, second), Some(101));
    assert_eq!(chain_time(100, Duration::ZERO, FROZEN_AFTER), Some(160));
    assert_eq!(chain_time(100, Duration::ZERO, FROZEN_AFTER + second), None);
    assert_eq!(chain_time(100, STALE_AFTER, STALE_AFTER), Some(120));
    assert_eq!(chain_time(100, STALE_AFTER + second, STALE_AFTER + second), None);
}

#[test]
fn the_largest_stakes_hold_permits_and_no_stake_never_does() {
    let neuron = |stake| NeuronFacts {
        input: NeuronInput {
            owner: Address::ZERO,
            hotkey: Address::ZERO,
            registered_at: 0,
            stake,
            backing: Backing::default(),
        },
        endpoint: String::new(),
    };
    let permitted = |max_validators, stakes: &[u128]| {
        let hyperparameters = Hyperparameters { kappa: 0, bonds_moving_average: 0, bonds_penalty: 0, max_validators };
        let neurons = stakes.iter().map(|stake| neuron(*stake)).collect();
        let subnet = SubnetFacts { netuid: 1, owner: Address::ZERO, hyperparameters, neurons };
        subnet.permitted().iter().map(|(uid, _)| *uid).collect::<Vec<_>>()
    };
    assert_eq!(permitted(2, &[5, 9, 5, 0, 5]), [1, 4]);
    assert_eq!(permitted(64, &[5, 9, 5, 0, 5]), [1, 4, 2, 0]);
    assert_eq!(permitted(0, &[5]), [0u16; 0]);
}
