//! Sparse rows in one allocation.

use alloc::vec::Vec;

use crate::Q32;

/// A matrix of shares as rows of `(column uid, value)`, uids ascending in each row.
#[derive(Clone)]
pub(crate) struct Rows {
    ends: Vec<usize>,
    cells: Vec<(u16, Q32)>,
}

impl Rows {
    pub(crate) fn with_capacity(rows: usize, cells: usize) -> Self {
        Self { ends: Vec::with_capacity(rows), cells: Vec::with_capacity(cells) }
    }

    /// Appends a cell to the row that is being written.
    pub(crate) fn push(&mut self, uid: u16, value: Q32) {
        self.cells.push((uid, value));
    }

    /// Finishes the row that is being written, possibly empty.
    pub(crate) fn end_row(&mut self) {
        self.ends.push(self.cells.len());
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[(u16, Q32)]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| &self.cells[core::mem::replace(&mut start, end)..end])
    }

    /// Divides every cell by the sum of its column; a column that sums to zero stays as it is.
    pub(crate) fn normalise_columns(&mut self, columns: usize) {
        let mut sums = alloc::vec![Q32::ZERO; columns];
        for &(uid, value) in &self.cells {
            sums[usize::from(uid)] += value;
        }
        self.divide_columns(&sums);
    }

    /// Divides every cell by the largest of its column, which becomes 1.
    pub(crate) fn upscale_columns(&mut self, columns: usize) {
        let mut largest = alloc::vec![Q32::ZERO; columns];
        for &(uid, value) in &self.cells {
            let column = &mut largest[usize::from(uid)];
            *column = value.max(*column);
        }
        self.divide_columns(&largest);
    }

    fn divide_columns(&mut self, divisors: &[Q32]) {
        for (uid, value) in &mut self.cells {
            *value = value.div_down(divisors[usize::from(*uid)]);
        }
    }
}
