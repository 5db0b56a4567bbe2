//! Audits that come in packs: while the host compares one, the backend computes the next.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tandem_verifier::audit::{self, Audit, Audited, UNDER_WAY, UnderWay, on_host, packs};
use tandem_verifier::backend::{Backend, BackendError, Feed, HiddenStates, Numerics, Session};
use tandem_verifier::generate::{Completion, Request};
use tandem_verifier::model::ModelConfig;
use tandem_verifier::verify::{Claim, VerifyError, verify_response, verify_responses, verify_stream};

use crate::common::{FULL, SMALL, answer, prompt, request};

/// Long enough for whatever should happen, and short enough for what should not.
const PATIENCE: Duration = Duration::from_secs(20);
const GLANCE: Duration = Duration::from_millis(60);

/// What happens to packs, in the order in which they are begun.
#[derive(Default)]
struct Log {
    begun: usize,
    finished: usize,
    dropped: usize,
    most_under_way: usize,
}

/// What goes wrong, by the number of a pack.
#[derive(Clone, Copy, Default)]
struct Faults {
    begin: Option<usize>,
    finish: Option<usize>,
    panics: bool,
    /// No pack but the last is finished before as many are begun as may be.
    waits_until: usize,
}

#[derive(Default)]
struct Watched {
    log: Mutex<Log>,
    changed: Condvar,
    faults: Faults,
    passes: Option<usize>,
}

struct Backing(Arc<Watched>);

#[derive(Debug)]
struct Begun {
    number: usize,
    inner: Option<Box<dyn UnderWay>>,
    watched: Arc<Watched>,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watched")
    }
}

fn ray() -> BackendError {
    BackendError::Device("a cosmic ray".to_owned())
}

impl Watched {
    fn with(faults: Faults) -> Arc<Self> {
        Arc::new(Self { faults, ..Self::default() })
    }

    fn counts(&self) -> (usize, usize, usize) {
        let log = self.log.lock().unwrap();
        (log.begun, log.finished, log.dropped)
    }
}

impl Backend for Backing {
    fn name(&self) -> &'static str {
        "watched"
    }

    fn numerics(&self) -> Numerics {
        FULL.numerics()
    }

    fn config(&self) -> &ModelConfig {
        FULL.config()
    }

    fn start(&self) -> Result<Box<dyn Session>, BackendError> {
        FULL.start()
    }

    fn feed(&self, batch: &mut [Feed<'_>]) -> Result<Vec<HiddenStates>, BackendError> {
        FULL.feed(batch)
    }

    fn logits(&self, rows: &[u16]) -> Result<Vec<f32>, BackendError> {
        FULL.logits(rows)
    }

    fn pass(&self) -> usize {
        self.0.passes.unwrap_or(100)
    }

    fn begin(&self, audits: Vec<Audit>) -> Result<Box<dyn UnderWay>, BackendError> {
        let number = {
            let mut log = self.0.log.lock().unwrap();
            log.begun += 1;
            log.most_under_way = log.most_under_way.max(log.begun - log.finished - log.dropped);
            log.begun - 1
        };
        self.0.changed.notify_all();
        if self.0.faults.begin == Some(number) {
            assert!(!self.0.faults.panics, "the device's side fails");
            self.0.log.lock().unwrap().dropped += 1;
            return Err(ray());
        }
        let inner = Some(on_host(FULL.as_ref(), audits)?);
        Ok(Box::new(Begun { number, inner, watched: self.0.clone() }))
    }
}

impl UnderWay for Begun {
    fn finish(mut self: Box<Self>) -> Result<Vec<Audited>, BackendError> {
        let Faults { finish, panics, waits_until, .. } = self.watched.faults;
        if self.number < waits_until {
            let enough = (self.number + UNDER_WAY).min(waits_until + UNDER_WAY);
            let log = self.watched.log.lock().unwrap();
            let (log, late) = self.watched.changed.wait_timeout_while(log, PATIENCE, |log| log.begun < enough).unwrap();
            assert!(!late.timed_out(), "pack {} is compared while nothing is computed", self.number);
            // As many, and no more.
            let (log, late) = self.watched.changed.wait_timeout_while(log, GLANCE, |log| log.begun == enough).unwrap();
            assert!(late.timed_out(), "{} packs are under way", log.begun - self.number);
        }
        if finish == Some(self.number) {
            assert!(!panics, "the host's side fails");
            return Err(ray());
        }
        self.inner.take().unwrap().finish()
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let mut log = self.watched.log.lock().unwrap();
        if self.inner.is_none() { log.finished += 1 } else { log.dropped += 1 }
    }
}

/// A response of some kind: as it should be, by another model, malformed, or to a request that nobody can serve.
fn response(seed: u32, kind: u8, length: usize) -> (Request, Completion) {
    let mut asked = Request { prompt: prompt(seed, 1 + length), ..request(seed, 4 + length % 37, 1.0) };
    let mut made = answer(if kind == 1 { &SMALL } else { &FULL }, &asked);
    match kind {
        2 => made.proofs.clear(),
        3 => made.output.clear(),
        4 => asked.prompt.clear(),
        5 => asked.prompt[0] = 999_999,
        _ => {}
    }
    (asked, made)
}

fn claim((request, made): &(Request, Completion)) -> Claim<'_> {
    Claim { request, output: &made.output, proofs: &made.proofs }
}

/// One response, which takes no time, as often as packs are asked for.
fn small_packs(packs: usize) -> Vec<Vec<(Request, Completion)>> {
    let one = response(1, 0, 3);
    (0..packs).map(|_| vec![one.clone()]).collect()
}

#[test]
fn a_pack_is_compared_while_others_are_computed_and_no_more_than_allowed_are_under_way() {
    let packs = 7;
    let watched = Watched::with(Faults { waits_until: packs - UNDER_WAY, ..Faults::default() });
    let mut done = 0;
    verify_stream(&Backing(watched.clone()), small_packs(packs), claim, |_, features| {
        assert!(features.unwrap().sampling.is_some());
        done += 1;
    });
    assert_eq!((done, watched.counts()), (packs, (packs, packs, 0)));
    assert_eq!(watched.log.lock().unwrap().most_under_way, UNDER_WAY);
}

#[test]
fn an_error_of_either_side_is_its_packs_alone() {
    for faults in [
        Faults { begin: Some(2), ..Faults::default() },
        Faults { finish: Some(2), ..Faults::default() },
        Faults { begin: Some(0), finish: Some(4), ..Faults::default() },
    ] {
        let watched = Watched::with(faults);
        let mut failed = Vec::new();
        let mut next = 0;
        verify_stream(&Backing(watched.clone()), small_packs(5), claim, |_, features| {
            match features {
                Ok(features) => assert!(features.sampling.is_some()),
                Err(error) => {
                    assert_eq!(error, VerifyError::Backend(ray()));
                    failed.push(next);
                }
            }
            next += 1;
        });
        let wrong: Vec<usize> = [faults.begin, faults.finish].into_iter().flatten().collect();
        assert_eq!((next, failed), (5, wrong));
        let (begun, finished, dropped) = watched.counts();
        assert_eq!((begun, finished + dropped), (5, 5), "nothing is kept");
    }
}

/// A malformed response needs no device, and so none of its errors is the response's.
#[test]
fn what_was_not_run_does_not_fail_with_its_pack() {
    let watched = Watched::with(Faults { begin: Some(0), ..Faults::default() });
    let pack = vec![response(1, 2, 3), response(1, 0, 3), response(2, 4, 3), response(2, 3, 3)];
    let mut all = Vec::new();
    verify_stream(&Backing(watched), [pack], claim, |_, features| all.push(features));
    assert!(all[0].as_ref().unwrap().malformed.is_some());
    assert_eq!(all[1], Err(VerifyError::Backend(ray())));
    assert!(matches!(all[2], Err(VerifyError::Request(_))));
    assert!(all[3].as_ref().unwrap().malformed.is_some());
}

#[test]
fn a_list_of_audits_ends_at_the_first_error() {
    for faults in [Faults { begin: Some(1), ..Faults::default() }, Faults { finish: Some(1), ..Faults::default() }] {
        let watched = Watched::with(faults);
        let one = small_packs(1).remove(0).remove(0);
        let mut checked = tandem_verifier::verify::Checked::new(FULL.config(), &claim(&one)).unwrap();
        let audit = checked.take_audit().unwrap();
        assert!(checked.take_audit().is_none());
        let many = vec![audit; 4_000];
        assert_eq!(audit::run(&Backing(watched.clone()), many), Err(ray()));
        let (begun, finished, dropped) = watched.counts();
        assert!(begun < 100, "{begun} packs were begun after an error");
        assert_eq!(begun, finished + dropped);
    }
}

/// Neither side waits for the other for ever.
#[test]
fn a_panic_of_either_side_ends_both() {
    for faults in [
        Faults { begin: Some(1), panics: true, ..Faults::default() },
        Faults { finish: Some(1), panics: true, ..Faults::default() },
    ] {
        let watched = Watched::with(faults);
        let done = AtomicUsize::new(0);
        let ended = catch_unwind(AssertUnwindSafe(|| {
            verify_stream(&Backing(watched.clone()), small_packs(9), claim, |_, _| {
                done.fetch_add(1, Ordering::Relaxed);
            });
        }));
        assert!(ended.is_err());
        assert_eq!(done.load(Ordering::Relaxed), 1);
        let (begun, finished, dropped) = watched.counts();
        let counted = finished + dropped + usize::from(faults.begin.is_some());
        assert_eq!(begun, counted, "nothing is kept");
    }
}

#[test]
fn packs_are_of_bounded_size_in_order_and_never_empty() {
    let cut = |lengths: &[usize], most| packs(lengths.to_vec(), most, |length| *length).collect::<Vec<_>>();
    assert_eq!(cut(&[3, 4, 5, 20, 1, 0, 9], 10), [vec![3, 4], vec![5], vec![20], vec![1, 0, 9]]);
    assert_eq!(cut(&[usize::MAX, usize::MAX], 10), [[usize::MAX], [usize::MAX]]);
    assert_eq!(cut(&[1, usize::MAX], 10), [[1], [usize::MAX]]);
    assert!(cut(&[], 10).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(feature = "deep") { 60 } else { 6 }))]

    /// [VF-3] However responses are cut into packs, each is measured as it is alone, and in its order.
    #[test]
    fn packs_change_no_verdict_and_no_order(
        kinds in prop::collection::vec((0..6_u8, 0..40_usize, 0..3_u8), 1..9),
        most in 1..160_usize,
    ) {
        let mut given: Vec<Vec<(Request, Completion)>> = vec![Vec::new()];
        for (seed, &(kind, length, ends)) in kinds.iter().enumerate() {
            given.last_mut().unwrap().push(response(seed as u32, kind, length));
            if ends == 0 {
                given.push(Vec::new());
            }
        }
        let flat: Vec<_> = given.iter().flatten().cloned().collect();
        let alone: Vec<_> = flat.iter().map(|one| verify_response(FULL.as_ref(), &claim(one))).collect();
        let watched = Arc::new(Watched { passes: Some(most), ..Watched::default() });
        let backend = Backing(watched.clone());
        let mut streamed = Vec::new();
        verify_stream(&backend, given, claim, |one, features| streamed.push((one, features)));
        let (items, features): (Vec<_>, Vec<_>) = streamed.into_iter().unzip();
        prop_assert_eq!(&features, &alone);
        prop_assert_eq!(items, flat.clone());
        let claims: Vec<Claim<'_>> = flat.iter().map(claim).collect();
        prop_assert_eq!(verify_responses(&backend, &claims), alone);
        prop_assert!(watched.log.lock().unwrap().most_under_way <= UNDER_WAY);
    }
}

/// A worker's orders are answered each by itself, and its threads end with it.
#[cfg(feature = "network")]
#[tokio::test(flavor = "multi_thread")]
async fn a_workers_orders_are_all_answered_though_a_pack_fails() {
    use tandem_verifier::worker::rerun::Rerun;

    let watched = Watched::with(Faults { begin: Some(1), ..Faults::default() });
    let rerun = Arc::new(Rerun::here(Arc::new(Backing(watched.clone()))));
    let one = small_packs(1).remove(0).remove(0);
    let expected = verify_response(FULL.as_ref(), &claim(&one)).unwrap();
    let mut orders = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let (rerun, (request, made)) = (rerun.clone(), one.clone());
        orders.spawn(async move { rerun.measure(request, made.output, made.proofs).await });
    }
    let (mut right, mut wrong) = (0, 0);
    while let Some(answered) = orders.join_next().await {
        match answered.unwrap() {
            Ok(features) => {
                assert_eq!(features, expected);
                right += 1;
            }
            Err(error) => {
                assert!(error.to_string().contains("a cosmic ray"), "{error:#}");
                wrong += 1;
            }
        }
    }
    assert_eq!(right + wrong, 40);
    // A pack holds 100 tokens here, and a response at least seven.
    assert!((1..=14).contains(&wrong), "{wrong}");
    drop(rerun);
    for _ in 0..200 {
        if Arc::strong_count(&watched) == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the model's threads go on without their worker");
}
