//! Epochs and the deadlines inside one. Time is chain time, in seconds since 1970.

use serde::{Deserialize, Serialize};

/// Epoch `e` covers `[genesis + e·length, genesis + (e+1)·length)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct EpochClock {
    genesis: u64,
    length: u64,
}

/// A clock as it is read, before its length is known not to be zero.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    genesis: u64,
    length: u64,
}

impl TryFrom<Unchecked> for EpochClock {
    type Error = &'static str;

    fn try_from(Unchecked { genesis, length }: Unchecked) -> Result<Self, Self::Error> {
        Self::new(genesis, length).ok_or("an epoch cannot last zero seconds")
    }
}

impl EpochClock {
    /// A clock whose epoch 0 starts at `genesis`; `None` for a zero length.
    pub const fn new(genesis: u64, length: u64) -> Option<Self> {
        if length == 0 { None } else { Some(Self { genesis, length }) }
    }

    /// Start of epoch 0.
    pub const fn genesis(&self) -> u64 {
        self.genesis
    }

    /// Seconds in an epoch.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The epoch that `timestamp` falls into, `None` before genesis (which contracts count as epoch 0).
    pub const fn epoch_at(&self, timestamp: u64) -> Option<u64> {
        match timestamp.checked_sub(self.genesis) {
            Some(since) => Some(since / self.length),
            None => None,
        }
    }

    /// First second of `epoch`, saturating at the end of time.
    pub const fn start_of(&self, epoch: u64) -> u64 {
        self.genesis.saturating_add(epoch.saturating_mul(self.length))
    }

    /// First second after `epoch`.
    pub const fn end_of(&self, epoch: u64) -> u64 {
        self.start_of(epoch.saturating_add(1))
    }

    /// Commits of `epoch` count while chain time is below this: end − length/10 (at least one second before the end).
    pub const fn commit_deadline(&self, epoch: u64) -> u64 {
        self.end_of(epoch).saturating_sub(self.tenth())
    }

    /// Reveals of `epoch` count from its commit deadline while chain time is below this: end + length/10.
    pub const fn reveal_deadline(&self, epoch: u64) -> u64 {
        self.end_of(epoch).saturating_add(self.tenth())
    }

    const fn tenth(&self) -> u64 {
        let tenth = self.length / 10;
        if tenth == 0 { 1 } else { tenth }
    }
}
