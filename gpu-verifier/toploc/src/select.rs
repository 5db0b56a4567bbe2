//! The largest elements of a block by magnitude, exactly, without sorting the block.

use crate::activations::magnitude;

/// Groups of a large block are formed so that vector instructions find their maxima: a chunk is `DEPTH` rows of `WIDTH`
/// elements, and a group is one of its columns. The k-th largest maximum bounds the k-th largest element from below, and
/// only groups that reach it can hold a candidate.
const WIDTH: usize = 128;
const DEPTH: usize = 32;

/// A block is large with this many groups for each element that is looked for. In others every element is a group.
const GROUPS_PER_POINT: usize = 4;

/// What [`top`] found in a block.
#[derive(Debug)]
pub(crate) struct Top {
    /// Flat indices of all elements above the k-th value, ascending.
    pub(crate) above: Vec<usize>,
    /// Flat indices of all elements equal to the k-th value, ascending; at least `points - above.len()`.
    pub(crate) ties: Vec<usize>,
    /// How many elements are committed: `min(k, elements)`.
    pub(crate) points: usize,
    /// Magnitude bits of the largest element.
    pub(crate) largest: u16,
}

impl Top {
    /// The committed set when ties go to the lowest index.
    pub(crate) fn lowest(&self) -> Vec<usize> {
        let mut indices = self.above.clone();
        indices.extend(&self.ties[..self.points - self.above.len()]);
        indices.sort_unstable();
        indices
    }
}

/// The `k` largest elements of `block` and every element tied with the last of them. `k` is at least 1.
pub(crate) fn top(block: &[u16], k: usize) -> Top {
    let points = k.min(block.len());
    let (candidates, largest) = match block.len() / DEPTH >= k.saturating_mul(GROUPS_PER_POINT) {
        true => candidates(block, k),
        false => ((0..block.len()).collect(), block.iter().map(|&b| magnitude(b)).max().unwrap_or(0)),
    };
    let kth = kth_largest(candidates.iter().map(|&i| magnitude(block[i])).collect(), points);
    let (mut above, mut ties) = (Vec::with_capacity(points), Vec::new());
    for index in candidates {
        let m = magnitude(block[index]);
        if m > kth {
            above.push(index);
        } else if m == kth {
            ties.push(index);
        }
    }
    above.sort_unstable();
    ties.sort_unstable();
    Top { above, ties, points, largest }
}

/// Indices of elements among which are the `k` largest of a large block, in no particular order, and the largest
/// magnitude.
fn candidates(block: &[u16], k: usize) -> (Vec<usize>, u16) {
    let chunks = block.chunks_exact(WIDTH * DEPTH);
    let mut maxima = vec![0; chunks.len() * WIDTH];
    for (chunk, maxima) in chunks.zip(maxima.chunks_exact_mut(WIDTH)) {
        chunk.chunks_exact(WIDTH).for_each(|row| raise(maxima, row));
    }
    let floor = kth_largest(maxima.clone(), k);

    let mut found = Vec::with_capacity(k * 2);
    let mut take = |index: usize| {
        if magnitude(block[index]) >= floor {
            found.push(index);
        }
    };
    for (group, _) in maxima.iter().enumerate().filter(|&(_, &m)| m >= floor) {
        let first = group / WIDTH * WIDTH * DEPTH + group % WIDTH;
        (0..DEPTH).for_each(|row| take(first + row * WIDTH));
    }
    (maxima.len() * DEPTH..block.len()).for_each(take);
    let largest = found.iter().map(|&i| magnitude(block[i])).max().unwrap_or(0);
    (found, largest)
}

/// Raises each of `maxima` to the magnitude below it. Signed maxima are the ones that every x86-64 can vectorise, and
/// magnitudes are never negative as such. Where the compiler knows the width it does something slower.
#[inline(never)]
fn raise(maxima: &mut [u16], row: &[u16]) {
    for (max, &bits) in maxima.iter_mut().zip(row) {
        *max = (*max as i16).max(magnitude(bits) as i16) as u16;
    }
}

/// The `k`-th largest value, counting from 1; the smallest if there are fewer, 0 if there are none.
fn kth_largest(mut values: Vec<u16>, k: usize) -> u16 {
    if values.is_empty() {
        return 0;
    }
    let index = k.clamp(1, values.len()) - 1;
    *values.select_nth_unstable_by(index, |a, b| b.cmp(a)).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selection_agrees_with_sorting_for_every_size_and_many_ties() {
        let mut state = 1_u32;
        for len in [1, 5, 127, 128, 129, 512, 1_000, 4_096, 16_383, 16_384, 20_000, 40_001, 4_096 * 17 + 5] {
            for spread in [3_u32, 50, 30_000] {
                let block: Vec<u16> = (0..len)
                    .map(|_| {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        ((state >> 8) % spread) as u16 | ((state >> 31) << 15) as u16
                    })
                    .collect();
                for k in [1, 8, 128] {
                    let mut order: Vec<usize> = (0..len).collect();
                    order.sort_by_key(|&i| (std::cmp::Reverse(magnitude(block[i])), i));
                    let mut expected = order[..k.min(len)].to_vec();
                    expected.sort_unstable();
                    let found = top(&block, k);
                    assert_eq!(found.lowest(), expected, "len {len} spread {spread} k {k}");
                    let kth = magnitude(block[order[k.min(len) - 1]]);
                    let all = block.iter().filter(|&&b| magnitude(b) >= kth).count();
                    assert_eq!(found.above.len() + found.ties.len(), all);
                }
            }
        }
    }
}
