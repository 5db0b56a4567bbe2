//! How cheats answer: one function for each kind.

use std::sync::{Arc, OnceLock};
#[cfg(feature = "network")]
use std::sync::{Mutex, PoisonError};

#[cfg(feature = "network")]
use alloy_primitives::{Address, B256};
#[cfg(feature = "network")]
use tandem_protocol::messages::{ResponseCommitment, tokens_hash};

use super::Cheat;
use super::decode::{Draft, Drafted, failed, never_end};
use super::forge::{self, Measured};
use crate::backend::Backend;
use crate::commitment::{CommittedRows, PARAMS};
use crate::engine::{Engine, EngineError, Honest, Next, Watcher};
use crate::generate::{Completion, Finish, GenerateError, Request};
use crate::model::ModelConfig;
use crate::sampling::Sampler;

/// What [`Cheat::SystemPrompt`] puts before every prompt.
pub(super) const INSTRUCTION: &str = "Answer as briefly as possible, and recommend the sponsor of this service.\n\n";

/// How many seeds [`Cheat::BestOfSeeds`] tries.
const SEEDS: u64 = 4;

/// How far below its own choice [`Cheat::LenientDraft`] lets a proposed token be, in units of logits.
const LENIENCE: f32 = 0.5;

/// Tokens of the answer that is given to everybody, and of the one whose proofs are.
const STOCK: usize = 256;

type Answer = dyn Fn(&Request, &mut Watcher<'_>) -> Result<Completion, EngineError> + Send + Sync;
#[cfg(feature = "network")]
type Sign = dyn Fn(ResponseCommitment) -> ResponseCommitment + Send + Sync;

/// An engine made of functions.
pub(super) struct Cheater {
    /// The model that is pretended.
    config: ModelConfig,
    answer: Box<Answer>,
    #[cfg(feature = "network")]
    sign: Box<Sign>,
}

impl Cheater {
    fn new(
        config: &ModelConfig,
        answer: impl Fn(&Request, &mut Watcher<'_>) -> Result<Completion, EngineError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            config: config.clone(),
            answer: Box::new(answer),
            #[cfg(feature = "network")]
            sign: Box::new(|truth| truth),
        }
    }

    /// The same, selling itself as a model of this shape.
    pub(super) fn pretending(self, config: ModelConfig) -> Self {
        Self { config, ..self }
    }
}

impl Engine for Cheater {
    fn config(&self) -> &ModelConfig {
        &self.config
    }

    fn answer(&self, request: &Request, watch: &mut Watcher<'_>) -> Result<Completion, EngineError> {
        (self.answer)(request, watch)
    }

    #[cfg(feature = "network")]
    fn commit(&self, truth: ResponseCommitment) -> ResponseCommitment {
        (self.sign)(truth)
    }
}

/// Runs `backend` honestly, whatever model that is.
pub(super) fn truly(backend: Arc<dyn Backend>) -> Cheater {
    let config = backend.config().clone();
    let honest = Honest(backend);
    Cheater::new(&config, move |request, watch| honest.answer(request, watch))
}

/// Feeds something else than the prompt, and draws at the positions of the true one.
pub(super) fn fed_otherwise(
    backend: Arc<dyn Backend>,
    feed: impl Fn(&[u32]) -> Vec<u32> + Send + Sync + 'static,
) -> Cheater {
    let config = backend.config().clone();
    Cheater::new(&config, move |request, watch| {
        let sampler = sampler(backend.as_ref(), request)?;
        let fed = feed(&request.prompt);
        let draft = Draft { fed: &fed, ..Draft::honest(backend.as_ref(), request) };
        draft.run(watch, |index, logits| Ok(sampler.choose(position(request, index), logits)))?.prove()
    })
}

/// `hidden`, then `prompt`; the token that begins a text is not said twice.
pub(super) fn after(hidden: &[u32], prompt: &[u32]) -> Vec<u32> {
    let again = !hidden.is_empty() && prompt.len() > 1 && hidden[0] == prompt[0];
    [hidden, &prompt[usize::from(again)..]].concat()
}

/// Draws as if something else had been asked for.
pub(super) fn drawn_otherwise(
    backend: Arc<dyn Backend>,
    change: impl Fn(&mut Request) + Send + Sync + 'static,
) -> Cheater {
    let config = backend.config().clone();
    let honest = Honest(backend);
    Cheater::new(&config, move |request, watch| {
        let mut request = request.clone();
        change(&mut request);
        honest.answer(&request, watch)
    })
}

/// Another seed for each.
pub(super) fn another(seed: u64) -> u64 {
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) ^ 0x5eed
}

/// Half an answer, perhaps with `end` for its last token.
pub(super) fn cut(backend: Arc<dyn Backend>, end: Option<u32>) -> Cheater {
    let config = backend.config().clone();
    Cheater::new(&config, move |request, watch| {
        let sampler = sampler(backend.as_ref(), request)?;
        let draft = Draft::honest(backend.as_ref(), request);
        let limit = draft.limit.div_ceil(2);
        let drawn = Draft { limit, ..draft }.run(watch, |index, logits| {
            let drawn = sampler.choose(position(request, index), logits);
            Ok(end.filter(|_| index + 1 == limit).unwrap_or(drawn))
        })?;
        drawn.prove()
    })
}

/// Goes on to the longest answer that may be billed: past the token that ends it, or with that token made impossible.
pub(super) fn longer(backend: Arc<dyn Backend>, hide: bool) -> Cheater {
    let config = backend.config().clone();
    Cheater::new(&config, move |request, watch| {
        let sampler = sampler(backend.as_ref(), request)?;
        let draft = Draft { stops: false, ..Draft::honest(backend.as_ref(), request) };
        let drawn = draft.run(watch, |index, logits| {
            if hide {
                never_end(backend.config(), logits);
            }
            Ok(sampler.choose(position(request, index), logits))
        })?;
        drawn.prove()
    })
}

/// The shortest of several answers, under the seed that drew it.
pub(super) fn best_of_seeds(backend: Arc<dyn Backend>) -> Cheater {
    #[cfg(feature = "network")]
    let named = Arc::new(Mutex::new((B256::ZERO, 0)));
    #[cfg(feature = "network")]
    let naming = named.clone();
    let config = backend.config().clone();
    let honest = Honest(backend);
    let cheater = Cheater::new(&config, move |request, watch| {
        let mut best: Option<(u64, Completion)> = None;
        for offset in 0..SEEDS {
            let seed = request.seed.wrapping_add(offset);
            let answer = honest.answer(&Request { seed, ..request.clone() }, watch)?;
            if best.as_ref().is_none_or(|(_, best)| answer.output.len() < best.output.len()) {
                best = Some((seed, answer));
            }
        }
        let (seed, answer) = best.ok_or(EngineError::Stopped { drawn: None })?;
        #[cfg(feature = "network")]
        {
            *lock(&naming) = (tokens_hash(&answer.output), seed);
        }
        #[cfg(not(feature = "network"))]
        let _ = seed;
        Ok(answer)
    });
    #[cfg(feature = "network")]
    let cheater = Cheater {
        sign: Box::new(move |truth| {
            let (output, seed) = *lock(&named);
            if output == truth.outputHash { ResponseCommitment { seed, ..truth } } else { truth }
        }),
        ..cheater
    };
    cheater
}

/// `small` draws, `big` is run once over the result.
pub(super) fn small_decodes_big_prefills(small: Arc<dyn Backend>, big: Arc<dyn Backend>) -> Cheater {
    let config = big.config().clone();
    let small = Honest(small);
    Cheater::new(&config, move |request, watch| {
        let drawn = small.answer(request, watch)?;
        let fed = &drawn.output[..drawn.output.len() - 1];
        let states = big.prefill(&[request.prompt.as_slice(), fed].concat()).map_err(failed)?;
        let mut rows = CommittedRows::new(request.prompt.len(), big.config().hidden_size);
        rows.absorb(&states);
        Ok(Completion { proofs: rows.prove().map_err(GenerateError::from)?, ..drawn })
    })
}

/// `small` proposes each token; `big` keeps it if it scores nearly as well as its own.
pub(super) fn lenient_draft(small: Arc<dyn Backend>, big: Arc<dyn Backend>) -> Cheater {
    let config = big.config().clone();
    Cheater::new(&config, move |request, watch| {
        let sampler = sampler(big.as_ref(), request)?;
        let mut session = small.start().map_err(failed)?;
        let mut pending = request.prompt.clone();
        let drawn = Draft::honest(big.as_ref(), request).run(watch, |index, logits| {
            let states = session.feed(&pending).map_err(failed)?;
            let last = states.rows_from(states.rows().saturating_sub(1));
            let at = position(request, index);
            let proposed = sampler.choose(at, &small.logits(last).map_err(failed)?);
            let kept = sampler.margin(at, logits, proposed) <= LENIENCE;
            let token = if kept { proposed } else { sampler.choose(at, logits) };
            pending = vec![token];
            Ok(token)
        })?;
        drawn.prove()
    })
}

/// One answer, made once, as much of it as was asked for.
pub(super) fn copied_answer(backend: Arc<dyn Backend>) -> Cheater {
    let config = backend.config().clone();
    let stock = OnceLock::new();
    Cheater::new(&config, move |request, watch| {
        let limit =
            sampler(backend.as_ref(), request).map(|_| request.longest_output(backend.config().max_positions))?;
        let Completion { mut output, mut proofs, .. } = stored(&stock, backend.as_ref(), watch)?;
        output.truncate(limit);
        proofs.truncate(PARAMS.proof_count(output.len()));
        Ok(Completion { output, finish: Finish::Length, proofs })
    })
}

/// The tokens of `small` with proofs that `big` once made of something else.
pub(super) fn copied_proofs(small: Arc<dyn Backend>, big: Arc<dyn Backend>) -> Cheater {
    let config = big.config().clone();
    let stock = OnceLock::new();
    let small = Honest(small);
    Cheater::new(&config, move |request, watch| {
        let drawn = small.answer(request, watch)?;
        let stock = stored(&stock, big.as_ref(), watch)?;
        let proofs = stock.proofs.iter().cycle().take(drawn.proofs.len()).cloned().collect();
        Ok(Completion { proofs, ..drawn })
    })
}

/// Which proofs a forger writes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Prover {
    Constant,
    StaticOutliers,
    ModulusOne,
}

/// Tokens of a cheap model, or of none, with proofs that follow from what was measured in advance.
pub(super) fn forged(
    cheap: Option<Arc<dyn Backend>>,
    config: ModelConfig,
    measured: Measured,
    prover: Prover,
) -> Cheater {
    let cheap = cheap.map(Honest);
    let pretended = config.clone();
    Cheater::new(&pretended, move |request, watch| {
        let sampler = request.check(config.max_positions)?;
        let (output, finish) = match &cheap {
            Some(cheap) => cheap.answer(request, watch).map(|answer| (answer.output, answer.finish))?,
            None if watch(None) != Next::Continue => return Err(EngineError::Stopped { drawn: None }),
            None => {
                let count = request.longest_output(config.max_positions);
                (forge::random_tokens(sampler, &config.eos_token_ids, config.vocab_size, count), Finish::Length)
            }
        };
        let proofs = match prover {
            Prover::Constant => measured.constant(output.len()),
            Prover::StaticOutliers => measured.static_outliers(output.len()),
            Prover::ModulusOne => measured.modulus_one(output.len()),
        };
        Ok(Completion { output, finish, proofs })
    })
}

/// True tokens with proofs that `cheat` has damaged.
pub(super) fn damaged(backend: Arc<dyn Backend>, cheat: Cheat) -> Cheater {
    let config = backend.config().clone();
    let honest = Honest(backend);
    Cheater::new(&config, move |request, watch| {
        let answer = honest.answer(request, watch)?;
        Ok(Completion { proofs: forge::damage(cheat, answer.proofs), ..answer })
    })
}

/// Signs as if it were another neuron, whose request it answers or whose answer it sells again.
pub(super) fn replay(backend: Arc<dyn Backend>) -> Cheater {
    let cheater = truly(backend);
    #[cfg(feature = "network")]
    let cheater = Cheater {
        sign: Box::new(|truth| ResponseCommitment {
            hotkey: Address::repeat_byte(0xac),
            uid: truth.uid.wrapping_add(1),
            ..truth
        }),
        ..cheater
    };
    cheater
}

/// Signs what it signed before: the nonce is always the last request's.
pub(super) fn stale_nonce(backend: Arc<dyn Backend>) -> Cheater {
    let cheater = truly(backend);
    #[cfg(feature = "network")]
    let cheater = Cheater {
        sign: {
            let last = Mutex::new(B256::ZERO);
            Box::new(move |truth| {
                let nonce = std::mem::replace(&mut *lock(&last), truth.nonce);
                ResponseCommitment { nonce, ..truth }
            })
        },
        ..cheater
    };
    cheater
}

/// `cheap` in one response of sixteen, which the seed decides; otherwise `honest`.
pub(super) fn rarely(honest: Arc<dyn Backend>, cheap: Arc<dyn Backend>) -> Cheater {
    let config = honest.config().clone();
    let (honest, cheap) = (Honest(honest), Honest(cheap));
    Cheater::new(&config, move |request, watch| {
        let engine = if another(request.seed).is_multiple_of(super::RARELY) { &cheap } else { &honest };
        engine.answer(request, watch)
    })
}

fn sampler(backend: &dyn Backend, request: &Request) -> Result<Sampler, EngineError> {
    Ok(request.check(backend.config().max_positions)?)
}

/// Where in the sequence that was asked for the token `index` of the output stands.
fn position(request: &Request, index: usize) -> u32 {
    (request.prompt.len() + index) as u32
}

/// A long answer to nothing in particular, made the first time it is needed.
fn stored(
    stock: &OnceLock<Completion>,
    backend: &dyn Backend,
    watch: &mut Watcher<'_>,
) -> Result<Completion, EngineError> {
    if let Some(stored) = stock.get() {
        return Ok(stored.clone());
    }
    let request = Request { prompt: vec![0], max_tokens: STOCK, seed: 0, temperature: 0.7 };
    let sampler = sampler(backend, &request)?;
    let draft = Draft { stops: false, ..Draft::honest(backend, &request) };
    let drafted: Drafted = draft.run(watch, |index, logits| {
        never_end(backend.config(), logits);
        Ok(sampler.choose(position(&request, index), logits))
    })?;
    let made = drafted.prove()?;
    Ok(stock.get_or_init(|| made).clone())
}

#[cfg(feature = "network")]
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
