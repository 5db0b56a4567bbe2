//! What verdicts promise, computed exactly: no simulation can show a rate of one in a thousand.

use proptest::prelude::*;
use tandem_verifier::stats::at_most;
use tandem_verifier::verdict::{
    Aggregate, Decision, Drift, GRADES, LEVELS, Limits, MEASURES, Measure, Measures, Policy, Reason, ResponseVerdict,
    SUSPECT, Scale, Sprt, worst,
};
use tandem_verifier::verify::{ResponseFeatures, SamplingReport, Termination};
use toploc::BlockReport;

fn decide(clean: u32, suspect: u32, hard: u32) -> Decision {
    Aggregate { clean, suspect, hard, tokens: 0 }.decide(&Policy::default())
}

#[test]
fn one_hard_fault_fails_whatever_else_was_seen() {
    assert_eq!(decide(1_000, 0, 1), Decision::Fail);
}

#[test]
fn by_the_published_policy_two_suspect_responses_fail_three_clean_ones_pass_and_a_single_one_decides_nothing() {
    assert_eq!(
        [decide(0, 0, 0), decide(1, 0, 0), decide(0, 1, 0), decide(1, 1, 0), decide(2, 0, 0)],
        [Decision::Undecided; 5]
    );
    assert_eq!([decide(3, 0, 0), decide(50, 3, 0)], [Decision::Pass; 2]);
    assert_eq!([decide(0, 2, 0), decide(2, 5, 0)], [Decision::Fail; 2]);
    assert_eq!(Sprt::new(10_000, 900_000, 1_000, 10_000).unwrap(), Policy::default().sprt);
}

/// Every walk of every length is followed. The error rates hold at the stated rates and beyond them, for those who stop at the
/// first decision, for those who go on after one, and for those who look once after `n` responses.
#[test]
fn the_error_rates_of_the_sequential_test_are_at_most_the_stated_ones() {
    const HORIZON: u32 = 1_500;
    for (p0, p1, false_fail, false_pass) in [
        (10_000, 900_000, 1_000, 10_000),
        (3_000, 500_000, 500, 10_000),
        (30_000, 500_000, 500, 10_000),
        (150_000, 300_000, 1_000, 1_000),
        (1, 999_999, 50_000, 50_000),
        (400_000, 500_000, 10_000, 20_000),
    ] {
        let test = Sprt::new(p0, p1, false_fail, false_pass).unwrap();
        let [p0, p1, alpha, beta] = [p0, p1, false_fail, false_pass].map(|ppm| f64::from(ppm) / 1e6);
        for honest in [0.0, p0 / 3.0, p0] {
            let course = test.course(honest, 0.0, HORIZON);
            assert!(course.fail <= alpha, "{test:?}: fails {} of honest ones", course.fail);
        }
        for cheat in [p1, (1.0 + p1) / 2.0, 1.0] {
            let course = test.course(cheat, 0.0, HORIZON);
            assert!(course.pass <= beta, "{test:?}: passes {} of cheats", course.pass);
            assert!(course.fail + course.pass > 0.95, "{test:?} does not decide: {course:?}");
        }
        let endless = tandem_verifier::sequential::Walk {
            weights: &[test.clean, test.suspect],
            fail_at: test.fail_at,
            pass_at: None,
        };
        assert!(endless.course(&[1.0 - p0, p0], HORIZON).fail <= alpha);
        for n in 1..=300_u32 {
            let least = (0..=n).find(|&suspect| test.decide(n - suspect, suspect) == Decision::Fail);
            let fails = least.map_or(0.0, |least| 1.0 - at_most(u64::from(least) - 1, u64::from(n), p0));
            assert!(fails <= alpha, "{test:?}, looked at after {n}: {fails}");
            let most = (0..=n).rev().find(|&suspect| test.decide(n - suspect, suspect) == Decision::Pass);
            let passes = most.map_or(0.0, |most| at_most(u64::from(most), u64::from(n), p1));
            assert!(passes <= beta, "{test:?}, looked at after {n}: {passes}");
        }
    }
}

/// The proof above can fail: bounds a little too near are noticed.
#[test]
fn a_test_with_a_bound_too_near_breaks_its_promise() {
    let test = Sprt::new(150_000, 300_000, 1_000, 1_000).unwrap();
    let near = Sprt { fail_at: test.fail_at - 900, ..test };
    assert!(near.course(0.15, 0.0, 1_500).fail > 0.001);
    assert!(near.check().is_err() && test.check().is_ok());
}

#[test]
fn rates_that_cannot_be_told_apart_make_no_test() {
    for (p0, p1, alpha, beta) in [
        (0, 500_000, 1_000, 1_000),
        (500_000, 500_000, 1_000, 1_000),
        (600_000, 500_000, 1_000, 1_000),
        (1_000, 1_000_000, 1_000, 1_000),
        (1_000, 500_000, 0, 1_000),
        (1_000, 500_000, 1_000, 500_000),
    ] {
        assert!(Sprt::new(p0, p1, alpha, beta).is_err());
    }
}

fn descending() -> impl Strategy<Value = [u32; LEVELS]> {
    prop::array::uniform4(1_u32..400_000).prop_map(|mut tails| {
        tails.sort_unstable_by(|a, b| b.cmp(a));
        tails
    })
}

fn shares() -> impl Strategy<Value = [f64; GRADES]> {
    prop::array::uniform5(0.001_f64..1.0).prop_map(|weights| {
        let sum: f64 = weights.iter().sum();
        weights.map(|weight| weight / sum)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(feature = "deep") { 2_000 } else { 40 }))]

    /// Ville's inequality, checked by following all walks: for the worst honest contributor, and for any that exceeds each level
    /// less often.
    #[test]
    fn the_drift_test_fails_honest_contributors_as_rarely_as_it_says(
        tails in descending(), cheat in shares(), better in descending(), alpha in prop::sample::select(vec![500_u32, 20_000]),
    ) {
        let drift = Drift::new(&tails, &cheat, alpha);
        prop_assert_eq!(drift.check(&tails), Ok(()));
        let limit = f64::from(alpha) / 1e6;
        prop_assert!(drift.course(&worst(&tails), 200).fail <= limit + 1e-12);
        let better = std::array::from_fn(|level| better[level].min(tails[level]));
        prop_assert!(drift.course(&worst(&better), 200).fail <= limit + 1e-12);
    }

    /// More to gain means more to lose: raising any weight of a bet that is nearly fair makes it unfair, and it is refused.
    #[test]
    fn a_bet_that_is_not_fair_is_refused(tails in descending(), cheat in shares(), level in 0..GRADES) {
        let mut drift = Drift::new(&tails, &cheat, 500);
        drift.weights[level..].iter_mut().for_each(|weight| *weight += 2_000);
        if worst(&tails)[level..].iter().sum::<f64>() > 0.2 {
            prop_assert!(drift.check(&tails).is_err());
        }
        drift.weights[GRADES - 1] = drift.weights[0] - 1;
        prop_assert!(drift.check(&tails).is_err());
    }

    #[test]
    fn grades_rise_with_every_value_and_nothing_passes_that_is_no_number(
        mean in 0_u32..1_000_000, between in 0_u32..1_000_000, within in 0_u32..1_000_000,
        mut limits in prop::array::uniform4(0_u32..100_000), value in 0.0_f64..100.0, more in 0.0_f64..10.0, tokens in 1_usize..200,
    ) {
        limits.sort_unstable();
        let scale = Scale { mean, between, within, limits };
        for measure in Measure::ALL {
            prop_assert!(scale.grade(measure, value, tokens) <= scale.grade(measure, value + more, tokens));
            prop_assert_eq!(scale.grade(measure, f64::NAN, tokens), LEVELS);
            prop_assert_eq!(scale.grade(measure, f64::INFINITY, tokens), LEVELS);
        }
    }
}

fn block(points: usize, exp_mismatches: usize, mant_err_mean: f64) -> BlockReport {
    BlockReport {
        points,
        candidates: points,
        modulus: 65_497,
        exp_mismatches,
        mant_err_mean,
        mant_err_median: mant_err_mean,
        sign_mismatches: 0,
        decoys: 512,
        decoy_hits: 0,
        decoy_limit: 40,
    }
}

fn features(blocks: Vec<BlockReport>, mean_margin: f64) -> ResponseFeatures {
    ResponseFeatures {
        tokens: 50,
        malformed: None,
        termination: Some(Termination::Length),
        blocks,
        sampling: Some(SamplingReport { tokens: 50, agreeing: 49, mean_margin, max_margin: 50.0 * mean_margin }),
    }
}

#[test]
fn blocks_are_pooled_by_their_points_and_one_without_any_agreement_counts_nothing_towards_the_mantissas() {
    let no_match = toploc::NO_MATCH;
    let measures =
        Measures::of(&features(vec![block(100, 0, 3.0), block(60, 60, no_match), block(40, 20, 6.0)], 0.5)).unwrap();
    assert_eq!(measures.values, [0.0, 0.4, 3.5, 0.5, 25.0, 0.02]);
    let none = Measures::of(&features(vec![block(128, 128, no_match)], 0.0)).unwrap();
    assert_eq!(none.values[..3], [0.0, 1.0, 127.0]);
}

fn calibrated() -> Policy {
    let scale = Scale { mean: 0, between: 100_000, within: 0, limits: [500, 1_000, 2_000, 4_000] };
    Policy { limits: Limits::Calibrated([scale; MEASURES]), ..Policy::default() }
}

#[test]
fn a_calibrated_policy_grades_by_the_worst_measure_and_says_which_it_was() {
    let policy = calibrated();
    let judge = |blocks, margin| policy.examine(&features(blocks, margin));
    assert_eq!(judge(vec![block(128, 0, 0.0)], 0.0), (ResponseVerdict::Pass, 0));
    // 13 of 128 exponents: one deviation.
    assert_eq!(judge(vec![block(128, 13, 0.0)], 0.0), (ResponseVerdict::Pass, 2));
    assert_eq!(judge(vec![block(128, 30, 0.0)], 0.0), (ResponseVerdict::Suspect(vec![Reason::Exponents]), SUSPECT));
    assert_eq!(judge(vec![block(128, 0, 9.0)], 0.0), (ResponseVerdict::Suspect(vec![Reason::MantissaMean]), LEVELS));
    assert_eq!(judge(vec![block(128, 0, 0.0)], 1.0), (ResponseVerdict::Suspect(vec![Reason::Sampling]), LEVELS));
    let forged = BlockReport { decoy_hits: 41, ..block(128, 0, 0.0) };
    assert_eq!(judge(vec![forged], 0.0), (ResponseVerdict::HardFault(vec![Reason::Decoy]), LEVELS));
}

#[test]
fn malformed_responses_are_hard_and_early_endings_are_not_under_every_policy() {
    for policy in [Policy::default(), calibrated()] {
        let mut features = ResponseFeatures {
            tokens: 5,
            malformed: None,
            termination: Some(Termination::Early),
            blocks: vec![],
            sampling: None,
        };
        assert_eq!(policy.judge(&features), ResponseVerdict::Suspect(vec![Reason::Termination]));
        features.tokens = 0;
        let (verdict, grade) = policy.examine(&features);
        assert_eq!(verdict, ResponseVerdict::HardFault(vec![Reason::Malformed, Reason::Termination]));
        assert_eq!(grade, LEVELS);
    }
}
