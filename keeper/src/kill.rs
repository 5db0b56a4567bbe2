//! Points at which a test kills the process, to show that a restart at any of them loses and doubles nothing `[KP-1]`.
//!
//! Built with the feature `kill-points`, a process aborts at the point that `TANDEM_KEEPER_KILL_AT` names, without
//! unwinding and without flushing anything: `sender.stored` the first time, `sender.stored#3` the third time it gets
//! there; several with commas between them. Without the feature there is nothing of this in the program.

/// Every point, in the order in which an epoch passes them.
pub const POINTS: [&str; 13] = [
    "collect.commit_stored",
    "collect.reveal_stored",
    "collect.proposal_stored",
    "attest.chosen",
    "attest.bundle_stored",
    "attest.authorized",
    "attest.signed",
    "attest.stored",
    "sender.simulated",
    "sender.stored",
    "sender.broadcast",
    "sender.mined",
    "sender.final",
];

/// Passes a point of [`POINTS`].
#[cfg(feature = "kill-points")]
pub fn point(name: &'static str) {
    use std::{
        collections::BTreeMap,
        sync::{LazyLock, Mutex, PoisonError},
    };
    /// How often each wanted point may still be passed, this time included.
    static LEFT: LazyLock<Mutex<BTreeMap<String, u32>>> = LazyLock::new(|| {
        let wanted = std::env::var("TANDEM_KEEPER_KILL_AT").unwrap_or_default();
        let wanted = wanted.split(',').filter(|wanted| !wanted.is_empty()).map(|wanted| {
            let (name, nth) = wanted.split_once('#').unwrap_or((wanted, "1"));
            (name.to_owned(), nth.parse().unwrap_or(1_u32).max(1))
        });
        Mutex::new(wanted.collect())
    });
    debug_assert!(POINTS.contains(&name), "{name} is not in the list of points");
    if let Some(left) = LEFT.lock().unwrap_or_else(PoisonError::into_inner).get_mut(name) {
        *left -= 1;
        if *left == 0 {
            tracing::error!("killed at {name}, as asked");
            std::process::abort();
        }
    }
}

/// Nothing.
#[cfg(not(feature = "kill-points"))]
#[inline(always)]
pub fn point(_name: &'static str) {}
