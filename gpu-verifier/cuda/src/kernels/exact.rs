//! Matrix products and attention in the fixed order of exact mode.

super::kernels! {
    "exact":
    /// `x · Wᵀ + b`, for many rows or for few. Grids: columns by 128 and rows by 128; columns by 32 and rows by 8.
    Linear = "linear" | "linear_few" {
        /// f32, `rows × depth`.
        x: u64,
        /// bf16, `columns × depth`.
        weights: u64,
        /// bf16, one per column; 0 where there is none.
        bias: u64,
        /// f32, `rows × columns`.
        out: u64,
        /// Rows of `x`.
        rows: u32,
        /// Rows of the matrix.
        columns: u32,
        /// Terms of each sum.
        depth: u32,
        /// Whether the result is added to what is in `out`.
        add: u32,
    }
    /// Causal attention, for tiles of 64 or of 8. Grid: tiles, key-value heads, dimensions by 128.
    Attend = "attend" | "attend_few" {
        /// f32, `rows × (heads + 2·kv_heads)·dim`, queries turned.
        qkv: u64,
        /// [`Piece`](crate::pack::Piece)s, whose keys and values are f32.
        pieces: u64,
        /// [`Tile`](crate::pack::Tile)s of pairs of a row and a head of a group, heads fastest.
        tiles: u64,
        /// f32, `rows × heads·dim`.
        out: u64,
        /// Which layer's keys and values.
        layer: u32,
        /// Query heads.
        heads: u32,
        /// Key-value heads.
        kv_heads: u32,
        /// Width of a head.
        dim: u32,
        /// Positions seen, the own included.
        window: u32,
        /// What scores are multiplied by.
        scale: f32,
    }
}
