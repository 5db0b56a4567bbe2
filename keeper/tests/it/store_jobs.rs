//! What any store must do with jobs; [`crate::store`] tries these rules out on every adapter.

use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256};
use tandem_keeper::store::{JobDepths, JobOutcome, LeaseQuery, StoreError};
use tandem_protocol::{
    api::{AuditOutcome, JobFailure, JobResult, Verdict},
    jobs::{Job, jobs},
};

use crate::store_places::Place;

pub(crate) const VALIDATOR: Address = Address::repeat_byte(0x11);
pub(crate) const OTHER: Address = Address::repeat_byte(0x12);
/// Jobs that may wait in the places of these tests.
pub(crate) const MAX_PENDING: u64 = 40_000;

pub(crate) fn lease(limit: u16, now_ms: u64) -> LeaseQuery {
    LeaseQuery { validator: VALIDATOR, epoch: 3, limit, now_ms, until_ms: now_ms + 100, max_attempts: 3 }
}

pub(crate) fn result(job: &Job, attempt: u32, verdict: Verdict) -> JobResult {
    let outcome =
        AuditOutcome { verdict, tokens_audited: 10, speed_class: 1_000, commitment: None, detail: String::new() };
    JobResult { job: job.id, attempt, outcome }
}

pub(crate) async fn a_job_is_leased_to_its_validator_alone_and_to_one_worker_at_a_time(place: Place) {
    let store = place.open().await;
    let list = jobs(B256::ZERO, VALIDATOR, 3, 1, &[4, 5], 2);
    assert_eq!(store.add_jobs(3, &[(VALIDATOR, list.clone())]).await.unwrap(), 4);
    assert_eq!(store.add_jobs(3, &[(VALIDATOR, list.clone())]).await.unwrap(), 0);
    assert!(store.lease_jobs(LeaseQuery { validator: OTHER, ..lease(9, 0) }).await.unwrap().is_empty());
    assert!(store.lease_jobs(LeaseQuery { epoch: 2, ..lease(9, 0) }).await.unwrap().is_empty());
    let first = store.lease_jobs(lease(3, 0)).await.unwrap();
    assert_eq!(first.iter().map(|leased| leased.job.clone()).collect::<Vec<_>>(), list[..3]);
    assert_eq!(store.lease_jobs(lease(9, 1)).await.unwrap().len(), 1);
    assert!(store.lease_jobs(lease(9, 99)).await.unwrap().is_empty());
    let again = store.lease_jobs(lease(9, 100)).await.unwrap();
    assert_eq!(again.iter().map(|leased| leased.attempt).collect::<Vec<_>>(), [2, 2, 2]);
}

pub(crate) async fn only_the_holder_of_the_current_lease_is_heard(place: Place) {
    let store = place.open().await;
    let list = jobs(B256::ZERO, VALIDATOR, 3, 1, &[4], 1);
    store.add_jobs(3, &[(VALIDATOR, list.clone())]).await.unwrap();
    let job = &list[0];
    let complete = |validator, attempt, verdict| {
        let (store, result) = (&store, result(job, attempt, verdict));
        async move { store.complete_job(validator, &result, 5).await.unwrap() }
    };
    assert_eq!(complete(VALIDATOR, 0, Verdict::Pass).await, JobOutcome::Late);
    store.lease_jobs(lease(1, 0)).await.unwrap();
    assert!(store.extend_lease(VALIDATOR, job.id, 1, 50, 150).await.unwrap());
    assert!(!store.extend_lease(OTHER, job.id, 1, 50, 150).await.unwrap());
    assert!(!store.extend_lease(VALIDATOR, job.id, 1, 151, 300).await.unwrap());
    assert!(store.lease_jobs(lease(1, 120)).await.unwrap().is_empty());
    assert_eq!(store.lease_jobs(lease(1, 150)).await.unwrap()[0].attempt, 2);

    assert_eq!(complete(VALIDATOR, 1, Verdict::Pass).await, JobOutcome::Late);
    assert_eq!(complete(OTHER, 2, Verdict::Pass).await, JobOutcome::Unknown);
    assert_eq!(complete(VALIDATOR, 2, Verdict::Fail).await, JobOutcome::Applied);
    assert_eq!(complete(VALIDATOR, 2, Verdict::Fail).await, JobOutcome::Duplicate);
    assert_eq!(complete(VALIDATOR, 2, Verdict::Pass).await, JobOutcome::Late);
    let audits = store.audits(3).await.unwrap();
    assert_eq!((audits.len(), audits[0].uid, audits[0].verdicts, audits[0].tokens_audited), (1, 4, [0, 1, 0, 0], 10));
    let kinds: Vec<_> = store.evidence(3).await.unwrap().into_iter().map(|evidence| evidence.kind).collect();
    assert_eq!(kinds, ["late_result", "late_result", "late_result"]);
}

pub(crate) async fn a_job_that_is_given_back_is_tried_again_but_not_for_ever(place: Place) {
    let store = place.open().await;
    let list = jobs(B256::ZERO, VALIDATOR, 3, 1, &[4], 1);
    store.add_jobs(3, &[(VALIDATOR, list.clone())]).await.unwrap();
    let patient = |now| LeaseQuery { max_attempts: 6, ..lease(1, now) };
    let mut now = 1_000;
    for (attempt, pause) in (1..).zip([500, 2_000, 8_000, 32_000, 60_000, 60_000]) {
        assert_eq!(store.lease_jobs(patient(now)).await.unwrap()[0].attempt, attempt);
        let failure = JobFailure { job: list[0].id, attempt, reason: "no answer".into() };
        assert_eq!(store.fail_job(VALIDATOR, &failure, now).await.unwrap(), JobOutcome::Applied);
        assert!(store.lease_jobs(patient(now + pause - 1)).await.unwrap().is_empty());
        now += pause;
    }
    assert!(store.lease_jobs(patient(now + 1_000_000)).await.unwrap().is_empty());
}

pub(crate) async fn old_jobs_are_forgotten_and_newer_ones_stay(place: Place) {
    let store = place.open().await;
    for epoch in 1..=4u8 {
        let beacon = B256::repeat_byte(epoch);
        let list = jobs(beacon, VALIDATOR, epoch.into(), 1, &[4, 5], 1);
        store.add_jobs(epoch.into(), &[(VALIDATOR, list)]).await.unwrap();
    }
    assert_eq!(store.prune_jobs(3).await.unwrap(), 4);
    assert_eq!(store.prune_jobs(3).await.unwrap(), 0);
    assert!(store.lease_jobs(LeaseQuery { epoch: 2, ..lease(9, 0) }).await.unwrap().is_empty());
    assert_eq!(store.lease_jobs(lease(9, 0)).await.unwrap().len(), 2);
}

/// `[KP-1]`
pub(crate) async fn a_job_that_nobody_can_do_is_given_up_with_its_last_reason(place: Place) {
    let store = place.open().await;
    let list = jobs(B256::ZERO, VALIDATOR, 3, 1, &[4, 5, 6], 1);
    store.add_jobs(3, &[(VALIDATOR, list.clone())]).await.unwrap();
    let depths = |open, leased, done, dead| JobDepths { open, leased, done, dead };
    assert_eq!(store.job_depths(3, 0).await.unwrap(), depths(3, 0, 0, 0));
    for attempt in 1..=3 {
        let now = u64::from(attempt) * 100_000;
        assert_eq!(store.bury_jobs(3, now, 3).await.unwrap(), 0);
        assert_eq!(store.lease_jobs(lease(3, now)).await.unwrap().len(), 3);
        assert_eq!(store.job_depths(3, now).await.unwrap(), depths(0, 3, 0, 0));
        let failure = JobFailure { job: list[0].id, attempt, reason: format!("refused\0 {attempt} times") };
        assert_eq!(store.fail_job(VALIDATOR, &failure, now).await.unwrap(), JobOutcome::Applied);
    }
    let pass = result(&list[2], 3, Verdict::Pass);
    assert_eq!(store.complete_job(VALIDATOR, &pass, 300_050).await.unwrap(), JobOutcome::Applied);
    // One is with its worker until its lease ends, one rests after it was given back.
    assert_eq!(store.bury_jobs(3, 300_099, 3).await.unwrap(), 0);
    assert_eq!(store.bury_jobs(3, 300_100, 3).await.unwrap(), 1);
    assert_eq!(store.bury_jobs(2, 999_999, 3).await.unwrap(), 0);
    assert_eq!(store.bury_jobs(3, 999_999, 3).await.unwrap(), 1);
    assert_eq!(store.job_depths(3, 999_999).await.unwrap(), depths(0, 0, 1, 2));

    let mut dead = store.dead_jobs(3, 9).await.unwrap();
    assert!(dead.windows(2).all(|pair| pair[0].job.id < pair[1].job.id));
    assert_eq!(store.dead_jobs(3, 1).await.unwrap(), dead[..1]);
    assert!(store.dead_jobs(2, 9).await.unwrap().is_empty());
    dead.sort_by_key(|dead| dead.job != list[0]);
    let said: Vec<_> = dead.iter().map(|dead| (&dead.job, dead.attempts, dead.reason.as_str())).collect();
    assert_eq!(said, [(&list[0], 3, "refused\u{fffd} 3 times"), (&list[1], 3, "every lease ran out without a word")]);
    assert_eq!(dead[0].validator, VALIDATOR);

    let late = result(&list[1], 3, Verdict::Pass);
    assert_eq!(store.complete_job(VALIDATOR, &late, 999_999).await.unwrap(), JobOutcome::Late);
    assert_eq!(store.evidence(3).await.unwrap().len(), 1);
    assert!(store.lease_jobs(LeaseQuery { max_attempts: 99, ..lease(9, 999_999) }).await.unwrap().is_empty());
    assert!(!store.extend_lease(VALIDATOR, list[1].id, 3, 0, 9).await.unwrap());
    // Published again they stay as they are.
    assert_eq!(store.add_jobs(3, &[(VALIDATOR, list)]).await.unwrap(), 0);
}

pub(crate) async fn a_large_network_s_jobs_are_published_in_seconds_and_no_more_than_fit(place: Place) {
    let store = place.open().await;
    let uids: Vec<u16> = (0..200).collect();
    let of = |validator, epoch| (validator, jobs(B256::repeat_byte(1), validator, epoch, 1, &uids, 100));
    let began = Instant::now();
    assert_eq!(store.add_jobs(4, &[of(VALIDATOR, 4)]).await.unwrap(), 20_000);
    assert!(began.elapsed() < Duration::from_secs(10), "20,000 jobs took {:?}", began.elapsed());
    assert_eq!(store.add_jobs(4, &[of(VALIDATOR, 4), of(OTHER, 4)]).await.unwrap(), 20_000);
    assert_eq!(store.add_jobs(4, &[of(VALIDATOR, 4), of(OTHER, 4)]).await.unwrap(), 0);
    let third = of(Address::repeat_byte(0x13), 4);
    let full = store.add_jobs(4, std::slice::from_ref(&third)).await;
    assert!(matches!(full, Err(StoreError::Full { epoch: 4, pending: MAX_PENDING, max: MAX_PENDING })));
    // What is done makes room; another epoch has its own.
    let query = LeaseQuery { epoch: 4, ..lease(7, 0) };
    for leased in store.lease_jobs(query).await.unwrap() {
        store.complete_job(VALIDATOR, &result(&leased.job, 1, Verdict::Pass), 1).await.unwrap();
    }
    assert!(matches!(store.add_jobs(4, &[third]).await, Err(StoreError::Full { pending: MAX_PENDING, .. })));
    assert_eq!(store.job_depths(4, 1).await.unwrap().done, 7);
    assert_eq!(store.job_depths(4, 1).await.unwrap().open, MAX_PENDING);
    let other = jobs(B256::repeat_byte(2), VALIDATOR, 5, 1, &uids, 1);
    assert_eq!(store.add_jobs(5, &[(VALIDATOR, other)]).await.unwrap(), 200);
    assert_eq!(store.prune_jobs(5).await.unwrap(), MAX_PENDING + 7);
}

/// As many jobs as the largest network has with one validator per subnet.
#[cfg(feature = "deep")]
pub(crate) async fn the_largest_network_s_jobs_are_published_in_seconds(place: Place) {
    let store = place.open().await;
    let uids: Vec<u16> = (0..1_024).collect();
    let began = Instant::now();
    for netuids in (0..256).collect::<Vec<u16>>().chunks(16) {
        let of_subnet = |netuid: &u16| {
            let validator = Address::left_padding_from(&netuid.to_be_bytes());
            (validator, jobs(B256::ZERO, validator, 3, *netuid, &uids, 1))
        };
        let list: Vec<_> = netuids.iter().map(of_subnet).collect();
        assert_eq!(store.add_jobs(3, &list).await.unwrap(), 16 * 1_024);
    }
    let took = began.elapsed();
    eprintln!("262,144 jobs published in {took:?}");
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert_eq!(store.job_depths(3, 0).await.unwrap().open, 262_144);
}
