//! What validators and keepers said, in PostgreSQL.

use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use sqlx::{Row, postgres::PgRow};
use tandem_protocol::{
    api::{Attestation, Proposal},
    messages::WeightsCommit,
    reveal::Reveal,
    signed::Signed,
};

use super::{PostgresStore, add_evidence, address, alone, hash, message, number, outbox};
use crate::{
    rows::better,
    store::{CommitOutcome, Evidence, Retention, Store, StoreError, StoredReveal, int, json, judge_commit},
};

#[async_trait]
impl Store for PostgresStore {
    async fn put_commit(&self, commit: &Signed<WeightsCommit>) -> Result<CommitOutcome, StoreError> {
        let WeightsCommit { netuid, epoch, validator, seq, commitHash } = commit.message;
        let mut transaction = self.write_alone(&("commit", epoch, netuid, validator)).await?;
        let row = sqlx::query(
            "SELECT max(seq) AS last, count(*) AS count FROM commits
             WHERE epoch = $1 AND netuid = $2 AND validator = $3",
        )
        .bind(int(epoch)?)
        .bind(i64::from(netuid))
        .bind(validator.as_slice())
        .fetch_one(&mut *transaction)
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
        .fetch_optional(&mut *transaction)
        .await?;
        let same_hash = same.as_ref().map(|row| hash(row, "hash")).transpose()?;
        let outcome = judge_commit(&commit.message, last, count, same_hash);
        match (&outcome, same) {
            (CommitOutcome::Equivocation, Some(row)) => {
                let held: Signed<WeightsCommit> = message(&row)?;
                add_evidence(&mut transaction, "double_commit", validator, epoch, &(held, commit)).await?;
            }
            (CommitOutcome::Stored, None) => {
                sqlx::query(
                    "INSERT INTO commits (epoch, netuid, validator, seq, hash, message)
                     VALUES ($1, $2, $3, $4, $5, $6)",
                )
                .bind(int(epoch)?)
                .bind(i64::from(netuid))
                .bind(validator.as_slice())
                .bind(i64::from(seq))
                .bind(commitHash.as_slice())
                .bind(json(commit)?)
                .execute(&mut *transaction)
                .await?;
            }
            _ => {}
        }
        transaction.commit().await?;
        Ok(outcome)
    }

    async fn put_commit_on_chain(&self, on_chain: &WeightsCommit) -> Result<bool, StoreError> {
        let WeightsCommit { netuid, epoch, validator, seq, commitHash } = *on_chain;
        let mut transaction = self.write_alone(&("commit", epoch, netuid, validator)).await?;
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
        let key = (reveal.epoch, reveal.netuid, reveal.validator);
        let mut transaction = self.write_alone(&("reveal", key)).await?;
        let held =
            sqlx::query("SELECT message, fault FROM reveals WHERE epoch = $1 AND netuid = $2 AND validator = $3")
                .bind(int(reveal.epoch)?)
                .bind(i64::from(reveal.netuid))
                .bind(reveal.validator.as_slice())
                .fetch_optional(&mut *transaction)
                .await?;
        if let Some(row) = held {
            let held = stored_reveal(&row)?;
            let kept = better((&held.reveal, held.fault.is_none()), (reveal, fault.is_none()));
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
        .bind(json(reveal)?)
        .bind(fault)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn reveals(&self, epoch: u64) -> Result<Vec<StoredReveal>, StoreError> {
        sqlx::query("SELECT message, fault FROM reveals WHERE epoch = $1 ORDER BY netuid, validator")
            .bind(int(epoch)?)
            .fetch_all(&self.pool)
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
            .fetch_all(&self.pool)
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
        hash(&row, "content")
    }

    async fn chosen(&self, epoch: u64, attempt: u32) -> Result<Option<B256>, StoreError> {
        sqlx::query("SELECT content FROM choices WHERE epoch = $1 AND attempt = $2")
            .bind(int(epoch)?)
            .bind(i64::from(attempt))
            .fetch_optional(&self.pool)
            .await?
            .map(|row| hash(&row, "content"))
            .transpose()
    }

    async fn put_attestation(&self, attestation: &Attestation) -> Result<bool, StoreError> {
        let report = &attestation.report.message;
        let key = (report.epoch, report.attempt, attestation.keeper);
        let mut transaction = self.write_alone(&("attestation", key)).await?;
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
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(message)
            .collect()
    }

    async fn last_attested(&self, keeper: Address) -> Result<Option<u64>, StoreError> {
        sqlx::query("SELECT epoch FROM attestations WHERE keeper = $1 ORDER BY epoch DESC LIMIT 1")
            .bind(keeper.as_slice())
            .fetch_optional(&self.pool)
            .await?
            .map(|row| number(&row, "epoch"))
            .transpose()
    }

    async fn evidence(&self, epoch: u64) -> Result<Vec<Evidence>, StoreError> {
        sqlx::query(
            "SELECT kind, subject, statements FROM evidence WHERE epoch = $1
             ORDER BY kind COLLATE \"C\", subject, statements COLLATE \"C\"",
        )
        .bind(int(epoch)?)
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(|row| {
            Ok(Evidence {
                kind: row.try_get("kind")?,
                subject: address(row, "subject")?,
                epoch,
                statements: row.try_get("statements")?,
            })
        })
        .collect()
    }

    async fn prune(&self, retention: Retention) -> Result<u64, StoreError> {
        let Retention { before_epoch, signed_before_ms, limit } = retention;
        let mut transaction = self.write_fenced().await?;
        let mut pruned = 0;
        for delete in [
            "DELETE FROM commits WHERE ctid IN (SELECT ctid FROM commits WHERE epoch < $1 LIMIT $2)",
            "DELETE FROM reveals WHERE ctid IN (SELECT ctid FROM reveals WHERE epoch < $1 LIMIT $2)",
            "DELETE FROM proposals WHERE ctid IN (SELECT ctid FROM proposals WHERE epoch < $1 LIMIT $2)",
            "DELETE FROM lists WHERE ctid IN (SELECT ctid FROM lists WHERE epoch < $1 LIMIT $2)",
            "DELETE FROM votes WHERE ctid IN (SELECT ctid FROM votes WHERE epoch < $1 LIMIT $2)",
            "DELETE FROM choices WHERE ctid IN (SELECT ctid FROM choices WHERE epoch < $1 LIMIT $2)",
            "DELETE FROM attestations WHERE ctid IN (SELECT ctid FROM attestations WHERE epoch < $1 LIMIT $2)",
            "DELETE FROM evidence WHERE ctid IN (SELECT ctid FROM evidence WHERE epoch < $1 LIMIT $2)",
        ] {
            let deleted =
                sqlx::query(delete).bind(int(before_epoch)?).bind(i64::from(limit)).execute(&mut *transaction).await?;
            pruned += deleted.rows_affected();
        }
        pruned += outbox::prune(&mut transaction, signed_before_ms, limit).await?;
        transaction.commit().await?;
        Ok(pruned)
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

fn stored_reveal(row: &PgRow) -> Result<StoredReveal, StoreError> {
    Ok(StoredReveal { reveal: message(row)?, fault: row.try_get("fault")? })
}
