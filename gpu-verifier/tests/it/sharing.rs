//! Many answers from one model: the same tokens as alone, in fewer passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tandem_verifier::backend::{Backend, BackendError, Feed, HiddenStates, Numerics, Session, Shared};
use tandem_verifier::generate::{Generation, Request, run};
use tandem_verifier::model::ModelConfig;
use tandem_verifier::sampling::{Draw, Sampler};

use crate::common::{FULL, prompt, request};

/// Counts what is run.
#[derive(Default)]
struct Counting {
    passes: AtomicUsize,
    sequences: AtomicUsize,
    draws: AtomicUsize,
    drawn: AtomicUsize,
    logits: AtomicUsize,
    /// Draws of more rows than this at a time fail.
    most_drawn: Option<usize>,
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
        self.0.logits.fetch_add(1, Ordering::Relaxed);
        FULL.logits(rows)
    }

    fn choose(&self, rows: &[u16], draws: &[Draw<'_>]) -> Result<Vec<u32>, BackendError> {
        if self.0.most_drawn.is_some_and(|most| draws.len() > most) {
            return Err(BackendError::Device("too many rows".to_owned()));
        }
        self.0.draws.fetch_add(1, Ordering::Relaxed);
        self.0.drawn.fetch_add(draws.len(), Ordering::Relaxed);
        FULL.choose(rows, draws)
    }
}

fn counting(pause: Duration) -> (Arc<Counting>, Arc<Shared>) {
    shared(Counting { pause, ..Counting::default() })
}

fn shared(counting: Counting) -> (Arc<Counting>, Arc<Shared>) {
    let counts = Arc::new(counting);
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
    let (draws, drawn) = (counts.draws.load(Ordering::Relaxed), counts.drawn.load(Ordering::Relaxed));
    assert!(drawn > 2 * draws, "{drawn} tokens in {draws} draws");
    assert_eq!(counts.logits.load(Ordering::Relaxed), 0, "logits come to the host");
}

/// Where tokens of several answers cannot be drawn together, each is drawn by itself.
#[test]
fn a_draw_that_fails_for_all_is_done_for_each() {
    let (counts, shared) =
        shared(Counting { most_drawn: Some(1), pause: Duration::from_millis(3), ..Default::default() });
    let requests: Vec<Request> = (0..4).map(|n| request(n, 12, 1.0)).collect();
    let threads: Vec<_> = requests
        .iter()
        .cloned()
        .map(|request| {
            let shared = shared.clone();
            std::thread::spawn(move || run(shared.as_ref(), &request).unwrap())
        })
        .collect();
    for (thread, request) in threads.into_iter().zip(&requests) {
        assert_eq!(thread.join().unwrap(), run(FULL.as_ref(), request).unwrap());
    }
    assert_eq!(counts.draws.load(Ordering::Relaxed), counts.drawn.load(Ordering::Relaxed));
}

#[test]
fn draws_are_refused_and_cut_as_without_sharing() {
    let (_, shared) = counting(Duration::ZERO);
    let states = FULL.prefill(&prompt(1, 3)).unwrap();
    let sampler = Sampler::new(5, 1.0).unwrap();
    let draws: Vec<Draw<'_>> = (0..5).map(|position| Draw { sampler: &sampler, position }).collect();
    for (rows, draws) in
        [(states.bits(), &draws[..]), (states.bits(), &draws[..2]), (&[][..], &draws[..]), (&[1][..], &[])]
    {
        assert_eq!(shared.choose(rows, draws), FULL.choose(rows, draws));
        assert_eq!(shared.logits(rows), FULL.logits(rows));
    }
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
