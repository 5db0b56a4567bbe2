//! Metrics of `watch`, which is a process of its own.

use metrics::{counter, describe_counter, describe_gauge, gauge};

/// Epochs that `watch` has recomputed.
pub const EPOCHS: &str = "tandem_keeper_watch_epochs_total";
/// Epochs in which `watch` has found a difference.
pub const DIFFERENCES: &str = "tandem_keeper_watch_differences_total";
/// Rounds of `watch` that failed.
pub const FAILURES: &str = "tandem_keeper_watch_failures_total";
/// Last epoch that `watch` has recomputed.
pub const LAST: &str = "tandem_keeper_watch_last_epoch";
/// Posted reports that `watch` could not recompute yet.
pub const UNRESOLVED: &str = "tandem_keeper_watch_unresolved";

/// Makes them exist.
pub fn describe() {
    for (name, help) in [
        (EPOCHS, "Epochs recomputed"),
        (DIFFERENCES, "Epochs in which chain, bundle and recomputation differ"),
        (FAILURES, "Rounds that failed and are tried again"),
    ] {
        describe_counter!(name, help);
        counter!(name).absolute(0);
    }
    for (name, help) in [
        (LAST, "Last epoch that was recomputed"),
        (UNRESOLVED, "Posted reports that could not be recomputed yet: node or bundle are not to be had"),
    ] {
        describe_gauge!(name, help);
        gauge!(name).set(0.0);
    }
}
