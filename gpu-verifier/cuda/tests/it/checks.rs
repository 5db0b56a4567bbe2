//! Checks on the device give what the CPU gives, to the bit.

use half::bf16;
use tandem_cuda::checks::{Claimed, Committed, draw, verify_proofs};
use tandem_cuda::device::Buffer;
use tandem_model::sampling::Sampler;
use toploc::{Activations, Params, Proof};

use crate::common::{Random, devices};

/// Rows of one width, of one of several kinds, with proofs of which some are changed.
fn case(noise: &mut Random, kind: usize, rows: usize, hidden: usize, params: Params) -> (Vec<u16>, Vec<Proof>) {
    let value = |noise: &mut Random| match kind {
        // Few values: ties everywhere.
        0 => bf16::from_f32(1.0 + noise.below(3) as f32).to_bits() | ((noise.below(2) as u16) << 15),
        // All magnitudes that a finite number can have.
        1 => ((noise.bits() as u16) % 0x7f80) | ((noise.below(2) as u16) << 15),
        // A few outliers, as real models have them.
        2 => bf16::from_f32(noise.normal() * if noise.below(64) == 0 { 50.0 } else { 1.0 }).to_bits(),
        // One value only.
        3 => 0x3f80,
        _ => bf16::from_f32(noise.normal()).to_bits(),
    };
    let bits: Vec<u16> = (0..rows * hidden).map(|_| value(noise)).collect();
    let mut proofs = toploc::build(Activations::new(&bits, hidden).unwrap(), params).unwrap();
    for proof in &mut proofs {
        let mut bytes = proof.to_bytes();
        match noise.below(4) {
            0 => {
                let at = 2 + 2 * noise.below(params.topk);
                bytes[at] ^= 1;
            }
            1 if rows * hidden > 65_497 => bytes[..2].copy_from_slice(&40_000_u16.to_be_bytes()),
            _ => continue,
        }
        *proof = Proof::parse(&bytes, params.topk).unwrap_or_else(|_| proof.clone());
    }
    (bits, proofs)
}

#[test]
fn proofs_are_judged_on_the_device_as_on_the_cpu_whatever_ties_and_forgeries_there_are() {
    let mut noise = Random(1);
    for params in [Params { topk: 128, block_rows: 32 }, Params { topk: 8, block_rows: 3 }] {
        let shapes = [(1, 5), (2, 64), (33, 40), (70, 96), (32, 2_100)];
        let cases: Vec<_> = shapes
            .into_iter()
            .enumerate()
            .flat_map(|(i, (rows, hidden))| [(i % 5, rows, hidden), ((i + 2) % 5, rows, hidden)])
            .map(|(kind, rows, hidden)| (hidden, case(&mut noise, kind, rows, hidden, params)))
            .collect();
        for device in devices() {
            let buffers: Vec<_> = cases.iter().map(|(_, (bits, _))| Buffer::from(&device, bits).unwrap()).collect();
            let committed: Vec<_> = cases
                .iter()
                .zip(&buffers)
                .map(|((hidden, (bits, proofs)), buffer)| Committed {
                    address: buffer.address(),
                    rows: bits.len() / hidden,
                    hidden: *hidden,
                    proofs,
                })
                .collect();
            let found = verify_proofs(&device, &committed, params).unwrap();
            for ((hidden, (bits, proofs)), found) in cases.iter().zip(found) {
                let expected = toploc::verify(Activations::new(bits, *hidden).unwrap(), proofs, params);
                assert_eq!(found, expected, "{} rows of {hidden}", bits.len() / hidden);
            }
        }
    }
}

#[test]
fn broken_states_and_wrong_numbers_of_proofs_are_told_on_the_device_as_on_the_cpu() {
    let params = Params { topk: 8, block_rows: 4 };
    let mut noise = Random(2);
    let (mut bits, proofs) = case(&mut noise, 4, 10, 16, params);
    bits[4 * 16 + 3] = 0x7f80;
    for device in devices() {
        let buffer = Buffer::from(&device, &bits).unwrap();
        let lists = [&proofs[..], &proofs[..2], &[]];
        let committed = lists.map(|proofs| Committed { address: buffer.address(), rows: 10, hidden: 16, proofs });
        for (found, proofs) in verify_proofs(&device, &committed, params).unwrap().into_iter().zip(lists) {
            let expected = toploc::verify(Activations::new(&bits, 16).unwrap(), proofs, params);
            assert!(expected.is_err());
            assert_eq!(found, expected);
        }
        assert!(verify_proofs(&device, &[], params).unwrap().is_empty());
    }
}

#[test]
fn tokens_are_drawn_on_the_device_as_on_the_cpu_with_the_same_margins() {
    let mut noise = Random(3);
    for vocabulary in [1, 3, 288, 1_027, 5_000] {
        let samplers: Vec<Sampler> =
            [0.0, 0.5, 1.0, 2.0].into_iter().map(|t| Sampler::new(noise.bits(), t).unwrap()).collect();
        let rows = 12;
        let mut logits: Vec<f32> = (0..rows * vocabulary).map(|_| noise.normal() * 3.0).collect();
        for index in 0..rows {
            let row = &mut logits[index * vocabulary..][..vocabulary];
            let at = noise.below(vocabulary);
            match index {
                8 => row.fill(1.5),
                9 => row.fill(f32::NEG_INFINITY),
                10 => row[at] = f32::NAN,
                11 => row[at] = f32::INFINITY,
                _ => {}
            }
        }
        let claims: Vec<Claimed<'_>> = (0..rows)
            .map(|row| Claimed {
                sampler: &samplers[row % 4],
                position: noise.bits() as u32,
                token: Some(noise.below(vocabulary + 2) as u32),
            })
            .collect();
        for device in devices() {
            let buffer = Buffer::from(&device, &logits).unwrap();
            let drawn = draw(&device, buffer.address(), vocabulary, &claims).unwrap();
            for (((best, margin), claim), logits) in drawn.into_iter().zip(&claims).zip(logits.chunks(vocabulary)) {
                let token = claim.token.unwrap();
                assert_eq!(best, claim.sampler.choose(claim.position, logits));
                assert_eq!(margin.to_bits(), claim.sampler.margin(claim.position, logits, token).to_bits());
            }
        }
    }
}
