// Operations on single rows, in the arithmetic of exact mode.

struct Embed {
    u64 table;   // bf16, vocabulary x hidden
    u64 tokens;  // u32, one per row
    u64 out;     // f32, rows x hidden
    u32 hidden;
    u32 rows;
};

// The token's row, widened. Block: a row.
KERNEL(embed, Embed, 256) {
    const u16* table = reinterpret_cast<const u16*>(args.table);
    const u32* tokens = reinterpret_cast<const u32*>(args.tokens);
    float* out = reinterpret_cast<float*>(args.out);
    u64 row = blockIdx.x;
    u64 from = u64(tokens[row]) * args.hidden;
    for (u32 i = threadIdx.x; i < args.hidden; i += blockDim.x) out[row * args.hidden + i] = widen(table[from + i]);
}
