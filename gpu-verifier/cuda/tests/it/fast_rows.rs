//! Fast mode's operations on rows, against plain arithmetic in double precision.

use half::bf16;
use tandem_cuda::device::{Buffer, Shape, launch};
use tandem_cuda::kernels::fast::{BLOCK, Heads, Norm, Swiglu, swiglu_pieces};
use tandem_cuda::pack::Piece;

use crate::common::{Random, devices};
use crate::numbers::{rounds_to, wide};

/// Largest difference that single precision may make before a result is rounded to bf16, in half steps of bf16.
const SLACK: f64 = 0.02;

#[test]
fn a_row_is_divided_by_its_root_mean_square_and_the_bias_stays_in_the_stream() {
    for (width, rows, size, biased) in
        [(1, 1, 1.0, false), (128, 3, 1.0, true), (257, 2, 1e15, false), (1026, 2, 1e-12, true), (2048, 1, 3.0, true)]
    {
        let mut random = Random(width as u64);
        let mut states = random.floats(rows * width, size);
        let (weight, bias) = (random.halves(width, 1.0), random.halves(width, size / 2.0));
        let mut runs = Vec::new();
        for device in devices() {
            let [on, by] = [&weight, &bias].map(|halves| Buffer::from(&device, halves).unwrap());
            let x = Buffer::from(&device, &states).unwrap();
            let out = Buffer::of::<u16>(&device, rows * width).unwrap();
            let arguments = Norm {
                states: x.address(),
                bias: if biased { by.address() } else { 0 },
                weight: on.address(),
                out: out.address(),
                width: width as u32,
                rows: rows as u32,
                eps: 1e-5,
                pad: 0,
            };
            launch(device.as_ref(), Shape::line(rows as u32, BLOCK), &arguments).unwrap();
            runs.push((x.read::<f32>(0, rows * width).unwrap(), out.read::<u16>(0, rows * width).unwrap()));
        }
        assert_eq!(runs[0], runs[1]);
        if biased {
            states.chunks_mut(width).for_each(|row| row.iter_mut().zip(&bias).for_each(|(x, &b)| *x += wide(b) as f32));
        }
        for (kept, _) in &runs {
            assert_eq!(kept, &states);
        }
        let rows = runs[1..].iter().flat_map(|(_, out)| states.chunks(width).zip(out.chunks(width)));
        for (row, out) in rows {
            let mean = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / width as f64;
            for ((&x, &w), &y) in row.iter().zip(&weight).zip(out) {
                let expected = f64::from(x) / (mean + 1e-5_f32 as f64).sqrt() * wide(w);
                assert!(rounds_to(y, expected, SLACK), "{width} {size}: {} for {expected}", wide(y));
            }
        }
    }
}

#[test]
fn gates_open_for_ups_as_in_double_precision() {
    for (width, rows, size, biased) in
        [(8, 1, 1.0, false), (352, 3, 2.0, true), (2056, 2, 30.0, false), (13, 4, 1e30, false), (515, 2, 1e-30, true)]
    {
        let mut random = Random(width as u64);
        let product = random.halves(rows * 2 * width, size);
        let bias = random.halves(2 * width, 1.0);
        let mut runs = Vec::new();
        for device in devices() {
            let [x, by] = [&product, &bias].map(|halves| Buffer::from(&device, halves).unwrap());
            let out = Buffer::of::<u16>(&device, rows * width).unwrap();
            let arguments = Swiglu {
                product: x.address(),
                bias: if biased { by.address() } else { 0 },
                out: out.address(),
                width: width as u32,
                rows: rows as u32,
            };
            let grid = [rows as u32, swiglu_pieces(width as u32), 1];
            launch(device.as_ref(), Shape { grid, block: [BLOCK, 1, 1], shared: 0 }, &arguments).unwrap();
            runs.push(out.read::<u16>(0, rows * width).unwrap());
        }
        assert_eq!(runs[0], runs[1]);
        for (index, &y) in runs[1..].iter().flat_map(|out| out.iter().enumerate()) {
            let (row, i) = (index / width * 2 * width, index % width);
            let of = |at: usize| {
                let value = wide(product[row + at]) as f32 + if biased { wide(bias[at]) as f32 } else { 0.0 };
                f64::from(value)
            };
            let (gate, up) = (of(i), of(width + i));
            let expected = gate / (1.0 + (-gate).exp()) * up;
            // Single precision ends at e^88.7: beyond, nothing of the gate is left.
            let nothing = gate < -88.0 && wide(y) == 0.0;
            let beyond = expected.abs() > f64::from(f32::MAX) && wide(y).abs() == f64::INFINITY;
            assert!(nothing || beyond || rounds_to(y, expected, SLACK), "{gate} {up}: {} for {expected}", wide(y));
        }
    }
}

/// Two sequences, one of them with a prefix, and an empty one between.
#[test]
fn heads_are_biased_normed_turned_and_cached_at_their_positions() {
    for (dim, heads, kv_heads, biased, normed) in
        [(32, 4, 2, false, false), (80, 7, 1, true, true), (6, 2, 2, true, false), (128, 4, 1, false, true)]
    {
        let parts = [(3_u32, 0_u32), (0, 9), (2, 7)];
        let rows: u32 = parts.iter().map(|part| part.0).sum();
        let (all, layers, capacity, layer) = (heads + 2 * kv_heads, 2, 12_u32, 1);
        let mut random = Random(dim as u64);
        let product = random.halves(rows as usize * all * dim, 1.0);
        let bias = random.halves(all * dim, 1.0);
        let [query_norm, key_norm] = [(); 2].map(|()| random.halves(dim, 1.0));
        let angles: Vec<f32> = (0..rows as usize)
            .flat_map(|row| {
                let turn = move |i: usize| (row * dim / 2 + i) as f32 * 0.7;
                (0..dim / 2).map(move |i| turn(i).cos()).chain((0..dim / 2).map(move |i| turn(i).sin()))
            })
            .collect();
        let mut runs = Vec::new();
        for device in devices() {
            let x = Buffer::from(&device, &product).unwrap();
            let [by, qn, kn] = [&bias, &query_norm, &key_norm].map(|halves| Buffer::from(&device, halves).unwrap());
            let turns = Buffer::from(&device, &angles).unwrap();
            let size = layers * 2 * capacity as usize * kv_heads * dim;
            let caches: Vec<Buffer> =
                parts.iter().map(|_| Buffer::from(&device, &vec![0x7fc0_u16; size]).unwrap()).collect();
            let mut first_row = 0;
            let pieces: Vec<Piece> = parts
                .iter()
                .zip(&caches)
                .map(|(&(rows, first_position), cache)| {
                    let layer_bytes = (size / layers * 2) as u64;
                    let value_bytes = layer_bytes / 2;
                    first_row += rows;
                    let (cache, first_row) = (cache.address(), first_row - rows);
                    Piece { cache, layer_bytes, value_bytes, first_row, rows, first_position, pad: 0 }
                })
                .collect();
            let positions: Vec<u32> = parts.iter().flat_map(|&(rows, at)| at..at + rows).collect();
            let owners: Vec<u32> =
                (0..).zip(parts).flat_map(|(piece, (rows, _))| (0..rows).map(move |_| piece)).collect();
            let pieces = Buffer::from(&device, &pieces).unwrap();
            let [positions, owners] = [positions, owners].map(|all| Buffer::from(&device, &all).unwrap());
            let given = |some: bool, buffer: &Buffer| if some { buffer.address() } else { 0 };
            let arguments = Heads {
                product: x.address(),
                bias: given(biased, &by),
                query_norm: given(normed, &qn),
                key_norm: given(normed, &kn),
                angles: turns.address(),
                positions: positions.address(),
                owners: owners.address(),
                pieces: pieces.address(),
                heads: heads as u32,
                kv_heads: kv_heads as u32,
                dim: dim as u32,
                layer,
                eps: 1e-6,
                pad: 0,
            };
            launch(device.as_ref(), Shape::line(rows, BLOCK), &arguments).unwrap();
            let caches: Vec<Vec<u16>> = caches.iter().map(|cache| cache.read(0, size).unwrap()).collect();
            runs.push((x.read::<u16>(0, product.len()).unwrap(), caches));
        }
        assert_eq!(runs[0], runs[1]);
        for (queries, caches) in &runs[1..] {
            let mut written = 0;
            let mut row = 0;
            for (&(rows, position), cache) in parts.iter().zip(caches) {
                for i in 0..rows {
                    for head in 0..all {
                        let at = (row * all + head) * dim;
                        let of_row =
                            |i: usize| wide(product[at + i]) + if biased { wide(bias[head * dim + i]) } else { 0.0 };
                        let value = head >= heads + kv_heads;
                        let mut x: Vec<f64> = (0..dim).map(of_row).collect();
                        if normed && !value {
                            let mean = x.iter().map(|x| x * x).sum::<f64>() / dim as f64;
                            let weight = if head < heads { &query_norm } else { &key_norm };
                            x.iter_mut().zip(weight).for_each(|(x, &w)| *x *= wide(w) / (mean + 1e-6).sqrt());
                        }
                        let biggest = x.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
                        if !value {
                            let (cosines, sines) = angles[row * dim..][..dim].split_at(dim / 2);
                            for i in 0..dim / 2 {
                                let (c, s) = (f64::from(cosines[i]), f64::from(sines[i]));
                                let (a, b) = (x[i], x[i + dim / 2]);
                                (x[i], x[i + dim / 2]) = (a * c - b * s, b * c + a * s);
                            }
                        }
                        let out = if head < heads {
                            &queries[at..][..dim]
                        } else {
                            let of_kind = (head - heads) % kv_heads;
                            let part = 2 * layer + u32::from(value);
                            let place = (part * capacity + position + i) as usize * kv_heads + of_kind;
                            written += 1;
                            &cache[place * dim..][..dim]
                        };
                        for (&y, x) in out.iter().zip(x) {
                            // Terms of a turn may cancel.
                            let close = (wide(y) - x).abs() < biggest * 1e-6;
                            assert!(close || rounds_to(y, x, SLACK), "head {head} of {dim}: {} for {x}", wide(y));
                        }
                    }
                    row += 1;
                }
            }
            let touched = |cache: &Vec<u16>| cache.chunks(dim).filter(|head| head.iter().any(|&x| x != 0x7fc0)).count();
            assert_eq!(caches.iter().map(touched).sum::<usize>(), written);
            assert!(queries.iter().all(|&x| bf16::from_bits(x).is_finite()));
        }
    }
}
