//! Every message and digest against ethers-core, a second implementation of EIP-712 and of the ABI.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, FixedBytes, keccak256};
use alloy_sol_types::{Eip712Domain, SolStruct};
use ethers_core::abi::{Token, encode, encode_packed};
use ethers_core::k256::ecdsa::SigningKey;
use ethers_core::types::transaction::eip712::{Eip712, Eip712DomainType, TypedData};
use ethers_core::types::{H160, Signature as EthersSignature, U256 as EthersU256};
use ethers_core::utils::keccak256 as ethers_keccak;
use proptest::prelude::*;
use serde_json::{Value, json};
use tandem_protocol::messages::{
    CommitReceipt, EpochReport, ListVote, ResponseCommitment, RowList, SignedRequest, Voucher, WeightsCommit,
    commit_hash, config_digest, model_id, oracle_domain, proofs_hash, request_hash, row_bytes, rows_hash,
    settlement_domain, tokens_hash,
};
use tandem_protocol::reveal::Reveal;
use tandem_protocol::signed::Signed;

use crate::support::{account, key, uint256, word};

fn h160(address: Address) -> H160 {
    H160(address.into_array())
}

fn uint(value: impl Into<EthersU256>) -> Token {
    Token::Uint(value.into())
}

fn fixed(word: B256) -> Token {
    Token::FixedBytes(word.to_vec())
}

/// What a wallet would be asked to sign; `encode_type` is the type as the contracts write it.
fn typed_data(domain_name: &str, chain: u64, contract: Address, encode_type: &str, message: Value) -> TypedData {
    let (name, fields) = encode_type.strip_suffix(')').unwrap().split_once('(').unwrap();
    let fields: Vec<Eip712DomainType> = fields
        .split(',')
        .map(|field| {
            let (kind, name) = field.split_once(' ').unwrap();
            Eip712DomainType { name: name.to_owned(), r#type: kind.to_owned() }
        })
        .collect();
    serde_json::from_value(json!({
        "domain": { "name": domain_name, "version": "1", "chainId": chain.to_string(), "verifyingContract": contract },
        "types": BTreeMap::from([(name, fields)]),
        "primaryType": name,
        "message": message,
    }))
    .unwrap()
}

/// Both implementations agree on type, struct hash and digest, and each accepts what the other signed.
fn agree<T: SolStruct + Clone>(message: &T, domain: &Eip712Domain, typed: &TypedData, encode_type: &str) {
    assert_eq!(T::eip712_encode_type(), encode_type);
    assert_eq!(message.eip712_hash_struct(), B256::from(typed.struct_hash().unwrap()));
    let digest = message.eip712_signing_hash(domain);
    assert_eq!(digest, B256::from(typed.encode_eip712().unwrap()));

    let key = key(5);
    let ours = Signed::new(message.clone(), domain, &key).unwrap();
    let read = EthersSignature::try_from(ours.signature.as_slice()).unwrap();
    assert_eq!(read.recover_typed_data(typed).unwrap(), h160(key.address()));

    let theirs = SigningKey::from_slice(key.to_bytes().as_slice()).unwrap();
    let (signature, recovery) = theirs.sign_prehash_recoverable(digest.as_slice()).unwrap();
    let mut bytes = [0; 65];
    bytes[..64].copy_from_slice(&signature.to_bytes());
    bytes[64] = 27 + recovery.to_byte();
    Signed { message: message.clone(), signature: FixedBytes(bytes) }.verify(domain, key.address()).unwrap();
}

/// A chain and a contract on it.
fn home() -> impl Strategy<Value = (u64, Address)> {
    (any::<u64>(), account())
}

fn agree_in_oracle_domain<T: SolStruct + Clone>(home: (u64, Address), message: T, encode_type: &str, json: Value) {
    let typed = typed_data("Tandem EpochOracle", home.0, home.1, encode_type, json);
    agree(&message, &oracle_domain(home.0, home.1), &typed, encode_type);
}

const WEIGHTS_COMMIT: &str =
    "WeightsCommit(uint16 netuid,uint64 epoch,address validator,uint32 seq,bytes32 commitHash)";
const COMMIT_RECEIPT: &str = "CommitReceipt(uint64 epoch,bytes32 commit)";
const ROW_LIST: &str = "RowList(uint64 epoch,uint32 attempt,uint32 round,bytes32 rowsHash)";
const LIST_VOTE: &str = "ListVote(uint64 epoch,uint32 attempt,uint32 round,uint8 step,bytes32 rowsHash)";
const EPOCH_REPORT: &str = "EpochReport(uint64 epoch,uint32 attempt,bytes32 configDigest,bytes32 inputsBlock,\
    bytes32 previousReport,bytes32 subnetsRoot,bytes32 rewardsRoot,bytes32 bundleHash,uint32 rulesVersion)";
const VOUCHER: &str = "Voucher(uint256 channelId,uint128 amount,bytes32 model,uint32 rateCardVersion,\
    uint64 promptTokens,uint64 completionTokens)";
const RESPONSE_COMMITMENT: &str = "ResponseCommitment(address hotkey,uint16 netuid,uint16 uid,bytes32 model,\
    bytes32 nonce,bytes32 promptHash,bytes32 outputHash,bytes32 proofsHash,uint64 seed,uint32 temperatureMilli,\
    uint32 speedClass)";
const SIGNED_REQUEST: &str = "SignedRequest(address signer,bytes32 bodyHash,uint64 timestamp)";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn weights_commits_are_hashed_and_signed_as_elsewhere(
        home in home(), netuid: u16, epoch: u64, validator in account(), seq: u32, commit in word(),
    ) {
        let message = WeightsCommit { netuid, epoch, validator, seq, commitHash: commit };
        let json = json!({
            "netuid": netuid, "epoch": epoch, "validator": validator, "seq": seq, "commitHash": commit,
        });
        agree_in_oracle_domain(home, message, WEIGHTS_COMMIT, json);
    }

    #[test]
    fn receipts_are_hashed_and_signed_as_elsewhere(home in home(), epoch: u64, commit in word()) {
        let json = json!({ "epoch": epoch, "commit": commit });
        agree_in_oracle_domain(home, CommitReceipt { epoch, commit }, COMMIT_RECEIPT, json);
    }

    #[test]
    fn row_lists_are_hashed_and_signed_as_elsewhere(
        home in home(), epoch: u64, attempt: u32, round: u32, rows in word(),
    ) {
        let json = json!({ "epoch": epoch, "attempt": attempt, "round": round, "rowsHash": rows });
        agree_in_oracle_domain(home, RowList { epoch, attempt, round, rowsHash: rows }, ROW_LIST, json);
    }

    #[test]
    fn votes_are_hashed_and_signed_as_elsewhere(
        home in home(), epoch: u64, attempt: u32, round: u32, step: u8, rows in word(),
    ) {
        let json = json!({ "epoch": epoch, "attempt": attempt, "round": round, "step": step, "rowsHash": rows });
        agree_in_oracle_domain(home, ListVote { epoch, attempt, round, step, rowsHash: rows }, LIST_VOTE, json);
    }

    #[test]
    fn reports_are_hashed_and_signed_as_elsewhere(
        home in home(), epoch: u64, attempt: u32, words in prop::array::uniform6(word()), rules: u32,
    ) {
        let [config, block, previous, subnets, rewards, bundle] = words;
        let message = EpochReport {
            epoch,
            attempt,
            configDigest: config,
            inputsBlock: block,
            previousReport: previous,
            subnetsRoot: subnets,
            rewardsRoot: rewards,
            bundleHash: bundle,
            rulesVersion: rules,
        };
        let json = json!({
            "epoch": epoch, "attempt": attempt, "configDigest": config, "inputsBlock": block,
            "previousReport": previous, "subnetsRoot": subnets, "rewardsRoot": rewards, "bundleHash": bundle,
            "rulesVersion": rules,
        });
        agree_in_oracle_domain(home, message, EPOCH_REPORT, json);
    }

    #[test]
    fn vouchers_are_hashed_and_signed_as_elsewhere(
        home in home(), channel in uint256(), amount: u128, model in word(), version: u32, prompt: u64, completion: u64,
    ) {
        let message = Voucher {
            channelId: channel,
            amount,
            model,
            rateCardVersion: version,
            promptTokens: prompt,
            completionTokens: completion,
        };
        let json = json!({
            "channelId": channel.to_string(), "amount": amount.to_string(), "model": model,
            "rateCardVersion": version, "promptTokens": prompt, "completionTokens": completion,
        });
        let typed = typed_data("Tandem Settlement", home.0, home.1, VOUCHER, json);
        agree(&message, &settlement_domain(home.0, home.1), &typed, VOUCHER);
    }

    #[test]
    fn response_commitments_are_hashed_and_signed_as_elsewhere(
        home in home(), hotkey in account(), netuid: u16, uid: u16, words in prop::array::uniform5(word()),
        seed: u64, temperature: u32, speed: u32,
    ) {
        let [model, nonce, prompt, output, proofs] = words;
        let message = ResponseCommitment {
            hotkey,
            netuid,
            uid,
            model,
            nonce,
            promptHash: prompt,
            outputHash: output,
            proofsHash: proofs,
            seed,
            temperatureMilli: temperature,
            speedClass: speed,
        };
        let json = json!({
            "hotkey": hotkey, "netuid": netuid, "uid": uid, "model": model, "nonce": nonce, "promptHash": prompt,
            "outputHash": output, "proofsHash": proofs, "seed": seed, "temperatureMilli": temperature,
            "speedClass": speed,
        });
        agree_in_oracle_domain(home, message, RESPONSE_COMMITMENT, json);
    }

    #[test]
    fn requests_are_hashed_and_signed_as_elsewhere(home in home(), signer in account(), body in word(), timestamp: u64) {
        let json = json!({ "signer": signer, "bodyHash": body, "timestamp": timestamp });
        agree_in_oracle_domain(home, SignedRequest { signer, bodyHash: body, timestamp }, SIGNED_REQUEST, json);
    }

    #[test]
    fn a_commit_hides_the_abi_encoding_of_its_row(
        home in home(), netuid: u16, epoch: u64, validator in account(), seq: u32, salt in word(),
        row: Vec<(u16, u16)>,
    ) {
        let packed: Vec<u8> = row.iter().flat_map(|(uid, weight)| {
            [(uid >> 8) as u8, *uid as u8, (weight >> 8) as u8, *weight as u8]
        }).collect();
        prop_assert_eq!(&row_bytes(&row), &packed);
        let encoded = encode(&[
            uint(home.0), Token::Address(h160(home.1)), uint(netuid), uint(epoch), Token::Address(h160(validator)),
            uint(seq), fixed(salt), Token::Bytes(packed),
        ]);
        prop_assert_eq!(
            commit_hash(home.0, home.1, netuid, epoch, validator, seq, salt, &row),
            B256::from(ethers_keccak(encoded))
        );
    }

    #[test]
    fn the_config_digest_is_that_of_the_abi_encoding(
        home in home(), from_epoch: u64, keepers in prop::collection::vec(account(), 0..40), threshold: u16,
    ) {
        let addresses = keepers.iter().map(|keeper| Token::Address(h160(*keeper))).collect();
        let encoded = encode(&[
            uint(home.0), Token::Address(h160(home.1)), uint(from_epoch), Token::Array(addresses), uint(threshold),
        ]);
        prop_assert_eq!(
            config_digest(home.0, home.1, from_epoch, &keepers, threshold),
            B256::from(ethers_keccak(encoded))
        );
    }

    #[test]
    fn lists_are_hashed_as_their_items_side_by_side(
        tokens: Vec<u32>, proofs: Vec<Vec<u8>>,
    ) {
        let packed = |tokens: &[Token]| B256::from(ethers_keccak(encode_packed(tokens).unwrap()));
        let raw: Vec<Token> = tokens.iter().map(|token| Token::Bytes(token.to_be_bytes().to_vec())).collect();
        prop_assert_eq!(tokens_hash(&tokens), packed(&raw));
        let hashes: Vec<Token> = proofs.iter().map(|proof| Token::FixedBytes(ethers_keccak(proof).to_vec())).collect();
        prop_assert_eq!(proofs_hash(&proofs), packed(&hashes));
    }
}

/// Length before content, little-endian, fields in the order of the struct: the encoding of the bundle.
#[test]
fn a_list_of_rows_is_hashed_whole_and_without_ambiguity() {
    let signature = |byte| FixedBytes::<65>::repeat_byte(byte);
    let reveal = Reveal {
        netuid: 0x0102,
        epoch: 3,
        validator: Address::repeat_byte(4),
        seq: 5,
        salt: B256::repeat_byte(6),
        row: vec![(7, 8)],
        signature: signature(9),
        receipts: vec![(Address::repeat_byte(10), signature(11)), (Address::repeat_byte(12), signature(13))],
    };
    let mut bytes = vec![1, 0, 0, 0, 2, 1, 3, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend([4; 20]);
    bytes.extend([5, 0, 0, 0]);
    bytes.extend([6; 32]);
    bytes.extend([1, 0, 0, 0, 7, 0, 8, 0]);
    bytes.extend([9; 65]);
    bytes.extend([2, 0, 0, 0]);
    bytes.extend([[10; 20].as_slice(), &[11; 65], &[12; 20], &[13; 65]].concat());
    assert_eq!(rows_hash(std::slice::from_ref(&reveal)), B256::from(ethers_keccak(bytes)));

    let other = |change: fn(&mut Reveal)| {
        let mut other = reveal.clone();
        change(&mut other);
        rows_hash(&[other])
    };
    let hashes = [
        rows_hash(&[]),
        rows_hash(&[reveal.clone(), reveal.clone()]),
        other(|_| ()),
        other(|reveal| reveal.receipts.truncate(1)),
        other(|reveal| reveal.receipts[1].1 = FixedBytes::ZERO),
        other(|reveal| reveal.signature = FixedBytes::ZERO),
        other(|reveal| reveal.row.push((8, 0))),
        other(|reveal| reveal.salt = B256::ZERO),
    ];
    assert_eq!(hashes.iter().collect::<std::collections::BTreeSet<_>>().len(), hashes.len());
}

/// Moving a byte from one proof to the next makes other proofs.
#[test]
fn the_hash_of_proofs_binds_their_boundaries() {
    assert_ne!(proofs_hash(&[b"ab".as_slice(), b"c"]), proofs_hash(&[b"a".as_slice(), b"bc"]));
    assert_ne!(proofs_hash(&[b"abc".as_slice()]), proofs_hash(&[b"abc".as_slice(), b""]));
}

#[test]
fn a_request_is_hashed_as_it_is_written() {
    assert_eq!(request_hash("POST", "/v1/commits?x=1", b"{}"), keccak256("POST /v1/commits?x=1\n{}"));
    assert_eq!(request_hash("GET", "/v1/status", b""), keccak256("GET /v1/status\n"));
    assert_eq!(model_id("tandem-tiny"), B256::from(ethers_keccak("tandem-tiny")));
}

/// A commit cannot be replayed for anything else than it was made for.
#[test]
fn a_commit_hash_depends_on_every_argument() {
    let (a, b) = (Address::repeat_byte(1), Address::repeat_byte(2));
    let (x, y) = (B256::repeat_byte(3), B256::repeat_byte(4));
    let row: &[(u16, u16)] = &[(0, 1), (2, 3)];
    let hashes = [
        commit_hash(1, a, 1, 1, a, 1, x, row),
        commit_hash(2, a, 1, 1, a, 1, x, row),
        commit_hash(1, b, 1, 1, a, 1, x, row),
        commit_hash(1, a, 2, 1, a, 1, x, row),
        commit_hash(1, a, 1, 2, a, 1, x, row),
        commit_hash(1, a, 1, 1, b, 1, x, row),
        commit_hash(1, a, 1, 1, a, 2, x, row),
        commit_hash(1, a, 1, 1, a, 1, y, row),
        commit_hash(1, a, 1, 1, a, 1, x, &[(0, 1), (2, 4)]),
        commit_hash(1, a, 1, 1, a, 1, x, &[(0, 1)]),
        commit_hash(1, a, 1, 1, a, 1, x, &[(0, 1), (2, 3), (3, 0)]),
    ];
    for (at, hash) in hashes.iter().enumerate() {
        assert!(!hashes[..at].contains(hash), "argument {at} is not bound");
    }
}
