//! Epochs with their deadlines as the chain moves them: one that falls into a recorded gap of blocks is extended by it.

use std::collections::BTreeMap;

use tandem_protocol::clock::EpochClock;

/// Deadlines of one epoch, seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// First second in which a commit is too late.
    pub commit: u64,
    /// First second in which a reveal is too late.
    pub reveal: u64,
}

/// An [`EpochClock`] and the deadlines that are not where it puts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    clock: EpochClock,
    moved: BTreeMap<u64, Deadlines>,
}

impl From<EpochClock> for Schedule {
    /// Nothing was moved.
    fn from(clock: EpochClock) -> Self {
        Self { clock, moved: BTreeMap::new() }
    }
}

impl Schedule {
    /// The clock with what the chain says of some epochs.
    pub fn new(clock: EpochClock, known: impl IntoIterator<Item = (u64, Deadlines)>) -> Self {
        let plain = |epoch| Deadlines { commit: clock.commit_deadline(epoch), reveal: clock.reveal_deadline(epoch) };
        Self { clock, moved: known.into_iter().filter(|(epoch, known)| *known != plain(*epoch)).collect() }
    }

    /// See [`EpochClock::epoch_at`].
    pub const fn epoch_at(&self, time: u64) -> Option<u64> {
        self.clock.epoch_at(time)
    }

    /// See [`EpochClock::start_of`].
    pub const fn start_of(&self, epoch: u64) -> u64 {
        self.clock.start_of(epoch)
    }

    /// See [`EpochClock::end_of`]; ends of epochs are never moved.
    pub const fn end_of(&self, epoch: u64) -> u64 {
        self.clock.end_of(epoch)
    }

    /// First second in which a commit of `epoch` is too late.
    pub fn commit_deadline(&self, epoch: u64) -> u64 {
        self.moved.get(&epoch).map_or_else(|| self.clock.commit_deadline(epoch), |deadlines| deadlines.commit)
    }

    /// First second in which a reveal of `epoch` is too late.
    pub fn reveal_deadline(&self, epoch: u64) -> u64 {
        self.moved.get(&epoch).map_or_else(|| self.clock.reveal_deadline(epoch), |deadlines| deadlines.reveal)
    }

    /// The last epoch whose reveal deadline has passed at chain time `now`. After an outage of many epochs theirs lie in
    /// the future, and it is one from before the outage.
    pub fn last_revealed(&self, now: u64) -> Option<u64> {
        let current = self.epoch_at(now)?;
        // Without outages the deadline of an epoch lies in the next one, or past it when epochs last a second.
        let moved = self.moved.keys().next().map_or(current, |first| first.saturating_sub(2));
        let first = current.saturating_sub(2).min(moved);
        (first..=current).rev().find(|epoch| self.reveal_deadline(*epoch) <= now)
    }
}
