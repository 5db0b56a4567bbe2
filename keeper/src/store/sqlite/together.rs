//! Writes that come at the same time share a transaction: what takes long is the disk's word that it holds what it was given,
//! and one word does for all of them. None is answered before it is given. Each has a savepoint of its own, so that one that
//! fails leaves nothing behind and takes nobody with it.

use futures_util::future::BoxFuture;
use sqlx::{Connection, Sqlite, SqlitePool, Transaction};
use tokio::sync::{
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    oneshot,
};

use crate::store::StoreError;

/// Writes of one transaction at most: those who wait for the writer have their turn in between.
const AT_ONCE: usize = 256;

/// Whether what was written is to be kept.
type Work = Box<dyn for<'t, 'c> FnOnce(&'t mut Transaction<'c, Sqlite>) -> BoxFuture<'t, bool> + Send>;

struct Write {
    work: Work,
    on_disk: oneshot::Sender<Result<(), StoreError>>,
}

/// A queue of writes.
#[derive(Clone, Debug)]
pub(super) struct Together(UnboundedSender<Write>);

impl Together {
    /// Writes by the one connection of `writer`, until the store and all its copies are gone.
    pub(super) fn new(writer: SqlitePool) -> Self {
        let (queue, writes) = unbounded_channel();
        tokio::spawn(write_all(writer, writes));
        Self(queue)
    }

    /// Does `work` and answers once it is on disk.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl for<'t, 'c> FnOnce(&'t mut Transaction<'c, Sqlite>) -> BoxFuture<'t, Result<T, StoreError>>
        + Send
        + 'static,
    ) -> Result<T, StoreError> {
        let (found, answer) = oneshot::channel();
        let (on_disk, written) = oneshot::channel();
        let work = boxed(move |transaction| {
            let work = work(transaction);
            Box::pin(async move {
                let answer = work.await;
                let keep = answer.is_ok();
                // Nobody may be waiting any more.
                let _ = found.send(answer);
                keep
            })
        });
        self.0.send(Write { work, on_disk }).map_err(|_| gone())?;
        written.await.map_err(|_| gone())??;
        answer.await.map_err(|_| gone())?
    }
}

fn boxed<F>(work: F) -> Work
where
    F: for<'t, 'c> FnOnce(&'t mut Transaction<'c, Sqlite>) -> BoxFuture<'t, bool> + Send + 'static,
{
    Box::new(work)
}

fn gone() -> StoreError {
    StoreError::Database(sqlx::Error::WorkerCrashed)
}

async fn write_all(writer: SqlitePool, mut writes: UnboundedReceiver<Write>) {
    let mut batch = Vec::new();
    while writes.recv_many(&mut batch, AT_ONCE).await > 0 {
        let (mut waiting, mut works) = (Vec::new(), Vec::new());
        for Write { work, on_disk } in batch.drain(..) {
            waiting.push(on_disk);
            works.push(work);
        }
        let outcome = write_batch(&writer, works).await;
        let words = outcome.as_ref().err().map(ToString::to_string);
        let mut first = outcome.err();
        for on_disk in waiting {
            let answer = match (&words, first.take()) {
                (None, _) => Ok(()),
                (Some(_), Some(error)) => Err(StoreError::Database(error)),
                // The error itself is the first one's.
                (Some(words), None) => Err(StoreError::Database(sqlx::Error::Protocol(words.clone()))),
            };
            let _ = on_disk.send(answer);
        }
    }
}

async fn write_batch(writer: &SqlitePool, works: Vec<Work>) -> Result<(), sqlx::Error> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    for work in works {
        let mut part = transaction.begin().await?;
        if work(&mut part).await {
            part.commit().await?;
        } else {
            part.rollback().await?;
        }
    }
    transaction.commit().await
}
