//! Many answers from one model: the same tokens as alone, in fewer passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tandem_verifier::backend::{Backend, BackendError, Feed, HiddenStates, Numerics, Session, Shared};
use tandem_verifier::generate::{Generation, Request, run};
use tandem_verifier::model::ModelConfig;

use crate::common::{FULL, prompt, request};

/// Counts what is run.
struct Counting {
    passes: AtomicUsize,
    sequences: AtomicUsize,
    /// Takes its time, so that there is something to gather.
    pause: Duration,
}

struct Counted(Arc<Counting>);

impl Backend for Counted {
    fn name(&self) -> &'static str {
        "counting"
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
        self.0.passes.fetch_add(1, Ordering::Relaxed);
        self.0.sequences.fetch_add(batch.len(), Ordering::Relaxed);
        std::thread::sleep(self.0.pause);
        FULL.feed(batch)
    }

    fn logits(&self, rows: &[u16]) -> Result<Vec<f32>, BackendError> {
        FULL.logits(rows)
    }
}

fn counting(pause: Duration) -> (Arc<Counting>, Arc<Shared>) {
    let counts = Arc::new(Counting { passes: AtomicUsize::new(0), sequences: AtomicUsize::new(0), pause });
    (counts.clone(), Arc::new(Shared::new(Arc::new(Counted(counts)))))
}

/// [VF-3] Whoever else is answered at the same time, and whenever they come and go.
#[test]
fn tokens_do_not_depend_on_who_else_is_answered() {
    let (counts, shared) = counting(Duration::from_millis(2));
    let requests: Vec<Request> = (0..6)
        .map(|n| Request { prompt: prompt(n, 1 + 57 * n as usize), ..request(n, 20 + 4 * n as usize, 1.0) })
        .collect();
    let threads: Vec<_> = requests
        .iter()
        .cloned()
        .enumerate()
        .map(|(n, request)| {
            let shared = shared.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(7 * n as u64));
                let mut generation = Generation::start(shared.as_ref(), &request).unwrap();
                while generation.step().unwrap().is_some() {
                    // One of them dawdles, as one that waits for its client.
                    if n == 3 && generation.output().len().is_multiple_of(16) {
                        std::thread::sleep(Duration::from_millis(30));
                    }
                }
                generation.finish().unwrap()
            })
        })
        .collect();
    for (thread, request) in threads.into_iter().zip(&requests) {
        assert_eq!(thread.join().unwrap(), run(FULL.as_ref(), request).unwrap());
    }
    let (passes, sequences) = (counts.passes.load(Ordering::Relaxed), counts.sequences.load(Ordering::Relaxed));
    assert!(sequences > 2 * passes, "{sequences} steps in {passes} passes");
}

#[test]
fn ones_fault_is_not_the_others() {
    let (_, shared) = counting(Duration::from_millis(5));
    let good = request(1, 30, 1.0);
    let expected = run(FULL.as_ref(), &good).unwrap();
    let bad = Request { prompt: vec![256, 999_999], ..request(2, 30, 1.0) };
    let answers: Vec<_> = [good.clone(), bad, good]
        .map(|request| {
            let shared = shared.clone();
            std::thread::spawn(move || run(shared.as_ref(), &request))
        })
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    assert_eq!(answers[0].as_ref(), Ok(&expected));
    assert!(answers[1].is_err());
    assert_eq!(answers[2].as_ref(), Ok(&expected));
}

#[test]
fn packed_work_goes_through_as_it_is() {
    let (counts, shared) = counting(Duration::ZERO);
    let prompts: Vec<Vec<u32>> = (1..5).map(|n| prompt(n, 10 * n as usize)).collect();
    let sequences: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    assert_eq!(shared.prefill_batch(&sequences).unwrap(), FULL.prefill_batch(&sequences).unwrap());
    assert_eq!(counts.passes.load(Ordering::Relaxed), 1);
    let mut foreign = FULL.start().unwrap();
    let mut batch = [Feed { session: foreign.as_mut(), tokens: &[1] }];
    assert_eq!(shared.feed(&mut batch).err(), Some(BackendError::Foreign));
}
