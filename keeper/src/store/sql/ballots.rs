//! Lists and votes.

use alloy_primitives::B256;
use async_trait::async_trait;
use tandem_protocol::{api::Vote, messages::ListVote, reveal::Reveal};

use super::{SqlStore, add_evidence, alone, message};
use crate::store::{Ballots, StoreError, int, json};

#[async_trait]
impl Ballots for SqlStore {
    async fn put_list(&self, epoch: u64, content: B256, reveals: &[Reveal]) -> Result<(), StoreError> {
        let mut transaction = self.write_fenced().await?;
        sqlx::query("INSERT INTO lists (epoch, content, reveals) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(int(epoch)?)
            .bind(content.as_slice())
            .bind(json(&reveals)?)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn list(&self, epoch: u64, content: B256) -> Result<Option<Vec<Reveal>>, StoreError> {
        sqlx::query("SELECT reveals AS message FROM lists WHERE epoch = $1 AND content = $2")
            .bind(int(epoch)?)
            .bind(content.as_slice())
            .fetch_optional(self.reader())
            .await?
            .as_ref()
            .map(message)
            .transpose()
    }

    async fn put_vote(&self, vote: &Vote, contradicting: bool) -> Result<bool, StoreError> {
        let ListVote { epoch, attempt, round, step, rowsHash } = vote.vote.message;
        let mut transaction = self.write_fenced().await?;
        alone(&mut transaction, &("vote", epoch, attempt, round, step, vote.keeper)).await?;
        let held: Vec<Vote> = sqlx::query(
            "SELECT message FROM votes WHERE epoch = $1 AND attempt = $2 AND round = $3 AND step = $4 AND keeper = $5",
        )
        .bind(int(epoch)?)
        .bind(i64::from(attempt))
        .bind(i64::from(round))
        .bind(i64::from(step))
        .bind(vote.keeper.as_slice())
        .fetch_all(&mut *transaction)
        .await?
        .iter()
        .map(message)
        .collect::<Result<_, _>>()?;
        if held.iter().any(|held| held.vote.message.rowsHash == rowsHash) {
            return Ok(true);
        }
        if let Some(other) = held.first() {
            add_evidence(&mut transaction, "double_vote", vote.keeper, epoch, &(other, vote)).await?;
        }
        let taken = held.is_empty() || contradicting;
        if taken {
            sqlx::query(
                "INSERT INTO votes (epoch, attempt, round, step, keeper, content, message)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(int(epoch)?)
            .bind(i64::from(attempt))
            .bind(i64::from(round))
            .bind(i64::from(step))
            .bind(vote.keeper.as_slice())
            .bind(rowsHash.as_slice())
            .bind(json(vote)?)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(taken)
    }

    async fn votes(&self, epoch: u64, attempt: u32) -> Result<Vec<Vote>, StoreError> {
        sqlx::query("SELECT message FROM votes WHERE epoch = $1 AND attempt = $2 ORDER BY round, step, keeper, content")
            .bind(int(epoch)?)
            .bind(i64::from(attempt))
            .fetch_all(self.reader())
            .await?
            .iter()
            .map(message)
            .collect()
    }
}
