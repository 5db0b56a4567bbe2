//! Why an epoch was refused.

use core::fmt;

/// One of the two sparse tables of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// [`Neuron::weights`](crate::Neuron::weights).
    Weights,
    /// [`Neuron::bonds`](crate::Neuron::bonds).
    Bonds,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Weights => "weights",
            Self::Bonds => "bonds",
        })
    }
}

/// An input that the engine refuses, with its place. `row` is the uid whose row it is, `position` an index into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// More neurons than a `u16` can number.
    TooManyNeurons {
        /// Neurons given.
        count: usize,
    },
    /// More weights than 32 bits can number.
    TooManyWeights {
        /// Weights given.
        count: usize,
    },
    /// The survival of bonds is above 1,000,000 parts per million.
    BondsMovingAverage {
        /// Parts per million given.
        given: u32,
    },
    /// The lowest α of liquid alpha is above the highest.
    AlphaRange {
        /// Lowest α given, in 1/65535.
        low: u16,
        /// Highest α given, in 1/65535.
        high: u16,
    },
    /// A list has another length than the list of stakes.
    Length {
        /// Which list, by its name in [`Snapshot`](crate::Snapshot).
        list: &'static str,
        /// Its length.
        given: usize,
        /// How many stakes there are.
        stakes: usize,
    },
    /// The owner's uid is not among the neurons.
    Owner {
        /// Uid given as the owner's.
        uid: u16,
        /// Neurons given.
        count: usize,
    },
    /// Stake up to and including this uid is not below 2⁹⁶.
    StakeTooLarge {
        /// The uid at which the total gets too large.
        uid: u16,
    },
    /// A row names a uid that does not exist.
    UidOutOfRange {
        /// Which table.
        table: Table,
        /// Whose row.
        row: u16,
        /// Where in the row.
        position: usize,
        /// Uid named there.
        uid: u16,
        /// Neurons given.
        count: usize,
    },
    /// A row names a uid twice.
    DuplicateUid {
        /// Which table.
        table: Table,
        /// Whose row.
        row: u16,
        /// Where in the row, the second time.
        position: usize,
        /// Uid named there.
        uid: u16,
    },
    /// A row's uids do not ascend.
    UnsortedUid {
        /// Which table.
        table: Table,
        /// Whose row.
        row: u16,
        /// Where in the row.
        position: usize,
        /// Uid named there.
        uid: u16,
        /// The larger uid before it.
        previous: u16,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyNeurons { count } => write!(f, "{count} neurons, at most 65536 have a uid"),
            Self::TooManyWeights { count } => write!(f, "{count} weights, at most 4294967295 can be computed with"),
            Self::BondsMovingAverage { given } => {
                write!(f, "bonds_moving_average is {given}, at most 1000000 parts per million make sense")
            }
            Self::AlphaRange { low, high } => write!(f, "alpha_low is {low}, above alpha_high, which is {high}"),
            Self::Length { list, given, stakes } => write!(f, "{list} has {given} entries for {stakes} stakes"),
            Self::Owner { uid, count } => write!(f, "owner is uid {uid}, but there are only {count} neurons"),
            Self::StakeTooLarge { uid } => {
                write!(f, "neurons[{uid}].stake brings the total stake to 2^96 or more")
            }
            Self::UidOutOfRange { table, row, position, uid, count } => {
                write!(f, "neurons[{row}].{table}[{position}] names uid {uid}, but there are only {count} neurons")
            }
            Self::DuplicateUid { table, row, position, uid } => {
                write!(f, "neurons[{row}].{table}[{position}] names uid {uid} a second time")
            }
            Self::UnsortedUid { table, row, position, uid, previous } => {
                write!(f, "neurons[{row}].{table}[{position}] names uid {uid} after {previous}; uids must ascend")
            }
        }
    }
}

impl core::error::Error for Error {}
