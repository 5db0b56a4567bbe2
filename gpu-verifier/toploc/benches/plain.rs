//! The same proofs by the book: sort everything, Newton's divided differences, a division for every reduction. It
//! trusts its input, breaks ties by the lowest index, and knows neither decoys nor signs.

const PRIME: u64 = 65_497;

fn largest(block: &[u16], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..block.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(block[i] & 0x7fff));
    order.truncate(k);
    order
}

fn inverse(a: u64) -> u64 {
    let (mut base, mut exponent, mut result) = (a, PRIME - 2, 1);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * base % PRIME;
        }
        base = base * base % PRIME;
        exponent >>= 1;
    }
    result
}

/// Coefficients, lowest power first, by divided differences and expansion of Newton's form.
fn interpolate(xs: &[u64], ys: &[u64]) -> Vec<u64> {
    let k = xs.len();
    let mut differences = ys.to_vec();
    for order in 1..k {
        for i in (order..k).rev() {
            let rise = differences[i] + PRIME - differences[i - 1];
            let run = xs[i] + PRIME - xs[i - order];
            differences[i] = rise % PRIME * inverse(run % PRIME) % PRIME;
        }
    }
    let mut coefficients = vec![0; k];
    for i in (0..k).rev() {
        for j in (0..k).rev() {
            let below = if j > 0 { coefficients[j - 1] } else { 0 };
            coefficients[j] = (below + coefficients[j] * (PRIME - xs[i])) % PRIME;
        }
        coefficients[0] = (coefficients[0] + differences[i]) % PRIME;
    }
    coefficients
}

pub(crate) fn build(block: &[u16], k: usize) -> Vec<u8> {
    let indices = largest(block, k);
    let distinct = |m: &u64| {
        let mut folded: Vec<u64> = indices.iter().map(|&i| i as u64 % m).collect();
        folded.sort_unstable();
        folded.windows(2).all(|pair| pair[0] != pair[1])
    };
    let modulus = (1..=PRIME).rev().find(distinct).unwrap_or(0);
    let xs: Vec<u64> = indices.iter().map(|&i| i as u64 % modulus).collect();
    let ys: Vec<u64> = indices.iter().map(|&i| u64::from(block[i]) % PRIME).collect();
    let words = std::iter::once(modulus).chain(interpolate(&xs, &ys));
    words.flat_map(|word| (word as u16).to_be_bytes()).collect()
}

/// Exponents that differ, mean and upper median of the mantissas' differences.
pub(crate) fn verify(block: &[u16], proof: &[u8], k: usize) -> (usize, f64, f64) {
    let words: Vec<u64> = proof.chunks_exact(2).map(|b| u64::from(u16::from_be_bytes([b[0], b[1]]))).collect();
    let mut errors = Vec::new();
    for index in largest(block, k) {
        let x = index as u64 % words[0];
        let claim = words[1..].iter().rev().fold(0, |sum, c| (sum * x + c) % PRIME) as u16;
        if (claim ^ block[index]) & 0x7f80 == 0 {
            errors.push((claim & 0x7f).abs_diff(block[index] & 0x7f));
        }
    }
    errors.sort_unstable();
    let mean = errors.iter().map(|&e| f64::from(e)).sum::<f64>() / errors.len().max(1) as f64;
    (k - errors.len(), mean, errors.get(errors.len() / 2).map_or(0.0, |&e| f64::from(e)))
}
