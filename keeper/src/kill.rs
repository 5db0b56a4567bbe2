//! Points at which a test kills the process, to show that a restart at any of them loses and doubles nothing `[KP-1]`.
//!
//! Built with the feature `kill-points`, a process aborts at the point that `TANDEM_KEEPER_KILL_AT` names, without
//! unwinding and without flushing anything: `sender.stored` the first time, `sender.stored#3` the third time it gets
//! there. Without the feature there is nothing of this in the program.

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
    use std::sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    };
    static WANTED: LazyLock<Option<(String, u32)>> = LazyLock::new(|| {
        let wanted = std::env::var("TANDEM_KEEPER_KILL_AT").ok()?;
        let (name, nth) = wanted.split_once('#').unwrap_or((&wanted, "1"));
        Some((name.to_owned(), nth.parse().unwrap_or(1)))
    });
    static PASSED: AtomicU32 = AtomicU32::new(0);
    debug_assert!(POINTS.contains(&name), "{name} is not in the list of points");
    if let Some((wanted, nth)) = &*WANTED
        && wanted == name
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *nth
    {
        tracing::error!(name, nth, "killed here, as asked");
        std::process::abort();
    }
}

/// Nothing.
#[cfg(not(feature = "kill-points"))]
#[inline(always)]
pub fn point(_name: &'static str) {}
