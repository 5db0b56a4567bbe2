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

struct Widen {
    u64 x;    // bf16
    u64 out;  // f32
    u64 count;
};

// Elements of bf16, widened.
KERNEL(widen_all, Widen, 256) {
    const u16* x = reinterpret_cast<const u16*>(args.x);
    float* out = reinterpret_cast<float*>(args.out);
    u64 i = u64(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < args.count) out[i] = widen(x[i]);
}

struct RmsNorm {
    u64 x;       // f32, rows x width
    u64 weight;  // bf16, width
    u64 out;     // f32 or bf16, rows x width
    u32 width;
    float eps;
    u32 narrowed;  // whether the result is rounded to bf16
    u32 pad;
};

// A row divided by its root mean square, times the weight. The sum of squares has one order, so one thread adds while the
// others fetch what comes next. Block: a row.
KERNEL(rms_norm, RmsNorm, 256) {
    const u32 part = 1024;
    __shared__ float parts[2][part];
    __shared__ float shared_scale;
    const float* x = reinterpret_cast<const float*>(args.x) + u64(blockIdx.x) * args.width;
    const u16* weight = reinterpret_cast<const u16*>(args.weight);
    u32 thread = threadIdx.x, threads = blockDim.x;
    for (u32 i = thread; i < min(part, args.width); i += threads) parts[0][i] = x[i];
    __syncthreads();
    float sum = 0.0f;
    for (u32 start = 0, now = 0; start < args.width; start += part, now ^= 1) {
        u32 next = start + part;
        for (u32 i = thread; i < part && next + i < args.width; i += threads) parts[now ^ 1][i] = x[next + i];
        if (thread == 0) {
            u32 count = min(part, args.width - start);
            for (u32 i = 0; i < count; ++i) sum = fmaf(parts[now][i], parts[now][i], sum);
        }
        __syncthreads();
    }
    if (thread == 0) shared_scale = 1.0f / sqrtf(sum / float(args.width) + args.eps);
    __syncthreads();
    float scale = shared_scale;
    u64 at = u64(blockIdx.x) * args.width;
    for (u32 i = thread; i < args.width; i += threads) {
        float value = x[i] * scale * widen(weight[i]);
        if (args.narrowed) reinterpret_cast<u16*>(args.out)[at + i] = narrow(value);
        else reinterpret_cast<float*>(args.out)[at + i] = value;
    }
}

struct Angles {
    u64 positions;    // u32, one per row
    u64 frequencies;  // f32, pairs
    u64 out;          // f32, rows x 2 pairs: all cosines of a row, then all sines
    u32 pairs;
    float magnitude;
};

// 1 - z/((s-1)s) + ...: the alternating series of sine (over its argument) and cosine, whose highest factorial is `last`!.
static __device__ __forceinline__ double series(double z, u32 last) {
    double sum = 1.0;
    for (u32 s = last; s >= 2; s -= 2) sum = fma(-z / double((s - 1) * s), sum, 1.0);
    return sum;
}

// Cosine and sine of each pair's angle, as `tandem_model::numeric::sin_cos` has them. Block: a row.
KERNEL(angles, Angles, 128) {
    const float* frequencies = reinterpret_cast<const float*>(args.frequencies);
    float* out = reinterpret_cast<float*>(args.out) + u64(blockIdx.x) * 2 * args.pairs;
    float position = float(reinterpret_cast<const u32*>(args.positions)[blockIdx.x]);
    const double round = 6755399441055744.0;
    for (u32 i = threadIdx.x; i < args.pairs; i += blockDim.x) {
        double x = double(position * frequencies[i]);
        double shifted = fma(x, 0.636619772367581343075535053490057448, round);
        double n = shifted - round;
        double r = fma(n, -6.123233995736766e-17, fma(n, -1.57079632679489661923132169163975144, x));
        double z = r * r;
        double sine = r * series(z, 17), cosine = series(z, 16);
        u32 quarter = u32(__double_as_longlong(shifted)) & 3u;
        double s = quarter & 1u ? cosine : sine, c = quarter & 1u ? sine : cosine;
        if (quarter == 2u || quarter == 3u) s = -s;
        if (quarter == 1u || quarter == 2u) c = -c;
        out[i] = float(c) * args.magnitude;
        out[args.pairs + i] = float(s) * args.magnitude;
    }
}

struct SiluProduct {
    u64 gate_up;  // f32, rows x 2 width: a row's gates, then what they let through
    u64 out;      // f32, rows x width
    u32 width;
    u32 pad;
};

// silu(gate) * up. Grid: parts of a row of blockDim.x elements, and rows.
KERNEL(silu_product, SiluProduct, 256) {
    u32 parts = (args.width + blockDim.x - 1) / blockDim.x;
    u64 row = blockIdx.x / parts;
    u32 i = blockIdx.x % parts * blockDim.x + threadIdx.x;
    if (i >= args.width) return;
    const float* gate = reinterpret_cast<const float*>(args.gate_up) + row * 2 * args.width;
    float g = gate[i], up = gate[args.width + i];
    reinterpret_cast<float*>(args.out)[row * args.width + i] = g / (1.0f + exponential(-g)) * up;
}

struct Turn {
    u64 qkv;         // f32, rows x (heads + 2 kv_heads) dim
    u64 angles;      // f32, rows x dim
    u64 positions;   // u32, one per row
    u64 owners;      // u32, one per row: its piece
    u64 pieces;
    u64 query_norm;  // bf16, dim; 0 where there is none
    u64 key_norm;
    u32 layer;
    u32 heads;
    u32 kv_heads;
    u32 dim;
    float eps;
    u32 pad;
};

// Queries and keys are normalised by head where the family does so, and turned; queries in place, keys into the cache,
// where values go too. Block: a row.
KERNEL(turn, Turn, 256) {
    __shared__ float scales[2048];
    u32 thread = threadIdx.x, threads = blockDim.x, dim = args.dim, half = dim / 2;
    u32 turned = args.heads + args.kv_heads;
    float* qkv = reinterpret_cast<float*>(args.qkv) + u64(blockIdx.x) * (turned + args.kv_heads) * dim;
    const float* angles = reinterpret_cast<const float*>(args.angles) + u64(blockIdx.x) * dim;
    u32 position = reinterpret_cast<const u32*>(args.positions)[blockIdx.x];
    Piece piece = reinterpret_cast<const Piece*>(args.pieces)[reinterpret_cast<const u32*>(args.owners)[blockIdx.x]];
    u64 slot = u64(position) * args.kv_heads * dim;
    u64 layer = piece.cache + args.layer * piece.layer_bytes;
    float* keys = reinterpret_cast<float*>(layer) + slot;
    float* values = reinterpret_cast<float*>(layer + piece.value_bytes) + slot;
    if (args.query_norm) {
        for (u32 head = thread; head < turned; head += threads) {
            float sum = 0.0f;
            for (u32 i = 0; i < dim; ++i) sum = fmaf(qkv[head * dim + i], qkv[head * dim + i], sum);
            scales[head] = 1.0f / sqrtf(sum / float(dim) + args.eps);
        }
        __syncthreads();
    }
    for (u32 i = thread; i < turned * half; i += threads) {
        u32 head = i / half, pair = i % half;
        float* low = qkv + head * dim + pair;
        float x = low[0], y = low[half];
        if (args.query_norm) {
            const u16* weight = reinterpret_cast<const u16*>(head < args.heads ? args.query_norm : args.key_norm);
            x = x * scales[head] * widen(weight[pair]);
            y = y * scales[head] * widen(weight[half + pair]);
        }
        float c = angles[pair], s = angles[half + pair];
        float* out = head < args.heads ? low : keys + (head - args.heads) * dim + pair;
        out[0] = fmaf(x, c, -(y * s));
        out[half] = fmaf(y, c, x * s);
    }
    for (u32 i = thread; i < args.kv_heads * dim; i += threads) values[i] = qkv[turned * dim + i];
}
