//! Which audits a validator owes in an epoch: a pure function of the epoch's beacon and the validator, so that any
//! keeper serves the same jobs and nobody steers them.

use alloy_primitives::{Address, B256, keccak256};
use serde::{Deserialize, Serialize};

/// One audit: probe `uid` of `netuid` and judge the response.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Unique over networks, epochs and validators; also the fixed key of its result.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Hash))]
    pub id: B256,
    /// Epoch the audit counts for.
    pub epoch: u64,
    /// Subnet.
    pub netuid: u16,
    /// Who is audited.
    pub uid: u16,
    /// Number of this audit of the same contributor, from 0.
    pub round: u32,
}

/// The randomness of an epoch: drawn from the last block before it starts.
pub fn beacon(last_block_before: B256, epoch: u64) -> B256 {
    keccak256([last_block_before.as_slice(), &epoch.to_be_bytes()].concat())
}

/// All audits that `validator` owes in `netuid`: `rounds` for every listed contributor, in an order that differs per
/// validator, so that contributors are not all probed by everybody at once.
pub fn jobs(beacon: B256, validator: Address, epoch: u64, netuid: u16, contributors: &[u16], rounds: u32) -> Vec<Job> {
    let mut jobs: Vec<Job> = (0..rounds)
        .flat_map(|round| contributors.iter().map(move |uid| (round, *uid)))
        .map(|(round, uid)| {
            let id = keccak256(
                [
                    beacon.as_slice(),
                    validator.as_slice(),
                    &netuid.to_be_bytes(),
                    &uid.to_be_bytes(),
                    &round.to_be_bytes(),
                ]
                .concat(),
            );
            Job { id, epoch, netuid, uid, round }
        })
        .collect();
    jobs.sort_unstable_by_key(|job| (job.round, job.id));
    jobs
}
