//! The numbers published with Subtensor's own tests.

use yuma::{Epoch, Hyperparameters, LiquidAlpha, Neuron, Outcome, Profile, Rules};

const RAO: u64 = 1_000_000_000;

/// A subnet whose uids keep their permits and weights and feed their bonds back, epoch after epoch.
struct Subnet {
    epoch: Epoch,
    params: Hyperparameters,
}

impl Subnet {
    fn new(rules: Rules, stakes: &[u128], max_validators: u16) -> Self {
        let neurons = stakes.iter().map(|&stake| Neuron { stake, permit: true, last_update: 1, ..Neuron::default() });
        Self {
            epoch: Epoch { now: 1, bonds_since: 1, owner: None, neurons: neurons.collect() },
            params: Hyperparameters { max_validators, ..Hyperparameters::subtensor(rules) },
        }
    }

    fn weigh(&mut self, uid: usize, weights: &[(u16, u16)]) {
        self.epoch.neurons[uid].weights = weights.to_vec();
    }

    fn step(&mut self) -> Outcome {
        let outcome = self.epoch.run(&self.params).unwrap();
        for (neuron, bonds) in self.epoch.neurons.iter_mut().zip(&outcome.bonds) {
            neuron.bonds.clone_from(bonds);
        }
        outcome
    }
}

#[test]
fn a_lone_uid_with_a_weight_on_itself_scores_nothing() {
    let mut subnet = Subnet::new(Rules::Yuma2, &[1], 64);
    subnet.weigh(0, &[(0, u16::MAX)]);
    let outcome = subnet.step();
    for scores in [&outcome.rank, &outcome.incentive, &outcome.dividends, &outcome.consensus, &outcome.validator_trust]
    {
        assert_eq!(scores[0].raw(), 0);
    }
}

#[test]
fn ten_uids_with_weights_on_themselves_are_paid_by_stake() {
    let mut subnet = Subnet::new(Rules::Yuma2, &[1; 10], 64);
    for uid in 0..10 {
        subnet.weigh(uid.into(), &[(uid, u16::MAX)]);
    }
    let outcome = subnet.step();
    assert!(outcome.incentive.iter().chain(&outcome.dividends).all(|score| score.raw() == 0));
    assert_eq!(outcome.emission(RAO).combined, [99_999_999; 10]);
}

#[test]
fn sixty_four_validators_of_448_equal_servers_earn_the_published_amounts() {
    let mut stakes = [0; 512];
    stakes[..64].fill(1);
    let mut subnet = Subnet::new(Rules::Yuma2, &stakes, 64);
    let weights: Vec<_> = (64..512).map(|uid| (uid, u16::MAX)).collect();
    for uid in 0..64 {
        subnet.weigh(uid, &weights);
    }
    for _ in 0..3 {
        let outcome = subnet.step();
        let emission = outcome.emission(RAO);
        for uid in 0..64 {
            assert_eq!((outcome.dividends[uid].to_u16(), outcome.incentive[uid].to_u16()), (1_023, 0));
            assert_eq!((emission.server[uid], emission.validator[uid]), (0, 7_812_500));
            assert!(outcome.bonds[uid].iter().map(|&(_, bond)| bond).eq([u16::MAX; 448]));
        }
        for uid in 64..512 {
            assert_eq!((outcome.consensus[uid].to_u16(), outcome.incentive[uid].to_u16()), (146, 146));
            assert_eq!((emission.server[uid], emission.validator[uid]), (1_116_071, 0));
        }
    }
}

#[test]
fn yuma2_bonds_follow_the_published_eight_uid_story() {
    let mut subnet = Subnet::new(Rules::Yuma2, &[1, 2, 3, 4, 0, 0, 0, 0], 8);
    for uid in 0..4 {
        subnet.weigh(uid, &[(4, 16_383), (5, 32_767), (6, 49_149), (7, 65_535)]);
    }
    let mut expect = |weigh: Option<(usize, u16)>, bonds: [u16; 4], emission: Option<[u64; 8]>| {
        if let Some((uid, target)) = weigh {
            subnet.weigh(uid, &[(target, u16::MAX)]);
        }
        let outcome = subnet.step();
        let stored = |row: &Vec<(u16, u16)>| row.iter().find(|cell| cell.0 == 7).map_or(0, |cell| cell.1);
        assert_eq!(outcome.bonds[..4].iter().map(stored).collect::<Vec<_>>(), bonds);
        if let Some(emission) = emission {
            assert_eq!(outcome.emission(RAO).combined, emission);
        }
        outcome
    };
    let servers = [49_998_779, 100_000_610, 149_996_337, 200_004_272];
    let with = |validators: [u64; 4]| {
        let mut all = [0; 8];
        all[..4].copy_from_slice(&validators);
        all[4..].copy_from_slice(&servers);
        Some(all)
    };
    expect(None, [16_383, 32_767, 49_151, 65_535], with([49_999_998, 99_999_999, 150_000_000, 200_000_001]));
    expect(Some((0, 0)), [14_582, 32_767, 49_151, 65_535], with([44_998_351, 101_110_561, 151_667_215, 202_223_870]));
    expect(Some((1, 1)), [12_603, 28_321, 49_151, 65_535], with([40_496_805, 90_999_783, 157_929_636, 210_573_773]));
    // 40 % of the stake alone is no consensus: nobody scores, and pay falls back to stake.
    let alone = [99_999_999, 199_999_999, 299_999_999, 399_999_999, 0, 0, 0, 0];
    let outcome = expect(Some((2, 2)), [12_602, 28_320, 49_150, 65_535], Some(alone));
    assert!(outcome.consensus.iter().all(|consensus| consensus.raw() == 0));
    let together = [36_443_733, 81_898_628, 163_565_493, 218_092_144, 0, 0, 0, 500_000_000];
    expect(Some((2, 7)), [10_951, 24_609, 49_150, 65_535], Some(together));
    expect(None, [9_559, 21_482, 49_150, 65_535], None);
    expect(None, [8_376, 18_824, 49_150, 65_535], None);
}

/// Bonds and dividends to within 1e-3, the tolerance they were published with. `[YU-1]`
#[test]
fn yuma3_dividends_follow_the_published_story_without_liquid_alpha() {
    let bonds: [[[u64; 2]; 3]; 6] = [
        [[250, 0], [250, 0], [250, 0]],
        [[494, 0], [494, 0], [494, 0]],
        [[731, 0], [731, 0], [481, 250]],
        [[963, 0], [963, 0], [719, 244]],
        [[1189, 0], [1189, 0], [951, 238]],
        [[1409, 0], [1409, 0], [1178, 232]],
    ];
    let dividends = [
        [3300, 3300, 3400],
        [3300, 3300, 3400],
        [3734, 3734, 2532],
        [3611, 3611, 2779],
        [3541, 3541, 2919],
        [3495, 3495, 3009],
    ];
    let near = |given: u16, ten_thousandths: u64| {
        (u64::from(given) * 10_000).abs_diff(ten_thousandths * u64::from(u16::MAX)) <= 10 * u64::from(u16::MAX)
    };
    for profile in [Profile::Subtensor, Profile::Tandem] {
        let mut subnet = Subnet::new(Rules::Yuma3, &[33, 33, 34, 0, 0], 3);
        subnet.params = Hyperparameters { profile, bonds_moving_average: 975_000, bonds_penalty: 0, ..subnet.params };
        for epoch in 0..6 {
            for uid in 0..3 {
                let defects = epoch == 2 && uid == 2;
                subnet.weigh(uid, &if defects { [(3, 0), (4, u16::MAX)] } else { [(3, u16::MAX), (4, 0)] });
            }
            let outcome = subnet.step();
            for uid in 0..3 {
                assert!(near(outcome.dividends[uid].to_u16(), dividends[epoch][uid]), "epoch {epoch} uid {uid}");
                for (server, target) in [3, 4].into_iter().zip(bonds[epoch][uid]) {
                    let bond = outcome.bonds[uid].iter().find(|cell| cell.0 == server).map_or(0, |cell| cell.1);
                    assert!(near(bond, target), "epoch {epoch}, bond of {uid} on {server}: {bond}");
                }
            }
        }
    }
}

/// Dividends of three validators by epoch, in ten thousandths.
type Story = [[u64; 3]; 6];

/// Validators move from the first miner to the second at the epochs `moves`, and back at `back`; to within 1e-3, as
/// published. `[YU-1]`
fn follow(stakes: [u128; 3], moves: [usize; 3], back: [usize; 3], story: &Story) {
    for profile in [Profile::Subtensor, Profile::Tandem] {
        let [a, b, c] = stakes;
        let mut subnet = Subnet::new(Rules::Yuma3, &[a, b, c, 0, 0], 3);
        let liquid_alpha = Some(LiquidAlpha { low: 6_553, high: 19_660, steepness: 1_000 });
        subnet.params =
            Hyperparameters { profile, liquid_alpha, bonds_moving_average: 975_000, bonds_penalty: 0, ..subnet.params };
        for (epoch, expected) in story.iter().enumerate() {
            for uid in 0..3 {
                let moved = (moves[uid]..back[uid]).contains(&epoch);
                subnet.weigh(uid, &if moved { [(3, 0), (4, u16::MAX)] } else { [(3, u16::MAX), (4, 0)] });
            }
            let outcome = subnet.step();
            for (uid, expected) in expected.iter().enumerate() {
                let given = u64::from(outcome.dividends[uid].to_u16()) * 10_000;
                let error = given.abs_diff(expected * u64::from(u16::MAX));
                assert!(error <= 10 * u64::from(u16::MAX), "{story:?} {epoch} {uid}: {:?}", outcome.dividends);
            }
        }
    }
}

#[test]
fn yuma3_with_liquid_alpha_follows_the_published_stories() {
    let never = [usize::MAX; 3];
    follow([8, 1, 1], [1, 2, 3], never, &KAPPA_FIRST);
    follow([8, 1, 1], [2, 1, 3], never, &KAPPA_SECOND);
    follow([8, 1, 1], [3, 1, 2], never, &KAPPA_LAST);
    follow([33, 33, 34], [usize::MAX, usize::MAX, 2], [usize::MAX, usize::MAX, 3], &ONE_EPOCH_SWITCH);
}

const KAPPA_FIRST: Story =
    [[8000, 1000, 1000], [10000, 0, 0], [9382, 618, 0], [8819, 773, 407], [8564, 844, 592], [8418, 884, 697]];
const KAPPA_SECOND: Story =
    [[8000, 1000, 1000], [8446, 498, 1056], [6868, 3132, 0], [7421, 2090, 489], [7625, 1706, 669], [7730, 1508, 762]];
const KAPPA_LAST: Story = [
    [8000, 1000, 1000],
    [8446, 498, 1056],
    [8966, 333, 701],
    [4663, 3210, 2127],
    [5976, 2340, 1683],
    [6592, 1932, 1475],
];
const ONE_EPOCH_SWITCH: Story = [
    [3300, 3300, 3400],
    [3300, 3300, 3400],
    [3782, 3782, 2436],
    [3628, 3628, 2745],
    [3541, 3541, 2917],
    [3487, 3487, 3026],
];
