//! One model for many answers: what several threads want at the same time goes through the layers in one packed pass.
//!
//! [`Shared`] is a [`Backend`] in front of another. Each answer keeps its own thread and session, as if it were alone; a scheduler
//! thread gathers what the threads feed and draw, and runs it together. Sequences join and leave between two passes, prompts go in
//! between in pieces, and an answer that waits for something else costs the others nothing. In exact mode rows do not depend on
//! their company, and so neither do tokens.

use std::any::Any;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use super::{Backend, BackendError, Feed, HiddenStates, Numerics, Session};
use crate::audit::{Audit, UnderWay};
use crate::model::ModelConfig;
use crate::sampling::{Draw, Sampler};

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
    Choose(ChooseWork),
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

struct ChooseWork {
    /// As many rows as draws.
    rows: Vec<u16>,
    draws: Vec<(Sampler, u32)>,
    reply: SyncSender<Result<Vec<u32>, BackendError>>,
}

/// What is asked of rows that were computed.
#[derive(Default)]
struct Asked {
    logits: Vec<LogitsWork>,
    choices: Vec<ChooseWork>,
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

    /// Tokens of several answers are drawn together, wherever the backend draws.
    fn choose(&self, rows: &[u16], draws: &[Draw<'_>]) -> Result<Vec<u32>, BackendError> {
        let hidden = self.config().hidden_size;
        if !rows.len().is_multiple_of(hidden) {
            return Err(BackendError::Shape { elements: rows.len(), hidden });
        }
        let count = draws.len().min(rows.len() / hidden);
        let (reply, answer) = sync_channel(1);
        let draws = draws[..count].iter().map(|draw| (*draw.sampler, draw.position)).collect();
        let rows = rows[..count * hidden].to_vec();
        self.work.send(Work::Choose(ChooseWork { rows, draws, reply })).map_err(|_| gone())?;
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
        while let Some(asked) = self.gather(&mut feeds) {
            if !asked.is_empty() {
                // Whoever gets logits or tokens comes back with the next token, in time for the pass.
                self.logits(asked.logits);
                self.choose(asked.choices);
                continue;
            }
            let started = Instant::now();
            self.expected = feeds.len();
            self.feed(std::mem::take(&mut feeds));
            self.wait = (started.elapsed() / WAIT_PART).min(LONGEST_WAIT);
        }
    }

    /// Adds to `feeds` what is to be fed next, and returns what is asked for first; `None` when nobody is left.
    fn gather(&self, feeds: &mut Vec<FeedWork>) -> Option<Asked> {
        let mut asked = Asked::default();
        if feeds.is_empty() {
            asked.sort_in(self.received.recv().ok()?, feeds);
        }
        let until = Instant::now() + self.wait;
        loop {
            let left = if feeds.len() + asked.len() < self.expected {
                until.saturating_duration_since(Instant::now())
            } else {
                // All are here; newcomers may still be.
                Duration::ZERO
            };
            match self.received.recv_timeout(left) {
                Ok(work) => asked.sort_in(work, feeds),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Some(asked),
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
        if works.is_empty() {
            return;
        }
        let (hidden, vocab) = (self.backend.config().hidden_size, self.backend.config().vocab_size);
        let (whole, broken): (Vec<_>, Vec<_>) =
            works.into_iter().partition(|work| work.rows.len().is_multiple_of(hidden));
        for work in broken {
            let _ = work.reply.send(self.backend.logits(&work.rows));
        }
        let rows: Vec<u16> = whole.iter().flat_map(|work| &work.rows).copied().collect();
        match self.backend.logits(&rows) {
            Ok(all) if all.len() == rows.len() / hidden * vocab => {
                let mut rest = all.as_slice();
                for work in whole {
                    let (own, others) = rest.split_at(work.rows.len() / hidden * vocab);
                    rest = others;
                    let _ = work.reply.send(Ok(own.to_vec()));
                }
            }
            _ => whole.into_iter().for_each(|work| {
                let _ = work.reply.send(self.backend.logits(&work.rows));
            }),
        }
    }

    fn choose(&self, works: Vec<ChooseWork>) {
        if works.is_empty() {
            return;
        }
        let rows: Vec<u16> = works.iter().flat_map(|work| &work.rows).copied().collect();
        let draws: Vec<Draw<'_>> = works.iter().flat_map(ChooseWork::draws).collect();
        match self.backend.choose(&rows, &draws) {
            Ok(all) if all.len() == draws.len() => {
                let mut rest = all.as_slice();
                for work in &works {
                    let (own, others) = rest.split_at(work.draws.len());
                    rest = others;
                    let _ = work.reply.send(Ok(own.to_vec()));
                }
            }
            _ => works.iter().for_each(|work| {
                let draws: Vec<Draw<'_>> = work.draws().collect();
                let _ = work.reply.send(self.backend.choose(&work.rows, &draws));
            }),
        }
    }
}

impl ChooseWork {
    fn draws(&self) -> impl Iterator<Item = Draw<'_>> {
        self.draws.iter().map(|(sampler, position)| Draw { sampler, position: *position })
    }
}

impl Asked {
    fn len(&self) -> usize {
        self.logits.len() + self.choices.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn sort_in(&mut self, work: Work, feeds: &mut Vec<FeedWork>) {
        match work {
            Work::Feed(work) => feeds.push(work),
            Work::Logits(work) => self.logits.push(work),
            Work::Choose(work) => self.choices.push(work),
        }
    }
}
