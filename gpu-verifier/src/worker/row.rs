//! From an epoch's verdicts to one row of weights: correctness first, then speed, then availability.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use tandem_protocol::api::Verdict;

use crate::verdict::{Aggregate, Decision, Drift, GRADES, LEVELS, Policy};

/// What makes one correct contributor worth more than another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Speed {
    /// The class it declares in its commitments: reproducible, for networks whose hardware is agreed on.
    #[default]
    Declared,
    /// Work per time as measured from here: normalised A100-minutes of the answers, by the rate card, over the minutes until
    /// they were there; less by as much as the first token, by the median of streamed answers, takes longer than two seconds.
    Measured,
}

/// One A100 does a million millionths of an A100-minute in 60,000 ms: with this factor its speed is 1,000.
const WORK_PER_MILLI: u128 = 60;

/// Who is no faster to begin with than this, in milliseconds, loses nothing by it.
const GOOD_LATENCY_MS: u128 = 2_000;

/// The (upper) median time to the first token, milliseconds; zero if no answer was streamed.
fn latency<'a>(findings: impl Iterator<Item = &'a &'a Finding>) -> u128 {
    let mut times: Vec<u64> = findings.filter_map(|finding| finding.first_token_ms).collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().map_or(0, u128::from)
}

/// What one audit found, as far as weights go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Who was audited.
    pub uid: u16,
    /// How it was judged.
    pub verdict: Verdict,
    /// Declared speed, thousandths of an A100.
    pub speed_class: u32,
    /// Millionths of an A100-minute that the response is worth by the rate card.
    pub work: u64,
    /// Milliseconds until the whole answer was there.
    pub elapsed_ms: u64,
    /// Milliseconds until its first token was there, of a streamed one.
    #[serde(default)]
    pub first_token_ms: Option<u64>,
    /// Grade of the response, see [`Policy::examine`].
    #[serde(default)]
    pub grade: u8,
    /// Who had the uid then: nobody answers for a predecessor.
    #[serde(default)]
    pub hotkey: Address,
    /// By which calibration the grade was given; zero if by none.
    #[serde(default)]
    pub calibration: B256,
}

/// The row of one subnet: (uid, weight), uids ascending, weights above zero, the largest 65,535.
///
/// A contributor's weight is 0 for any hard fault; 0 too if any response was suspect and the sequential test of `policy` does
/// not say that it passes all the same, or if the drift test fails it on these and the `earlier` findings together; otherwise
/// `speed · passes / audits`, where an unavailable contributor's audit is no pass. Speed, in thousandths of an A100, is the
/// smallest declared class, or all work over all time. Integers only, rounded down, so that equal findings give equal rows.
pub fn row(findings: &[Finding], earlier: &[Finding], speed: Speed, policy: &Policy) -> Vec<(u16, u16)> {
    let mut contributors: BTreeMap<u16, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        contributors.entry(finding.uid).or_default().push(finding);
    }
    let scores: Vec<(u16, u128)> =
        contributors.into_iter().map(|(uid, findings)| (uid, score(&findings, earlier, speed, policy))).collect();
    let best = scores.iter().map(|(_, score)| *score).max().unwrap_or(0);
    if best == 0 {
        return Vec::new();
    }
    let scaled = scores.into_iter().map(|(uid, score)| (uid, (score * u128::from(u16::MAX) / best) as u16));
    scaled.filter(|(_, weight)| *weight > 0).collect()
}

/// Whether the responses of one contributor, over many epochs, are worse than any honest machine's.
fn drifts(findings: &[&Finding], earlier: &[Finding], policy: &Policy) -> bool {
    let (Some(bets), Some(latest)) = (&policy.drift, findings.last()) else { return false };
    let mut counts = [0; GRADES];
    let judged = |finding: &&Finding| {
        (finding.uid, finding.hotkey, finding.calibration.0) == (latest.uid, latest.hotkey, policy.calibration)
            && matches!(finding.verdict, Verdict::Pass | Verdict::Fail)
    };
    let all = findings.iter().copied().chain(earlier);
    all.filter(judged).for_each(|finding| counts[usize::from(finding.grade).min(LEVELS)] += 1);
    Drift::any_fails(bets, &counts)
}

fn score(findings: &[&Finding], earlier: &[Finding], speed: Speed, policy: &Policy) -> u128 {
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count() as u32;
    let aggregate = Aggregate {
        clean: count(Verdict::Pass),
        suspect: count(Verdict::Fail),
        hard: count(Verdict::HardFault),
        tokens: 0,
    };
    let suspect = aggregate.suspect > 0 && aggregate.decide(policy) != Decision::Pass;
    if aggregate.hard > 0 || suspect || drifts(findings, earlier, policy) {
        return 0;
    }
    let passed = || findings.iter().filter(|finding| finding.verdict == Verdict::Pass);
    let speed: u128 = match speed {
        Speed::Declared => passed().map(|finding| u128::from(finding.speed_class)).min().unwrap_or(0),
        Speed::Measured => {
            let work: u128 = passed().map(|finding| u128::from(finding.work)).sum();
            let millis: u128 = passed().map(|finding| u128::from(finding.elapsed_ms)).sum();
            work * WORK_PER_MILLI * GOOD_LATENCY_MS / (latency(passed()).max(GOOD_LATENCY_MS) * millis.max(1))
        }
    };
    speed * 1_000_000 * u128::from(aggregate.clean) / findings.len().max(1) as u128
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::verdict::BETS;

    fn found(uid: u16, verdict: Verdict, speed_class: u32) -> Finding {
        Finding {
            uid,
            verdict,
            speed_class,
            work: 10,
            elapsed_ms: 100,
            first_token_ms: None,
            grade: 0,
            hotkey: Address::ZERO,
            calibration: B256::ZERO,
        }
    }

    fn declared(findings: &[Finding]) -> Vec<(u16, u16)> {
        row(findings, &[], Speed::Declared, &Policy::default())
    }

    #[test]
    fn cheats_weigh_nothing_whatever_they_declare_and_others_by_speed_and_availability() {
        use Verdict::{Fail, HardFault, Pass, Unavailable};
        let findings = [
            found(4, Pass, 1000),
            found(4, Pass, 1000),
            found(2, Pass, 500),
            found(7, Pass, 1000),
            found(7, Unavailable, 0),
            found(9, Pass, 9000),
            found(9, HardFault, 9000),
            found(1, Fail, 9000),
            found(1, Pass, 9000),
            found(3, Unavailable, 0),
        ];
        assert_eq!(declared(&findings), [(2, 32_767), (4, 65_535), (7, 32_767)]);
    }

    #[test]
    fn one_suspect_response_among_many_clean_ones_is_forgiven() {
        let mut findings = vec![found(0, Verdict::Fail, 10)];
        findings.extend(vec![found(0, Verdict::Pass, 10); 30]);
        assert_eq!(declared(&findings), [(0, 65_535)]);
    }

    /// Half an A100's work in the same time, one A100's in twice the time, and both as thousandths of an A100.
    #[test]
    fn measured_speed_is_work_per_time_in_the_unit_of_declared_speed() {
        let work = |uid, work, elapsed_ms| Finding { work, elapsed_ms, ..found(uid, Verdict::Pass, 1) };
        let findings = [work(1, 1_000_000, 60_000), work(2, 500_000, 60_000), work(3, 1_000_000, 120_000)];
        assert_eq!(row(&findings, &[], Speed::Measured, &Policy::default()), [(1, 65_535), (2, 32_767), (3, 32_767)]);
        assert_eq!(score(&[&findings[0]], &[], Speed::Measured, &Policy::default()), 1_000 * 1_000_000);
        let slow = |first_token_ms| Finding { first_token_ms: Some(first_token_ms), ..findings[0] };
        let score_of = |findings: &[&Finding]| score(findings, &[], Speed::Measured, &Policy::default());
        assert_eq!(score_of(&[&slow(2_000)]), score_of(&[&findings[0]]), "quick enough");
        assert_eq!(score_of(&[&slow(8_000)]), 250 * 1_000_000, "a quarter of the speed");
        assert_eq!(score_of(&[&slow(9_000), &slow(10), &slow(20)]), score_of(&[&findings[0]]), "one hiccup");
        let declared = found(1, Verdict::Pass, 1_000);
        assert_eq!(score(&[&declared], &[], Speed::Declared, &Policy::default()), 1_000 * 1_000_000);
    }

    /// Each response is a little off, none so far that it would be suspect.
    #[test]
    fn who_is_a_little_off_for_many_epochs_weighs_nothing_and_no_successor_inherits_that() {
        let calibration = B256::repeat_byte(3);
        let drift = Drift::new(&[250_000, 60_000, 10_000, 5_000], &[0.2, 0.6, 0.2, 0.0, 0.0], 500);
        let policy = Policy { drift: Some([drift; BETS]), calibration: calibration.0, ..Policy::default() };
        let hotkey = Address::repeat_byte(1);
        let graded = |grade| Finding { grade, hotkey, calibration, ..found(5, Verdict::Pass, 10) };
        let weigh = |now: Finding, earlier: &[Finding]| !row(&[now], earlier, Speed::Declared, &policy).is_empty();
        let off = vec![graded(1); 100];
        assert!(weigh(graded(1), &off[..3]), "a few say nothing");
        assert!(!weigh(graded(1), &off) && !weigh(graded(0), &off));
        assert!(weigh(graded(1), &vec![graded(0); 100]));
        assert!(weigh(Finding { hotkey: Address::repeat_byte(2), ..graded(1) }, &off));
        assert!(weigh(graded(1), &off.iter().map(|f| Finding { uid: 6, ..*f }).collect::<Vec<_>>()));
        let other = |f: &Finding| Finding { calibration: B256::repeat_byte(4), ..*f };
        assert!(weigh(graded(1), &off.iter().map(other).collect::<Vec<_>>()), "grades of another calibration");
        let down = |f: &Finding| Finding { verdict: Verdict::Unavailable, ..*f };
        assert!(weigh(graded(1), &off.iter().map(down).collect::<Vec<_>>()), "no answer is no grade");
    }

    proptest! {
        #[test]
        fn a_row_is_ascending_scaled_to_its_largest_and_does_not_depend_on_order(
            findings in prop::collection::vec((0u16..9, 0usize..4, any::<u32>(), any::<u64>(), any::<u64>()), 0..60),
            measured: bool,
        ) {
            let verdicts = [Verdict::Pass, Verdict::Fail, Verdict::HardFault, Verdict::Unavailable];
            let mut findings: Vec<Finding> = findings
                .into_iter()
                .map(|(uid, verdict, speed_class, work, elapsed_ms)| {
                    let verdict = verdicts[verdict];
                    Finding { work, elapsed_ms, ..found(uid, verdict, speed_class) }
                })
                .collect();
            let speed = if measured { Speed::Measured } else { Speed::Declared };
            let first = row(&findings, &[], speed, &Policy::default());
            findings.reverse();
            prop_assert_eq!(&first, &row(&findings, &[], speed, &Policy::default()));
            prop_assert!(first.windows(2).all(|pair| pair[0].0 < pair[1].0));
            prop_assert!(first.is_empty() || first.iter().any(|(_, weight)| *weight == u16::MAX));
            for (uid, _) in &first {
                let hard = findings.iter().any(|f| f.uid == *uid && f.verdict == Verdict::HardFault);
                prop_assert!(!hard);
            }
        }
    }
}
