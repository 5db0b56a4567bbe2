//! Attention in fast mode, on tensor cores: see [`flash`](crate::flash).

use bytemuck::NoUninit;

super::kernels! {
    "attention" with "fast.h" with "instructions.h":
    /// Attention of packed sequences: see [`flash`](crate::flash), which knows grids and shared memory.
    Attend = "fast_attend_plain"
        | "fast_attend_wide_32" | "fast_attend_narrow_32"
        | "fast_attend_wide_64" | "fast_attend_narrow_64"
        | "fast_attend_wide_80" | "fast_attend_narrow_80"
        | "fast_attend_wide_96" | "fast_attend_narrow_96"
        | "fast_attend_wide_128" | "fast_attend_narrow_128"
        | "fast_attend_wide_256" | "fast_attend_narrow_256"
    {
        /// bf16, `rows × query_stride`, of which the first `heads × dim` are a row's queries.
        queries: u64,
        /// bf16, `rows × heads × dim`.
        out: u64,
        /// u32, one per row.
        positions: u64,
        /// u32, one per row: the index of its piece.
        owners: u64,
        /// [`Piece`](crate::pack::Piece)s, whose keys and values are bf16.
        pieces: u64,
        /// [`Patch`]es.
        patches: u64,
        /// f32, for patches with a part of their queries' keys.
        partial: u64,
        /// Elements from one row of queries to the next.
        query_stride: u32,
        /// Query heads.
        heads: u32,
        /// Key-value heads.
        kv_heads: u32,
        /// Width of a head.
        dim: u32,
        /// Layer of the caches.
        layer: u32,
        /// Positions seen, the own included.
        window: u32,
        /// Of scores, times `log2 e`.
        scale: f32,
        /// Nothing.
        pad: u32,
    }
    /// Brings the parts of split patches together. Grid: merges × key-value heads; block: [`ATTEND_THREADS`].
    Combine = "fast_combine" {
        /// f32.
        partial: u64,
        /// bf16, `rows × heads × dim`.
        out: u64,
        /// [`Piece`](crate::pack::Piece)s.
        pieces: u64,
        /// [`Merge`]s.
        merges: u64,
        /// Query heads.
        heads: u32,
        /// Key-value heads.
        kv_heads: u32,
        /// Width of a head.
        dim: u32,
        /// Nothing.
        pad: u32,
    }
}

/// Threads of a block that attends.
pub const ATTEND_THREADS: u32 = 128;

/// [`Patch::partial`] of a patch with all keys of its queries.
pub const WHOLE: u32 = u32::MAX;

/// Queries and keys that one block of threads multiplies. Query `m` of a piece's key-value head is that of row `m / group` and,
/// of the heads that share the key-value head, number `m mod group`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, NoUninit)]
pub struct Patch {
    /// Index of the [`Piece`](crate::pack::Piece).
    pub piece: u32,
    /// First query.
    pub first: u32,
    /// Number of queries.
    pub count: u32,
    /// Position of the first key.
    pub from: u32,
    /// Position after the last.
    pub to: u32,
    /// First row of the partial sums that it leaves, or [`WHOLE`].
    pub partial: u32,
}

/// Queries whose keys were seen in parts.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, NoUninit)]
pub struct Merge {
    /// Index of the [`Piece`](crate::pack::Piece).
    pub piece: u32,
    /// First query.
    pub first: u32,
    /// Number of queries.
    pub count: u32,
    /// First row of the first part.
    pub partial: u32,
    /// Parts, one behind the other with `count` rows each.
    pub parts: u32,
    /// Nothing.
    pub pad: u32,
}
