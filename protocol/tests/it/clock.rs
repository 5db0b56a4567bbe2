//! Epochs and deadlines.

use proptest::prelude::*;
use serde_json::json;
use tandem_protocol::clock::EpochClock;

/// The defaults: commit until end − L/10, reveal until end + L/10.
#[test]
fn deadlines_lie_a_tenth_of_an_epoch_around_its_end() {
    let clock = EpochClock::new(1_000_000, 3_600).unwrap();
    assert_eq!((clock.genesis(), clock.length()), (1_000_000, 3_600));
    assert_eq!((clock.start_of(2), clock.end_of(2)), (1_007_200, 1_010_800));
    assert_eq!(clock.commit_deadline(2), 1_010_440);
    assert_eq!(clock.reveal_deadline(2), 1_011_160);
    assert_eq!(clock.epoch_at(999_999), None);
    assert_eq!(clock.epoch_at(1_000_000), Some(0));
}

/// Even where a tenth is less than a second.
#[test]
fn the_shortest_epochs_end_after_their_commits() {
    for length in 1..30 {
        let clock = EpochClock::new(0, length).unwrap();
        assert!(clock.commit_deadline(0) < clock.end_of(0));
        assert!(clock.end_of(0) < clock.reveal_deadline(0));
        assert!(clock.commit_deadline(0) >= clock.start_of(0));
    }
}

/// A clock of zero length would divide by it; one that comes from a file is no exception.
#[test]
fn a_clock_without_length_is_refused() {
    assert_eq!(EpochClock::new(5, 0), None);
    assert!(serde_json::from_value::<EpochClock>(json!({ "genesis": 5, "length": 0 })).is_err());
    assert!(serde_json::from_value::<EpochClock>(json!({ "genesis": 5, "length": 1, "more": 1 })).is_err());
    let clock = EpochClock::new(5, 7).unwrap();
    assert_eq!(serde_json::to_value(clock).unwrap(), json!({ "genesis": 5, "length": 7 }));
    assert_eq!(serde_json::from_value::<EpochClock>(json!({ "genesis": 5, "length": 7 })).unwrap(), clock);
}

proptest! {
    #[test]
    fn every_second_belongs_to_exactly_one_epoch(genesis in 0..1u64 << 40, length in 1..1u64 << 20, since in 0..1u64 << 40) {
        let clock = EpochClock::new(genesis, length).unwrap();
        let now = genesis + since;
        let epoch = clock.epoch_at(now).unwrap();
        prop_assert!(clock.start_of(epoch) <= now && now < clock.end_of(epoch));
        prop_assert_eq!(clock.end_of(epoch), clock.start_of(epoch + 1));
        prop_assert_eq!(clock.end_of(epoch) - clock.start_of(epoch), length);
        // Reveals of an epoch are over before commits of the next one are.
        prop_assert!(length < 3 || clock.reveal_deadline(epoch) <= clock.commit_deadline(epoch + 1));
    }

    #[test]
    fn the_end_of_time_is_reached_without_a_panic(genesis: u64, length in 1..=u64::MAX, epoch: u64, now: u64) {
        let clock = EpochClock::new(genesis, length).unwrap();
        prop_assert_eq!(clock.epoch_at(now).is_none(), now < genesis);
        prop_assert!(clock.start_of(epoch) <= clock.end_of(epoch));
        prop_assert!(clock.commit_deadline(epoch) < clock.end_of(epoch));
        prop_assert!(clock.reveal_deadline(epoch) >= clock.end_of(epoch));
    }
}
