//! Every way to cheat that is known here, run with a trained model, and what catches it by the published limits. What a
//! calibration adds, and how many responses it takes, is measured by a command and stands in the documentation.

use tandem_verifier::cheat::{Cheat, Machine};
use tandem_verifier::engine::Honest;
use tandem_verifier::generate::{Completion, Request};
use tandem_verifier::verdict::{Reason, ResponseVerdict};
use tandem_verifier::verify::ResponseFeatures;

use crate::lm::{BASE, VERIFIER, answered, asked, judged, made};

/// Responses of each cheat.
const RESPONSES: usize = if cfg!(feature = "deep") { 40 } else { 3 };
/// Tokens of each.
const TOKENS: usize = 64;

/// What catches a cheat.
#[derive(Clone, Copy, Debug)]
enum Caught {
    /// Every response is a hard fault, for this reason.
    AtOnce(Reason),
    /// Most responses are suspect, for this reason.
    Suspect(Reason),
    /// A token or two are not what the seed draws, and how far they lie below it is luck. The published limits look at averages
    /// and miss that in a long answer; the largest margin shows it, if it is larger than between honest machines.
    ByOneToken,
    /// More than one token in twenty is not what the seed draws, none of them far below it. Among honest machines it is fewer
    /// than one in fifty.
    ByManyTokens,
    /// Hidden states differ by more than twice what they do between honest machines, yet the published limits leave room for
    /// it: a calibrated limit sees it, often in a single response.
    AboveNoise,
    /// Hidden states differ by about as much as between honest machines. No single response tells.
    WithinNoise,
    /// The signature does not fit the request: a hard fault, whatever was computed.
    BySignature,
}

fn caught(cheat: Cheat) -> Caught {
    match cheat {
        Cheat::ConstantPolynomial => Caught::AtOnce(Reason::Decoy),
        Cheat::ModulusOne
        | Cheat::NullProof
        | Cheat::ShortProof
        | Cheat::LongProof
        | Cheat::MissingProof
        | Cheat::ExtraProof
        | Cheat::NonCanonicalProof => Caught::AtOnce(Reason::Malformed),
        Cheat::SmallerModel
        | Cheat::CopiedAnswer
        | Cheat::CopiedProofs
        | Cheat::StaticOutlierPolynomial
        | Cheat::NanBits => Caught::Suspect(Reason::Exponents),
        Cheat::Greedy | Cheat::Hot | Cheat::OtherSeed | Cheat::SmallDecodesBigPrefills => {
            Caught::Suspect(Reason::Sampling)
        }
        Cheat::EarlyStop | Cheat::Padding => Caught::Suspect(Reason::Termination),
        Cheat::FalseEnd | Cheat::SuppressedEnd => Caught::ByOneToken,
        Cheat::LenientDraft => Caught::ByManyTokens,
        Cheat::Int4Weights | Cheat::Int4Kv | Cheat::SystemPrompt | Cheat::TruncatedContext | Cheat::Rarely => {
            Caught::AboveNoise
        }
        Cheat::Int8Weights | Cheat::Fp8Weights | Cheat::Fp8Kv | Cheat::Int8Kv => Caught::WithinNoise,
        Cheat::Replay | Cheat::StaleNonce | Cheat::BestOfSeeds => Caught::BySignature,
    }
}

fn reasons(verdict: &ResponseVerdict) -> &[Reason] {
    match verdict {
        ResponseVerdict::Pass => &[],
        ResponseVerdict::Suspect(reasons) | ResponseVerdict::HardFault(reasons) => reasons,
    }
}

/// A response that differs from what an honest node would have sent.
struct Lie {
    request: Request,
    claim: Completion,
    features: ResponseFeatures,
    verdict: ResponseVerdict,
}

/// The first responses of a cheat that are lies, and how many requests it took.
fn lies(cheat: Cheat) -> (Vec<Lie>, usize) {
    let (engine, honest) = (made(cheat), Honest(VERIFIER.clone()));
    let (mut lies, mut asked_for) = (Vec::new(), 0);
    while lies.len() < RESPONSES && asked_for < 40 * RESPONSES {
        let request = asked(asked_for, TOKENS);
        asked_for += 1;
        let claim = answered(engine.as_ref(), &request);
        if claim != answered(&honest, &request) {
            let (features, verdict) = judged(&request, &claim);
            lies.push(Lie { request, claim, features, verdict });
        }
    }
    (lies, asked_for)
}

/// Cheats that have nothing to gain from some requests, and are honest then.
fn is_choosy(cheat: Cheat) -> bool {
    matches!(
        cheat,
        Cheat::Rarely
            | Cheat::Padding
            | Cheat::SuppressedEnd
            | Cheat::EarlyStop
            | Cheat::FalseEnd
            | Cheat::BestOfSeeds
            | Cheat::LenientDraft
    )
}

/// No cheat is empty: each sends something else than an honest node would, or signs something else.
#[test]
fn every_cheat_cheats_and_is_caught_by_what_is_said_of_it() {
    let noise = difference(&of_machine(Machine::Rounding));
    for &cheat in Cheat::ALL.iter().filter(|cheat| !cheat.only_signs()) {
        let (lies, asked_for) = lies(cheat);
        assert_eq!(lies.len(), RESPONSES, "{cheat:?} cheats too seldom");
        assert!(is_choosy(cheat) || asked_for == RESPONSES, "{cheat:?} was honest in {asked_for} requests");
        let having = |reason| lies.iter().filter(|lie| reasons(&lie.verdict).contains(&reason)).count();
        let passing = lies.iter().filter(|lie| lie.verdict == ResponseVerdict::Pass).count();
        let shown: Vec<_> = lies.iter().map(|lie| (&lie.verdict, &lie.features.sampling)).collect();
        let as_said = match caught(cheat) {
            Caught::AtOnce(reason) => reason.is_hard() && having(reason) == RESPONSES,
            Caught::Suspect(reason) => having(reason) * 3 >= RESPONSES * 2,
            Caught::ByOneToken => lies.iter().all(|lie| {
                let sampling = lie.features.sampling.as_ref().unwrap();
                (1..=4).contains(&(sampling.tokens - sampling.agreeing)) && sampling.max_margin > 0.0
            }),
            Caught::ByManyTokens => {
                let samples = || lies.iter().filter_map(|lie| lie.features.sampling.as_ref());
                let (agreeing, tokens) = samples().fold((0, 0), |(a, t), s| (a + s.agreeing, t + s.tokens));
                agreeing * 20 < tokens * 19
            }
            Caught::AboveNoise => difference(lies.iter().map(|lie| &lie.features)) > 2.0 * noise,
            Caught::WithinNoise => {
                difference(lies.iter().map(|lie| &lie.features)) < 2.0 * noise && passing == RESPONSES
            }
            Caught::BySignature => true,
        };
        assert!(as_said, "{cheat:?}: {shown:?}");
        assert!(lies.iter().all(|lie| lie.claim.output.len() <= lie.request.max_tokens));
    }
}

/// Mean difference of mantissas over all blocks.
fn difference<'a>(responses: impl IntoIterator<Item = &'a ResponseFeatures>) -> f64 {
    let errors: Vec<f64> =
        responses.into_iter().flat_map(|features| &features.blocks).map(|block| block.mant_err_mean).collect();
    errors.iter().sum::<f64>() / errors.len() as f64
}

/// What an honest machine's responses measure; each must pass.
fn of_machine(machine: Machine) -> Vec<ResponseFeatures> {
    let engine = Honest(machine.open(&BASE, 1).unwrap());
    let measure = |number| {
        let request = asked(number, TOKENS);
        let (features, verdict) = judged(&request, &answered(&engine, &request));
        assert_eq!(verdict, ResponseVerdict::Pass, "{machine:?}, request {number}: {features:?}");
        features
    };
    (0..2 * RESPONSES).map(measure).collect()
}

/// What honest nodes send passes, whatever their machines; and these do differ.
#[test]
fn honest_machines_pass_and_are_not_all_alike() {
    let [exact, fast, rounding] = Machine::ALL.map(|machine| difference(&of_machine(machine)));
    assert!(exact == 0.0 && rounding > 0.1 && rounding > 20.0 * fast, "{exact} {fast} {rounding}");
}

/// What is signed, and over what: cheats that lie there alone.
#[cfg(feature = "network")]
mod signed {
    use alloy_primitives::{Address, B256};
    use alloy_signer_local::PrivateKeySigner;
    use tandem_protocol::api::CompletionEvidence;
    use tandem_protocol::evidence::{self, Asked, EvidenceFault};
    use tandem_protocol::messages::{ResponseCommitment, model_id, oracle_domain, proofs_hash, tokens_hash};
    use tandem_protocol::signed::Signed;
    use tandem_verifier::cheat::Cheat;
    use tandem_verifier::engine::{Engine, Honest};
    use tandem_verifier::generate::Request;
    use tandem_verifier::node::openai::CompletionResponse;

    use crate::common;
    use crate::lm::{VERIFIER, answered, asked, made};
    use crate::town::{Kind, MODEL, NETUID, Town, TownNode, User, text};

    fn key(byte: u8) -> PrivateKeySigner {
        PrivateKeySigner::from_bytes(&B256::repeat_byte(byte)).unwrap()
    }

    /// What a node with this engine sends, whose neuron is `uid` and signs with `hotkey`.
    fn sent(
        engine: &dyn Engine,
        request: &Request,
        nonce: B256,
        hotkey: &PrivateKeySigner,
        uid: u16,
    ) -> CompletionEvidence {
        let answer = answered(engine, request);
        let truth = ResponseCommitment {
            hotkey: hotkey.address(),
            netuid: NETUID,
            uid,
            model: model_id(MODEL),
            nonce,
            promptHash: tokens_hash(&request.prompt),
            outputHash: tokens_hash(&answer.output),
            proofsHash: proofs_hash(&answer.proofs),
            seed: request.seed,
            temperatureMilli: 700,
            speedClass: 1_000,
        };
        let commitment = Signed::new(engine.commit(truth), &oracle_domain(1, Address::ZERO), hotkey).unwrap();
        CompletionEvidence {
            prompt_tokens: request.prompt.clone(),
            output_tokens: answer.output,
            proofs: answer.proofs,
            commitment,
            consumed: 0,
        }
    }

    fn checked(evidence: &CompletionEvidence, request: &Request, nonce: B256) -> Result<(), EvidenceFault> {
        let asked = Asked {
            hotkey: key(1).address(),
            netuid: NETUID,
            uid: 3,
            model: model_id(MODEL),
            nonce,
            prompt: Some(&request.prompt),
            max_tokens: request.max_tokens as u64,
            seed: Some(request.seed),
            temperature_milli: 700,
        };
        evidence::check(evidence, &asked, &oracle_domain(1, Address::ZERO)).map(|_| ())
    }

    /// [CR-5] Nothing of another miner's, another request's or another seed's can be handed in.
    #[test]
    fn replayed_and_misnamed_responses_are_refused_before_anything_is_computed() {
        let nonce = |number: usize| B256::repeat_byte(number as u8 + 1);
        for cheat in [Cheat::Replay, Cheat::StaleNonce] {
            let engine = made(cheat);
            for number in 0..2 {
                let request = asked(number, 16);
                let claim = sent(engine.as_ref(), &request, nonce(number), &key(1), 3);
                let field = if cheat == Cheat::Replay { "hotkey" } else { "nonce" };
                // Whoever names another hotkey cannot sign for it either.
                let fault = checked(&claim, &request, nonce(number)).unwrap_err();
                assert!(
                    fault == EvidenceFault::Mismatch(field) || matches!(fault, EvidenceFault::Signature(_)),
                    "{cheat:?}: {fault:?}"
                );
            }
        }
        // The accomplice's response, as it was signed: right for its own neuron only.
        let (request, honest) = (asked(0, 16), Honest(VERIFIER.clone()));
        let theirs = sent(&honest, &request, nonce(0), &key(2), 4);
        assert!(checked(&theirs, &request, nonce(0)).is_err());
        let ours = sent(&honest, &request, nonce(0), &key(1), 3);
        assert_eq!(checked(&ours, &request, nonce(0)), Ok(()));
        assert_eq!(checked(&ours, &request, nonce(1)), Err(EvidenceFault::Mismatch("nonce")));
    }

    #[test]
    fn a_miner_that_tries_several_seeds_must_name_one_that_was_not_asked_for() {
        let engine = made(Cheat::BestOfSeeds);
        let ground = (0..60).find_map(|number| {
            let request = asked(number, 64);
            let claim = sent(engine.as_ref(), &request, B256::ZERO, &key(1), 3);
            (claim.commitment.message.seed != request.seed).then(|| checked(&claim, &request, B256::ZERO))
        });
        assert_eq!(ground, Some(Err(EvidenceFault::Mismatch("seed"))));
    }

    /// Cheats behind the node that everybody runs, paid over HTTP, seen with a client's eyes.
    #[tokio::test(flavor = "multi_thread")]
    async fn cheats_behind_a_real_node_are_caught_by_a_paying_client() {
        let town = Town::new();
        for (number, cheat) in [
            Cheat::ConstantPolynomial,
            Cheat::SmallerModel,
            Cheat::NullProof,
            Cheat::Replay,
            Cheat::SmallDecodesBigPrefills,
            Cheat::Int4Weights,
        ]
        .into_iter()
        .enumerate()
        {
            let name = format!("miner {number}");
            let node = TownNode::start(&town, &name, Kind::Cheat(cheat)).await;
            let mut user = User::open(&town, &format!("user {number}"), node.uid, 5, 3_600).await;
            let prompt = "How the tides come and go, and why they do";
            let (status, answer) = node.post(&user.request(&town, prompt, 64)).await;
            assert_eq!(status, 200, "{answer}");
            let response: CompletionResponse = serde_json::from_value(answer).unwrap();
            let prompt = text().encode(prompt).unwrap();
            let asked = Asked {
                hotkey: town.key(&format!("{name} hotkey")).address(),
                netuid: NETUID,
                uid: node.uid,
                model: model_id(MODEL),
                nonce: B256::repeat_byte(9),
                prompt: Some(&prompt),
                max_tokens: 64,
                seed: Some(5),
                temperature_milli: 1_000,
            };
            let signed = evidence::check(&response.tandem, &asked, &town.network.oracle_domain());
            assert_eq!(signed.is_err(), cheat == Cheat::Replay, "{cheat:?}: {signed:?}");
            let request = Request { prompt, max_tokens: 64, seed: 5, temperature: 1.0 };
            let (features, verdict) = common::check(&request, &response.tandem.output_tokens, &response.tandem.proofs);
            let expected = match super::caught(cheat) {
                super::Caught::AtOnce(reason) | super::Caught::Suspect(reason) => vec![reason],
                _ => vec![],
            };
            let found = super::reasons(&verdict);
            assert!(expected.iter().all(|reason| found.contains(reason)), "{cheat:?}: {found:?}");
            let differs = features.malformed.is_some() || super::difference([&features]) > 0.0 || !found.is_empty();
            assert_eq!(differs, cheat != Cheat::Replay, "{cheat:?}: {features:?}");
            node.stop().await;
        }
    }
}
