//! Signed requests that were taken, so that none is taken twice while its timestamp is good.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use alloy_primitives::B256;
use tandem_protocol::api::REQUEST_WINDOW;

/// Digests of two spans of time, each as long as a timestamp can be good: from a window before it until a window after it.
#[derive(Default)]
pub(super) struct Seen(Mutex<Spans>);

#[derive(Default)]
struct Spans {
    since: u64,
    now: HashSet<B256>,
    before: HashSet<B256>,
}

impl Seen {
    /// Whether `digest` is new; `now` is the time in seconds.
    pub(super) fn first(&self, digest: B256, now: u64) -> bool {
        const SPAN: u64 = 2 * REQUEST_WINDOW + 1;
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= spans.since.saturating_add(SPAN) {
            let old = std::mem::take(&mut spans.now);
            spans.before = if now < spans.since.saturating_add(2 * SPAN) { old } else { HashSet::new() };
            spans.since = now;
        }
        !spans.before.contains(&digest) && spans.now.insert(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_remembered_for_as_long_as_its_timestamp_can_be_good() {
        let digest = B256::repeat_byte(1);
        for start in 10_000..10_130 {
            let seen = Seen::default();
            // Something that lets the spans begin anywhere relative to the digest.
            assert!(seen.first(B256::ZERO, 10_000));
            assert!(seen.first(digest, start));
            for later in start..=start + 2 * REQUEST_WINDOW {
                assert!(!seen.first(digest, later), "{start} {later}");
            }
        }
    }

    #[test]
    fn what_is_too_old_to_be_good_is_forgotten() {
        let seen = Seen::default();
        assert!(seen.first(B256::ZERO, 10_000));
        assert!(seen.first(B256::repeat_byte(1), 10_500));
        assert_eq!(seen.0.lock().unwrap_or_else(PoisonError::into_inner).before.len(), 0);
        assert!(seen.first(B256::ZERO, 10_500));
    }
}
