//! The bundle: one encoding, one name, and nothing else decodes.

use alloy_primitives::{Address, B256, b256, keccak256};
use proptest::prelude::*;
use serde_json::{Value, json};
use tandem_protocol::bundle::{
    BUNDLE_VERSION, BundleError, CarriedPot, Carry, DroppedRow, EpochBundle, EpochInputs, EpochOutcome,
    Hyperparameters, MAX_BUNDLE_BYTES, NeuronInput, SubnetInputs, SubnetOutcome,
};
use tandem_protocol::delegation::{Backing, Delegation};
use tandem_protocol::messages::SignatureBytes;
use tandem_protocol::outcome::bundle;
use tandem_protocol::reveal::Reveal;
use tandem_protocol::tree::{Reward, RewardKind};

use crate::support::epochs;

/// Every field set, no two alike, amounts at their limits. The outcome does not follow from the inputs: this is about
/// the encoding alone.
fn fixed() -> EpochBundle {
    let account = Address::repeat_byte;
    let word = B256::repeat_byte;
    let pot = |n: u16| CarriedPot { alpha: u128::MAX - u128::from(n), usdc: u128::from(n), age: n };
    let reveal = Reveal {
        netuid: 513,
        epoch: 7,
        validator: account(0x31),
        seq: 4,
        salt: word(0x32),
        row: vec![(0, 1), (258, 65_535)],
        signature: SignatureBytes::repeat_byte(0x33),
        receipts: vec![
            (account(0x34), SignatureBytes::repeat_byte(0x35)),
            (account(0x36), SignatureBytes::repeat_byte(0x37)),
        ],
    };
    let rewards: Vec<Reward> = (1..=7u8)
        .map(|n| Reward {
            kind: RewardKind::ALL[usize::from(n) - 1],
            netuid: u16::from(n),
            account: account(n),
            cumulative: u128::MAX >> n,
        })
        .collect();
    EpochBundle {
        version: BUNDLE_VERSION,
        inputs: EpochInputs {
            chain_id: 8_453,
            oracle: account(0x11),
            epoch: 7,
            attempt: 2,
            rules_version: 1,
            config_digest: word(0x12),
            inputs_block_number: 1_234_567,
            inputs_block: word(0x13),
            epoch_start: 1_700_000_000,
            bonds_since: 1_699_990_000,
            previous_report: word(0x14),
            previous_bundle: word(0x15),
            neuron_immunity: 60_000,
            keepers: vec![account(0x16), account(0x17)],
            subnets: vec![SubnetInputs {
                netuid: 513,
                owner: account(0x21),
                hyperparameters: Hyperparameters {
                    kappa: 32_767,
                    bonds_moving_average: 900_000,
                    bonds_penalty: 65_535,
                    max_validators: 64,
                },
                neurons: vec![NeuronInput {
                    owner: account(0x22),
                    hotkey: account(0x23),
                    registered_at: 1_699_000_000,
                    stake: u128::MAX,
                    backing: Backing {
                        take: 0x1234,
                        alpha: u128::MAX - 1,
                        bond: 1,
                        alpha_delegations: vec![Delegation { account: account(0x25), shares: u128::MAX }],
                        bond_delegations: Vec::new(),
                    },
                }],
                bonds: vec![vec![(1, 2), (3, 4)], Vec::new()],
                rows: vec![reveal],
                dropped: vec![DroppedRow { validator: account(0x24), reason: "späte Zeile".to_owned() }],
                alpha: u128::MAX,
                usdc: 1,
                carry: Carry { validators: pot(1), contributors: pot(2) },
            }],
            rewards_before: rewards[..3].to_vec(),
        },
        outcome: EpochOutcome {
            subnets: vec![SubnetOutcome {
                netuid: 513,
                permits: vec![true, false],
                consensus: vec![1, 2],
                incentive: vec![3, 4],
                dividends: vec![5, 6],
                validator_trust: vec![7, 8],
                bonds: vec![vec![(9, 10)], Vec::new()],
                contributor_alpha: vec![u128::MAX, 11],
                contributor_usdc: vec![0, 12],
                validator_alpha: vec![1 << 64, 13],
                validator_usdc: vec![10u128.pow(18), 14],
                carry: Carry { validators: pot(3), contributors: pot(4) },
                prune_list: vec![1, 0],
            }],
            rewards,
            subnets_root: word(0x41),
            rewards_root: word(0x42),
        },
    }
}

/// The hash that reports carry. If this test fails, the encoding has changed and old bundles have lost their names:
/// raise `BUNDLE_VERSION`.
#[test]
fn the_encoding_does_not_drift() {
    let bytes = fixed().encode();
    assert_eq!(bytes[..10], [2, 0, 0x05, 0x21, 0, 0, 0, 0, 0, 0], "version and chain id, little-endian");
    assert_eq!(bytes.len(), 1_655);
    assert_eq!(fixed().hash(), b256!("0x6bab68b1d5612ac111f2e523c73ef7ca26f32ec16804c2ba50bf193eea4cda8b"));
    assert_eq!(fixed().hash(), keccak256(&bytes));
}

#[test]
fn a_bundle_is_found_by_its_name_only() {
    let bytes = fixed().encode();
    assert_eq!(EpochBundle::decode_named(&bytes, fixed().hash()).unwrap(), fixed());
    let other = B256::repeat_byte(1);
    let Err(BundleError::WrongHash { found, expected }) = EpochBundle::decode_named(&bytes, other) else {
        panic!("another name was accepted")
    };
    assert_eq!((found, expected), (fixed().hash(), other));
}

#[test]
fn cut_and_extended_bytes_are_refused() {
    let bytes = fixed().encode();
    for length in 0..bytes.len() {
        assert!(matches!(EpochBundle::decode(&bytes[..length]), Err(BundleError::Malformed(_))), "{length} bytes");
    }
    for tail in [&[0][..], &[1], &bytes] {
        let longer = [&bytes, tail].concat();
        assert!(matches!(EpochBundle::decode(&longer), Err(BundleError::Malformed(_))));
    }
}

#[test]
fn other_versions_are_refused_by_their_number() {
    let mut bytes = fixed().encode();
    for version in [0u16, 1, 3, 256, u16::MAX] {
        bytes[..2].copy_from_slice(&version.to_le_bytes());
        assert!(matches!(EpochBundle::decode(&bytes), Err(BundleError::UnknownVersion(found)) if found == version));
    }
}

#[test]
fn oversized_bytes_are_refused_before_they_are_read() {
    let bytes = vec![0; MAX_BUNDLE_BYTES + 1];
    assert!(matches!(EpochBundle::decode(&bytes), Err(BundleError::TooLarge(size)) if size == bytes.len()));
}

/// There is no second way of writing a bundle: what decodes at all encodes to the same bytes, under another name.
#[test]
fn a_flipped_bit_is_refused_or_names_another_bundle() {
    let bytes = fixed().encode();
    let name = fixed().hash();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(EpochBundle::decode_named(&flipped, name), Err(BundleError::WrongHash { .. })));
        if let Ok(other) = EpochBundle::decode(&flipped) {
            assert_ne!(other, fixed());
            assert_eq!(other.encode(), flipped);
        }
    }
}

/// A length that promises more than there is must not be believed.
#[test]
fn a_huge_length_costs_no_memory() {
    let mut bytes = fixed().encode();
    let keepers = 2 + 8 + 20 + 8 + 4 + 4 + 32 + 8 + 32 + 8 + 8 + 32 + 32 + 8;
    assert_eq!(bytes[keepers..keepers + 4], 2u32.to_le_bytes());
    bytes[keepers..keepers + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(EpochBundle::decode(&bytes), Err(BundleError::Malformed(_))));
}

proptest! {
    #[test]
    fn bundles_survive_both_encodings(inputs in epochs()) {
        let bundle = bundle(inputs).unwrap();
        let bytes = bundle.encode();
        let decoded = EpochBundle::decode_named(&bytes, bundle.hash()).unwrap();
        prop_assert_eq!(&decoded, &bundle);
        prop_assert_eq!(decoded.encode(), bytes);
        let json = serde_json::to_string(&bundle).unwrap();
        prop_assert_eq!(serde_json::from_str::<EpochBundle>(&json).unwrap(), bundle);
    }

    #[test]
    fn any_bytes_are_refused_or_canonical(mut bytes: Vec<u8>, versioned: bool) {
        if versioned && bytes.len() >= 2 {
            bytes[..2].copy_from_slice(&BUNDLE_VERSION.to_le_bytes());
        }
        if let Ok(bundle) = EpochBundle::decode(&bytes) {
            prop_assert_eq!(bundle.encode(), bytes);
        }
    }

    #[test]
    fn damaged_bundles_are_refused_or_canonical(
        inputs in epochs(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = bundle(inputs).unwrap().encode();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(bundle) = EpochBundle::decode(&bytes) {
            prop_assert_eq!(bundle.encode(), bytes);
        }
    }
}

/// Numbers above 2⁵³ lose digits in most JSON readers.
fn assert_no_large_number(json: &Value) {
    match json {
        Value::Number(number) => assert!(number.as_u64().unwrap() < 1 << 53, "{number}"),
        Value::Array(items) => items.iter().for_each(assert_no_large_number),
        Value::Object(fields) => fields.values().for_each(assert_no_large_number),
        _ => {}
    }
}

#[test]
fn amounts_are_decimal_strings_in_json() {
    let json = serde_json::to_value(fixed()).unwrap();
    assert_no_large_number(&json);
    let max = u128::MAX.to_string();
    assert_eq!(json["inputs"]["subnets"][0]["alpha"], json!(max));
    assert_eq!(json["inputs"]["subnets"][0]["neurons"][0]["stake"], json!(max));
    assert_eq!(
        json["inputs"]["subnets"][0]["carry"]["validators"],
        json!({
            "alpha": (u128::MAX - 1).to_string(), "usdc": "1", "age": 1,
        })
    );
    assert_eq!(json["outcome"]["subnets"][0]["contributor_alpha"], json!([max, "11"]));
    assert_eq!(json["outcome"]["subnets"][0]["contributor_usdc"], json!(["0", "12"]));
    assert_eq!(json["outcome"]["subnets"][0]["validator_alpha"], json!(["18446744073709551616", "13"]));
    assert_eq!(json["outcome"]["subnets"][0]["validator_usdc"], json!(["1000000000000000000", "14"]));
    assert_eq!(
        json["outcome"]["rewards"][6],
        json!({
            "kind": "keeper_usdc", "netuid": 7, "account": Address::repeat_byte(7), "cumulative": (u128::MAX >> 7).to_string(),
        })
    );
    assert_eq!(serde_json::from_value::<EpochBundle>(json).unwrap(), fixed());
}

/// In every object of the tree.
#[test]
fn unknown_and_missing_fields_are_refused_in_json() {
    let json = serde_json::to_value(fixed()).unwrap();
    for path in [
        "",
        "/inputs",
        "/inputs/subnets/0",
        "/inputs/subnets/0/hyperparameters",
        "/inputs/subnets/0/neurons/0",
        "/inputs/subnets/0/rows/0",
        "/inputs/subnets/0/dropped/0",
        "/inputs/subnets/0/carry",
        "/inputs/subnets/0/carry/validators",
        "/inputs/rewards_before/0",
        "/outcome",
        "/outcome/subnets/0",
        "/outcome/rewards/0",
    ] {
        let fields = |json: &mut Value| json.pointer_mut(path).unwrap().as_object_mut().unwrap().clone();
        let mut more = json.clone();
        more.pointer_mut(path).unwrap()["surprise"] = json!(1);
        assert!(serde_json::from_value::<EpochBundle>(more).is_err(), "{path}");
        for name in fields(&mut json.clone()).keys() {
            let mut less = json.clone();
            less.pointer_mut(path).unwrap().as_object_mut().unwrap().remove(name);
            assert!(serde_json::from_value::<EpochBundle>(less).is_err(), "{path}/{name}");
        }
    }
    let mut loose = json;
    loose["outcome"]["subnets"][0]["contributor_alpha"][1] = json!("011");
    assert!(serde_json::from_value::<EpochBundle>(loose).is_err());
}
