//! The first half of an audit asks and does not wait; the second waits for no more than it needs.

use tandem_cuda::device::Buffer;
use tandem_model::audit::Audit;
use tandem_model::backend::Backend;
use tandem_model::generate::{self, Completion, Request};
use tandem_model::testmodel::Size;
use tandem_model::verify::{Checked, Claim, verify_responses};

use crate::common::{cpu, exact, prompt, seeded};
use crate::fake::Fake;

#[test]
fn what_is_fetched_is_what_was_there_and_later_work_is_not_waited_for() {
    let fake = Fake::load();
    let device = fake.open();
    // More than both halves of the way hold, and less than one.
    for length in [40 << 20, 1_000, 0] {
        let buffer = Buffer::from(&device, &vec![7_u8; length]).unwrap();
        let (address, other) = (buffer.address(), Buffer::from(&device, &[9_u8; 8]).unwrap());
        let before = fake.get("waits");
        let small = length < 16 << 20;
        let reading = buffer.fetch::<u8>(length).unwrap();
        let dropped = Buffer::from(&device, &[5_u8; 64]).unwrap().fetch::<u8>(64).unwrap();
        if small && length > 0 {
            device.upload(address, &[8; 100]).unwrap();
        }
        drop(dropped);
        let next = other.fetch::<u8>(8).unwrap();
        assert_eq!(fake.get("waits"), before);
        assert!(reading.wait().unwrap() == vec![7; length]);
        if small {
            assert!(fake.get("waiting") > 0, "nothing is left to do while the host reads");
        }
        assert_eq!(next.wait().unwrap(), [9; 8]);
    }
    assert!(Buffer::of::<u32>(&device, 3).unwrap().fetch::<u32>(4).is_err());
    drop(device);
    assert_eq!((fake.get("used"), fake.get("pinned")), (0, 0));
}

/// A pack is compared while the next is still to be computed; one that is given up leaves nothing behind.
#[test]
fn audits_are_begun_without_waiting_and_compared_while_others_wait() {
    let fake = Fake::load();
    let (_dir, files) = seeded(Size::Small);
    let (device, cpu) = (fake.open(), cpu(&files));
    let backend = exact(&device, &files);
    let request = Request { prompt: prompt(1, 5), max_tokens: 40, seed: 4, temperature: 0.7 };
    let answer = generate::run(&cpu, &request).unwrap();
    let claim = Claim { request: &request, output: &answer.output, proofs: &answer.proofs };
    let audit = || Checked::new(cpu.config(), &claim).unwrap().take_audit().unwrap();
    let expected = cpu.begin(vec![audit(), audit()]).unwrap().finish().unwrap();

    device.synchronize().unwrap();
    let held = device.memory().unwrap().free;
    let before = fake.get("waits");
    let first = backend.begin(vec![audit(), audit()]).unwrap();
    let queued = fake.get("waiting");
    let second = backend.begin(vec![audit(), audit()]).unwrap();
    let given_up = backend.begin(vec![audit()]).unwrap();
    assert_eq!(fake.get("waits"), before, "the host waits for what it only begins");
    let waiting = fake.get("waiting");
    assert!(queued > 40 && waiting > 2 * queued, "{queued}, then {waiting}");
    drop(given_up);
    assert_eq!(first.finish().unwrap(), expected);
    assert_eq!(second.finish().unwrap(), expected);
    assert!(backend.begin(Vec::<Audit>::new()).unwrap().finish().unwrap().is_empty());
    device.synchronize().unwrap();
    assert_eq!(device.memory().unwrap().free, held);
}

/// Many packs from two threads, on a device that does nothing before somebody waits.
#[test]
fn streamed_verdicts_are_the_cpus_and_no_memory_stays() {
    let fake = Fake::load();
    let (_dir, files) = seeded(Size::Small);
    let (device, cpu) = (fake.open(), cpu(&files));
    let backend = exact(&device, &files);
    let requests: Vec<Request> = (0..5_u32)
        .map(|i| Request {
            prompt: prompt(i, 2 + 9 * i as usize),
            max_tokens: 34,
            seed: u64::from(i),
            temperature: 1.0,
        })
        .collect();
    let answers: Vec<Completion> = requests.iter().map(|request| generate::run(&cpu, request).unwrap()).collect();
    let claims: Vec<Claim<'_>> = (0..20)
        .map(|i| {
            let (request, answer) = (&requests[i % 5], &answers[i % 5]);
            // Some with tokens that were not drawn.
            let output = if i % 7 == 3 { &answers[(i + 1) % 5].output } else { &answer.output };
            Claim { request, output, proofs: &answer.proofs }
        })
        .collect();
    let expected = verify_responses(&cpu, &claims);
    device.synchronize().unwrap();
    let held = device.memory().unwrap().free;
    assert_eq!(verify_responses(&backend, &claims), expected);
    device.synchronize().unwrap();
    assert_eq!(device.memory().unwrap().free, held);
}
