//! Proofs of hidden states: the largest elements of a block, and polynomials modulo 65497.

use bytemuck::{NoUninit, Pod, Zeroable};

/// Threads that look through one block.
pub const SELECT_THREADS: u32 = 512;

/// A block of hidden states.
#[repr(C)]
#[derive(Clone, Copy, Debug, NoUninit)]
pub struct Block {
    /// Address of its bf16 elements.
    pub elements: u64,
    /// How many there are.
    pub count: u32,
    /// How many of the largest are looked for: at least 1, at most `count`.
    pub points: u32,
}

/// How many elements are larger than the last of those looked for, and how many are as large as it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Found {
    /// Larger ones; fewer than were looked for.
    pub above: u32,
    /// Equal ones.
    pub ties: u32,
}

/// An element.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Element {
    /// Index in the block.
    pub index: u32,
    /// Its bits.
    pub bits: u32,
}

super::kernels! {
    "proofs":
    /// The largest elements of blocks. Grid: blocks of states.
    SelectLargest = "select_largest" {
        /// [`Block`] each.
        blocks: u64,
        /// [`Found`] each.
        found: u64,
        /// [`Element`], `capacity` for each block: larger ones from the beginning, equal ones from `points` on.
        elements: u64,
        /// Room for the elements of a block, more than its `points`; equal ones beyond it are counted only.
        capacity: u32,
        /// Blocks.
        count: u32,
    }
    /// Values of polynomials. Grid: points / 256.
    Evaluate = "evaluate" {
        /// u16, `terms` for each polynomial, lowest power first.
        coefficients: u64,
        /// u32, points below the prime.
        points: u64,
        /// u32, which polynomial each point is for.
        owners: u64,
        /// u16, one per point.
        values: u64,
        /// Coefficients of a polynomial.
        terms: u32,
        /// Points.
        count: u32,
    }
}
