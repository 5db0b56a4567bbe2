//! Honest responses pass; each way of cheating is caught.

use std::collections::HashSet;

use proptest::prelude::*;
use tandem_verifier::generate::{Completion, Finish, GenerateError, Generation, Request};
use tandem_verifier::verdict::{Aggregate, Decision, Policy, Reason, ResponseVerdict};
use tandem_verifier::verify::{Claim, Malformed, Termination, VerifyError, verify_response, verify_responses};
use toploc::Proof;

use crate::common::{FULL, SMALL, answer, check, prompt, request};

fn reasons(verdict: ResponseVerdict) -> Vec<Reason> {
    match verdict {
        ResponseVerdict::Pass => vec![],
        ResponseVerdict::Suspect(reasons) | ResponseVerdict::HardFault(reasons) => reasons,
    }
}

#[test]
fn honest_answers_pass_with_nothing_to_remark_at_any_length_and_temperature() {
    for (seed, (max_tokens, temperature)) in
        [(1, 1.0), (2, 0.0), (31, 0.7), (32, 1.0), (33, 2.0), (64, 1.0), (96, 0.0), (120, 1.0)].into_iter().enumerate()
    {
        let request = request(seed as u32, max_tokens, temperature);
        let answer = answer(&FULL, &request);
        assert_eq!(answer.proofs.len(), answer.output.len().div_ceil(32));
        let (features, verdict) = check(&request, &answer.output, &answer.proofs);
        assert_eq!(verdict, ResponseVerdict::Pass, "{features:?}");
        // The arithmetic is exact, so there is no noise at all.
        let exact = Policy::published(toploc::Thresholds::exact());
        assert_eq!(exact.judge(&features), ResponseVerdict::Pass, "{features:?}");
        let sampling = features.sampling.unwrap();
        assert_eq!((sampling.agreeing, sampling.max_margin), (answer.output.len(), 0.0));
    }
}

#[test]
fn sampled_answers_are_varied_and_depend_on_seed_and_prompt() {
    let outputs: Vec<Vec<u32>> = (0..8).map(|seed| answer(&FULL, &request(seed, 60, 1.0)).output).collect();
    let distinct: HashSet<&Vec<u32>> = outputs.iter().collect();
    assert_eq!(distinct.len(), 8);
    for output in outputs.iter().filter(|output| output.len() >= 30) {
        let tokens: HashSet<&u32> = output.iter().collect();
        assert!(tokens.len() * 3 > output.len(), "{output:?}");
    }
}

#[test]
fn a_smaller_model_fails_on_hidden_states_and_on_tokens() {
    let mut seen = Aggregate::default();
    for seed in 0..3 {
        let request = request(seed, 64, 1.0);
        let cheat = answer(&SMALL, &request);
        let (features, verdict) = check(&request, &cheat.output, &cheat.proofs);
        let found = reasons(verdict.clone());
        assert!(found.contains(&Reason::Exponents) && found.contains(&Reason::Sampling), "{found:?}");
        seen.add(&features, &verdict);
    }
    assert_eq!(seen.decide(&Policy::default()), Decision::Fail);
}

/// The hidden states are honest, but the tokens come from elsewhere.
#[test]
fn tokens_of_a_small_model_with_proofs_of_the_big_one_fail_on_tokens() {
    let request = request(4, 64, 1.0);
    let cheap = answer(&SMALL, &request);
    let sequence = [request.prompt.as_slice(), &cheap.output[..cheap.output.len() - 1]].concat();
    let mut rows = tandem_verifier::commitment::CommittedRows::new(request.prompt.len(), 128);
    rows.absorb(&FULL.prefill(&sequence).unwrap());
    let (_, verdict) = check(&request, &cheap.output, &rows.prove().unwrap());
    assert_eq!(reasons(verdict), [Reason::Sampling]);
}

#[test]
fn another_seed_or_temperature_fails_on_tokens() {
    for (seed, temperature) in [(99, 1.0), (5, 0.0), (5, 2.0)] {
        let asked = request(5, 64, 1.0);
        let mut other = Request { temperature, ..asked.clone() };
        if seed != 5 {
            other.seed = seed;
        }
        let cheat = answer(&FULL, &other);
        let (_, verdict) = check(&asked, &cheat.output, &cheat.proofs);
        assert!(reasons(verdict).contains(&Reason::Sampling));
    }
}

#[test]
fn a_constant_polynomial_is_a_hard_fault() {
    let request = request(6, 64, 1.0);
    let honest = answer(&FULL, &request);
    for value in [0x4010_u16, 0x4040, 0xc020, 0x3fc0] {
        let mut bytes = vec![0; 258];
        bytes[..2].copy_from_slice(&65_497_u16.to_be_bytes());
        bytes[2..4].copy_from_slice(&value.to_be_bytes());
        let forged = Proof::parse(&bytes, 128).unwrap().to_base64();
        let proofs = vec![forged; honest.proofs.len()];
        let (features, verdict) = check(&request, &honest.output, &proofs);
        assert!(!matches!(verdict, ResponseVerdict::Pass), "{features:?}");
        if value & 0x7fff >= 0x4000 {
            assert!(matches!(&verdict, ResponseVerdict::HardFault(r) if r.contains(&Reason::Decoy)), "{features:?}");
        }
    }
}

#[test]
fn swapped_replayed_and_foreign_proofs_fail() {
    let request = request(7, 96, 1.0);
    let honest = answer(&FULL, &request);
    assert!(honest.proofs.len() >= 2, "too short to swap");
    let mut swapped = honest.proofs.clone();
    swapped.rotate_left(1);
    let repeated = vec![honest.proofs[0].clone(); honest.proofs.len()];
    let other = answer(&FULL, &crate::common::request(8, 96, 1.0));
    let replayed: Vec<String> = other.proofs.iter().cycle().take(honest.proofs.len()).cloned().collect();
    for proofs in [swapped, repeated, replayed] {
        let (_, verdict) = check(&request, &honest.output, &proofs);
        assert!(reasons(verdict).contains(&Reason::Exponents));
    }
    // An earlier answer copied whole, to another prompt.
    let (_, verdict) = check(&request, &other.output, &other.proofs);
    assert!(reasons(verdict).contains(&Reason::Exponents));
}

#[test]
fn malformed_responses_are_hard_faults_that_cost_no_forward_pass() {
    let request = request(9, 64, 1.0);
    let honest = answer(&FULL, &request);
    let (output, proofs) = (&honest.output, &honest.proofs);
    let with = |index: usize, text: &str| {
        let mut proofs = proofs.clone();
        proofs[index] = text.to_owned();
        proofs
    };
    let mut unknown = output.clone();
    unknown[0] = 288;
    let long = [output.as_slice(), &[1; 65]].concat();
    let null = "A".repeat(344);
    let cases: Vec<(&[u32], Vec<String>)> = vec![
        (&[], vec![]),
        (&long, proofs.clone()),
        (&unknown, proofs.clone()),
        (output, vec![]),
        (output, [proofs.as_slice(), &proofs[..1]].concat()),
        (output, with(0, "")),
        (output, with(0, &null)),
        (output, with(0, &proofs[0][..340])),
        (output, with(0, &format!("{}AAAA", proofs[0]))),
        (output, with(0, &"=".repeat(344))),
        (output, with(0, &"é".repeat(172))),
    ];
    for (output, proofs) in cases {
        let (features, verdict) = check(&request, output, &proofs);
        assert!(features.malformed.is_some() && features.sampling.is_none(), "{features:?}");
        assert!(matches!(verdict, ResponseVerdict::HardFault(_)));
    }
}

#[test]
fn stopping_early_and_going_on_after_the_end_are_seen() {
    let request = request(10, 64, 1.0);
    let honest = answer(&FULL, &request);
    let mut generation = Generation::start(FULL.as_ref(), &request).unwrap();
    for _ in 0..honest.output.len() - 3 {
        generation.step().unwrap().unwrap();
    }
    let cut = generation.finish().unwrap();
    let (features, verdict) = check(&request, &cut.output, &cut.proofs);
    assert_eq!(features.termination, Some(Termination::Early));
    assert_eq!(reasons(verdict), [Reason::Termination]);

    let mut output = honest.output.clone();
    output[5] = 257;
    let (features, _) = check(&request, &output, &honest.proofs);
    assert_eq!(features.termination, Some(Termination::Late));
}

#[test]
fn some_answers_end_by_themselves_and_pass() {
    let ended = (0..60).find_map(|seed| {
        let request = request(seed, 100, 1.0);
        let answer = answer(&FULL, &request);
        (answer.finish == Finish::Stop).then_some((request, answer))
    });
    let (request, answer) = ended.expect("one of sixty answers ends by itself");
    assert_eq!(answer.output.last(), Some(&257));
    let (features, verdict) = check(&request, &answer.output, &answer.proofs);
    assert_eq!((features.termination, verdict), (Some(Termination::Stop), ResponseVerdict::Pass));
}

#[test]
fn the_longest_sequence_ends_an_answer_and_passes() {
    let request = Request { prompt: prompt(11, 2_047), max_tokens: 50, seed: 1, temperature: 1.0 };
    let answer = answer(&FULL, &request);
    assert!(answer.output.len() <= 2);
    let (_, verdict) = check(&request, &answer.output, &answer.proofs);
    assert_eq!(verdict, ResponseVerdict::Pass);
}

#[test]
fn requests_that_cannot_be_served_are_the_verifiers_fault() {
    let good = request(12, 4, 1.0);
    let bad = [
        (Request { prompt: vec![], ..good.clone() }, GenerateError::EmptyPrompt),
        (Request { max_tokens: 0, ..good.clone() }, GenerateError::NoTokens),
        (
            Request { prompt: vec![1; 2_049], ..good.clone() },
            GenerateError::PromptTooLong { prompt: 2_049, max: 2_048 },
        ),
    ];
    for (request, error) in bad {
        let claim = Claim { request: &request, output: &[1], proofs: &[] };
        assert_eq!(verify_response(FULL.as_ref(), &claim), Err(VerifyError::Request(error)));
    }
    let unknown = Request { prompt: vec![400], ..good };
    assert!(Generation::start(FULL.as_ref(), &unknown).unwrap().step().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(feature = "deep") { 500 } else { 24 }))]

    /// Whatever is claimed, there is a verdict, and only the honest answer passes.
    #[test]
    fn any_claim_is_judged_without_panic_and_only_the_truth_passes(
        output in proptest::collection::vec(0_u32..300, 0..70),
        bytes in proptest::collection::vec(any::<u8>(), 258 * 3),
        count in 0_usize..4,
    ) {
        let request = request(13, 64, 1.0);
        let proofs: Vec<String> = bytes.chunks(258).take(count).map(|bytes| {
            let mut bytes = bytes.to_vec();
            bytes[0] |= 0x80;
            Proof::parse(&bytes, 128).map(|proof| proof.to_base64()).unwrap_or_default()
        }).collect();
        let (features, verdict) = check(&request, &output, &proofs);
        prop_assert_ne!(verdict, ResponseVerdict::Pass);
        prop_assert!(serde_json::to_string(&features).is_ok());
        if output.is_empty() {
            prop_assert_eq!(features.malformed, Some(Malformed::Empty));
        }
    }
}

#[test]
fn a_long_prompt_that_is_fed_in_pieces_is_proved_as_one_that_is_fed_at_once() {
    let asked = Request { prompt: prompt(3, 300), ..request(3, 40, 0.7) };
    let given = answer(&FULL, &asked);
    let (_, verdict) = check(&asked, &given.output, &given.proofs);
    assert_eq!(verdict, ResponseVerdict::Pass);
}

/// Good, bad and hopeless responses together are measured as each alone.
#[test]
fn responses_that_are_verified_together_are_measured_as_each_alone() {
    let mut requests: Vec<Request> = (0..6).map(|seed| request(40 + seed, 10 + 20 * seed as usize, 1.0)).collect();
    let mut made: Vec<Completion> = requests.iter().map(|request| answer(&FULL, request)).collect();
    made[1] = answer(&SMALL, &requests[1]);
    made[2].proofs.clear();
    made[4].output.clear();
    requests[3].prompt.clear();
    requests[5].prompt[2] = 9_999;
    let pairs = requests.iter().zip(&made);
    let claims: Vec<Claim<'_>> =
        pairs.map(|(request, made)| Claim { request, output: &made.output, proofs: &made.proofs }).collect();
    let together = verify_responses(FULL.as_ref(), &claims);
    assert_eq!(together.len(), 6);
    for (together, claim) in together.iter().zip(&claims) {
        assert_eq!(together, &verify_response(FULL.as_ref(), claim));
    }
    assert_eq!(together.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, true, false, true, false]);
    assert!(verify_responses(FULL.as_ref(), &[]).is_empty());
}
