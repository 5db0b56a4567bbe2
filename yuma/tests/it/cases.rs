//! The fourteen stories by which Yuma's versions are usually compared: three validators and two or three miners over
//! forty epochs, told by the sum of each validator's dividends.

use yuma::{Hyperparameters, LiquidAlpha, Profile, Row, Rules, Snapshot};

const EPOCHS: u32 = 40;

/// Parts of a whole on two miners.
type Parts = [u16; 2];
const FIRST: Parts = [1_000, 0];
const SECOND: Parts = [0, 1_000];

struct Case {
    number: u32,
    stakes: fn(u32) -> [u128; 3],
    weights: fn(u32) -> [Parts; 3],
    /// The miner with whom all bonds end at epoch 20, in Yuma3.
    reset: Option<u16>,
    /// Sums of dividends in hundredths, by rules as [`rules`] lists them.
    totals: [[i64; 3]; 3],
}

fn rules() -> [Hyperparameters; 3] {
    let liquid_alpha = Some(LiquidAlpha { low: 6_554, high: 19_661, steepness: 1_000 });
    let yuma3 =
        Hyperparameters { bonds_moving_average: 975_000, bonds_penalty: 0, ..Hyperparameters::subtensor(Rules::Yuma3) };
    [Hyperparameters::subtensor(Rules::Yuma2), yuma3.clone(), Hyperparameters { liquid_alpha, ..yuma3 }]
}

fn large_and_small(_: u32) -> [u128; 3] {
    [80, 10, 10]
}

/// Each validator moves to the second miner at one epoch, and back at another.
fn moving(epoch: u32, there: [u32; 3], back: [u32; 3]) -> [Parts; 3] {
    [0, 1, 2].map(|who| if (there[who]..back[who]).contains(&epoch) { SECOND } else { FIRST })
}

const NEVER: [u32; 3] = [u32::MAX; 3];

const CASES: [Case; 14] = [
    Case {
        number: 1,
        stakes: large_and_small,
        weights: |epoch| moving(epoch, [1, 2, 3], NEVER),
        reset: None,
        totals: [[3406, 303, 292], [3294, 369, 338], [3273, 375, 352]],
    },
    Case {
        number: 2,
        stakes: large_and_small,
        weights: |epoch| moving(epoch, [2, 1, 3], NEVER),
        reset: None,
        totals: [[3288, 410, 302], [3205, 433, 362], [3168, 464, 368]],
    },
    Case {
        number: 3,
        stakes: large_and_small,
        weights: |epoch| moving(epoch, [3, 1, 2], NEVER),
        reset: None,
        totals: [[3204, 397, 399], [3133, 445, 421], [3082, 476, 442]],
    },
    Case {
        number: 4,
        stakes: large_and_small,
        weights: |epoch| moving(epoch, [1, 1, 1], NEVER),
        reset: None,
        totals: [[3200, 400, 400]; 3],
    },
    Case {
        number: 5,
        stakes: large_and_small,
        weights: |epoch| moving(epoch, [2, 1, 1], [23, 21, 22]),
        reset: Some(4),
        totals: [[3221, 388, 390], [3144, 434, 422], [3012, 509, 480]],
    },
    Case {
        number: 6,
        stakes: large_and_small,
        weights: |epoch| moving(epoch, [2, 1, 3], [21, 21, 21]),
        reset: Some(3),
        totals: [[3285, 401, 314], [3205, 428, 367], [3170, 461, 370]],
    },
    Case {
        number: 7,
        stakes: large_and_small,
        weights: |epoch| moving(epoch, [2, 1, 1], [22, 22, 21]),
        reset: Some(3),
        totals: [[3219, 391, 390], [3136, 417, 447], [3060, 438, 502]],
    },
    Case {
        number: 8,
        stakes: large_and_small,
        weights: |epoch| moving(epoch, [2, 1, 1], [22, 21, 21]),
        reset: Some(4),
        totals: [[3220, 390, 390], [3156, 422, 422], [3033, 483, 483]],
    },
    Case {
        number: 9,
        stakes: |epoch| if epoch < 6 { [80, 10, 10] } else { [80, 20, 0] },
        weights: |_| [FIRST; 3],
        reset: None,
        totals: [[3200, 652, 147], [3200, 740, 60], [3200, 740, 60]],
    },
    Case {
        number: 10,
        stakes: large_and_small,
        weights: |epoch| moving(epoch, [10, 1, 11], NEVER),
        reset: None,
        totals: [[3316, 376, 308], [3098, 544, 358], [3129, 503, 368]],
    },
    Case {
        number: 11,
        stakes: |_| [49, 49, 2],
        weights: |epoch| [[300, 700], [600, 400], if epoch < 20 { [610, 390] } else { [300, 610] }],
        reset: None,
        totals: [[1818, 2090, 92], [2000, 1920, 80], [2023, 1898, 79]],
    },
    Case {
        number: 12,
        stakes: large_and_small,
        weights: |epoch| if epoch == 0 { [FIRST; 3] } else { [SECOND, [1, 999], SECOND] },
        reset: None,
        totals: [[3200, 400, 400]; 3],
    },
    Case {
        number: 13,
        stakes: large_and_small,
        weights: |epoch| [SECOND, [500, 500], if epoch < 21 { SECOND } else { [500, 500] }],
        reset: None,
        totals: [[3421, 214, 365], [3401, 213, 386], [3426, 214, 360]],
    },
    Case {
        number: 14,
        stakes: |_| [33, 33, 34],
        weights: |epoch| [FIRST, FIRST, if epoch == 20 { SECOND } else { FIRST }],
        reset: None,
        totals: [[1335, 1335, 1330], [1329, 1329, 1342], [1350, 1350, 1299]],
    },
];

fn totals(case: &Case, params: &Hyperparameters) -> [i64; 3] {
    let mut sums = [0u64; 3];
    let mut bonds = vec![Vec::new(); 5];
    for epoch in 0..EPOCHS {
        let (stakes, weights) = ((case.stakes)(epoch), (case.weights)(epoch));
        if let Some(miner) = case.reset.filter(|_| epoch == 20 && params.rules == Rules::Yuma3) {
            bonds.iter_mut().for_each(|row: &mut Vec<(u16, u16)>| row.retain(|cell| cell.0 != miner));
        }
        let weights = weights.map(|row| [(3, row[0]), (4, row[1])]);
        let rows: [Row<'_>; 5] = [&weights[0], &weights[1], &weights[2], &[], &[]];
        let subnet = Snapshot {
            stakes: &[stakes[0], stakes[1], stakes[2], 0, 0],
            permits: &[true, true, true, false, false],
            active: &[true; 5],
            weights: &rows,
            bonds: &bonds.iter().map(Vec::as_slice).collect::<Vec<_>>(),
        };
        let outcome = subnet.run(params).unwrap();
        sums.iter_mut().zip(&outcome.dividends).for_each(|(sum, dividend)| *sum += dividend.raw());
        bonds = outcome.bonds;
    }
    sums.map(|sum| ((u128::from(sum) * 100 + (1 << 31)) >> 32) as i64)
}

#[test]
fn the_fourteen_stories_end_as_published() {
    let mut bad = Vec::new();
    for case in &CASES {
        for (params, expected) in rules().iter().zip(case.totals) {
            for profile in [Profile::Subtensor, Profile::Tandem] {
                let given = totals(case, &Hyperparameters { profile, ..params.clone() });
                let near = given.iter().zip(expected).all(|(given, expected)| (given - expected).abs() <= 1);
                if !near {
                    bad.push(format!(
                        "case {} {:?} {:?}: {given:?}, not {expected:?}",
                        case.number, params.rules, profile
                    ));
                }
            }
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
}
