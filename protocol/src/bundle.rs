//! The epoch bundle: all inputs and outputs of one epoch, canonically encoded (borsh) and named by the keccak256 of that
//! encoding. Whoever holds a bundle can recompute its outcome with [`crate::outcome::compute`] and needs nobody's word.

use alloy_primitives::{Address, B256, keccak256};
use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::delegation::Backing;
use crate::reveal::Reveal;
use crate::tree::Reward;

/// Version of the encoding.
pub const BUNDLE_VERSION: u16 = 2;
/// The rules by which [`crate::outcome::compute`] turns inputs into an outcome.
pub const RULES_VERSION: u32 = 2;
/// A bundle above this many bytes is refused before it is decoded.
pub const MAX_BUNDLE_BYTES: usize = 256 << 20;

/// Inputs and outcome of one epoch.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochBundle {
    /// [`BUNDLE_VERSION`].
    pub version: u16,
    /// Everything that was read.
    pub inputs: EpochInputs,
    /// Everything that follows from it.
    pub outcome: EpochOutcome,
}

/// Everything an epoch is computed from.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochInputs {
    /// Chain.
    pub chain_id: u64,
    /// EpochOracle that the report goes to.
    pub oracle: Address,
    /// Epoch.
    pub epoch: u64,
    /// Attempt, raised when a report of this epoch was void.
    pub attempt: u32,
    /// Rules of the computation.
    pub rules_version: u32,
    /// Digest of the keeper set at the epoch's start.
    pub config_digest: B256,
    /// Number of the last block before the epoch's end.
    pub inputs_block_number: u64,
    /// Its hash.
    pub inputs_block: B256,
    /// Start of the epoch, seconds.
    pub epoch_start: u64,
    /// Start of the last reported epoch, seconds: bonds on later registrations are dropped.
    pub bonds_since: u64,
    /// Struct hash of the last posted report, zero for the first.
    pub previous_report: B256,
    /// Hash of that report's bundle, zero for the first.
    pub previous_bundle: B256,
    /// Seconds for which a new registration cannot be evicted.
    pub neuron_immunity: u64,
    /// Keepers at the epoch's start, ascending.
    pub keepers: Vec<Address>,
    /// Subnets, ascending by netuid.
    pub subnets: Vec<SubnetInputs>,
    /// Cumulative rewards of the previous bundle, ascending by key.
    pub rewards_before: Vec<Reward>,
}

/// Hyperparameters of a subnet as of the epoch's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hyperparameters {
    /// κ in 1/65535.
    pub kappa: u16,
    /// Share of a bond that survives an epoch, per million.
    pub bonds_moving_average: u32,
    /// In 1/65535.
    pub bonds_penalty: u16,
    /// Permits.
    pub max_validators: u16,
}

/// A neuron as of the epoch's start; its uid is its place.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeuronInput {
    /// Who earns.
    pub owner: Address,
    /// Who signs.
    pub hotkey: Address,
    /// Time of registration, seconds.
    pub registered_at: u64,
    /// Stake behind the hotkey, base units.
    #[serde(with = "crate::api::decimal")]
    pub stake: u128,
    /// Whose stake that is.
    pub backing: Backing,
}

/// What one subnet's epoch is computed from.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubnetInputs {
    /// Subnet.
    pub netuid: u16,
    /// Its owner.
    pub owner: Address,
    /// Parameters.
    pub hyperparameters: Hyperparameters,
    /// Neurons by uid.
    pub neurons: Vec<NeuronInput>,
    /// Bonds that the previous bundle left, sparse rows by uid; uids that came since have none, listed or not.
    pub bonds: Vec<Vec<(u16, u16)>>,
    /// Rows that count, ascending by validator.
    pub rows: Vec<Reveal>,
    /// Rows that do not, with the reason, ascending by validator.
    pub dropped: Vec<DroppedRow>,
    /// Alpha granted for the epoch, base units (18 decimals).
    #[serde(with = "crate::api::decimal")]
    pub alpha: u128,
    /// USDC granted for the epoch, base units (6 decimals).
    #[serde(with = "crate::api::decimal")]
    pub usdc: u128,
    /// What earlier epochs could not pay to a side.
    pub carry: Carry,
}

/// A published refusal.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DroppedRow {
    /// Whose row.
    pub validator: Address,
    /// Why it does not count.
    pub reason: String,
}

/// Pots whose side had a zero sum; carried for at most [`MAX_CARRY_EPOCHS`], never paid to the other side `[EP-4]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Carry {
    /// Validators' pots.
    pub validators: CarriedPot,
    /// Contributors' pots.
    pub contributors: CarriedPot,
}

/// What one side is owed from earlier epochs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarriedPot {
    /// Alpha, base units.
    #[serde(with = "crate::api::decimal")]
    pub alpha: u128,
    /// USDC, base units.
    #[serde(with = "crate::api::decimal")]
    pub usdc: u128,
    /// Epochs for which it has been carried.
    pub age: u16,
}

/// A carried pot can be paid for so many epochs after the first that it was carried from. What is then still unpaid lapses
/// as a whole, with what later epochs added to it; it stays in the contract's budget.
pub const MAX_CARRY_EPOCHS: u16 = 24;

/// Everything that follows from the inputs.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochOutcome {
    /// Per subnet, ascending by netuid.
    pub subnets: Vec<SubnetOutcome>,
    /// Cumulative rewards after this epoch, ascending by key: the leaves of the reward tree.
    pub rewards: Vec<Reward>,
    /// Merkle root over `subnets`, see [`crate::outcome::subnet_leaf`].
    pub subnets_root: B256,
    /// Root of the reward tree.
    pub rewards_root: B256,
}

/// Result of one subnet; vectors are by uid.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubnetOutcome {
    /// Subnet.
    pub netuid: u16,
    /// Who held a permit.
    pub permits: Vec<bool>,
    /// κ-median of the weights, 1/65535.
    pub consensus: Vec<u16>,
    /// Share of the contributors' pot, 1/65535.
    pub incentive: Vec<u16>,
    /// Share of the validators' pot, 1/65535.
    pub dividends: Vec<u16>,
    /// How much of a validator's row survived clipping, 1/65535.
    pub validator_trust: Vec<u16>,
    /// Bonds after the epoch, sparse rows.
    pub bonds: Vec<Vec<(u16, u16)>>,
    /// Alpha earned in this epoch by each uid as contributor, base units.
    #[serde(with = "crate::api::decimals")]
    pub contributor_alpha: Vec<u128>,
    /// USDC earned in this epoch by each uid as contributor, base units.
    #[serde(with = "crate::api::decimals")]
    pub contributor_usdc: Vec<u128>,
    /// Alpha earned in this epoch by each uid as validator, base units.
    #[serde(with = "crate::api::decimals")]
    pub validator_alpha: Vec<u128>,
    /// USDC earned in this epoch by each uid as validator, base units.
    #[serde(with = "crate::api::decimals")]
    pub validator_usdc: Vec<u128>,
    /// What is carried on.
    pub carry: Carry,
    /// Uids that a newcomer may evict from a full subnet, the first one first; see [`crate::outcome::MAX_PRUNE_LIST`].
    pub prune_list: Vec<u16>,
}

/// Why bytes are not a bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Larger than [`MAX_BUNDLE_BYTES`].
    #[error("bundle of {0} bytes is larger than the limit of {MAX_BUNDLE_BYTES}")]
    TooLarge(usize),
    /// Not this encoding.
    #[error("not a bundle: {0}")]
    Malformed(String),
    /// A later or unknown encoding.
    #[error("bundle version {0} is unknown, this program reads {BUNDLE_VERSION}")]
    UnknownVersion(u16),
    /// The content has another name.
    #[error("bundle hashes to {found}, not {expected}")]
    WrongHash {
        /// Hash of the bytes.
        found: B256,
        /// Hash asked for.
        expected: B256,
    },
}

impl EpochBundle {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        borsh::to_vec(self).expect("writing to memory cannot fail and no length exceeds u32")
    }

    /// keccak256 of the canonical bytes.
    pub fn hash(&self) -> B256 {
        keccak256(self.encode())
    }

    /// Reads canonical bytes; trailing bytes, other versions and oversized input are refused.
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > MAX_BUNDLE_BYTES {
            return Err(BundleError::TooLarge(bytes.len()));
        }
        if let Some(version) = bytes.first_chunk::<2>().map(|raw| u16::from_le_bytes(*raw))
            && version != BUNDLE_VERSION
        {
            return Err(BundleError::UnknownVersion(version));
        }
        borsh::from_slice(bytes).map_err(|error| BundleError::Malformed(error.to_string()))
    }

    /// As [`Self::decode`], and the content must bear the name it was asked by.
    pub fn decode_named(bytes: &[u8], expected: B256) -> Result<Self, BundleError> {
        let found = keccak256(bytes);
        if found != expected {
            return Err(BundleError::WrongHash { found, expected });
        }
        Self::decode(bytes)
    }
}
