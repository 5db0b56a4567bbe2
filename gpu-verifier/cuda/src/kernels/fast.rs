//! Fast mode's work on rows: bf16 between operations, sums in any order.

super::kernels! {
    "fast" with "fast.h":
    /// Adds a bias to rows of the residual stream and leaves their RMS norm elsewhere. Grid: rows; block: [`BLOCK`].
    Norm = "fast_norm" {
        /// f32, `rows × width`.
        states: u64,
        /// bf16, `width`: of the matrix whose product was added to the stream last; or 0.
        bias: u64,
        /// bf16, `width`.
        weight: u64,
        /// bf16, `rows × width`.
        out: u64,
        /// Width of a row.
        width: u32,
        /// Rows.
        rows: u32,
        /// Added to the mean square.
        eps: f32,
        /// Nothing.
        pad: u32,
    }
    /// Bias, norm and turning of heads; keys and values go to their caches, queries stay. Grid: rows; block: [`BLOCK`].
    Heads = "fast_heads" {
        /// bf16, `rows × (heads + 2 kv_heads) × dim`.
        product: u64,
        /// bf16, as wide as a row; or 0.
        bias: u64,
        /// bf16, `dim`; or 0.
        query_norm: u64,
        /// bf16, `dim`; or 0.
        key_norm: u64,
        /// f32, `rows × dim`: a row's cosines, then its sines.
        angles: u64,
        /// u32, one per row.
        positions: u64,
        /// u32, one per row: the index of its piece.
        owners: u64,
        /// [`Piece`](crate::pack::Piece)s, whose keys and values are bf16.
        pieces: u64,
        /// Query heads.
        heads: u32,
        /// Key-value heads.
        kv_heads: u32,
        /// Width of a head.
        dim: u32,
        /// Layer of the caches.
        layer: u32,
        /// Added to the mean square.
        eps: f32,
        /// Nothing.
        pad: u32,
    }
    /// `silu(gate) · up`. Grid: rows × [`swiglu_pieces`]; block: [`BLOCK`].
    Swiglu = "fast_swiglu" {
        /// bf16, `rows × 2 width`: a row's gates, then its ups.
        product: u64,
        /// bf16, `2 width`; or 0.
        bias: u64,
        /// bf16, `rows × width`.
        out: u64,
        /// Width of the result.
        width: u32,
        /// Rows.
        rows: u32,
    }
}

/// Threads of a block that works on rows.
pub const BLOCK: u32 = 256;

/// Blocks across a row in [`Swiglu`].
pub const fn swiglu_pieces(width: u32) -> u32 {
    let values = if width.is_multiple_of(8) { 8 } else { 1 };
    (width / values).div_ceil(BLOCK)
}
