//! Fast mode's attention, against plain arithmetic in double precision. Memory that attention has no business with holds NaNs,
//! so that one key too many shows.

use std::sync::Arc;

use tandem_cuda::device::{Buffer, Device};
use tandem_cuda::flash::{Call, Heads, Schedule, attend};
use tandem_cuda::kernels::attention::WHOLE;
use tandem_cuda::pack::{Piece, Tiles};

use crate::common::{Random, devices};
use crate::numbers::{HALF_STEP, wide};

const LAYERS: usize = 2;
const LAYER: u32 = 1;

/// Sequences with so many cached positions and new rows.
type Lengths<'a> = &'a [(u32, u32)];

struct Case {
    heads: Heads,
    queries: Vec<u16>,
    /// Per sequence, by position.
    keys: Vec<Vec<u16>>,
    values: Vec<Vec<u16>>,
}

impl Case {
    /// Values of these sizes.
    fn random(heads: Heads, lengths: Lengths<'_>, [queries, keys, values]: [f32; 3]) -> Self {
        let mut random = Random(u64::from(heads.dim) << 32 | lengths.len() as u64);
        let rows: u32 = lengths.iter().map(|length| length.1).sum();
        let width = (heads.kv * heads.dim) as usize;
        let caches = |random: &mut Random, size| {
            lengths.iter().map(|&(position, rows)| random.halves((position + rows) as usize * width, size)).collect()
        };
        Self {
            queries: random.halves((rows * stride(heads)) as usize, queries),
            keys: caches(&mut random, keys),
            values: caches(&mut random, values),
            heads,
        }
    }

    fn run(&self, device: &Arc<dyn Device>, lengths: Lengths<'_>, window: u32) -> Vec<u16> {
        let queries = Buffer::from(device, &self.queries).unwrap();
        let width = (self.heads.kv * self.heads.dim) as usize;
        let caches: Vec<Buffer> = self
            .keys
            .iter()
            .zip(&self.values)
            .map(|(keys, values)| {
                let part = keys.len() + 3 * width;
                let cache = Buffer::of::<u16>(device, 2 * part * LAYERS).unwrap();
                for (i, rows) in [keys, values].into_iter().enumerate() {
                    let at = cache.address() + ((2 * LAYER as usize + i) * part * 2) as u64;
                    device.upload(at, bytemuck::cast_slice(rows)).unwrap();
                }
                cache
            })
            .collect();
        let mut pieces = pieces(lengths);
        for (piece, cache) in pieces.iter_mut().zip(&caches) {
            let part = cache.bytes() / (2 * LAYERS as u64);
            (piece.cache, piece.layer_bytes, piece.value_bytes) = (cache.address(), 2 * part, part);
        }
        let rows: u32 = lengths.iter().map(|length| length.1).sum();
        let of_rows = |value: &dyn Fn(u32, u32) -> u32| -> Buffer {
            let all = (0..).zip(lengths).flat_map(|(index, &(position, rows))| {
                (0..rows).map(move |i| value(index, position + i)).collect::<Vec<_>>()
            });
            Buffer::from(device, &all.collect::<Vec<u32>>()).unwrap()
        };
        let [positions, owners] = [of_rows(&|_, position| position), of_rows(&|owner, _| owner)];
        let schedule = Schedule::of(&pieces, self.heads, window);
        assert!(schedule.partial_rows <= self.heads.most_partial_rows(rows));
        let patches = [Buffer::from(device, &schedule.wide), Buffer::from(device, &schedule.narrow)];
        let [wide, narrow] = patches.map(Result::unwrap);
        let merges = Buffer::from(device, &schedule.merges).unwrap();
        let sums = schedule.partial_rows * self.heads.kv * (self.heads.dim + 2);
        let partial = Buffer::of::<f32>(device, sums as usize).unwrap();
        let pieces = Buffer::from(device, &pieces).unwrap();
        let size = (rows * self.heads.query * self.heads.dim) as usize;
        let out = Buffer::of::<u16>(device, size).unwrap();
        let tiles = |buffer: &Buffer, count: usize| Tiles { address: buffer.address(), count: count as u32 };
        let call = Call {
            rows,
            positions: positions.address(),
            owners: owners.address(),
            pieces: pieces.address(),
            patches: [
                tiles(&wide, schedule.wide.len()),
                tiles(&narrow, schedule.narrow.len()),
                tiles(&merges, schedule.merges.len()),
            ],
            partial: partial.address(),
            queries: queries.address(),
            stride: stride(self.heads),
            out: out.address(),
            layer: LAYER,
            window,
        };
        attend(device.as_ref(), self.heads, &call).unwrap();
        out.read(0, size).unwrap()
    }

    /// Checks all results; the weights of values are bf16 on the way, and so is the result.
    fn check(&self, lengths: Lengths<'_>, window: u32, out: &[u16]) {
        let Heads { query, kv, dim } = self.heads;
        let (dim, kv) = (dim as usize, kv as usize);
        let mut row = 0;
        for (&(position, rows), (keys, values)) in lengths.iter().zip(self.keys.iter().zip(&self.values)) {
            for end in position + 1..=position + rows {
                for head in 0..query as usize {
                    let kv_head = head / self.heads.group() as usize;
                    let of = |cache: &'_ [u16], at: u32, d: usize| wide(cache[(at as usize * kv + kv_head) * dim + d]);
                    let from = row * stride(self.heads) as usize + head * dim;
                    let seen = end.saturating_sub(window)..end;
                    let dot = |at| (0..dim).map(|d| wide(self.queries[from + d]) * of(keys, at, d)).sum::<f64>();
                    let scores: Vec<f64> = seen.clone().map(|at| dot(at) / (dim as f64).sqrt()).collect();
                    let most = scores.iter().copied().fold(f64::MIN, f64::max);
                    let size = scores.iter().fold(0.0_f64, |size, score| size.max(score.abs()));
                    let weights: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
                    let total: f64 = weights.iter().sum();
                    for d in 0..dim {
                        let terms = || seen.clone().zip(&weights).map(|(at, w)| w / total * of(values, at, d));
                        let (sum, room): (f64, f64) = (terms().sum(), terms().map(f64::abs).sum());
                        // Two roundings to bf16, and those of scores in single precision, which the exponential magnifies.
                        let limit = room * (HALF_STEP * 2.1 + size / f64::from(1 << 20)) + 1e-37;
                        let got = wide(out[(row * query as usize + head) * dim + d]);
                        let what = format!("{:?}, window {window}: row {row} head {head} at {d}", self.heads);
                        assert!((got - sum).abs() <= limit, "{what}: {got} for {sum}, within {limit}");
                    }
                }
                row += 1;
            }
        }
    }

    /// Runs and checks; on the emulated device the order of threads changes nothing.
    fn holds(&self, lengths: Lengths<'_>, window: u32) {
        let results: Vec<Vec<u16>> = devices().iter().map(|device| self.run(device, lengths, window)).collect();
        assert_eq!(results[0], results[1]);
        results[1..].iter().for_each(|out| self.check(lengths, window, out));
    }
}

/// Queries, keys and values of a row, as the fused product has them.
fn stride(heads: Heads) -> u32 {
    (heads.query + 2 * heads.kv) * heads.dim
}

const fn heads(query: u32, kv: u32, dim: u32) -> Heads {
    Heads { query, kv, dim }
}

/// Widths with tensor cores, and two without.
const WIDTHS: [u32; 8] = [32, 64, 80, 96, 128, 256, 48, 10];

#[test]
fn every_width_attends_in_wide_and_narrow_patches() {
    for dim in WIDTHS {
        // Wide, narrow, nothing, and narrow with a prefix.
        let lengths: Lengths<'_> = &[(0, 70), (0, 3), (5, 0), (66, 1)];
        let case = Case::random(heads(2, 1, dim), lengths, [1.0; 3]);
        case.holds(lengths, u32::MAX);
        case.holds(lengths, 20);
    }
}

#[test]
fn lengths_around_the_edges_of_patches_attend_alike() {
    for (query, kv) in [(1, 1), (4, 1), (7, 1)] {
        for length in [1, 15, 16, 17, 18, 19, 32, 33, 63, 64, 65, 128, 129] {
            let lengths: Lengths<'_> = &[(0, length)];
            Case::random(heads(query, kv, 32), lengths, [1.0; 3]).holds(lengths, u32::MAX);
        }
    }
}

#[test]
fn windows_below_at_and_beyond_the_length_hide_what_they_should() {
    let lengths: Lengths<'_> = &[(0, 65), (40, 30), (129, 1)];
    let case = Case::random(heads(4, 2, 32), lengths, [1.0; 3]);
    for window in [1, 2, 16, 63, 64, 65, 66, 129, 130, 131, u32::MAX] {
        case.holds(lengths, window);
    }
}

#[test]
fn long_caches_are_seen_in_parts_that_make_a_whole() {
    let cases: [(u32, u32, Lengths<'_>); 4] = [
        (32, 1, &[(1_600, 1)]),
        (128, 4, &[(900, 1), (3, 1), (600, 2)]),
        (64, 7, &[(700, 40), (1_000, 1)]),
        (256, 4, &[(530, 12)]),
    ];
    for (dim, group, lengths) in cases {
        let case = Case::random(heads(group, 1, dim), lengths, [1.0; 3]);
        assert!(!Schedule::of(&pieces(lengths), case.heads, u32::MAX).merges.is_empty());
        case.holds(lengths, u32::MAX);
        case.holds(lengths, 520);
    }
}

#[test]
fn very_large_and_very_small_numbers_attend() {
    let lengths: Lengths<'_> = &[(0, 50), (70, 1)];
    for sizes in [[100.0, 100.0, 1e30], [1e-20, 1e-20, 1e-30], [1e-30, 1e30, 1.0], [1e6, 1e-6, 1e-38], [0.0, 1.0, 1.0]]
    {
        Case::random(heads(2, 1, 64), lengths, sizes).holds(lengths, u32::MAX);
    }
}

/// Every score of the first row's keys is so low that its weight is nothing beside the last one's.
#[test]
fn the_largest_score_may_come_last() {
    let cases: [Lengths<'_>; 2] = [&[(0, 130)], &[(1_000, 1)]];
    for lengths in cases {
        let mut case = Case::random(heads(1, 1, 32), lengths, [0.0; 3]);
        case.queries.fill(0x3f80);
        let last = case.keys[0].len() / 32;
        for (at, (keys, values)) in case.keys[0].chunks_mut(32).zip(case.values[0].chunks_mut(32)).enumerate() {
            keys.fill(half::bf16::from_f32(at as f32 - last as f32).to_bits());
            values.fill(half::bf16::from_f32(at as f32).to_bits());
        }
        case.holds(lengths, u32::MAX);
    }
}

/// Whatever the shapes.
#[cfg(feature = "deep")]
#[test]
fn random_packs_attend() {
    let mut random = Random(2);
    for _ in 0..150 {
        let kv = random.below(3) as u32 + 1;
        let heads = heads(kv * (random.below(8) as u32 + 1), kv, WIDTHS[random.below(WIDTHS.len())]);
        let lengths: Vec<(u32, u32)> = (0..random.below(4) + 1)
            .map(|_| {
                let prefix = [1, 70, 900][random.below(3)];
                (random.below(prefix) as u32, [1, 2, random.below(90) as u32][random.below(3)])
            })
            .collect();
        let window = [random.below(300) as u32 + 1, u32::MAX][random.below(2)];
        let size = [0.1, 1.0, 4.0][random.below(3)];
        Case::random(heads, &lengths, [size, size, 1.0]).holds(&lengths, window);
    }
}

/// Pieces without a cache.
fn pieces(lengths: Lengths<'_>) -> Vec<Piece> {
    let mut first_row = 0;
    lengths
        .iter()
        .map(|&(first_position, rows)| {
            first_row += rows;
            let first_row = first_row - rows;
            Piece { cache: 0, layer_bytes: 0, value_bytes: 0, first_row, rows, first_position, pad: 0 }
        })
        .collect()
}

/// Every query sees each of its keys in one patch and one only, and patches that are split are brought together.
#[test]
fn schedules_cover_every_query_and_key_once() {
    let mut random = Random(1);
    for _ in 0..60 {
        let count = random.below(4) + 1;
        let lengths: Vec<(u32, u32)> = (0..count)
            .map(|_| {
                let prefix = [1, 3_000][random.below(2)];
                (random.below(prefix) as u32, random.below(200) as u32)
            })
            .collect();
        let group = [1, 4, 7][random.below(3)];
        let heads = heads(group * 2, 2, 64);
        let window = [1, 100, 1_000, u32::MAX][random.below(4)];
        let schedule = Schedule::of(&pieces(&lengths), heads, window);
        let mut rows = vec![0; schedule.partial_rows as usize];
        for (piece, &(position, new)) in lengths.iter().enumerate() {
            for query in 0..new * group {
                let end = position + query / group + 1;
                let mut expected = end.saturating_sub(window);
                let mut patches: Vec<_> = schedule
                    .wide
                    .iter()
                    .chain(&schedule.narrow)
                    .filter(|patch| {
                        patch.piece == piece as u32 && (patch.first..patch.first + patch.count).contains(&query)
                    })
                    .collect();
                patches.sort_by_key(|patch| patch.from);
                assert!(patches[0].from <= expected);
                for pair in patches.windows(2) {
                    assert_eq!(pair[0].to, pair[1].from);
                }
                expected = expected.max(patches[0].from);
                assert!(expected < end && patches.last().unwrap().to >= end);
                let merge = schedule.merges.iter().find(|merge| {
                    merge.piece == piece as u32 && (merge.first..merge.first + merge.count).contains(&query)
                });
                match merge {
                    None => assert!(patches.len() == 1 && patches[0].partial == WHOLE),
                    Some(merge) => {
                        assert_eq!(patches.len(), merge.parts as usize);
                        for (part, patch) in (0..).zip(&patches) {
                            assert_eq!(patch.partial, merge.partial + part * merge.count);
                            assert_eq!((patch.first, patch.count), (merge.first, merge.count));
                            rows[(patch.partial + query - patch.first) as usize] += 1;
                        }
                    }
                }
            }
        }
        assert!(rows.iter().all(|&times| times == 1));
    }
}
