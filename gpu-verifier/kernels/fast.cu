// Fast mode's work on rows: bf16 between operations, sums in any order. The residual stream is in single precision; products
// are cuBLASLt's, and attention is in attention.cu.

#define BLOCK 256
#define WARPS (BLOCK / WARP)

struct Norm {
    u64 states;  // f32, rows x width
    u64 bias;    // bf16, width: of the matrix whose product was added last, added here; or 0
    u64 weight;  // bf16, width
    u64 out;     // bf16, rows x width
    u32 width;
    u32 rows;
    float eps;
    u32 pad;
};

template <u32 N> static __device__ __forceinline__ void norm(const Norm& args) {
    __shared__ float sums[WARPS];
    typedef Some<float, N> Floats;
    typedef Some<u16, N> Halves;
    Floats* states = reinterpret_cast<Floats*>(reinterpret_cast<float*>(args.states) + u64(blockIdx.x) * args.width);
    Halves* out = reinterpret_cast<Halves*>(reinterpret_cast<u16*>(args.out) + u64(blockIdx.x) * args.width);
    const Halves* bias = reinterpret_cast<const Halves*>(args.bias);
    const Halves* weight = reinterpret_cast<const Halves*>(args.weight);
    u32 count = args.width / N;
    float sum = 0.0f;
    for (u32 i = threadIdx.x; i < count; i += BLOCK) {
        Floats x = states[i];
        if (bias) {
            Halves b = bias[i];
            for (u32 j = 0; j < N; ++j) x.at[j] += widen(b.at[j]);
            states[i] = x;
        }
        for (u32 j = 0; j < N; ++j) sum = fmaf(x.at[j], x.at[j], sum);
    }
    sum = warp_sum(sum);
    if (threadIdx.x % WARP == 0) sums[threadIdx.x / WARP] = sum;
    __syncthreads();
    sum = 0.0f;
    for (u32 i = 0; i < WARPS; ++i) sum += sums[i];
    float scale = 1.0f / sqrtf(sum / float(args.width) + args.eps);
    // What a thread reads here, it wrote.
    for (u32 i = threadIdx.x; i < count; i += BLOCK) {
        Floats x = states[i];
        Halves w = weight[i], y;
        for (u32 j = 0; j < N; ++j) y.at[j] = narrow(x.at[j] * scale * widen(w.at[j]));
        out[i] = y;
    }
}

// The residual stream's rows, each divided by its root mean square, times the weight. Block: a row.
KERNEL(fast_norm, Norm, BLOCK) {
    if (args.width % 4 == 0) norm<4>(args);
    else norm<1>(args);
}

struct Heads {
    u64 product;     // bf16, rows x (heads + 2 kv_heads) x dim; queries are left in it
    u64 bias;        // bf16, as wide; or 0
    u64 query_norm;  // bf16, dim; or 0
    u64 key_norm;    // bf16, dim; or 0
    u64 angles;      // f32, rows x dim: cosines, then sines
    u64 positions;   // u32, one per row
    u64 owners;      // u32, one per row: the index of its piece
    u64 pieces;      // Piece
    u32 heads;
    u32 kv_heads;
    u32 dim;
    u32 layer;
    float eps;
    u32 pad;
};

// Bias, norm and turning of queries and keys; keys and values go to their caches. Block: a row; warp: a head at a time.
KERNEL(fast_heads, Heads, BLOCK) {
    u64 row = blockIdx.x;
    u32 lane = threadIdx.x % WARP, dim = args.dim, half = dim / 2, all = args.heads + 2 * args.kv_heads;
    const float* cosines = reinterpret_cast<const float*>(args.angles) + row * dim;
    const float* sines = cosines + half;
    const u32 position = reinterpret_cast<const u32*>(args.positions)[row];
    const Piece piece = reinterpret_cast<const Piece*>(args.pieces)[reinterpret_cast<const u32*>(args.owners)[row]];
    for (u32 head = threadIdx.x / WARP; head < all; head += WARPS) {
        u16* from = reinterpret_cast<u16*>(args.product) + (row * all + head) * dim;
        const u16* bias = args.bias ? reinterpret_cast<const u16*>(args.bias) + u64(head) * dim : nullptr;
        bool query = head < args.heads, value = head >= args.heads + args.kv_heads;
        const u16* weight = reinterpret_cast<const u16*>(query ? args.query_norm : value ? 0 : args.key_norm);
        u32 of_kind = query ? head : (head - args.heads) % args.kv_heads;
        u64 cached = (u64(position) * args.kv_heads + of_kind) * dim;
        u16* to = query ? from : (value ? values_of(piece, args.layer) : keys_of(piece, args.layer)) + cached;
        float scale = 1.0f;
        if (weight) {
            float sum = 0.0f;
            for (u32 i = lane; i < dim; i += WARP) {
                float x = widen(from[i]) + (bias ? widen(bias[i]) : 0.0f);
                sum = fmaf(x, x, sum);
            }
            scale = 1.0f / sqrtf(warp_sum(sum) / float(dim) + args.eps);
        }
        for (u32 i = lane; i < half; i += WARP) {
            float x = widen(from[i]), y = widen(from[i + half]);
            if (bias) x += widen(bias[i]), y += widen(bias[i + half]);
            if (weight) x *= scale * widen(weight[i]), y *= scale * widen(weight[i + half]);
            float c = value ? 1.0f : cosines[i], s = value ? 0.0f : sines[i];
            to[i] = narrow(value ? x : x * c - y * s);
            to[i + half] = narrow(value ? y : y * c + x * s);
        }
    }
}

struct Swiglu {
    u64 product;  // bf16, rows x 2 width: gates, then ups
    u64 bias;     // bf16, 2 width; or 0
    u64 out;      // bf16, rows x width
    u32 width;
    u32 rows;
};

template <u32 N> static __device__ __forceinline__ void swiglu(const Swiglu& args) {
    typedef Some<u16, N> Halves;
    const u32 count = args.width / N, i = blockIdx.y * BLOCK + threadIdx.x;
    if (i >= count) return;
    const Halves* gates = reinterpret_cast<const Halves*>(args.product) + u64(blockIdx.x) * 2 * count;
    const Halves* bias = reinterpret_cast<const Halves*>(args.bias);
    Halves gate = gates[i], up = gates[count + i], out;
    for (u32 j = 0; j < N; ++j) {
        float g = widen(gate.at[j]), u = widen(up.at[j]);
        if (bias) g += widen(bias[i].at[j]), u += widen(bias[count + i].at[j]);
        out.at[j] = narrow(g / (1.0f + exponential(-g)) * u);
    }
    reinterpret_cast<Halves*>(args.out)[u64(blockIdx.x) * count + i] = out;
}

// silu(gate) * up. Grid: rows x pieces of 256 threads, each with eight values where the width is a multiple of eight and with one
// where it is not.
KERNEL(fast_swiglu, Swiglu, BLOCK) {
    if (args.width % 8 == 0) swiglu<8>(args);
    else swiglu<1>(args);
}
