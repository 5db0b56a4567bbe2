//! What validators and keepers said.

use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row, Transaction};
use tandem_protocol::{
    api::{Attestation, Proposal},
    messages::WeightsCommit,
    reveal::Reveal,
    signed::Signed,
};

use super::{super::ROW, Db, DbRow, SqlStore, add_evidence, alone, bytes, message, number, outbox};
use crate::{
    rows::better,
    store::{CommitOutcome, Evidence, Retention, Store, StoreError, StoredReveal, int, json, judge_commit},
};

/// What is forgotten by its epoch alone. Jobs are [`crate::store::Jobs::prune_jobs`]'.
const OF_EPOCHS: [&str; 8] =
    ["commits", "reveals", "proposals", "lists", "votes", "choices", "attestations", "evidence"];

#[async_trait]
impl Store for SqlStore {
    async fn put_commit(&self, commit: &Signed<WeightsCommit>) -> Result<CommitOutcome, StoreError> {
        let (commit, text) = (commit.clone(), json(commit)?);
        self.write_with(move |transaction| Box::pin(put_commit(transaction, commit, text))).await
    }

    async fn put_commit_on_chain(&self, on_chain: &WeightsCommit) -> Result<bool, StoreError> {
        let WeightsCommit { netuid, epoch, validator, seq, commitHash } = *on_chain;
        let mut transaction = self.write().await?;
        alone(&mut transaction, &("commit", epoch, netuid, validator)).await?;
        let held = sqlx::query(
            "SELECT message FROM commits
             WHERE epoch = $1 AND netuid = $2 AND validator = $3 AND seq = $4 AND hash <> $5",
        )
        .bind(int(epoch)?)
        .bind(i64::from(netuid))
        .bind(validator.as_slice())
        .bind(i64::from(seq))
        .bind(commitHash.as_slice())
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(held) = held else { return Ok(false) };
        let held: Signed<WeightsCommit> = message(&held)?;
        add_evidence(&mut transaction, "commit_against_chain", validator, epoch, &(held, on_chain)).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn put_reveal(&self, reveal: &Reveal, fault: Option<&str>) -> Result<(), StoreError> {
        let (reveal, text, fault) = (reveal.clone(), json(reveal)?, fault.map(str::to_owned));
        self.write_with(move |transaction| Box::pin(put_reveal(transaction, reveal, text, fault))).await
    }

    async fn reveals(&self, epoch: u64) -> Result<Vec<StoredReveal>, StoreError> {
        sqlx::query("SELECT message, fault FROM reveals WHERE epoch = $1 ORDER BY netuid, validator")
            .bind(int(epoch)?)
            .fetch_all(self.reader())
            .await?
            .iter()
            .map(stored_reveal)
            .collect()
    }

    async fn put_proposal(&self, proposal: &Proposal) -> Result<(), StoreError> {
        let list = &proposal.list.message;
        let mut transaction = self.write_fenced().await?;
        alone(&mut transaction, &("proposal", list.epoch, list.attempt, list.round, proposal.proposer)).await?;
        let held = sqlx::query(
            "SELECT message FROM proposals WHERE epoch = $1 AND attempt = $2 AND round = $3 AND proposer = $4",
        )
        .bind(int(list.epoch)?)
        .bind(i64::from(list.attempt))
        .bind(i64::from(list.round))
        .bind(proposal.proposer.as_slice())
        .fetch_optional(&mut *transaction)
        .await?;
        match held {
            None => {
                sqlx::query(
                    "INSERT INTO proposals (epoch, attempt, round, proposer, message) VALUES ($1, $2, $3, $4, $5)",
                )
                .bind(int(list.epoch)?)
                .bind(i64::from(list.attempt))
                .bind(i64::from(list.round))
                .bind(proposal.proposer.as_slice())
                .bind(json(proposal)?)
                .execute(&mut *transaction)
                .await?;
            }
            Some(row) => {
                let held: Proposal = message(&row)?;
                if held.list.message.rowsHash != list.rowsHash {
                    let statements = (held.list, &proposal.list);
                    let (kind, epoch) = ("double_proposal", list.epoch);
                    add_evidence(&mut transaction, kind, proposal.proposer, epoch, &statements).await?;
                }
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn proposals(&self, epoch: u64, attempt: u32) -> Result<Vec<Proposal>, StoreError> {
        sqlx::query("SELECT message FROM proposals WHERE epoch = $1 AND attempt = $2 ORDER BY round, proposer")
            .bind(int(epoch)?)
            .bind(i64::from(attempt))
            .fetch_all(self.reader())
            .await?
            .iter()
            .map(message)
            .collect()
    }

    async fn choose(&self, epoch: u64, attempt: u32, content: B256) -> Result<B256, StoreError> {
        let mut transaction = self.write_fenced().await?;
        sqlx::query("INSERT INTO choices (epoch, attempt, content) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(int(epoch)?)
            .bind(i64::from(attempt))
            .bind(content.as_slice())
            .execute(&mut *transaction)
            .await?;
        let row = sqlx::query("SELECT content FROM choices WHERE epoch = $1 AND attempt = $2")
            .bind(int(epoch)?)
            .bind(i64::from(attempt))
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        bytes(&row, "content")
    }

    async fn chosen(&self, epoch: u64, attempt: u32) -> Result<Option<B256>, StoreError> {
        sqlx::query("SELECT content FROM choices WHERE epoch = $1 AND attempt = $2")
            .bind(int(epoch)?)
            .bind(i64::from(attempt))
            .fetch_optional(self.reader())
            .await?
            .map(|row| bytes(&row, "content"))
            .transpose()
    }

    async fn put_attestation(&self, attestation: &Attestation) -> Result<bool, StoreError> {
        let report = &attestation.report.message;
        let mut transaction = self.write().await?;
        alone(&mut transaction, &("attestation", (report.epoch, report.attempt, attestation.keeper))).await?;
        let held = sqlx::query("SELECT message FROM attestations WHERE epoch = $1 AND attempt = $2 AND keeper = $3")
            .bind(int(report.epoch)?)
            .bind(i64::from(report.attempt))
            .bind(attestation.keeper.as_slice())
            .fetch_optional(&mut *transaction)
            .await?;
        let new = held.is_none();
        match held {
            None => {
                sqlx::query("INSERT INTO attestations (epoch, attempt, keeper, message) VALUES ($1, $2, $3, $4)")
                    .bind(int(report.epoch)?)
                    .bind(i64::from(report.attempt))
                    .bind(attestation.keeper.as_slice())
                    .bind(json(attestation)?)
                    .execute(&mut *transaction)
                    .await?;
            }
            Some(row) => {
                let held: Attestation = message(&row)?;
                if held.report.message != *report {
                    let (kind, epoch) = ("double_attestation", report.epoch);
                    add_evidence(&mut transaction, kind, attestation.keeper, epoch, &(held, attestation)).await?;
                }
            }
        }
        transaction.commit().await?;
        Ok(new)
    }

    async fn attestations(&self, epoch: u64) -> Result<Vec<Attestation>, StoreError> {
        sqlx::query("SELECT message FROM attestations WHERE epoch = $1 ORDER BY attempt, keeper")
            .bind(int(epoch)?)
            .fetch_all(self.reader())
            .await?
            .iter()
            .map(message)
            .collect()
    }

    async fn last_attested(&self, keeper: Address) -> Result<Option<u64>, StoreError> {
        sqlx::query("SELECT epoch FROM attestations WHERE keeper = $1 ORDER BY epoch DESC LIMIT 1")
            .bind(keeper.as_slice())
            .fetch_optional(self.reader())
            .await?
            .map(|row| number(&row, "epoch"))
            .transpose()
    }

    async fn evidence(&self, epoch: u64) -> Result<Vec<Evidence>, StoreError> {
        let mut evidence = sqlx::query("SELECT kind, subject, statements FROM evidence WHERE epoch = $1")
            .bind(int(epoch)?)
            .fetch_all(self.reader())
            .await?
            .iter()
            .map(|row| {
                Ok(Evidence {
                    kind: row.try_get("kind")?,
                    subject: bytes(row, "subject")?,
                    epoch,
                    statements: row.try_get("statements")?,
                })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        // Here rather than there: a server sorts words by its own language.
        evidence.sort_unstable();
        Ok(evidence)
    }

    async fn prune(&self, retention: Retention) -> Result<u64, StoreError> {
        let Retention { before_epoch, signed_before_ms, limit } = retention;
        let mut transaction = self.write_fenced().await?;
        let mut pruned = 0;
        for table in OF_EPOCHS {
            let old = format!("SELECT {ROW} FROM {table} WHERE epoch < $1 LIMIT $2");
            let delete = sqlx::query(AssertSqlSafe(format!("DELETE FROM {table} WHERE {ROW} IN ({old})")));
            let deleted = delete.bind(int(before_epoch)?).bind(i64::from(limit)).execute(&mut *transaction).await?;
            pruned += deleted.rows_affected();
        }
        pruned += outbox::prune(&mut transaction, signed_before_ms, limit).await?;
        transaction.commit().await?;
        Ok(pruned)
    }

    async fn close(&self) {
        self.close_connections().await;
    }
}

async fn put_commit(
    transaction: &mut Transaction<'_, Db>,
    commit: Signed<WeightsCommit>,
    text: String,
) -> Result<CommitOutcome, StoreError> {
    let WeightsCommit { netuid, epoch, validator, seq, commitHash } = commit.message;
    alone(transaction, &("commit", epoch, netuid, validator)).await?;
    let row = sqlx::query(
        "SELECT max(seq) AS last, count(*) AS count FROM commits WHERE epoch = $1 AND netuid = $2 AND validator = $3",
    )
    .bind(int(epoch)?)
    .bind(i64::from(netuid))
    .bind(validator.as_slice())
    .fetch_one(&mut **transaction)
    .await?;
    let count: i64 = row.try_get("count")?;
    let last = if count == 0 { None } else { Some(number(&row, "last")?) };
    let same = sqlx::query(
        "SELECT hash, message FROM commits WHERE epoch = $1 AND netuid = $2 AND validator = $3 AND seq = $4",
    )
    .bind(int(epoch)?)
    .bind(i64::from(netuid))
    .bind(validator.as_slice())
    .bind(i64::from(seq))
    .fetch_optional(&mut **transaction)
    .await?;
    let same_hash = same.as_ref().map(|row| bytes(row, "hash")).transpose()?;
    let outcome = judge_commit(&commit.message, last, count, same_hash);
    match (&outcome, same) {
        (CommitOutcome::Equivocation, Some(row)) => {
            let held: Signed<WeightsCommit> = message(&row)?;
            add_evidence(transaction, "double_commit", validator, epoch, &(held, commit)).await?;
        }
        (CommitOutcome::Stored, None) => {
            sqlx::query(
                "INSERT INTO commits (epoch, netuid, validator, seq, hash, message) VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(int(epoch)?)
            .bind(i64::from(netuid))
            .bind(validator.as_slice())
            .bind(i64::from(seq))
            .bind(commitHash.as_slice())
            .bind(text)
            .execute(&mut **transaction)
            .await?;
        }
        _ => {}
    }
    Ok(outcome)
}

async fn put_reveal(
    transaction: &mut Transaction<'_, Db>,
    reveal: Reveal,
    text: String,
    fault: Option<String>,
) -> Result<(), StoreError> {
    alone(transaction, &("reveal", (reveal.epoch, reveal.netuid, reveal.validator))).await?;
    let held = sqlx::query("SELECT message, fault FROM reveals WHERE epoch = $1 AND netuid = $2 AND validator = $3")
        .bind(int(reveal.epoch)?)
        .bind(i64::from(reveal.netuid))
        .bind(reveal.validator.as_slice())
        .fetch_optional(&mut **transaction)
        .await?;
    if let Some(row) = held {
        let held = stored_reveal(&row)?;
        let kept = better((&held.reveal, held.fault.is_none()), (&reveal, fault.is_none()));
        if *kept == held.reveal {
            return Ok(());
        }
    }
    sqlx::query(
        "INSERT INTO reveals (epoch, netuid, validator, message, fault) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (epoch, netuid, validator) DO UPDATE SET message = excluded.message, fault = excluded.fault",
    )
    .bind(int(reveal.epoch)?)
    .bind(i64::from(reveal.netuid))
    .bind(reveal.validator.as_slice())
    .bind(text)
    .bind(fault)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn stored_reveal(row: &DbRow) -> Result<StoredReveal, StoreError> {
    Ok(StoredReveal { reveal: message(row)?, fault: row.try_get("fault")? })
}
