//! Comparing what somebody claims with one's own states.
//!
//! An audit has two halves. The first is the device's: the prefill, and whatever of the comparison it does where the states
//! lie. The second is the host's. [`stream`] runs them side by side: while the host compares a pack of audits, the device
//! computes the next.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use toploc::{BlockReport, Proof};

use crate::backend::{Backend, BackendError};
use crate::commitment::{CommittedRows, PARAMS};
use crate::sampling::Sampler;

/// Rows whose logits are held at a time.
const LOGIT_ROWS: usize = 16;

/// Packs of a [`stream`] that are begun and not yet compared, at most: one that the host compares, one that the device
/// computes, and one behind it, for what a comparison asks of the device comes after all that it was asked before.
pub const UNDER_WAY: usize = 3;

/// A response of good form that is to be re-run.
#[derive(Clone, Debug)]
pub struct Audit {
    /// The prompt, and all tokens of the output but the last: nothing was drawn after it, so it has no row.
    pub sequence: Vec<u32>,
    /// Tokens of the prompt; at least one.
    pub prompt: usize,
    /// Tokens answered; at least one.
    pub output: Vec<u32>,
    /// One proof per block of committed rows.
    pub proofs: Vec<Proof>,
    /// Draws the tokens of the request.
    pub sampler: Sampler,
}

/// What one prefill says of a response.
#[derive(Clone, Debug, PartialEq)]
pub struct Audited {
    /// Comparison of hidden states, one report per block.
    pub blocks: Result<Vec<BlockReport>, toploc::VerifyError>,
    /// How far each token falls short of one's own draw: [`Sampler::margin`].
    pub margins: Vec<f32>,
}

/// Audits whose first half is done or on its way. What they need of the device they hold until they are finished or dropped.
pub trait UnderWay: fmt::Debug + Send {
    /// The second half: waits for the first and compares. One result per audit, in their order.
    ///
    /// # Errors
    /// [`BackendError`] of either half.
    fn finish(self: Box<Self>) -> Result<Vec<Audited>, BackendError>;
}

/// States of one's own on the host, with the margins of the tokens that were drawn from them.
#[derive(Debug)]
struct OnHost {
    rows: CommittedRows,
    proofs: Vec<Proof>,
    margins: Vec<f32>,
}

impl UnderWay for Vec<OnHost> {
    fn finish(self: Box<Self>) -> Result<Vec<Audited>, BackendError> {
        let compare = |OnHost { rows, proofs, margins }: OnHost| {
            let activations = rows.activations().map_err(toploc::VerifyError::from);
            let blocks = activations.and_then(|activations| toploc::verify(activations, &proofs, PARAMS));
            Audited { blocks, margins }
        };
        Ok(self.into_iter().map(compare).collect())
    }
}

/// The first half for a backend that does no more than compute: states and logits come to the host.
///
/// # Errors
/// [`BackendError`] of the prefill or the logits.
pub fn on_host<B: Backend + ?Sized>(backend: &B, audits: Vec<Audit>) -> Result<Box<dyn UnderWay>, BackendError> {
    let config = backend.config();
    let sequences: Vec<&[u32]> = audits.iter().map(|audit| audit.sequence.as_slice()).collect();
    let states = backend.prefill_batch(&sequences)?;
    let mut begun = Vec::with_capacity(audits.len());
    for (audit, states) in audits.into_iter().zip(states) {
        let mut rows = CommittedRows::new(audit.prompt, config.hidden_size);
        rows.absorb(&states);
        let mut margins = Vec::with_capacity(audit.output.len());
        let chunks = rows.bits().chunks(LOGIT_ROWS * config.hidden_size);
        for (rows, outputs) in chunks.zip(audit.output.chunks(LOGIT_ROWS)) {
            let logits = backend.logits(rows)?;
            for (logits, &token) in logits.chunks_exact(config.vocab_size).zip(outputs) {
                let position = (audit.prompt + margins.len()) as u32;
                margins.push(audit.sampler.margin(position, logits, token));
            }
        }
        begun.push(OnHost { rows, proofs: audit.proofs, margins });
    }
    Ok(Box::new(begun))
}

/// Audits packs, each in one pass over the weights. The calling thread begins them, as fast as `packs` gives them and as
/// [`UNDER_WAY`] allows; another finishes them and calls `done` with each pack's owner and results, in the order of the packs.
/// A pack that fails is no other's fault. A panic of either side ends both.
pub fn stream<B: Backend + ?Sized, T: Send>(
    backend: &B,
    packs: impl IntoIterator<Item = (T, Vec<Audit>)>,
    mut done: impl FnMut(T, Result<Vec<Audited>, BackendError>) + Send,
) {
    thread::scope(|scope| {
        // Beside those in the channel, one is being compared and one waits to be sent.
        let (sender, begun) = sync_channel::<(T, Result<Box<dyn UnderWay>, BackendError>)>(UNDER_WAY - 2);
        scope.spawn(move || {
            for (owner, under_way) in begun {
                done(owner, under_way.and_then(UnderWay::finish));
            }
        });
        for (owner, audits) in packs {
            // Nobody receives after a panic, which goes on when the scope ends.
            if sender.send((owner, backend.begin(audits))).is_err() {
                break;
            }
        }
    });
}

/// [`stream`] of audits that are all there, in packs of [`Backend::pass`] tokens.
///
/// # Errors
/// The first error of a pack; the packs behind it may not have been begun.
pub fn run<B: Backend + ?Sized>(backend: &B, audits: Vec<Audit>) -> Result<Vec<Audited>, BackendError> {
    let mut results = Ok(Vec::with_capacity(audits.len()));
    let failed = AtomicBool::new(false);
    let packs = packs(audits, backend.pass(), |audit| audit.sequence.len());
    let packs = packs.take_while(|_| !failed.load(Ordering::Relaxed)).map(|audits| ((), audits));
    stream(backend, packs, |(), pack| match (&mut results, pack) {
        (Ok(results), Ok(pack)) => results.extend(pack),
        (Ok(_), Err(error)) => {
            failed.store(true, Ordering::Relaxed);
            results = Err(error);
        }
        (Err(_), _) => {}
    });
    results
}

/// Cuts `items` into packs of at most `most` tokens, in their order; one that has more by itself is a pack of its own.
pub fn packs<T>(
    items: impl IntoIterator<Item = T>,
    most: usize,
    tokens: impl Fn(&T) -> usize,
) -> impl Iterator<Item = Vec<T>> {
    let mut items = items.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut taken = tokens(items.peek()?);
        let mut pack: Vec<T> = items.next().into_iter().collect();
        while let Some(item) = items.next_if(|item| {
            taken = taken.saturating_add(tokens(item));
            taken <= most
        }) {
            pack.push(item);
        }
        Some(pack)
    })
}
