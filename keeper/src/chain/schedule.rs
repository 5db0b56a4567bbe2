//! Epochs with their deadlines as the chain moves them: one that falls into a recorded gap of blocks is extended by it.

use std::collections::BTreeMap;

use tandem_protocol::clock::EpochClock;

use super::Gap;

/// Deadlines of one epoch, seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// First second in which a commit is too late.
    pub commit: u64,
    /// First second in which a reveal is too late.
    pub reveal: u64,
}

impl Deadlines {
    /// Where they will be when these gaps, ascending, are recorded too, as `WeightCommits` computes it: a deadline in a gap is
    /// moved by its length, and two tenths of an epoch always remain to reveal.
    pub fn moved_by(self, gaps: &[Gap], clock: &EpochClock) -> Self {
        let moved = |deadline: u64| {
            gaps.iter().fold(deadline, |deadline, Gap { earlier, later }| {
                let inside = earlier.time < deadline && deadline <= later.time;
                if inside { deadline + (later.time - earlier.time) } else { deadline }
            })
        };
        let commit = moved(self.commit);
        let reveal_time = clock.reveal_deadline(0) - clock.commit_deadline(0);
        Self { commit, reveal: moved(self.reveal).max(commit + reveal_time) }
    }
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

    /// Epochs whose reveal deadline is yet to come and that will be agreed on then: no later one's deadline comes before.
    pub fn still_open(&self, now: u64) -> Vec<u64> {
        let Some(current) = self.epoch_at(now) else { return Vec::new() };
        let first = self.moved.keys().next().map_or(current, |first| current.min(*first));
        let mut open = Vec::new();
        let mut earliest = u64::MAX;
        for epoch in (first..=current).rev() {
            let deadline = self.reveal_deadline(epoch);
            if deadline > now && deadline < earliest {
                open.push(epoch);
            }
            earliest = earliest.min(deadline);
        }
        open
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
