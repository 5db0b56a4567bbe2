// Matrix products and attention in the fixed order of exact mode: every output has one accumulator, which starts at zero
// and meets its terms in ascending order. Threads share the outputs out among themselves, never the terms of one.

struct __align__(16) Floats {
    float at[4];
};
struct __align__(16) Words {
    u32 at[4];
};

// What lies beyond the end of a sum: -0 times 0 is -0, and adding that changes nothing, not even the sign of a zero.
#define NOTHING (-0.0f)

// Four values of a row of `length` from `k` on. Rows that begin at multiples of 16 bytes are read at once.
static __device__ __forceinline__ Floats four(const float* row, u32 k, u32 length) {
    if (length % 4 == 0 && k < length) return *reinterpret_cast<const Floats*>(row + k);
    Floats values;
    UNROLL for (u32 i = 0; i < 4; ++i) values.at[i] = k + i < length ? row[k + i] : NOTHING;
    return values;
}

// Eight bf16 values, two to a word.
static __device__ __forceinline__ Words eight(const u16* row, u32 k, u32 length) {
    if (length % 8 == 0 && k < length) return *reinterpret_cast<const Words*>(row + k);
    Words values;
    UNROLL for (u32 i = 0; i < 4; ++i) {
        u32 low = k + 2 * i < length ? row[k + 2 * i] : 0, high = k + 2 * i + 1 < length ? row[k + 2 * i + 1] : 0;
        values.at[i] = low | high << 16;
    }
    return values;
}

static __device__ __forceinline__ float low_half(u32 word) { return __uint_as_float(word << 16); }
static __device__ __forceinline__ float high_half(u32 word) { return __uint_as_float(word & 0xffff0000u); }

struct Linear {
    u64 x;        // f32, rows x depth
    u64 weights;  // bf16, columns x depth
    u64 bias;     // bf16, columns; 0 where there is none
    u64 out;      // f32, rows x columns
    u32 rows;
    u32 columns;
    u32 depth;
    u32 add;  // whether the result is added to what is in `out`
};

static __device__ __forceinline__ void put(const Linear& args, u32 row, u32 column, float sum) {
    if (row >= args.rows || column >= args.columns) return;
    if (args.bias) sum = sum + widen(reinterpret_cast<const u16*>(args.bias)[column]);
    float* out = reinterpret_cast<float*>(args.out) + u64(row) * args.columns + column;
    *out = args.add ? *out + sum : sum;
}

// Many rows. Block: 128 rows by 128 columns, a thread has 8 by 8 of them. While one step of the depth is multiplied, the
// next is on its way. Grid: columns, rows.
KERNEL(linear, Linear, RESIDENT(256, 2)) {
    const u32 side = 128, half = side / 2, depth_step = 16, line = side + 4;
    __align__(16) __shared__ float shared_x[2][depth_step][line];
    __align__(16) __shared__ float shared_w[2][depth_step][line];
    auto* xs = shared_x;
    auto* ws = shared_w;
    u32 thread = threadIdx.x, depth = args.depth;
    u32 first_row = blockIdx.y * side, first_column = blockIdx.x * side;

    u32 own = thread / 2, part = thread % 2 * 8;
    bool has_row = first_row + own < args.rows, has_column = first_column + own < args.columns;
    const float* x = reinterpret_cast<const float*>(args.x) + u64(has_row ? first_row + own : 0) * depth;
    const u16* w = reinterpret_cast<const u16*>(args.weights) + u64(has_column ? first_column + own : 0) * depth;
    Floats x_low, x_high;
    Words w_all;
    auto fetch = [&](u32 k) {
        x_low = four(x, k + part, depth);
        x_high = four(x, k + part + 4, depth);
        w_all = eight(w, k + part, depth);
    };
    auto store = [&](u32 to) {
        UNROLL for (u32 i = 0; i < 4; ++i) {
            xs[to][part + i][own] = x_low.at[i];
            xs[to][part + 4 + i][own] = x_high.at[i];
            ws[to][part + 2 * i][own] = low_half(w_all.at[i]);
            ws[to][part + 2 * i + 1][own] = high_half(w_all.at[i]);
        }
    };

    u32 row = thread / 16 * 4, column = thread % 16 * 4;
    bool busy = first_row + row < args.rows && first_column + column < args.columns;
    float sums[8][8] = {};
    fetch(0);
    store(0);
    __syncthreads();
    for (u32 k = 0, now = 0; k < depth; k += depth_step, now ^= 1) {
        bool more = k + depth_step < depth;
        if (more) fetch(k + depth_step);
        if (busy) {
            UNROLL for (u32 step = 0; step < depth_step; ++step) {
                float a[8], b[8];
                UNROLL for (u32 side_half = 0; side_half < 2; ++side_half) {
                    Floats p = *reinterpret_cast<const Floats*>(&xs[now][step][side_half * half + row]);
                    Floats q = *reinterpret_cast<const Floats*>(&ws[now][step][side_half * half + column]);
                    UNROLL for (u32 i = 0; i < 4; ++i) a[side_half * 4 + i] = p.at[i], b[side_half * 4 + i] = q.at[i];
                }
                UNROLL for (u32 i = 0; i < 8; ++i) {
                    UNROLL for (u32 j = 0; j < 8; ++j) sums[i][j] = fmaf(a[i], b[j], sums[i][j]);
                }
            }
        }
        if (more) store(now ^ 1);
        __syncthreads();
    }
    UNROLL for (u32 i = 0; i < 8; ++i) {
        UNROLL for (u32 j = 0; j < 8; ++j)
            put(args, first_row + i / 4 * half + row + i % 4, first_column + j / 4 * half + column + j % 4, sums[i][j]);
    }
}

// Few rows, as in decoding: the weights' way from memory is what takes time. Block: 8 rows, a warp each, by 32 columns, a
// lane each. Grid: columns, rows.
KERNEL(linear_few, Linear, 256) {
    const u32 rows = 8, columns = WARP, depth_step = 256;
    // Eight more, so that lanes that read the same part of their columns meet different banks.
    __align__(16) __shared__ u16 shared_w[columns][depth_step + 8];
    __align__(16) __shared__ float shared_x[rows][depth_step];
    auto* ws = shared_w;
    auto* xs = shared_x;
    u32 thread = threadIdx.x, lane = thread % WARP, own = thread / WARP, depth = args.depth;
    u32 first_row = blockIdx.y * rows, first_column = blockIdx.x * columns;
    bool busy = first_row + own < args.rows && first_column + lane < args.columns;
    const float* x = reinterpret_cast<const float*>(args.x) + u64(first_row + own < args.rows ? first_row + own : 0) * depth;
    const u16* weights = reinterpret_cast<const u16*>(args.weights);
    Floats x_parts[2];
    Words w_parts[4];
    auto fetch = [&](u32 k) {
        UNROLL for (u32 i = 0; i < 2; ++i) x_parts[i] = four(x, k + (i * WARP + lane) * 4, depth);
        UNROLL for (u32 i = 0; i < 4; ++i) {
            u32 column = first_column + i * rows + own;
            w_parts[i] = eight(weights + u64(column < args.columns ? column : 0) * depth, k + lane * 8, depth);
        }
    };
    float sum = 0.0f;
    fetch(0);
    for (u32 k = 0; k < depth; k += depth_step) {
        UNROLL for (u32 i = 0; i < 2; ++i) *reinterpret_cast<Floats*>(&xs[own][(i * WARP + lane) * 4]) = x_parts[i];
        UNROLL for (u32 i = 0; i < 4; ++i) *reinterpret_cast<Words*>(&ws[i * rows + own][lane * 8]) = w_parts[i];
        __syncthreads();
        if (k + depth_step < depth) fetch(k + depth_step);
        if (busy) {
            u32 steps = min(depth_step, depth - k);
            for (u32 step = 0; step < steps; step += 8) {
                Words w = *reinterpret_cast<const Words*>(&ws[lane][step]);
                UNROLL for (u32 i = 0; i < 4; ++i) {
                    sum = fmaf(xs[own][step + 2 * i], low_half(w.at[i]), sum);
                    sum = fmaf(xs[own][step + 2 * i + 1], high_half(w.at[i]), sum);
                }
            }
        }
        __syncthreads();
    }
    if (busy) put(args, first_row + own, first_column + lane, sum);
}

struct Attend {
    u64 qkv;     // f32, rows x (heads + 2 kv_heads) dim, queries turned
    u64 pieces;  // their keys and values are f32
    u64 tiles;   // `first` counts (row, head of the group), heads fastest
    u64 out;     // f32, rows x heads dim
    u32 layer;
    u32 heads;
    u32 kv_heads;
    u32 dim;
    u32 window;  // positions seen, the own included
    float scale;
};

// Causal attention of ROWS pairs of a row and a head, all heads of the group that shares keys and values. The largest score
// comes first; then scores are computed again, turned into weights, and these and the weighted values added by ascending
// position. KEYS positions at a time; a thread has R rows by K keys of scores, and PR rows by PD dimensions of sums.
template <u32 ROWS, u32 KEYS, u32 R, u32 K, u32 PR, u32 PD>
static __device__ __forceinline__ void attend_rows(const Attend& args) {
    const u32 threads = 256, depth_step = 32, dims = 128, value_step = 32;
    const u32 row_line = ROWS + 4, key_line = KEYS + 4;
    const u32 factors = depth_step * (row_line + key_line), staged = value_step * dims;
    static_assert(ROWS / R * (KEYS / K) == threads && ROWS / PR * (dims / PD) == threads, "a thread's share");
    static_assert(depth_step == 32 && ROWS % 4 == 0 && KEYS % 4 == 0, "staged in parts of eight terms of four rows");
    static_assert(ROWS * (KEYS / K) <= KEYS * row_line, "the largest scores fit where weights are");
    __align__(16) __shared__ float shared_factors[factors > staged ? factors : staged];
    __align__(16) __shared__ float shared_weights[KEYS * row_line];
    __shared__ float shared_largest[ROWS];
    __shared__ u64 shared_origins[ROWS];
    __shared__ u32 shared_ends[ROWS];
    float* const queries = shared_factors;
    float* const keys = shared_factors + depth_step * row_line;
    float* const values = shared_factors;
    float* const weights = shared_weights;
    float* const largest = shared_largest;
    u64* const origins = shared_origins;
    u32* const ends = shared_ends;

    u32 thread = threadIdx.x, dim = args.dim, kv_head = blockIdx.y, first_dim = blockIdx.z * dims;
    Tile tile = reinterpret_cast<const Tile*>(args.tiles)[blockIdx.x];
    Piece piece = reinterpret_cast<const Piece*>(args.pieces)[tile.piece];
    u32 group = args.heads / args.kv_heads, stride = (args.heads + 2 * args.kv_heads) * dim;
    u32 count = min(ROWS, piece.rows * group - tile.first);
    const float* q = reinterpret_cast<const float*>(args.qkv) + u64(piece.first_row) * stride + kv_head * group * dim;
    u64 cache = piece.cache + args.layer * piece.layer_bytes;
    const float* k_cache = reinterpret_cast<const float*>(cache) + kv_head * dim;
    const float* v_cache = reinterpret_cast<const float*>(cache + piece.value_bytes) + kv_head * dim;
    u32 position_stride = args.kv_heads * dim;
    // Of each row its queries, and one behind the last position that it sees; rows that are not there repeat the last one.
    auto end_of = [&](u32 pair) { return piece.first_position + pair / group + 1; };
    auto low_of = [&](u32 end) { return end > args.window ? end - args.window : 0; };
    if (thread < ROWS) {
        u32 pair = tile.first + min(thread, count - 1);
        origins[thread] = u64(pair / group) * stride + pair % group * dim;
        ends[thread] = end_of(pair);
    }
    u32 first_end = end_of(tile.first), end = end_of(tile.first + count - 1);
    u32 start = low_of(first_end), last_low = low_of(end);

    u32 row = thread / (KEYS / K) * R, key = thread % (KEYS / K) * K;
    float z[R][K];
    auto scores = [&](u32 at) {
        UNROLL for (u32 r = 0; r < R; ++r) {
            UNROLL for (u32 i = 0; i < K; ++i) z[r][i] = 0.0f;
        }
        for (u32 d = 0; d < dim; d += depth_step) {
            __syncthreads();
            // Lanes write eight terms of four rows, each to its own bank.
            for (u32 i = thread; i < ROWS * depth_step; i += threads) {
                u32 to = i / 128 * 4 + i / 8 % 4, k = i / 32 % 4 * 8 + i % 8;
                queries[k * row_line + to] = d + k < dim ? q[origins[to] + d + k] : NOTHING;
            }
            for (u32 i = thread; i < KEYS * depth_step; i += threads) {
                u32 to = i / 128 * 4 + i / 8 % 4, k = i / 32 % 4 * 8 + i % 8;
                keys[k * key_line + to] =
                    at + to >= end || d + k >= dim ? 0.0f : k_cache[u64(at + to) * position_stride + d + k];
            }
            __syncthreads();
            if (row >= count) continue;
            for (u32 k = 0; k < depth_step; ++k) {
                float a[R], b[K];
                UNROLL for (u32 r = 0; r < R; ++r) a[r] = queries[k * row_line + row + r];
                UNROLL for (u32 i = 0; i < K; ++i) b[i] = keys[k * key_line + key + i];
                UNROLL for (u32 r = 0; r < R; ++r) {
                    UNROLL for (u32 i = 0; i < K; ++i) z[r][i] = fmaf(a[r], b[i], z[r][i]);
                }
            }
        }
        UNROLL for (u32 r = 0; r < R; ++r) {
            UNROLL for (u32 i = 0; i < K; ++i) z[r][i] = z[r][i] * args.scale;
        }
    };

    float best[R];
    UNROLL for (u32 r = 0; r < R; ++r) best[r] = __uint_as_float(0xff800000u);
    for (u32 at = start; at < end; at += KEYS) {
        scores(at);
        UNROLL for (u32 r = 0; r < R; ++r) {
            u32 own_end = ends[row + r], own_low = low_of(own_end);
            UNROLL for (u32 i = 0; i < K; ++i) {
                if (at + key + i >= own_low && at + key + i < own_end) best[r] = fmaxf(best[r], z[r][i]);
            }
        }
    }
    UNROLL for (u32 r = 0; r < R; ++r) weights[(row + r) * (KEYS / K) + key / K] = best[r];
    __syncthreads();
    if (thread < ROWS) {
        float most = weights[thread * (KEYS / K)];
        for (u32 i = 1; i < KEYS / K; ++i) most = fmaxf(most, weights[thread * (KEYS / K) + i]);
        largest[thread] = most;
    }

    u32 sum_row = thread / (dims / PD) * PR, sum_dim = thread % (dims / PD);
    // A thread's dimensions lie in runs of up to four, which are read at once.
    const u32 run = PD < 4 ? PD : 4;
    auto dim_of = [&](u32 i) { return i / run * (dims / PD * run) + sum_dim * run + i % run; };
    float sums[PR][PD] = {}, totals[PR] = {};
    u32 sum_ends[PR], sum_lows[PR];
    UNROLL for (u32 r = 0; r < PR; ++r) sum_ends[r] = ends[sum_row + r], sum_lows[r] = low_of(sum_ends[r]);
    for (u32 at = start; at < end; at += KEYS) {
        scores(at);
        UNROLL for (u32 r = 0; r < R; ++r) {
            UNROLL for (u32 i = 0; i < K; ++i)
                weights[(key + i) * row_line + row + r] = exponential(z[r][i] - largest[row + r]);
        }
        for (u32 part = 0; part < KEYS && at + part < end; part += value_step) {
            u32 from = at + part;
            __syncthreads();
            for (u32 i = thread; i < value_step * dims; i += threads) {
                u32 to = i / dims, d = first_dim + i % dims;
                values[i] = from + to >= end || d >= dim ? 0.0f : v_cache[u64(from + to) * position_stride + d];
            }
            __syncthreads();
            if (sum_row >= count) continue;
            // What a row does not see must not be added, not even with a weight of zero: a value may be infinite.
            bool all = from >= last_low && from + value_step <= first_end;
            for (u32 j = 0; j < value_step; ++j) {
                float e[PR], v[PD];
                UNROLL for (u32 r = 0; r < PR; ++r) e[r] = weights[(part + j) * row_line + sum_row + r];
                UNROLL for (u32 i = 0; i < PD; ++i) v[i] = values[j * dims + dim_of(i)];
                UNROLL for (u32 r = 0; r < PR; ++r) {
                    if (!all && (from + j < sum_lows[r] || from + j >= sum_ends[r])) continue;
                    totals[r] = totals[r] + e[r];
                    UNROLL for (u32 i = 0; i < PD; ++i) sums[r][i] = fmaf(e[r], v[i], sums[r][i]);
                }
            }
        }
    }
    UNROLL for (u32 r = 0; r < PR; ++r) {
        if (sum_row + r >= count) continue;
        u32 pair = tile.first + sum_row + r;
        u64 to = u64(piece.first_row + pair / group) * args.heads + kv_head * group + pair % group;
        UNROLL for (u32 i = 0; i < PD; ++i) {
            u32 d = first_dim + dim_of(i);
            if (d < dim) reinterpret_cast<float*>(args.out)[to * dim + d] = sums[r][i] / totals[r];
        }
    }
}

// Tiles of 64 pairs, for prompts. Grid: tiles, key-value heads, parts of 128 dimensions.
KERNEL(attend, Attend, RESIDENT(256, 2)) { attend_rows<64, 64, 4, 4, 4, 8>(args); }

// Tiles of 8 pairs, for decoding.
KERNEL(attend_few, Attend, RESIDENT(256, 2)) { attend_rows<8, 256, 8, 1, 4, 1>(args); }
