//! The JSON that travels over HTTP between keepers, workers, contributors and clients. Amounts are decimal strings in base
//! units, hashes and addresses are 0x-hex, times are seconds. Unknown fields are refused, but in what a service says about
//! itself ([`KeeperStatus`], [`PeerStatus`], [`ApiError`]): later versions may say more.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

use crate::jobs::Job;
use crate::messages::{
    EpochReport, ListVote, ResponseCommitment, RowList, SignatureBytes, Voucher, WeightsCommit, row_hash,
};
use crate::payment::PaymentDue;
use crate::reveal::Reveal;
use crate::signed::Signed;
use crate::tree::Reward;

/// Header that names the signer of a [`crate::messages::SignedRequest`].
pub const SIGNER_HEADER: &str = "x-tandem-signer";
/// Header with its timestamp.
pub const TIMESTAMP_HEADER: &str = "x-tandem-timestamp";
/// Header with its signature, 0x-hex.
pub const SIGNATURE_HEADER: &str = "x-tandem-signature";
/// A signed request older or newer than this many seconds is refused.
pub const REQUEST_WINDOW: u64 = 60;

/// u128 as a decimal string.
pub mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the number as a string.
    pub fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    /// Reads a string of decimal digits; signs, spaces and leading zeros are refused.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }

    /// The number, if `text` is the one way of writing it.
    pub(super) fn parse(text: &str) -> Result<u128, String> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || (text != "0" && text.starts_with('0')) {
            return Err(format!("{text:?} is not a decimal number"));
        }
        text.parse().map_err(|_| format!("{text:?} is not below 2^128"))
    }
}

/// A list of u128 as decimal strings.
pub mod decimals {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes each number as a string.
    pub fn serialize<S: Serializer>(values: &[u128], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(u128::to_string))
    }

    /// Reads strings as [`super::decimal::deserialize`] does.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u128>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| super::decimal::parse(text).map_err(D::Error::custom)).collect()
    }
}

/// What a keeper says about itself, `GET /v1/status`.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeeperStatus {
    /// Address of the attest key.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Address))]
    pub keeper: Address,
    /// Chain.
    pub chain_id: u64,
    /// EpochOracle.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Address))]
    pub oracle: Address,
    /// Current epoch by chain time; none before genesis.
    pub epoch: Option<u64>,
    /// Chain time of the head.
    pub head_time: u64,
    /// Last epoch that this keeper attested.
    pub last_attested: Option<u64>,
    /// Last epoch that is posted on chain.
    pub last_posted: Option<u64>,
    /// Last epoch that is active on chain.
    pub last_active: Option<u64>,
    /// Seconds since the newest block's time; none while no block is known.
    #[serde(default)]
    pub head_age: Option<u64>,
    /// Why the keeper is not ready to serve; empty if it is.
    #[serde(default)]
    pub not_ready: Vec<String>,
    /// Version of the program.
    #[serde(default)]
    pub version: String,
    /// Whether this process acts for its keeper: of several that share a store, one does and all serve.
    #[serde(default)]
    pub leads: bool,
    /// The other keepers of the set, ascending, as this process found them; asked only while an epoch is being agreed on, and
    /// only by the process that leads.
    #[serde(default)]
    pub peers: Vec<PeerStatus>,
}

/// What a keeper says about another one.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// The other one.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Address))]
    pub keeper: Address,
    /// Seconds since it last answered; none if it never has.
    pub answered_s: Option<u64>,
    /// Why it did not answer the last question; none if it did, or was not asked.
    pub error: Option<String>,
}

/// `POST /v1/jobs/lease`, signed by a validator's hotkey.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseRequest {
    /// At most so many jobs (1..=64).
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 64))]
    pub max_jobs: u16,
    /// Hold the request for so many milliseconds if nothing is to do (at most 20,000).
    #[cfg_attr(feature = "openapi", schema(maximum = 20_000))]
    #[serde(default)]
    pub wait_ms: u64,
}

/// A leased job; `attempt` is the fencing token that `complete` and `fail` must show.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// What to do.
    pub job: Job,
    /// The epoch's beacon.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Hash))]
    pub beacon: B256,
    /// Fencing token.
    pub attempt: u32,
    /// The lease ends at this time of the keeper's clock, in milliseconds since 1970.
    pub expires_at_ms: u64,
}

/// Answer to a [`LeaseRequest`].
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseResponse {
    /// Leased jobs, possibly none.
    pub leases: Vec<Lease>,
}

/// `POST /v1/jobs/complete`. A late or contradicting result is kept as evidence, not applied.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobResult {
    /// Job.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Hash))]
    pub job: B256,
    /// Fencing token of the lease.
    pub attempt: u32,
    /// What was found.
    pub outcome: AuditOutcome,
}

/// What one audit found.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditOutcome {
    /// The verdict.
    pub verdict: Verdict,
    /// Tokens of prompt and completion that were re-run.
    pub tokens_audited: u32,
    /// Declared speed in thousandths of an A100; zero when nothing was answered.
    pub speed_class: u32,
    /// Digest of the contributor's signed commitment, if there is one.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::Hash>))]
    pub commitment: Option<B256>,
    /// In words, for people.
    pub detail: String,
}

/// How an audited response was judged.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The response is what the model computes.
    Pass,
    /// It is not, by a statistical check.
    Fail,
    /// A hard fault: bad signature, malformed proof or decoy hit; zeroes the epoch at once.
    HardFault,
    /// No usable answer: down, timed out, or above card price.
    Unavailable,
}

/// `POST /v1/jobs/fail`: the worker gives a job back.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobFailure {
    /// Job.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Hash))]
    pub job: B256,
    /// Fencing token of the lease.
    pub attempt: u32,
    /// Why.
    pub reason: String,
}

/// `POST /v1/jobs/extend`: the worker needs longer; answered by a [`LeaseExtended`].
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobExtension {
    /// Job.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Hash))]
    pub job: B256,
    /// Fencing token of the lease.
    pub attempt: u32,
}

/// The lease goes on until then.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseExtended {
    /// Time of the keeper's clock, in milliseconds since 1970.
    pub expires_at_ms: u64,
}

/// Answer to `complete` and `fail`.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobReceipt {
    /// Stored and applied.
    Applied,
    /// The same result was stored before.
    Duplicate,
    /// The lease is not current: kept as evidence.
    Late,
}

/// Counts of one contributor's audits in an epoch as this keeper knows them, `GET /v1/epochs/{e}/audits`.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditCount {
    /// Subnet.
    pub netuid: u16,
    /// Contributor.
    pub uid: u16,
    /// Audits by verdict: pass, fail, hard fault, unavailable.
    pub verdicts: [u32; 4],
    /// Tokens audited.
    pub tokens_audited: u64,
}

/// `POST /v1/commits`: answered by a [`ReceiptResponse`].
pub type CommitRequest = Signed<WeightsCommit>;

/// A keeper's receipt for a commit.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptResponse {
    /// Who gives the receipt.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Address))]
    pub keeper: Address,
    /// Its signature on the [`crate::messages::CommitReceipt`].
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Signature))]
    pub signature: SignatureBytes,
}

/// `POST /v1/reveals` takes a [`Reveal`]; `GET /v1/epochs/{e}/reveals` lists those a keeper holds, after the deadline only.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevealList {
    /// Ascending by (netuid, validator).
    pub reveals: Vec<Reveal>,
}

/// Which rows a keeper holds (`GET /v1/epochs/{e}/names`), or a list has (`GET /v1/epochs/{e}/lists/{rowsHash}/names`): who has
/// most of them already need not fetch them all.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowNames {
    /// Ascending by (netuid, validator).
    pub rows: Vec<RowName>,
}

/// The name of a row.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowName {
    /// Subnet.
    pub netuid: u16,
    /// Hotkey of the validator.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Address))]
    pub validator: Address,
    /// [`row_hash`].
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Hash))]
    pub hash: B256,
}

impl RowNames {
    /// The names of these rows, in their order.
    pub fn of<'a>(reveals: impl IntoIterator<Item = &'a Reveal>) -> Self {
        let name =
            |reveal: &Reveal| RowName { netuid: reveal.netuid, validator: reveal.validator, hash: row_hash(reveal) };
        Self { rows: reveals.into_iter().map(name).collect() }
    }
}

/// The name of a list, signed by its proposer. The list itself, a [`RevealList`], is at
/// `GET /v1/epochs/{e}/lists/{rowsHash}`.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// Who proposes.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Address))]
    pub proposer: Address,
    /// Signed name.
    pub list: Signed<RowList>,
}

/// A keeper's vote for a list.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// Who votes.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Address))]
    pub keeper: Address,
    /// Signed vote.
    pub vote: Signed<ListVote>,
}

/// `GET /v1/epochs/{e}/agreement`: what a keeper knows of the agreement on the epoch's list, of the attempt that is due.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// Proposals, ascending by round.
    pub proposals: Vec<Proposal>,
    /// Votes, ascending by round, step and keeper.
    pub votes: Vec<Vote>,
}

/// `GET /v1/epochs/{e}/attestations`: a keeper's signature on a report.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// Who attests.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Address))]
    pub keeper: Address,
    /// Report and signature.
    pub report: Signed<EpochReport>,
}

/// `GET /v1/claims/{account}`: what an account can claim under the last active root.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimList {
    /// Epoch whose root the proofs lead to.
    pub epoch: u64,
    /// That root.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Hash))]
    pub root: B256,
    /// Leaves with their proofs.
    pub claims: Vec<ClaimProof>,
}

/// One leaf with its proof.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimProof {
    /// Position of the leaf.
    pub index: u64,
    /// The leaf.
    pub reward: Reward,
    /// Siblings from the leaf up.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<crate::openapi::Hash>))]
    pub proof: Vec<B256>,
}

/// `POST /v1/claims`: the leaves of several accounts, several leaves by their positions, or both; answered by a [`ClaimBatch`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ClaimsRequest {
    /// Accounts; those that never earned anything have no leaf.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<crate::openapi::Address>))]
    pub accounts: Vec<Address>,
    /// Positions of leaves under the root that the answer names.
    pub indexes: Vec<u64>,
}

/// Leaves with their proofs, ready for one transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ClaimBatch {
    /// Epoch whose root the proofs lead to.
    pub epoch: u64,
    /// That root.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Hash))]
    pub root: B256,
    /// Leaves with their proofs, each once, ascending by position.
    pub claims: Vec<ClaimProof>,
    /// The contract that pays, RewardDistributor.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Address))]
    pub distributor: Address,
    /// Input of its `claimBatch` for these claims. Anyone may send it; the accounts' payout addresses are paid.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Calldata))]
    pub calldata: Bytes,
}

/// What every service answers instead of a result.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// Stable code, see docs/errors.md.
    pub code: String,
    /// What happened and what to do next.
    pub message: String,
}

/// A voucher in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoucherJson {
    /// Channel.
    pub channel_id: U256,
    /// Cumulative credits, base units.
    #[serde(with = "decimal")]
    pub amount: u128,
    /// Model.
    pub model: B256,
    /// Version of the model's rate.
    pub rate_card_version: u32,
    /// Cumulative prompt tokens.
    pub prompt_tokens: u64,
    /// Cumulative completion tokens.
    pub completion_tokens: u64,
    /// The session key's signature.
    pub signature: SignatureBytes,
}

impl From<&Signed<Voucher>> for VoucherJson {
    fn from(signed: &Signed<Voucher>) -> Self {
        let Voucher { channelId, amount, model, rateCardVersion, promptTokens, completionTokens } = &signed.message;
        Self {
            channel_id: *channelId,
            amount: *amount,
            model: *model,
            rate_card_version: *rateCardVersion,
            prompt_tokens: *promptTokens,
            completion_tokens: *completionTokens,
            signature: signed.signature,
        }
    }
}

impl From<&VoucherJson> for Signed<Voucher> {
    fn from(json: &VoucherJson) -> Self {
        Self {
            message: Voucher {
                channelId: json.channel_id,
                amount: json.amount,
                model: json.model,
                rateCardVersion: json.rate_card_version,
                promptTokens: json.prompt_tokens,
                completionTokens: json.completion_tokens,
            },
            signature: json.signature,
        }
    }
}

/// The `tandem` field of a completion request. Prices are the rate card's; the voucher must cover what the channel has
/// consumed so far plus prompt and `max_tokens` of this request, or plus prompt and [`BATCH`](crate::payment::BATCH) tokens of a
/// streamed one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompletionPayment {
    /// Voucher that covers this response.
    pub voucher: VoucherJson,
    /// The client's random name of the request, bound by the commitment.
    pub nonce: B256,
}

/// The `tandem` field of a completion response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompletionEvidence {
    /// Token ids of the prompt.
    pub prompt_tokens: Vec<u32>,
    /// Token ids of the completion.
    pub output_tokens: Vec<u32>,
    /// TOPLOC proofs of the completion, base64, one per 32 tokens.
    pub proofs: Vec<String>,
    /// The contributor's statement, signed by its hotkey.
    pub commitment: Signed<ResponseCommitment>,
    /// Credits that the channel has consumed after this response, base units. May be below the voucher's amount.
    #[serde(with = "decimal")]
    pub consumed: u128,
}

/// The `tandem` field of a chunk of a streamed answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StreamNote {
    /// Token ids that the chunk brings; their text may follow in a later one.
    Tokens(Vec<u32>),
    /// More is to be paid; the answer goes on after a [`TopUp`].
    Due(PaymentDue),
    /// The last chunk: what the whole answer can be checked with.
    Evidence(Box<CompletionEvidence>),
}

/// `POST /v1/vouchers`: a higher voucher for the answer under way on its channel; answered by a [`TopUpReceipt`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopUp {
    /// The voucher.
    pub voucher: VoucherJson,
}

/// The voucher is on the contributor's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopUpReceipt {
    /// The channel.
    pub channel_id: U256,
    /// Tokens of the answer under way that are covered now.
    pub covered: u64,
}
