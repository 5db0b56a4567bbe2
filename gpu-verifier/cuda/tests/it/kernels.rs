//! The kernels of exact mode by themselves, against loops that say what [`tandem_model::backend::cpu`] says.

use std::sync::Arc;

use bytemuck::bytes_of;
use half::bf16;
use tandem_cuda::device::{Buffer, Device, Shape, launch};
use tandem_cuda::kernels::exact::{Attend, Linear};
use tandem_cuda::kernels::rows::{Angles, RmsNorm, SiluProduct};
use tandem_cuda::pack::{Piece, Tile};
use tandem_model::numeric::{exp, rsqrt, silu, sin_cos};

use crate::common::{Random, devices, same};

fn narrow(values: &[f32]) -> Vec<u16> {
    values.iter().map(|&value| bf16::from_f32(value).to_bits()).collect()
}

fn widen(bits: u16) -> f32 {
    bf16::from_bits(bits).to_f32()
}

fn grid(x: usize, y: usize, z: usize) -> Shape {
    Shape { grid: [x as u32, y as u32, z as u32], block: [256, 1, 1], shared: 0 }
}

struct Case {
    rows: usize,
    columns: usize,
    depth: usize,
    x: Vec<f32>,
    weights: Vec<u16>,
    bias: Option<Vec<u16>>,
    /// What is in the result before, where the product is added.
    before: Option<Vec<f32>>,
}

impl Case {
    fn expected(&self) -> Vec<f32> {
        let mut out = Vec::new();
        for row in self.x.chunks_exact(self.depth) {
            for (column, weights) in self.weights.chunks_exact(self.depth).enumerate() {
                let sum = row.iter().zip(weights).fold(0.0_f32, |sum, (x, &w)| x.mul_add(widen(w), sum));
                let sum = self.bias.as_ref().map_or(sum, |bias| sum + widen(bias[column]));
                out.push(self.before.as_ref().map_or(sum, |before| before[out.len()] + sum));
            }
        }
        out
    }

    fn check(&self, device: &Arc<dyn Device>) {
        let expected = self.expected();
        let (rows, columns, depth) = (self.rows, self.columns, self.depth);
        let x = Buffer::from(device, &self.x).unwrap();
        let weights = Buffer::from(device, &self.weights).unwrap();
        let bias = self.bias.as_ref().map(|bias| Buffer::from(device, bias).unwrap());
        for (kernel, shape) in [
            ("linear", grid(columns.div_ceil(128), rows.div_ceil(128), 1)),
            ("linear_few", grid(columns.div_ceil(32), rows.div_ceil(8), 1)),
        ] {
            let nothing = vec![f32::NAN; rows * columns];
            let out = Buffer::from(device, self.before.as_ref().unwrap_or(&nothing)).unwrap();
            let arguments = Linear {
                x: x.address(),
                weights: weights.address(),
                bias: bias.as_ref().map_or(0, Buffer::address),
                out: out.address(),
                rows: rows as u32,
                columns: columns as u32,
                depth: depth as u32,
                add: u32::from(self.before.is_some()),
            };
            device.launch(kernel, shape, bytes_of(&arguments)).unwrap();
            let found = out.read::<f32>(0, rows * columns).unwrap();
            assert!(same(&found, &expected), "{kernel} {rows} × {columns} × {depth}");
        }
    }
}

#[test]
fn a_product_adds_in_ascending_order_whatever_its_shape() {
    let mut random = Random(1);
    let shapes =
        [(1, 1, 1), (8, 32, 256), (9, 33, 257), (128, 128, 16), (129, 130, 40), (3, 5, 7), (70, 200, 15), (2, 40, 530)];
    for device in devices() {
        for (index, (rows, columns, depth)) in shapes.into_iter().enumerate() {
            let x = random.units(rows * depth);
            let weights = narrow(&random.units(columns * depth));
            let bias = (index % 2 == 0).then(|| narrow(&random.units(columns)));
            let before = (index % 3 == 0).then(|| random.units(rows * columns));
            Case { rows, columns, depth, x, weights, bias, before }.check(&device);
        }
    }
}

/// Products that vanish or overflow, infinities, NaN, and signed zeros: padding must not even turn -0 into 0.
#[test]
fn a_product_of_extreme_values_has_the_same_bits() {
    let mut random = Random(2);
    let (rows, columns, depth) = (10, 35, 19);
    for device in devices() {
        for extreme in [1e-30, 1e-38, -1e-44, 1e20, 3e38, f32::INFINITY, f32::NAN, -0.0] {
            let mut pick = |odds: usize| if random.below(odds) == 0 { extreme } else { random.unit() * 1e-18 };
            let x: Vec<f32> = (0..rows * depth).map(|_| pick(3)).collect();
            let weights = narrow(&(0..columns * depth).map(|_| pick(5)).collect::<Vec<_>>());
            Case { rows, columns, depth, x, weights, bias: None, before: None }.check(&device);
        }
        // Every sum is a negative number too small to be told from zero.
        let x = vec![-1e-30; rows * depth];
        let case =
            Case { rows, columns, depth, x, weights: narrow(&vec![1e-30; columns * depth]), bias: None, before: None };
        assert!(case.expected().iter().all(|sum| sum.to_bits() == (-0.0_f32).to_bits()));
        case.check(&device);
    }
}

/// One sequence that attends: positions before `first` are cached from earlier.
struct Sequence {
    first: usize,
    rows: usize,
    keys: Vec<f32>,
    values: Vec<f32>,
}

struct Heads {
    heads: usize,
    kv_heads: usize,
    dim: usize,
    window: usize,
}

impl Heads {
    fn sequence(&self, random: &mut Random, first: usize, rows: usize, size: f32) -> Sequence {
        let count = (first + rows) * self.kv_heads * self.dim;
        let keys = random.units(count).into_iter().map(|key| key * size).collect();
        Sequence { first, rows, keys, values: random.units(count) }
    }

    fn expected(&self, sequences: &[Sequence], qkv: &[f32]) -> Vec<f32> {
        let Self { heads, kv_heads, dim, window } = *self;
        let mut out = Vec::new();
        let mut rows = qkv.chunks_exact((heads + 2 * kv_heads) * dim);
        for sequence in sequences {
            for (position, row) in (sequence.first..).zip(rows.by_ref().take(sequence.rows)) {
                for head in 0..heads {
                    let at = |j: usize| (j * kv_heads + head * kv_heads / heads) * dim;
                    let q = &row[head * dim..][..dim];
                    let seen = (position + 1).saturating_sub(window)..position + 1;
                    let score = |j: usize| {
                        let dot = q.iter().zip(&sequence.keys[at(j)..]).fold(0.0_f32, |sum, (q, k)| q.mul_add(*k, sum));
                        dot * rsqrt(dim as f32)
                    };
                    let scores: Vec<f32> = seen.clone().map(score).collect();
                    let largest = scores.iter().fold(f32::NEG_INFINITY, |largest, z| largest.max(*z));
                    let weights: Vec<f32> = scores.iter().map(|z| exp(z - largest)).collect();
                    let total = weights.iter().fold(0.0, |sum, e| sum + e);
                    out.extend((0..dim).map(|d| {
                        let terms = weights.iter().zip(seen.clone());
                        terms.fold(0.0_f32, |sum, (e, j)| e.mul_add(sequence.values[at(j) + d], sum)) / total
                    }));
                }
            }
        }
        out
    }

    /// Both kernels, whatever the number of rows.
    fn check(&self, device: &Arc<dyn Device>, sequences: &[Sequence], qkv: &[f32]) {
        let Self { heads, kv_heads, dim, window } = *self;
        let expected = self.expected(sequences, qkv);
        let (mut caches, mut pieces, mut first_row) = (Vec::new(), Vec::new(), 0);
        for sequence in sequences {
            let content =
                [vec![f32::NAN; sequence.keys.len()], sequence.keys.clone(), sequence.values.clone()].concat();
            let cache = Buffer::from(device, &content).unwrap();
            // The layer that is asked for is the second one, as far behind the first as its keys are long.
            let bytes = sequence.keys.len() as u64 * 4;
            pieces.push(Piece {
                cache: cache.address(),
                layer_bytes: bytes,
                value_bytes: bytes,
                first_row,
                rows: sequence.rows as u32,
                first_position: sequence.first as u32,
                pad: 0,
            });
            caches.push(cache);
            first_row += sequence.rows as u32;
        }
        let qkv = Buffer::from(device, qkv).unwrap();
        let on_device = Buffer::from(device, &pieces).unwrap();
        for (kernel, height) in [("attend", 64), ("attend_few", 8)] {
            let group = heads / kv_heads;
            let starts = |(index, piece): (usize, &Piece)| {
                let starts = (0..piece.rows * group as u32).step_by(height);
                starts.map(move |first| Tile { piece: index as u32, first }).collect::<Vec<_>>()
            };
            let tiles: Vec<Tile> = pieces.iter().enumerate().flat_map(starts).collect();
            let out = Buffer::from(device, &vec![f32::NAN; expected.len()]).unwrap();
            let list = Buffer::from(device, &tiles).unwrap();
            let arguments = Attend {
                qkv: qkv.address(),
                pieces: on_device.address(),
                tiles: list.address(),
                out: out.address(),
                layer: 1,
                heads: heads as u32,
                kv_heads: kv_heads as u32,
                dim: dim as u32,
                window: window.min(u32::MAX as usize) as u32,
                scale: rsqrt(dim as f32),
            };
            device.launch(kernel, grid(tiles.len(), kv_heads, dim.div_ceil(128)), bytes_of(&arguments)).unwrap();
            let found = out.read::<f32>(0, expected.len()).unwrap();
            assert!(same(&found, &expected), "{kernel}: {heads} of {kv_heads} × {dim}, window {window}");
        }
    }
}

#[test]
fn attention_adds_in_ascending_order_whatever_its_shape() {
    let mut random = Random(3);
    for device in devices() {
        for (heads, kv_heads, dim, window) in
            [(4, 2, 16, usize::MAX), (3, 3, 34, 70), (10, 1, 6, 1), (2, 1, 130, 300), (7, 1, 32, 33)]
        {
            let shape = Heads { heads, kv_heads, dim, window };
            let lengths = [(0, 1), (0, 67), (300, 1), (63, 2), (255, 30), (31, 33)];
            let sequences: Vec<_> =
                lengths.iter().map(|&(first, rows)| shape.sequence(&mut random, first, rows, 3.0)).collect();
            let rows: usize = lengths.iter().map(|(_, rows)| rows).sum();
            let qkv = random.units(rows * (heads + 2 * kv_heads) * dim);
            shape.check(&device, &sequences, &qkv);
        }
    }
}

/// Scores that all but one vanish beside, that overflow, or that are no numbers; infinite values that some rows see and
/// others do not.
#[test]
fn attention_over_extreme_values_has_the_same_bits() {
    let mut random = Random(4);
    let shape = Heads { heads: 4, kv_heads: 2, dim: 16, window: 20 };
    for device in devices() {
        for (size, extreme) in
            [(200.0, 1e4), (1e19, 1e20), (1.0, f32::INFINITY), (1.0, f32::NAN), (1e-30, -0.0), (0.0, -1e-44)]
        {
            let mut sequences = [shape.sequence(&mut random, 0, 90, size), shape.sequence(&mut random, 40, 2, size)];
            for sequence in &mut sequences {
                let count = sequence.keys.len();
                sequence.keys[random.below(count)] = extreme;
                sequence.values[random.below(count)] = extreme;
                sequence.values[count - 1] = f32::NEG_INFINITY;
            }
            let qkv = random.units(92 * 8 * 16);
            let expected = shape.expected(&sequences, &qkv);
            assert!(expected.iter().any(|value| value.is_finite()));
            shape.check(&device, &sequences, &qkv);
        }
    }
}

#[test]
fn a_norm_adds_in_ascending_order_and_rounds_as_the_cpu_does() {
    let mut random = Random(5);
    for device in devices() {
        for (width, size) in
            [(1, 1.0), (2, 1e-30), (255, 3.0), (1_024, 1e18), (1_025, 0.0), (2_049, 1e19), (3_000, f32::NAN)]
        {
            let rows = 3;
            let x: Vec<f32> = random.units(rows * width).into_iter().map(|x| x * size).collect();
            let weight = narrow(&random.units(width));
            let expected: Vec<f32> = x
                .chunks_exact(width)
                .flat_map(|row| {
                    let squares = row.iter().fold(0.0_f32, |sum, x| x.mul_add(*x, sum));
                    let scale = rsqrt(squares / width as f32 + 1e-5);
                    row.iter().zip(&weight).map(move |(x, &w)| *x * scale * widen(w))
                })
                .collect();
            let (x, weight) = (Buffer::from(&device, &x).unwrap(), Buffer::from(&device, &weight).unwrap());
            let out = Buffer::of::<f32>(&device, rows * width).unwrap();
            let run = |narrowed| {
                let (x, weight, out) = (x.address(), weight.address(), out.address());
                let arguments = RmsNorm { x, weight, out, width: width as u32, eps: 1e-5, narrowed, pad: 0 };
                launch(device.as_ref(), Shape::line(rows as u32, 256), &arguments).unwrap();
            };
            run(0);
            assert!(same(&out.read::<f32>(0, rows * width).unwrap(), &expected), "{width}");
            run(1);
            let found: Vec<f32> = out.read::<u16>(0, rows * width).unwrap().into_iter().map(widen).collect();
            assert!(same(&found, &narrow(&expected).into_iter().map(widen).collect::<Vec<_>>()), "{width}");
        }
    }
}

#[test]
fn angles_have_the_bits_of_the_cpu_up_to_the_longest_sequence() {
    let mut random = Random(6);
    let frequencies: Vec<f32> = (0..100).map(|_| random.unit().abs()).chain([1.0, 0.0, 1e-9]).collect();
    let positions: Vec<u32> = (0..300).chain((0..300).map(|_| random.below(1 << 24) as u32)).chain([1 << 24]).collect();
    let expected: Vec<f32> = positions
        .iter()
        .flat_map(|&position| {
            let turn = |f: &f32| sin_cos(position as f32 * f);
            let (sines, cosines): (Vec<f32>, Vec<f32>) = frequencies.iter().map(turn).unzip();
            cosines.into_iter().chain(sines).map(|value| value * 1.2)
        })
        .collect();
    for device in devices() {
        let (at, f) = (Buffer::from(&device, &positions).unwrap(), Buffer::from(&device, &frequencies).unwrap());
        let out = Buffer::of::<f32>(&device, expected.len()).unwrap();
        let arguments = Angles {
            positions: at.address(),
            frequencies: f.address(),
            out: out.address(),
            pairs: frequencies.len() as u32,
            magnitude: 1.2,
        };
        launch(device.as_ref(), Shape::line(positions.len() as u32, 64), &arguments).unwrap();
        assert!(same(&out.read::<f32>(0, expected.len()).unwrap(), &expected));
    }
}

/// Every exponent and sign, and what lies around the ends of the exponential.
#[test]
fn the_activation_has_the_bits_of_the_cpu_for_every_kind_of_number() {
    let mut random = Random(7);
    let mut gates: Vec<f32> = (0..60_000).map(|_| f32::from_bits(random.bits() as u32)).collect();
    gates.extend((0..60_000).map(|_| random.unit() * 95.0));
    for edge in [87.3_f32, 88.3, 0.0, f32::INFINITY, f32::NAN, f32::MAX, f32::MIN_POSITIVE] {
        let around = |edge: f32| (-3..=3).map(move |step| f32::from_bits(edge.to_bits().wrapping_add_signed(step)));
        gates.extend(around(edge).chain(around(-edge)));
    }
    let ups = random.units(gates.len());
    let expected: Vec<f32> = gates.iter().zip(&ups).map(|(gate, up)| silu(*gate) * up).collect();
    for device in devices() {
        let both = Buffer::from(&device, &[gates.as_slice(), &ups].concat()).unwrap();
        let out = Buffer::of::<f32>(&device, gates.len()).unwrap();
        let width = gates.len() as u32;
        let arguments = SiluProduct { gate_up: both.address(), out: out.address(), width, pad: 0 };
        launch(device.as_ref(), Shape::line(width.div_ceil(256), 256), &arguments).unwrap();
        assert!(same(&out.read::<f32>(0, gates.len()).unwrap(), &expected));
    }
}
