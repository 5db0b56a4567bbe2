//! Operations on single rows.

super::kernels! {
    "rows":
    /// The tokens' rows of the embedding matrix, widened. Grid: rows.
    Embed = "embed" {
        /// bf16, `vocabulary × hidden`.
        table: u64,
        /// u32, one per row.
        tokens: u64,
        /// f32, `rows × hidden`.
        out: u64,
        /// Width.
        hidden: u32,
        /// Rows.
        rows: u32,
    }
    /// Elements of bf16, widened. Grid: elements by the block's threads.
    Widen = "widen_all" {
        /// bf16.
        x: u64,
        /// f32.
        out: u64,
        /// Elements.
        count: u64,
    }
    /// Rows divided by their root mean square, times a weight. Grid: rows.
    RmsNorm = "rms_norm" {
        /// f32, `rows × width`.
        x: u64,
        /// bf16, one per column.
        weight: u64,
        /// f32 or bf16, `rows × width`.
        out: u64,
        /// Width.
        width: u32,
        /// Added to the mean square.
        eps: f32,
        /// Whether the result is rounded to bf16.
        narrowed: u32,
        /// Nothing.
        pad: u32,
    }
    /// Cosines and sines by which rows' positions turn pairs. Grid: rows.
    Angles = "angles" {
        /// u32, one per row.
        positions: u64,
        /// f32, one per pair.
        frequencies: u64,
        /// f32, `rows × 2·pairs`: a row's cosines, then its sines.
        out: u64,
        /// Half a head's width.
        pairs: u32,
        /// What both are multiplied by.
        magnitude: f32,
    }
    /// `silu(gate) · up`. Grid: rows times (width by the block's threads).
    SiluProduct = "silu_product" {
        /// f32, `rows × 2·width`: a row's gates, then what they let through.
        gate_up: u64,
        /// f32, `rows × width`.
        out: u64,
        /// Width of the feed-forward layer.
        width: u32,
        /// Nothing.
        pad: u32,
    }
    /// Queries and keys are normalised by head, where the family does so, and turned; keys and values go into their cache.
    /// Grid: rows.
    Turn = "turn" {
        /// f32, `rows × (heads + 2·kv_heads)·dim`; queries are turned in place.
        qkv: u64,
        /// f32, `rows × dim`, of [`Angles`].
        angles: u64,
        /// u32, one per row.
        positions: u64,
        /// u32, one per row: the index of its piece.
        owners: u64,
        /// [`Piece`](crate::pack::Piece)s, whose keys and values are f32.
        pieces: u64,
        /// bf16, `dim`; 0 where there is none.
        query_norm: u64,
        /// bf16, `dim`; 0 where there is none.
        key_norm: u64,
        /// Which layer's keys and values.
        layer: u32,
        /// Query heads.
        heads: u32,
        /// Key-value heads.
        kv_heads: u32,
        /// Width of a head.
        dim: u32,
        /// Added to the mean square.
        eps: f32,
        /// Nothing.
        pad: u32,
    }
}
