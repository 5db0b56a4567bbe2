//! What came of a call.

use std::fmt;

use alloy::{
    primitives::{Address, Bytes, Log},
    sol_types::{self, SolError, SolEvent},
};

use crate::revert::{decode_revert, revert_name};

/// A call that succeeded.
#[derive(Clone, PartialEq, Eq)]
pub struct Outcome<R> {
    /// What it returned.
    pub ret: R,
    /// The events it left, in order.
    pub logs: Vec<Log>,
    /// Gas of the whole transaction after refunds: 21,000, calldata and execution.
    pub gas_used: u64,
}

/// Without the returned value: what functions that return nothing return has no `Debug`.
impl<R> fmt::Debug for Outcome<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome").field("logs", &self.logs).field("gas_used", &self.gas_used).finish_non_exhaustive()
    }
}

impl<R> Outcome<R> {
    /// The events of one kind, with the contracts that emitted them.
    pub fn events<E: SolEvent>(&self) -> Vec<(Address, E)> {
        self.logs
            .iter()
            .filter_map(|log| E::decode_log(log).ok().map(|decoded| (decoded.address, decoded.data)))
            .collect()
    }

    /// The first event of one kind.
    pub fn event<E: SolEvent>(&self) -> Option<E> {
        self.events().into_iter().next().map(|(_, event)| event)
    }
}

impl Outcome<Bytes> {
    pub(super) fn decode<R>(self, decode: impl Fn(&[u8]) -> sol_types::Result<R>) -> Result<Outcome<R>, Revert> {
        let Self { ret, logs, gas_used } = self;
        match decode(&ret) {
            Ok(ret) => Ok(Outcome { ret, logs, gas_used }),
            Err(error) => Err(Revert {
                name: "UnreadableAnswer".into(),
                message: format!("the answer cannot be read (is there a contract at this address?): {error}"),
                data: ret,
                gas_used,
            }),
        }
    }
}

/// A call that failed; nothing of it remains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revert {
    /// The error's name: a custom error of the suite (`CreditDesk_Paused`), `Error`, `Panic`, `Halt` (out of gas and the
    /// like), `Refused` (not executed at all), `Unknown`, or `UnreadableAnswer`.
    pub name: String,
    /// Name and arguments, or the contract's own text.
    pub message: String,
    /// What it reverted with.
    pub data: Bytes,
    /// Gas of the whole transaction.
    pub gas_used: u64,
}

impl Revert {
    pub(super) fn of(data: Bytes, gas_used: u64) -> Self {
        let name = revert_name(&data).unwrap_or("Unknown").to_owned();
        Self { name, message: decode_revert(&data), data, gas_used }
    }

    pub(super) fn halted(reason: String, gas_used: u64) -> Self {
        Self { name: "Halt".into(), message: reason, data: Bytes::new(), gas_used }
    }

    pub(super) fn refused(reason: String) -> Self {
        Self { name: "Refused".into(), message: reason, data: Bytes::new(), gas_used: 0 }
    }

    /// The custom error, if it is of this type.
    pub fn custom<E: SolError>(&self) -> Option<E> {
        E::abi_decode(&self.data).ok()
    }
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Revert {}
