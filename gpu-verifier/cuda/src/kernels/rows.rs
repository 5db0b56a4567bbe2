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
}
