//! Keys and values of a sequence, per layer and head, laid out as the attention loop reads them.

use super::kernels::PANEL;

/// One layer of a sequence.
#[derive(Debug)]
pub(super) struct LayerCache {
    heads: Vec<HeadCache>,
    head_dim: usize,
    positions: usize,
}

/// One key-value head.
#[derive(Debug, Default)]
pub(super) struct HeadCache {
    /// Blocks of 32 positions; within a block 32 values per dimension, so that a query meets 32 keys side by side.
    pub(super) keys: Vec<f32>,
    /// `head_dim` values per position.
    pub(super) values: Vec<f32>,
}

impl LayerCache {
    pub(super) fn new(heads: usize, head_dim: usize) -> Self {
        Self { heads: (0..heads).map(|_| HeadCache::default()).collect(), head_dim, positions: 0 }
    }

    /// Appends rows of keys and values, each `heads · head_dim` wide.
    pub(super) fn append(&mut self, keys: &[f32], values: &[f32]) {
        let width = self.heads.len() * self.head_dim;
        for (keys, values) in keys.chunks_exact(width).zip(values.chunks_exact(width)) {
            let slot = self.positions % PANEL;
            let block = self.positions / PANEL * PANEL * self.head_dim;
            for (index, head) in self.heads.iter_mut().enumerate() {
                let range = index * self.head_dim..(index + 1) * self.head_dim;
                head.keys.resize(block + PANEL * self.head_dim, 0.0);
                for (dim, &key) in keys[range.clone()].iter().enumerate() {
                    head.keys[block + dim * PANEL + slot] = key;
                }
                head.values.extend_from_slice(&values[range]);
            }
            self.positions += 1;
        }
    }

    pub(super) fn head(&self, index: usize) -> &HeadCache {
        &self.heads[index]
    }
}
