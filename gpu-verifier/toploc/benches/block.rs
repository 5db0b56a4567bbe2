//! One block of 32 rows of 4,096 values, beside a plain implementation of the same. `cargo xtask bench toploc`
//!
//! Instructions instead of time, on a busy machine: build with `cargo bench -p toploc --no-run`, then
//! `valgrind --tool=callgrind --toggle-collect='toploc::build::build_block' PROGRAM --test build/tandem`, and likewise
//! `toploc::verify::verify_block` with `verify/tandem`.
#![allow(missing_docs, reason = "the macros of criterion make undocumented functions")]

mod plain;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use toploc::{Params, Proof, Thresholds, build_block, verify_block};

const ROWS: usize = 32;
const HIDDEN: usize = 4_096;

/// Sums of four 16-bit lanes of SplitMix64, centred and cut to bf16: nearly Gaussian, with the ties of real data.
fn activations(mut state: u64) -> Vec<u16> {
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let z = z ^ (z >> 31);
        let sum: i64 = (0..4).map(|lane| ((z >> (16 * lane)) & 0xffff) as i64).sum();
        (((sum - 131_070) as f32 / 16_384.0).to_bits() >> 16) as u16
    };
    (0..ROWS * HIDDEN).map(|_| next()).collect()
}

fn block(criterion: &mut Criterion) {
    let params = Params { topk: 128, block_rows: ROWS };
    // Many blocks in turn, so that no branch predictor learns one by heart.
    let blocks: Vec<Vec<u16>> = (1..=16).map(activations).collect();
    let proofs: Vec<Proof> = blocks.iter().map(|b| build_block(b, params).expect("finite values")).collect();
    for (block, proof) in blocks.iter().zip(&proofs) {
        assert_eq!(plain::build(block, params.topk), proof.to_bytes(), "the two builders disagree");
        let report = verify_block(block, proof, params).expect("a proof of this block");
        assert_eq!(Thresholds::exact().judge(&report), []);
        assert_eq!(plain::verify(block, &proof.to_bytes(), params.topk), (0, 0.0, 0.0), "the two verifiers disagree");
    }
    let wire: Vec<Vec<u8>> = proofs.iter().map(Proof::to_bytes).collect();

    let mut group = criterion.benchmark_group("build");
    let mut turn = (0..blocks.len()).cycle();
    let mut next = move || turn.next().unwrap_or(0);
    group.bench_function("tandem", |b| b.iter(|| build_block(black_box(&blocks[next()]), params)));
    group.bench_function("plain", |b| b.iter(|| plain::build(black_box(&blocks[next()]), params.topk)));
    group.finish();

    // Parsing included: a verifier is given bytes.
    let mut group = criterion.benchmark_group("verify");
    group.bench_function("tandem", |b| {
        b.iter(|| {
            let at = next();
            let proof = Proof::parse(black_box(&wire[at]), params.topk).expect("well formed");
            verify_block(black_box(&blocks[at]), &proof, params)
        });
    });
    group.bench_function("plain", |b| {
        b.iter(|| {
            let at = next();
            plain::verify(black_box(&blocks[at]), black_box(&wire[at]), params.topk)
        });
    });
    group.finish();
}

criterion_group!(benches, block);
criterion_main!(benches);
