//! The guard's content as a file that another keeper of the same key can take in: what was signed is united, never
//! replaced, and a contradiction refuses the whole.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use sqlx::Row;

use super::{Guard, GuardError, Slot, held, refuse_other, signed_i64, write};

/// What the file says it is.
const FORMAT: &str = "tandem-keeper-guard";
/// Version of its shape.
const VERSION: u32 = 1;

/// An export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interchange {
    /// `tandem-keeper-guard`.
    pub format: String,
    /// 1.
    pub version: u32,
    /// Chain.
    pub chain_id: u64,
    /// EpochOracle.
    pub contract: Address,
    /// What was signed, ascending by epoch and attempt.
    pub signed: Vec<SignedReport>,
}

/// A report that was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedReport {
    /// Epoch.
    pub epoch: u64,
    /// Attempt.
    pub attempt: u32,
    /// EIP-712 digest.
    pub digest: B256,
}

/// What an import did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Slots that were not known.
    pub new: u64,
    /// Slots that were.
    pub known: u64,
}

impl Guard {
    /// Everything signed for one contract.
    pub async fn export(&self, chain_id: u64, contract: Address) -> Result<Interchange, GuardError> {
        let rows = sqlx::query(
            "SELECT epoch, attempt, digest FROM signed WHERE chain_id = ? AND contract = ? ORDER BY epoch, attempt",
        )
        .bind(signed_i64(chain_id)?)
        .bind(contract.as_slice())
        .fetch_all(&self.pool)
        .await?;
        let mut signed = Vec::with_capacity(rows.len());
        for row in rows {
            let epoch: i64 = row.try_get("epoch")?;
            let epoch = u64::try_from(epoch).map_err(|_| GuardError::Malformed(0))?;
            let bytes: Vec<u8> = row.try_get("digest")?;
            let digest = B256::try_from(bytes.as_slice()).map_err(|_| GuardError::Malformed(epoch))?;
            signed.push(SignedReport { epoch, attempt: row.try_get("attempt")?, digest });
        }
        Ok(Interchange { format: FORMAT.to_owned(), version: VERSION, chain_id, contract, signed })
    }

    /// Takes an export of the same contract in, all of it or nothing. With a [`super::Register`] every slot is reserved
    /// there first; reservations stay if a later one is refused, which is safe: they were signed.
    pub async fn import(&self, export: &Interchange, chain_id: u64, contract: Address) -> Result<Imported, GuardError> {
        export.check(chain_id, contract)?;
        let slot = |report: &SignedReport| Slot { chain_id, contract, epoch: report.epoch, attempt: report.attempt };
        let mut transaction = self.pool.begin_with("BEGIN EXCLUSIVE").await?;
        let mut imported = Imported { new: 0, known: 0 };
        for report in &export.signed {
            let known = held(&mut transaction, slot(report)).await?;
            refuse_other(slot(report), known, report.digest)?;
            if known.is_some() {
                imported.known += 1;
            } else {
                write(&mut transaction, slot(report), report.digest).await?;
                imported.new += 1;
            }
        }
        if let Some(register) = &self.register {
            for report in &export.signed {
                let reserved = register.reserve(slot(report), report.digest).await.map_err(GuardError::Register)?;
                refuse_other(slot(report), Some(reserved), report.digest)?;
            }
        }
        transaction.commit().await?;
        Ok(imported)
    }
}

impl Interchange {
    /// Reads an export.
    pub fn parse(text: &str) -> Result<Self, GuardError> {
        serde_json::from_str(text)
            .map_err(|error| GuardError::Interchange(format!("not an export of a guard: {error}")))
    }

    fn check(&self, chain_id: u64, contract: Address) -> Result<(), GuardError> {
        let Self { format, version, chain_id: of_chain, contract: of_contract, .. } = self;
        if (format.as_str(), *version) != (FORMAT, VERSION) {
            let words = format!("format {format:?} version {version} is not {FORMAT:?} version {VERSION}");
            return Err(GuardError::Interchange(words));
        }
        if (*of_chain, *of_contract) != (chain_id, contract) {
            return Err(GuardError::Interchange(format!(
                "the export is of {of_contract} on chain {of_chain}, this keeper's oracle is {contract} on chain {chain_id}"
            )));
        }
        Ok(())
    }
}
