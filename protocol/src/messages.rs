//! The EIP-712 messages of Tandem.
//!
//! Two domains exist: the [`oracle_domain`] for everything that belongs to epochs and services, and the
//! [`settlement_domain`] for vouchers. Both bind the chain id and the contract, so nothing signed for one network can be
//! replayed on another.

use alloy_primitives::{Address, B256, FixedBytes, keccak256};
use alloy_sol_types::{Eip712Domain, SolValue, eip712_domain, sol};

use crate::reveal::Reveal;

sol! {
    /// A validator's promise of one row of weights, made before the commit deadline. `commitHash` is [`commit_hash`].
    /// A higher `seq` replaces a lower one; two different commits with one `seq` are a fault.
    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
    struct WeightsCommit {
        uint16 netuid;
        uint64 epoch;
        #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Address))]
        address validator;
        uint32 seq;
        #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Hash))]
        bytes32 commitHash;
    }

    /// A keeper's statement that it holds a commit, given before the commit deadline. `commit` is the struct hash of the
    /// [`WeightsCommit`].
    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct CommitReceipt {
        uint64 epoch;
        bytes32 commit;
    }

    /// The list of rows that a proposer puts forward for an epoch. `rowsHash` is [`rows_hash`].
    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
    struct RowList {
        uint64 epoch;
        uint32 attempt;
        uint32 round;
        #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Hash))]
        bytes32 rowsHash;
    }

    /// A keeper's vote for a list in a round of the agreement: `step` 1 is for what was proposed in it, 2 says that a
    /// quorum voted so.
    #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct ListVote {
        uint64 epoch;
        uint32 attempt;
        uint32 round;
        uint8 step;
        #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Hash))]
        bytes32 rowsHash;
    }

    /// What the quorum signs and the oracle stores. `inputsBlock` is the hash of the last block before the epoch's end.
    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
    struct EpochReport {
        uint64 epoch;
        uint32 attempt;
        #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Hash))]
        bytes32 configDigest;
        #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Hash))]
        bytes32 inputsBlock;
        #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Hash))]
        bytes32 previousReport;
        #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Hash))]
        bytes32 subnetsRoot;
        #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Hash))]
        bytes32 rewardsRoot;
        #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Hash))]
        bytes32 bundleHash;
        uint32 rulesVersion;
    }

    /// A payer's cumulative promise on a channel: credits (18 decimals) and tokens since the channel opened.
    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Voucher {
        uint256 channelId;
        #[serde(with = "crate::api::decimal")]
        uint128 amount;
        bytes32 model;
        uint32 rateCardVersion;
        uint64 promptTokens;
        uint64 completionTokens;
    }

    /// A contributor's signed statement about one response, made before it learns what is audited.
    /// `promptHash` and `outputHash` are [`tokens_hash`], `proofsHash` is [`proofs_hash`], `nonce` is the client's,
    /// `seed` the sampling seed that the client chose, `speedClass` the declared speed in thousandths of an A100.
    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct ResponseCommitment {
        address hotkey;
        uint16 netuid;
        uint16 uid;
        bytes32 model;
        bytes32 nonce;
        bytes32 promptHash;
        bytes32 outputHash;
        bytes32 proofsHash;
        uint64 seed;
        uint32 temperatureMilli;
        uint32 speedClass;
    }

    /// Authenticates one HTTP request of a worker or a keeper: `bodyHash` is [`request_hash`], `timestamp` is in seconds.
    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct SignedRequest {
        address signer;
        bytes32 bodyHash;
        uint64 timestamp;
    }
}

/// The domain of [`WeightsCommit`], [`CommitReceipt`], [`RowList`], [`ListVote`], [`EpochReport`], [`ResponseCommitment`] and [`SignedRequest`].
pub fn oracle_domain(chain_id: u64, oracle: Address) -> Eip712Domain {
    eip712_domain! { name: "Tandem EpochOracle", version: "1", chain_id: chain_id, verifying_contract: oracle, }
}

/// The domain of [`Voucher`].
pub fn settlement_domain(chain_id: u64, settlement: Address) -> Eip712Domain {
    eip712_domain! { name: "Tandem Settlement", version: "1", chain_id: chain_id, verifying_contract: settlement, }
}

/// `keccak256(abi.encode(chainId, oracle, netuid, epoch, validator, seq, salt, row))`: what a [`WeightsCommit`] hides.
/// `row` is the list of (uid, weight), uids strictly ascending, as [`row_bytes`].
#[expect(clippy::too_many_arguments, reason = "one argument per field of the commitment")]
pub fn commit_hash(
    chain_id: u64,
    oracle: Address,
    netuid: u16,
    epoch: u64,
    validator: Address,
    seq: u32,
    salt: B256,
    row: &[(u16, u16)],
) -> B256 {
    let row = alloy_primitives::Bytes::from(row_bytes(row));
    keccak256((chain_id, oracle, netuid, epoch, validator, seq, salt, row).abi_encode_params())
}

/// A row as bytes: for each entry the uid and the weight, big-endian u16 each.
pub fn row_bytes(row: &[(u16, u16)]) -> Vec<u8> {
    row.iter().flat_map(|(uid, weight)| [uid.to_be_bytes(), weight.to_be_bytes()].concat()).collect()
}

/// keccak256 over token ids as big-endian u32.
pub fn tokens_hash(tokens: &[u32]) -> B256 {
    keccak256(tokens.iter().flat_map(|token| token.to_be_bytes()).collect::<Vec<_>>())
}

/// keccak256 over the hashes of the single proofs, so that boundaries between proofs are bound too.
pub fn proofs_hash<P: AsRef<[u8]>>(proofs: &[P]) -> B256 {
    keccak256(proofs.iter().flat_map(|proof| keccak256(proof.as_ref()).0).collect::<Vec<_>>())
}

/// keccak256 of the borsh encoding of the listed reveals, receipts and all: two lists of one hash lead to one bundle, and
/// nobody who passes a list on can take a receipt out of it.
pub fn rows_hash(reveals: &[Reveal]) -> B256 {
    keccak256(borsh::to_vec(reveals).expect("writing to memory cannot fail and no length exceeds u32"))
}

/// [`rows_hash`] of one row alone.
pub fn row_hash(reveal: &Reveal) -> B256 {
    rows_hash(std::slice::from_ref(reveal))
}

/// keccak256 of the method in capitals, a space, the path (with the query, if there is one), a newline and the body.
pub fn request_hash(method: &str, path: &str, body: &[u8]) -> B256 {
    keccak256([method.as_bytes(), b" ", path.as_bytes(), b"\n", body].concat())
}

/// The on-chain name of a model: keccak256 of its id.
pub fn model_id(name: &str) -> B256 {
    keccak256(name.as_bytes())
}

/// `keccak256(abi.encode(chainId, keeperSet, fromEpoch, keepers, threshold))`, as KeeperSet computes it.
pub fn config_digest(chain_id: u64, keeper_set: Address, from_epoch: u64, keepers: &[Address], threshold: u16) -> B256 {
    keccak256((chain_id, keeper_set, from_epoch, keepers.to_vec(), threshold).abi_encode_params())
}

/// A 65-byte `r ‖ s ‖ v` signature.
pub type SignatureBytes = FixedBytes<65>;
