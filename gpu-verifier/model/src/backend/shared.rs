//! One model for many answers: what several threads want at the same time goes through the layers in one packed pass.
//!
//! [`Shared`] is a [`Backend`] in front of another. Each answer keeps its own thread and session, as if it were alone; a scheduler
//! thread gathers what the threads feed and runs it together. Sequences join and leave between two passes, prompts go in
//! between in pieces, and an answer that waits for something else costs the others nothing. In exact mode rows do not depend on
//! their company, and so neither do tokens.

use std::any::Any;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use super::{Backend, BackendError, Feed, HiddenStates, Numerics, Session};
use crate::audit::{Audit, UnderWay};
use crate::model::ModelConfig;

/// Those who took part in the last pass are waited for, for this part of its duration at most.
const WAIT_PART: u32 = 4;
/// And so long at most.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// A backend whose callers' work is packed.
pub struct Shared {
    backend: Arc<dyn Backend>,
    work: Sender<Work>,
}

enum Work {
    Feed(FeedWork),
    Logits(LogitsWork),
}

type Fed = (Box<dyn Session>, Result<HiddenStates, BackendError>);

struct FeedWork {
    session: Box<dyn Session>,
    tokens: Vec<u32>,
    reply: SyncSender<Fed>,
}

struct LogitsWork {
    rows: Vec<u16>,
    reply: SyncSender<Result<Vec<f32>, BackendError>>,
}

impl Shared {
    /// Starts the scheduler, which ends when this and all its sessions are dropped.
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        let (work, received) = channel();
        let scheduled = backend.clone();
        std::thread::spawn(move || Scheduler { backend: scheduled, received, expected: 1, wait: Duration::ZERO }.run());
        Self { backend, work }
    }
}

fn gone() -> BackendError {
    BackendError::Device("the model's thread has ended".to_owned())
}

impl Backend for Shared {
    fn name(&self) -> &'static str {
        self.backend.name()
    }

    fn numerics(&self) -> Numerics {
        self.backend.numerics()
    }

    fn config(&self) -> &ModelConfig {
        self.backend.config()
    }

    fn start(&self) -> Result<Box<dyn Session>, BackendError> {
        let inner = Some(self.backend.start()?);
        Ok(Box::new(SharedSession { backend: self.backend.clone(), inner, work: self.work.clone() }))
    }

    fn pass(&self) -> usize {
        self.backend.pass()
    }

    /// Audits come packed.
    fn begin(&self, audits: Vec<Audit>) -> Result<Box<dyn UnderWay>, BackendError> {
        self.backend.begin(audits)
    }

    /// A batch that is packed already is run as it is.
    fn feed(&self, batch: &mut [Feed<'_>]) -> Result<Vec<HiddenStates>, BackendError> {
        let mut inner = Vec::with_capacity(batch.len());
        for feed in batch {
            let session: &mut dyn Any = feed.session;
            match session.downcast_mut::<SharedSession>() {
                Some(session) if Arc::ptr_eq(&session.backend, &self.backend) => {
                    let session = session.inner.as_mut().ok_or_else(gone)?;
                    inner.push(Feed { session: session.as_mut(), tokens: feed.tokens });
                }
                _ => return Err(BackendError::Foreign),
            }
        }
        self.backend.feed(&mut inner)
    }

    fn logits(&self, rows: &[u16]) -> Result<Vec<f32>, BackendError> {
        let (reply, answer) = sync_channel(1);
        self.work.send(Work::Logits(LogitsWork { rows: rows.to_vec(), reply })).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

struct SharedSession {
    backend: Arc<dyn Backend>,
    /// Away while it is fed; lost if the scheduler died meanwhile.
    inner: Option<Box<dyn Session>>,
    work: Sender<Work>,
}

impl Session for SharedSession {
    fn position(&self) -> usize {
        self.inner.as_ref().map_or(0, |inner| inner.position())
    }

    fn feed(&mut self, tokens: &[u32]) -> Result<HiddenStates, BackendError> {
        let session = self.inner.take().ok_or_else(gone)?;
        let (reply, answer) = sync_channel(1);
        self.work.send(Work::Feed(FeedWork { session, tokens: tokens.to_vec(), reply })).map_err(|_| gone())?;
        let (session, result) = answer.recv().map_err(|_| gone())?;
        self.inner = Some(session);
        result
    }
}

struct Scheduler {
    backend: Arc<dyn Backend>,
    received: Receiver<Work>,
    /// How many took part in the last pass, and will probably be back.
    expected: usize,
    /// How long it pays to wait for them.
    wait: Duration,
}

impl Scheduler {
    fn run(mut self) {
        let mut feeds = Vec::new();
        loop {
            let logits = match self.gather(&mut feeds) {
                Some(logits) => logits,
                None => return,
            };
            if !logits.is_empty() {
                // Whoever gets logits comes back with the next token, in time for the pass.
                self.logits(logits);
                continue;
            }
            let started = Instant::now();
            self.expected = feeds.len();
            self.feed(std::mem::take(&mut feeds));
            self.wait = (started.elapsed() / WAIT_PART).min(LONGEST_WAIT);
        }
    }

    /// Adds to `feeds` what is to be fed next, and returns whose logits come first; `None` when nobody is left.
    fn gather(&self, feeds: &mut Vec<FeedWork>) -> Option<Vec<LogitsWork>> {
        let mut logits = Vec::new();
        if feeds.is_empty() {
            match self.received.recv().ok()? {
                Work::Feed(work) => feeds.push(work),
                Work::Logits(work) => logits.push(work),
            }
        }
        let until = Instant::now() + self.wait;
        loop {
            let left = if feeds.len() + logits.len() < self.expected {
                until.saturating_duration_since(Instant::now())
            } else {
                // All are here; newcomers may still be.
                Duration::ZERO
            };
            match self.received.recv_timeout(left) {
                Ok(Work::Feed(work)) => feeds.push(work),
                Ok(Work::Logits(work)) => logits.push(work),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Some(logits),
            }
        }
    }

    fn feed(&self, mut works: Vec<FeedWork>) {
        let mut batch: Vec<Feed<'_>> =
            works.iter_mut().map(|work| Feed { session: work.session.as_mut(), tokens: &work.tokens }).collect();
        let results = match self.backend.feed(&mut batch) {
            Ok(states) if states.len() == works.len() => states.into_iter().map(Ok).collect(),
            // Nothing was appended to any: each by itself, so that one's fault is not the others'.
            _ => works.iter_mut().map(|work| work.session.feed(&work.tokens)).collect::<Vec<_>>(),
        };
        for (FeedWork { session, reply, .. }, result) in works.into_iter().zip(results) {
            // Who asked may have ended.
            let _ = reply.send((session, result));
        }
    }

    fn logits(&self, works: Vec<LogitsWork>) {
        let (hidden, vocab) = (self.backend.config().hidden_size, self.backend.config().vocab_size);
        let (whole, broken): (Vec<_>, Vec<_>) =
            works.into_iter().partition(|work| work.rows.len().is_multiple_of(hidden));
        for work in broken {
            let _ = work.reply.send(self.backend.logits(&work.rows));
        }
        let rows: Vec<u16> = whole.iter().flat_map(|work| &work.rows).copied().collect();
        match self.backend.logits(&rows) {
            Ok(all) => {
                let mut rest = all.as_slice();
                for work in whole {
                    let (own, others) = rest.split_at((work.rows.len() / hidden * vocab).min(rest.len()));
                    rest = others;
                    let _ = work.reply.send(Ok(own.to_vec()));
                }
            }
            Err(error) => whole.iter().for_each(|work| {
                let _ = work.reply.send(Err(error.clone()));
            }),
        }
    }
}
