//! What the backend refuses, what it survives, and how much memory it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::json;
use tandem_cuda::device::emulator::{Emulator, Options};
use tandem_cuda::device::{Buffer, Device, DeviceError, Memory, Product, Shape};
use tandem_cuda::{CudaBackend, Options as Bounds};
use tandem_model::backend::{Backend, BackendError, Feed, Numerics, Session};
use tandem_model::generate::{self, Completion, Request};
use tandem_model::model::ModelFiles;
use tandem_model::testmodel::Size;
use tandem_model::verify::{Claim, VerifyError, verify_responses};

use crate::common::{SMALL, config, cpu, device, exact, goldens, prompt, seeded, written};

fn feed<'a>(session: &'a mut Box<dyn Session>, tokens: &'a [u32]) -> Feed<'a> {
    Feed { session: session.as_mut(), tokens }
}

#[test]
fn what_the_model_cannot_take_is_an_error_and_leaves_the_session_as_it_was() {
    let (_dir, files) = seeded(Size::Small);
    let backend = exact(&device(), &files);
    let mut session = backend.start().unwrap();
    let before = session.feed(&[1, 2, 3]).unwrap();
    assert_eq!(session.feed(&[4, 288]), Err(BackendError::Token { token: 288, vocab: 288 }));
    assert_eq!(session.feed(&[5; 2_046]), Err(BackendError::TooLong { positions: 2_049, max: 2_048 }));
    assert_eq!(backend.prefill(&[5; 2_049]), Err(BackendError::TooLong { positions: 2_049, max: 2_048 }));
    assert_eq!(backend.prefill_batch(&[&[1], &[999]]), Err(BackendError::Token { token: 999, vocab: 288 }));
    assert_eq!(session.position(), 3);
    assert_eq!(session.feed(&[]).unwrap().rows(), 0);
    let after = session.feed(&[4]).unwrap();
    let whole = cpu(&files).prefill(&[1, 2, 3, 4]).unwrap();
    assert_eq!([before.bits(), after.bits()].concat(), whole.bits());
    assert_eq!(backend.logits(&[0; 5]), Err(BackendError::Shape { elements: 5, hidden: 128 }));
    assert_eq!(backend.logits(&[]), Ok(vec![]));
    assert_eq!(backend.feed(&mut []), Ok(vec![]));
    assert_eq!(backend.prefill_batch(&[]), Ok(vec![]));
    assert_eq!(backend.prefill(&[]).unwrap().rows(), 0);
}

#[test]
fn sequences_of_other_backends_are_refused_with_the_whole_batch() {
    let (_dir, files) = seeded(Size::Small);
    let device = device();
    let (backend, other, cpu) = (exact(&device, &files), exact(&device, &files), cpu(&files));
    let mut own = backend.start().unwrap();
    for mut foreign in [other.start().unwrap(), cpu.start().unwrap()] {
        let mixed = backend.feed(&mut [feed(&mut own, &[3]), feed(&mut foreign, &[3])]);
        assert_eq!(mixed, Err(BackendError::Foreign));
        assert_eq!((own.position(), foreign.position()), (0, 0));
    }
    let mut clone = backend.clone().start().unwrap();
    assert!(backend.feed(&mut [feed(&mut own, &[3]), feed(&mut clone, &[3])]).is_ok());
}

/// A device of which the call after `left` others fails, if that is of the kind asked for.
#[derive(Debug)]
struct Failing {
    inner: Arc<dyn Device>,
    allocations_only: bool,
    left: AtomicI64,
}

impl Failing {
    fn over(inner: Arc<dyn Device>, allocations_only: bool) -> Arc<Self> {
        Arc::new(Self { inner, allocations_only, left: AtomicI64::new(i64::MAX) })
    }

    fn step(&self) -> Result<(), DeviceError> {
        let fails = !self.allocations_only && self.left.fetch_sub(1, Ordering::Relaxed) == 0;
        if fails { Err(DeviceError::Failed("a cosmic ray".to_owned())) } else { Ok(()) }
    }
}

impl Device for Failing {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn memory(&self) -> Result<Memory, DeviceError> {
        self.inner.memory()
    }

    fn watch(&self) -> Result<(), DeviceError> {
        self.inner.watch()
    }

    fn peak(&self) -> Result<u64, DeviceError> {
        self.inner.peak()
    }

    fn allocate(&self, bytes: u64) -> Result<u64, DeviceError> {
        if self.allocations_only && self.left.fetch_sub(1, Ordering::Relaxed) == 0 {
            return Err(DeviceError::OutOfMemory { asked: bytes, free: 0 });
        }
        self.inner.allocate(bytes)
    }

    fn free(&self, address: u64, bytes: u64) {
        self.inner.free(address, bytes);
    }

    fn upload(&self, to: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        self.step()?;
        self.inner.upload(to, bytes)
    }

    fn download(&self, from: u64, bytes: &mut [u8]) -> Result<(), DeviceError> {
        self.step()?;
        self.inner.download(from, bytes)
    }

    fn copy(&self, from: u64, to: u64, bytes: u64) -> Result<(), DeviceError> {
        self.step()?;
        self.inner.copy(from, to, bytes)
    }

    fn launch(&self, kernel: &'static str, shape: Shape, arguments: &[u8]) -> Result<(), DeviceError> {
        self.step()?;
        self.inner.launch(kernel, shape, arguments)
    }

    fn multiply(&self, product: &Product) -> Result<(), DeviceError> {
        self.step()?;
        self.inner.multiply(product)
    }

    fn synchronize(&self) -> Result<(), DeviceError> {
        self.step()?;
        self.inner.synchronize()
    }
}

/// Whichever call of a feed, a prefill or a computation of logits fails: an error that says so, sequences that stand where
/// they stood and go on to the right bits, and, where memory ran out, none kept.
fn survives(allocations_only: bool) {
    // In the quick run some of the operations, in the deep one each; allocations are few.
    let stride = if allocations_only || cfg!(feature = "deep") { 1 } else { 6 };
    let (_dir, files) = written(6, &config("Qwen3ForCausalLM", json!({ "num_hidden_layers": 2, "hidden_size": 40 })));
    let inner = device();
    let failing = Failing::over(inner.clone(), allocations_only);
    let bounds = Bounds { pass: 60, chunk: 35, logits: 40 };
    let backend = CudaBackend::load_with(failing.clone(), &files, Numerics::Exact, bounds).unwrap();
    let tokens = prompt(3, 80);
    let expected = cpu(&files).prefill(&tokens).unwrap();
    let logits = cpu(&files).logits(expected.bits()).unwrap();
    let hidden = expected.hidden();
    let (mut long, mut fresh) = (backend.start().unwrap(), backend.start().unwrap());
    long.feed(&tokens[..10]).unwrap();
    let held = inner.memory().unwrap().free;
    let mut failures = 0;
    let mut attempt = |work: &mut dyn FnMut() -> Result<(), BackendError>| {
        for left in (0..).step_by(stride) {
            failing.left.store(left, Ordering::Relaxed);
            let result = work();
            failing.left.store(i64::MAX, Ordering::Relaxed);
            match result {
                Ok(()) => return,
                Err(BackendError::Device(reason)) if allocations_only => {
                    assert!(reason.starts_with("out of memory: "), "{reason}");
                    assert_eq!(inner.memory().unwrap().free, held);
                }
                Err(error) => assert_eq!(error, BackendError::Device("a cosmic ray".to_owned())),
            }
            failures += 1;
        }
    };
    attempt(&mut || {
        let states = backend.prefill_batch(&[&tokens[..50], &tokens, &[]])?;
        assert_eq!(states[0].bits(), &expected.bits()[..50 * hidden]);
        assert!(states[1] == expected);
        Ok(())
    });
    attempt(&mut || {
        assert_eq!(backend.logits(expected.bits())?, logits);
        Ok(())
    });
    attempt(&mut || {
        assert_eq!((long.position(), fresh.position()), (10, 0));
        let states = backend.feed(&mut [feed(&mut long, &tokens[10..]), feed(&mut fresh, &tokens[..1])])?;
        assert_eq!(states[0].bits(), expected.rows_from(10));
        assert_eq!(states[1].bits(), &expected.bits()[..hidden]);
        Ok(())
    });
    let least = if allocations_only { 15 } else { 120 / stride };
    assert!(failures > least, "{failures}");
}

#[test]
fn whichever_allocation_fails_sequences_are_untouched_and_nothing_is_kept() {
    survives(true);
}

#[test]
fn whichever_operation_fails_sequences_are_untouched_and_go_on() {
    survives(false);
}

/// Whichever call of a stream of audits fails, the others are judged as ever, none is lost, and nothing is kept.
#[test]
fn whichever_operation_of_a_stream_fails_its_pack_fails_alone() {
    let (_dir, files) = written(6, &config("LlamaForCausalLM", json!({ "hidden_size": 40 })));
    let cpu = cpu(&files);
    let requests: Vec<Request> = (0..3_u32)
        .map(|i| Request { prompt: prompt(i, 4 + 3 * i as usize), max_tokens: 3, seed: 9, temperature: 1.0 })
        .collect();
    let answers: Vec<Completion> = requests.iter().map(|request| generate::run(&cpu, request).unwrap()).collect();
    let claims: Vec<Claim<'_>> = requests
        .iter()
        .zip(&answers)
        .map(|(request, answer)| Claim { request, output: &answer.output, proofs: &answer.proofs })
        .collect();
    let expected = verify_responses(&cpu, &claims);
    for allocations_only in [true, false] {
        let inner = device();
        let failing = Failing::over(inner.clone(), allocations_only);
        // Each response is a pack.
        let bounds = Bounds { pass: 1, chunk: 35, logits: 2 };
        let backend = CudaBackend::load_with(failing.clone(), &files, Numerics::Exact, bounds).unwrap();
        let held = inner.memory().unwrap().free;
        let mut failures = 0;
        let stride = if cfg!(feature = "deep") { 1 } else { 7 };
        for left in (0..).step_by(stride) {
            failing.left.store(left, Ordering::Relaxed);
            let measured = verify_responses(&backend, &claims);
            failing.left.store(i64::MAX, Ordering::Relaxed);
            assert_eq!(inner.memory().unwrap().free, held);
            let wrong: Vec<_> = measured.iter().zip(&expected).filter(|(a, b)| a != b).collect();
            if wrong.is_empty() {
                break;
            }
            assert!(wrong.len() == 1 && matches!(wrong[0].0, Err(VerifyError::Backend(BackendError::Device(_)))));
            failures += 1;
        }
        assert!(failures > 50 / stride, "{failures}");
    }
}

#[test]
fn a_model_that_does_not_fit_is_refused_and_leaves_nothing_behind() {
    let (_dir, files) = seeded(Size::Small);
    let parameters = files.config().parameters() * 2;
    for memory in [0, 1_000, parameters / 2, parameters - 1] {
        let device = Emulator::open(Options { memory, ..Options::default() }).unwrap();
        let error = CudaBackend::load(Arc::clone(&device), &files, Numerics::Exact).unwrap_err();
        assert!(error.to_string().starts_with("device: out of memory: "), "{error}");
        assert_eq!(device.memory().unwrap().free, memory);
    }
}

#[test]
fn a_device_with_too_little_memory_says_so_and_does_what_it_can() {
    let (_dir, files) = seeded(Size::Small);
    let memory = files.config().parameters() * 2 + 400_000;
    let device = Emulator::open(Options { memory, ..Options::default() }).unwrap();
    let backend = CudaBackend::load(Arc::clone(&device), &files, Numerics::Exact).unwrap();
    let tokens = prompt(2, 1_000);
    let mut session = backend.start().unwrap();
    let first = session.feed(&tokens[..20]).unwrap();
    let free = device.memory().unwrap().free;
    for error in [session.feed(&tokens[20..]).unwrap_err(), backend.prefill(&tokens).unwrap_err()] {
        assert!(matches!(&error, BackendError::Device(reason) if reason.starts_with("out of memory: ")), "{error}");
    }
    assert_eq!((session.position(), device.memory().unwrap().free), (20, free));
    let next = session.feed(&tokens[20..30]).unwrap();
    assert_eq!([first.bits(), next.bits()].concat(), cpu(&files).prefill(&tokens[..30]).unwrap().bits());
    drop((session, backend));
    assert_eq!(device.memory().unwrap().free, memory);
}

/// A broken file is told by its tensor before anything is uploaded.
#[test]
fn a_model_of_another_shape_is_refused_by_name() {
    let (dir, _) = seeded(Size::Small);
    let path = dir.path().join("config.json");
    let config = std::fs::read_to_string(&path).unwrap().replace("\"head_dim\": 32", "\"head_dim\": 34");
    std::fs::write(&path, config).unwrap();
    let device = device();
    let held = Buffer::of::<u8>(&device, 1).unwrap();
    let free = device.memory().unwrap().free;
    let error = CudaBackend::load(Arc::clone(&device), &ModelFiles::open(dir.path()).unwrap(), Numerics::Exact);
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("tensor model.layers.0.self_attn."), "{error}");
    assert_eq!(device.memory().unwrap().free, free);
    drop(held);
}

/// Prefills, answers under way and logits, two hundred times over.
#[test]
fn two_hundred_audits_leave_no_memory_behind() {
    let fields = json!({ "hidden_size": 12, "intermediate_size": 20, "num_key_value_heads": 1, "head_dim": 4 });
    let (_dir, files) = written(6, &config("LlamaForCausalLM", fields));
    let device = device();
    let backend = CudaBackend::load_with(Arc::clone(&device), &files, Numerics::Exact, SMALL).unwrap();
    let loaded = device.memory().unwrap().free;
    for audit in 0..200 {
        let tokens = prompt(audit, 1 + audit as usize % 13);
        let states = backend.prefill_batch(&[&tokens, &tokens[..1]]).unwrap();
        backend.logits(states[1].bits()).unwrap();
        backend.start().unwrap().feed(&tokens[..1]).unwrap();
        assert_eq!(device.memory().unwrap().free, loaded);
    }
}

/// Results do not depend on who else uses the device at the same time.
#[test]
fn threads_share_a_backend() {
    let (_dir, files) = goldens()["qwen2"].write();
    let backend = exact(&device(), &files);
    let cpu = cpu(&files);
    std::thread::scope(|scope| {
        for seed in 0..3 {
            let (backend, cpu) = (&backend, &cpu);
            scope.spawn(move || {
                let tokens = prompt(seed, 40);
                assert!(backend.prefill(&tokens).unwrap() == cpu.prefill(&tokens).unwrap());
            });
        }
    });
}
