//! The JSON of the services: strict, canonical, and the same for reading and writing.

use std::fmt::Debug;

use alloy_primitives::{Address, B256, U256};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tandem_protocol::api::{
    Agreement, ApiError, Attestation, AuditCount, AuditOutcome, ClaimBatch, ClaimList, ClaimProof, ClaimsRequest,
    CommitRequest, CompletionEvidence, CompletionPayment, JobExtension, JobFailure, JobReceipt, JobResult,
    KeeperStatus, Lease, LeaseExtended, LeaseRequest, LeaseResponse, PeerStatus, Proposal, ReceiptResponse, RevealList,
    StreamNote, TopUp, TopUpReceipt, Verdict, Vote, VoucherJson,
};
use tandem_protocol::jobs::Job;
use tandem_protocol::messages::{
    EpochReport, ListVote, ResponseCommitment, RowList, SignatureBytes, SignedRequest, Voucher, WeightsCommit,
};
use tandem_protocol::payment::{PaymentDue, Tokens};
use tandem_protocol::signed::Signed;
use tandem_protocol::tree::{Reward, RewardKind};

use crate::support::unsigned;

const SIGNATURE: SignatureBytes = SignatureBytes::repeat_byte(0x51);

fn word(byte: u8) -> B256 {
    B256::repeat_byte(byte)
}

fn account(byte: u8) -> Address {
    Address::repeat_byte(byte)
}

fn signed<T>(message: T) -> Signed<T> {
    Signed { message, signature: SIGNATURE }
}

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> Value {
    let json = serde_json::to_value(value).unwrap();
    assert_eq!(&serde_json::from_value::<T>(json.clone()).unwrap(), value);
    assert_eq!(&serde_json::from_str::<T>(&serde_json::to_string_pretty(value).unwrap()).unwrap(), value);
    json
}

/// Reads back what it writes; in none of its objects may a field be added.
fn strict<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    fn objects(json: &Value, path: String, found: &mut Vec<String>) {
        match json {
            Value::Object(fields) => {
                for (name, value) in fields {
                    objects(value, format!("{path}/{name}"), found);
                }
                found.push(path);
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    objects(item, format!("{path}/{at}"), found);
                }
            }
            _ => {}
        }
    }
    let json = round_trip(value);
    let mut paths = Vec::new();
    objects(&json, String::new(), &mut paths);
    assert!(!paths.is_empty());
    for path in paths {
        let mut more = json.clone();
        more.pointer_mut(&path).unwrap()["surprise"] = json!(1);
        assert!(serde_json::from_value::<T>(more).is_err(), "{value:?} takes a further field at {path:?}");
    }
}

fn voucher() -> Signed<Voucher> {
    signed(Voucher {
        channelId: U256::from(7),
        amount: u128::MAX,
        model: word(1),
        rateCardVersion: 2,
        promptTokens: 3,
        completionTokens: 4,
    })
}

fn report() -> EpochReport {
    EpochReport {
        epoch: 1,
        attempt: 0,
        configDigest: word(1),
        inputsBlock: word(2),
        previousReport: word(3),
        subnetsRoot: word(4),
        rewardsRoot: word(5),
        bundleHash: word(6),
        rulesVersion: 1,
    }
}

fn commit() -> WeightsCommit {
    WeightsCommit { netuid: 1, epoch: 2, validator: account(3), seq: 4, commitHash: word(5) }
}

fn job() -> Job {
    Job { id: word(1), epoch: 2, netuid: 3, uid: 4, round: 5 }
}

#[test]
fn what_services_send_is_read_strictly() {
    let lease = Lease { job: job(), beacon: word(2), attempt: 3, expires_at_ms: 4 };
    strict(&LeaseRequest { max_jobs: 1, wait_ms: 2 });
    strict(&LeaseResponse { leases: vec![lease] });
    let outcome = AuditOutcome {
        verdict: Verdict::HardFault,
        tokens_audited: 1,
        speed_class: 2,
        commitment: Some(word(3)),
        detail: "decoy".to_owned(),
    };
    strict(&JobResult { job: word(1), attempt: 2, outcome });
    strict(&JobExtension { job: word(1), attempt: 2 });
    strict(&LeaseExtended { expires_at_ms: 3 });
    strict(&JobFailure { job: word(1), attempt: 2, reason: "model is not here".to_owned() });
    strict(&AuditCount { netuid: 1, uid: 2, verdicts: [1, 2, 3, 4], tokens_audited: 5 });
    strict::<CommitRequest>(&signed(commit()));
    strict(&ReceiptResponse { keeper: account(1), signature: SIGNATURE });
    let reveals = vec![unsigned(1, 2, 3, vec![(0, 1)])];
    strict(&RevealList { reveals });
    let list = signed(RowList { epoch: 1, attempt: 2, round: 3, rowsHash: word(4) });
    let proposal = Proposal { proposer: account(1), list };
    strict(&proposal);
    let vote = Vote {
        keeper: account(1),
        vote: signed(ListVote { epoch: 1, attempt: 2, round: 3, step: 1, rowsHash: word(4) }),
    };
    strict(&vote);
    strict(&Agreement { proposals: vec![proposal], votes: vec![vote] });
    strict(&Attestation { keeper: account(1), report: signed(report()) });
    let reward = Reward { kind: RewardKind::KeeperUsdc, netuid: 1, account: account(2), cumulative: u128::MAX };
    let claims = vec![ClaimProof { index: 1, reward, proof: vec![word(3)] }];
    strict(&ClaimList { epoch: 1, root: word(2), claims: claims.clone() });
    let calldata = vec![1, 2].into();
    strict(&ClaimBatch { epoch: 1, root: word(2), claims, distributor: account(3), calldata });
    strict(&ClaimsRequest { accounts: vec![account(1)], indexes: vec![2] });
    strict(&signed(SignedRequest { signer: account(1), bodyHash: word(2), timestamp: 3 }));
    strict(&voucher());
    let payment = CompletionPayment { voucher: VoucherJson::from(&voucher()), nonce: word(1) };
    strict(&payment);
    strict(&TopUp { voucher: payment.voucher.clone() });
    strict(&TopUpReceipt { channel_id: U256::from(7), covered: 64 });
    let least = Tokens { prompt: 5, completion: 6 };
    let channel_id = U256::from(7);
    let due =
        PaymentDue { channel_id, drawn: 1, covered: 2, completion_tokens: 3, least, amount: u128::MAX, within_ms: 4 };
    strict(&StreamNote::Due(due));
    strict(&StreamNote::Tokens(vec![1, 2]));
    let commitment = signed(ResponseCommitment {
        hotkey: account(1),
        netuid: 2,
        uid: 3,
        model: word(4),
        nonce: word(5),
        promptHash: word(6),
        outputHash: word(7),
        proofsHash: word(8),
        seed: 9,
        temperatureMilli: 10,
        speedClass: 11,
    });
    strict(&CompletionEvidence {
        prompt_tokens: vec![1],
        output_tokens: vec![2, 3],
        proofs: vec!["AAA=".to_owned()],
        commitment,
        consumed: u128::MAX,
    });
}

/// Later versions of a service may say more about themselves, and old readers go on.
#[test]
fn what_a_service_says_of_itself_may_grow() {
    let status = KeeperStatus {
        keeper: account(1),
        chain_id: 2,
        oracle: account(3),
        epoch: Some(4),
        head_time: 5,
        last_attested: None,
        last_posted: None,
        last_active: None,
        head_age: Some(3),
        not_ready: vec!["no block is known".to_owned()],
        version: "1".to_owned(),
        leads: true,
        peers: vec![PeerStatus { keeper: account(6), answered_s: Some(7), error: Some("HTTP status 503".to_owned()) }],
    };
    let mut json = round_trip(&status);
    json["surprise"] = json!(1);
    json["peers"][0]["surprise"] = json!(1);
    assert_eq!(serde_json::from_value::<KeeperStatus>(json).unwrap(), status);
    let error = ApiError { code: "late".to_owned(), message: "the deadline has passed".to_owned() };
    let mut json = round_trip(&error);
    json["surprise"] = json!(1);
    assert_eq!(serde_json::from_value::<ApiError>(json).unwrap(), error);
}

#[test]
fn amounts_are_decimal_strings_without_ornament() {
    let json = serde_json::to_value(VoucherJson::from(&voucher())).unwrap();
    assert_eq!(json["amount"], json!("340282366920938463463374607431768211455"));
    assert_eq!(serde_json::to_value(voucher()).unwrap()["message"]["amount"], json["amount"]);
    let read = |amount: Value| {
        let mut json = json.clone();
        json["amount"] = amount;
        serde_json::from_value::<VoucherJson>(json).map(|voucher| voucher.amount)
    };
    for (text, amount) in [("0", 0), ("1", 1), ("10", 10), ("340282366920938463463374607431768211455", u128::MAX)] {
        assert_eq!(read(json!(text)).unwrap(), amount);
    }
    for refused in [
        "",
        " ",
        "+1",
        "-1",
        "-0",
        " 1",
        "1 ",
        "1\n",
        "00",
        "01",
        "0x1",
        "1e3",
        "1.0",
        "1_000",
        "1,000",
        "٣",
        "１",
        "NaN",
        "340282366920938463463374607431768211456",
        "9999999999999999999999999999999999999999999",
    ] {
        assert!(read(json!(refused)).is_err(), "{refused:?}");
    }
    for refused in [json!(1), json!(0), json!(1.5), json!(null), json!(["1"]), json!(true)] {
        assert!(read(refused.clone()).is_err(), "{refused}");
    }
}

#[test]
fn a_voucher_is_the_same_in_both_forms() {
    let json = VoucherJson::from(&voucher());
    assert_eq!(Signed::<Voucher>::from(&json), voucher());
    assert_eq!(VoucherJson::from(&Signed::<Voucher>::from(&json)), json);
}

#[test]
fn names_on_the_wire_are_lower_case_with_underscores() {
    let text = |value: Value| value.as_str().unwrap().to_owned();
    let verdicts = [Verdict::Pass, Verdict::Fail, Verdict::HardFault, Verdict::Unavailable];
    assert_eq!(verdicts.map(|verdict| text(round_trip(&verdict))), ["pass", "fail", "hard_fault", "unavailable"]);
    let receipts = [JobReceipt::Applied, JobReceipt::Duplicate, JobReceipt::Late];
    assert_eq!(receipts.map(|receipt| text(round_trip(&receipt))), ["applied", "duplicate", "late"]);
    assert_eq!(
        RewardKind::ALL.map(|kind| text(round_trip(&kind))),
        [
            "owner_alpha",
            "validator_alpha",
            "contributor_alpha",
            "owner_usdc",
            "validator_usdc",
            "contributor_usdc",
            "keeper_usdc",
        ]
    );
    assert_eq!(serde_json::from_value::<LeaseRequest>(json!({ "max_jobs": 3 })).unwrap().wait_ms, 0);
    assert!(serde_json::from_value::<LeaseRequest>(json!({ "max_jobs": -1 })).is_err());
    assert!(serde_json::from_value::<LeaseRequest>(json!({ "max_jobs": 65_536 })).is_err());
}
