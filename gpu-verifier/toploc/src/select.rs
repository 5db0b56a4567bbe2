//! The largest elements of a block by magnitude, exactly, without sorting the block.

use crate::activations::magnitude;

/// Elements whose maxima are taken together. The k-th largest maximum bounds the k-th largest element from below, and
/// only groups that reach it can hold a candidate.
const GROUP: usize = 64;

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
    let group = GROUP.min(block.len() / k.saturating_mul(4)).max(1);
    let maxima: Vec<u16> = block.chunks(group).map(maximum).collect();
    let floor = kth_largest(maxima.clone(), points);

    let mut candidates = Vec::with_capacity(points * 2);
    for (index, _) in maxima.iter().enumerate().filter(|&(_, &m)| m >= floor) {
        let start = index * group;
        let end = block.len().min(start + group);
        candidates.extend((start..end).filter(|&i| magnitude(block[i]) >= floor));
    }
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
    Top { above, ties, points, largest: maxima.iter().copied().max().unwrap_or(0) }
}

/// Signed 16-bit maxima vectorise on every x86-64; magnitudes are never negative as such.
fn maximum(group: &[u16]) -> u16 {
    group.iter().fold(0_i16, |m, &bits| m.max(magnitude(bits) as i16)) as u16
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
        for len in [1, 5, 127, 128, 129, 512, 1_000, 4_096, 20_000] {
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
