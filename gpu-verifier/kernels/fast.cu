// Fast mode: bf16 between operations, tensor cores, sums in any order. The residual stream is in single precision.

#define BLOCK 256
#define WARPS (BLOCK / WARP)
#define MINUS_INFINITY __uint_as_float(0xff800000u)

// Instructions that CUDA C has no word for; emulator/tensor.h has their twins. All of them are in sm_80.
#ifndef EMULATED
// c += a · b for a of 16 x 16, b of 16 x 8: the fragments are those of mma.m16n8k16 in the PTX manual.
static __device__ __forceinline__ void multiply_add(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
static __device__ __forceinline__ u32 shared_address(const void* at) { return u32(__cvta_generic_to_shared(at)); }
// Four matrices of 8 x 8; lane i names the address of row i mod 8 of matrix i / 8, 16 bytes: the lane's own, and an offset that
// all lanes share.
static __device__ __forceinline__ void load_matrices(u32 (&to)[4], const u16* own, u32 offset) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(shared_address(own) + offset * 2) : "memory");
}
static __device__ __forceinline__ void load_matrices_transposed(u32 (&to)[4], const u16* own, u32 offset) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(shared_address(own) + offset * 2) : "memory");
}
// 16 bytes into shared memory, or as many zeros, some time before wait_for_copies returns.
static __device__ __forceinline__ void copy_async(u16* to, const u16* from, bool some) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :: "r"(shared_address(to)), "l"(__cvta_generic_to_global(from)), "r"(some ? 16 : 0) : "memory");
}
static __device__ __forceinline__ void wait_for_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }
// 2^x to about 22 bits; subnormal results become 0.
static __device__ __forceinline__ float power_of_two(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
// Two bf16 side by side.
static __device__ __forceinline__ u32 narrow_two(float low, float high) {
    u32 both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}
#endif

static __device__ __forceinline__ float quad_max(float x) {
    x = fmaxf(x, __shfl_xor_sync(FULL_WARP, x, 1));
    return fmaxf(x, __shfl_xor_sync(FULL_WARP, x, 2));
}
static __device__ __forceinline__ float quad_sum(float x) {
    x += __shfl_xor_sync(FULL_WARP, x, 1);
    return x + __shfl_xor_sync(FULL_WARP, x, 2);
}
static __device__ __forceinline__ float warp_sum(float x) {
    for (u32 flip = WARP / 2; flip > 0; flip /= 2) x += __shfl_xor_sync(FULL_WARP, x, flip);
    return x;
}
static __device__ __forceinline__ float warp_max(float x) {
    for (u32 flip = WARP / 2; flip > 0; flip /= 2) x = fmaxf(x, __shfl_xor_sync(FULL_WARP, x, flip));
    return x;
}

// N values that are read and written together.
template <typename T, u32 N> struct alignas(N * sizeof(T)) Some { T at[N]; };

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

// Keys, and values, of a piece in a layer: bf16.
static __device__ __forceinline__ u16* keys_of(const Piece& piece, u32 layer) {
    return reinterpret_cast<u16*>(piece.cache + piece.layer_bytes * layer);
}
static __device__ __forceinline__ u16* values_of(const Piece& piece, u32 layer) {
    return reinterpret_cast<u16*>(piece.cache + piece.layer_bytes * layer + piece.value_bytes);
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

#define ATTEND_THREADS 128
#define ATTEND_WARPS (ATTEND_THREADS / WARP)
#define WHOLE 0xffffffffu

struct Attend {
    u64 queries;  // bf16, rows x query_stride, a row's heads one after the other
    u64 out;      // bf16, rows x heads x dim
    u64 positions;
    u64 owners;
    u64 pieces;
    u64 patches;  // Patch
    u64 partial;  // f32, for patches with a part of their queries' keys: see Patch
    u32 query_stride;
    u32 heads;
    u32 kv_heads;
    u32 dim;
    u32 layer;
    u32 window;   // positions seen, the own included
    float scale;  // of scores, times log2 e
    u32 pad;
};

// Queries and keys that one block of threads multiplies. The heads that share a key-value head stand side by side: query m of
// a piece's key-value head is that of row m / group and head m mod group, so that they share what is loaded.
struct Patch {
    u32 piece;
    u32 first;    // its first query
    u32 count;    // queries
    u32 from;     // positions of its keys
    u32 to;
    u32 partial;  // WHOLE, or which rows of `partial` take its sums: per query and key-value head, dim sums of values,
                  // the largest score, and the sum of weights
};

// Flash attention on tensor cores. A wide patch's warps have 16 TILES queries each and see all keys; a narrow one's have
// the same 16 queries and a quarter of the keys each.
template <u32 DIM, u32 TILES, u32 KEYS, bool NARROW> static __device__ __forceinline__ void attend(const Attend& args) {
    // Rows of shared memory are an odd number of 16 bytes, so that eight of them fall on different banks.
    constexpr u32 STRIDE = DIM + 8, CHUNKS = DIM / 8;
    constexpr u32 QUERIES = NARROW ? 16 : ATTEND_WARPS * 16 * TILES;
    constexpr u32 OWN = NARROW ? KEYS / ATTEND_WARPS : KEYS;
    // The parts of a narrow patch's warps, which come together where keys and values were.
    static_assert(!NARROW || ATTEND_WARPS * 16 * (DIM + 2) * sizeof(float) <= 2 * KEYS * STRIDE * sizeof(u16), "room");
    DYNAMIC_SHARED(u16, halves);
    u16* const queries = halves;
    u16* const keys = queries + QUERIES * STRIDE;
    u16* const values = keys + KEYS * STRIDE;

    const Patch patch = reinterpret_cast<const Patch*>(args.patches)[blockIdx.x];
    const Piece piece = reinterpret_cast<const Piece*>(args.pieces)[patch.piece];
    const u32 kv_head = blockIdx.y, group = args.heads / args.kv_heads;
    const u32 warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const u32 own_queries = NARROW ? 0 : warp * 16 * TILES, own_keys = NARROW ? warp * OWN : 0;
    const u16* const own_query = queries + (own_queries + lane % 16) * STRIDE + lane / 16 * 8;
    const u16* const own_key = keys + (own_keys + lane % 8 + lane / 16 * 8) * STRIDE + lane / 8 % 2 * 8;
    const u16* const own_value = values + (own_keys + lane % 16) * STRIDE + lane / 16 * 8;

    auto load = [&](u16* to, const u16* cache, u32 base) {
        // Unrolled further, addresses would push sums out of registers.
#pragma unroll 2
        for (u32 i = threadIdx.x; i < KEYS * CHUNKS; i += ATTEND_THREADS) {
            u32 key = base + i / CHUNKS, chunk = i % CHUNKS * 8;
            u64 from = (u64(min(key, patch.to - 1)) * args.kv_heads + kv_head) * DIM + chunk;
            copy_async(to + i / CHUNKS * STRIDE + chunk, cache + from, key < patch.to);
        }
    };
    const u16* key_cache = keys_of(piece, args.layer);
    const u16* value_cache = values_of(piece, args.layer);
    for (u32 i = threadIdx.x; i < QUERIES * CHUNKS; i += ATTEND_THREADS) {
        u32 local = i / CHUNKS, chunk = i % CHUNKS * 8;
        bool some = local < patch.count;
        u32 m = patch.first + (some ? local : 0);
        u64 from = u64(piece.first_row + m / group) * args.query_stride + (kv_head * group + m % group) * DIM + chunk;
        copy_async(queries + local * STRIDE + chunk, reinterpret_cast<const u16*>(args.queries) + from, some);
    }
    load(keys, key_cache, patch.from);

    // What the query at a place of the patch sees of its keys.
    auto seen_end = [&](u32 local) { return min(piece.first_position + (patch.first + local) / group + 1, patch.to); };
    auto seen_start = [&](u32 local) {
        u32 end = piece.first_position + (patch.first + local) / group + 1;
        return max(end > args.window ? end - args.window : 0u, patch.from);
    };
    const u32 all_end = seen_end(0), all_start = seen_start(patch.count - 1);
    const bool idle = own_queries >= patch.count;

    float sums[TILES][DIM / 8][4] = {};
    float largest[TILES][2], totals[TILES][2];
#pragma unroll
    for (u32 t = 0; t < TILES; ++t) {
        largest[t][0] = largest[t][1] = MINUS_INFINITY;
        totals[t][0] = totals[t][1] = 0.0f;
    }

    for (u32 base = patch.from; base < patch.to; base += KEYS) {
        wait_for_copies();
        // The keys are there for all, and nobody reads the last values any more.
        __syncthreads();
        load(values, value_cache, base);
        float scores[TILES][OWN / 8][4] = {};
        if (!idle) {
#pragma unroll
            for (u32 k = 0; k < DIM; k += 16) {
                u32 a[TILES][4];
#pragma unroll
                for (u32 t = 0; t < TILES; ++t)
                    load_matrices(a[t], own_query, t * 16 * STRIDE + k);
#pragma unroll
                for (u32 n = 0; n < OWN / 16; ++n) {
                    u32 b[4];
                    load_matrices(b, own_key, n * 16 * STRIDE + k);
#pragma unroll
                    for (u32 t = 0; t < TILES; ++t) {
                        multiply_add(scores[t][2 * n], a[t], b[0], b[1]);
                        multiply_add(scores[t][2 * n + 1], a[t], b[2], b[3]);
                    }
                }
            }
        }
        wait_for_copies();
        // The values are there for all, and nobody reads these keys any more.
        __syncthreads();
        if (base + KEYS < patch.to) load(keys, key_cache, base + KEYS);
        if (idle) continue;

        if (base + KEYS > all_end || base < all_start) {
#pragma unroll
            for (u32 t = 0; t < TILES; ++t) {
#pragma unroll
                for (u32 h = 0; h < 2; ++h) {
                    u32 local = min(own_queries + t * 16 + h * 8 + lane / 4, patch.count - 1);
                    u32 start = seen_start(local), end = seen_end(local), first = base + own_keys + lane % 4 * 2;
#pragma unroll
                    for (u32 n = 0; n < OWN / 8; ++n) {
#pragma unroll
                        for (u32 j = 0; j < 2; ++j) {
                            u32 key = first + n * 8 + j;
                            if (key < start || key >= end) scores[t][n][2 * h + j] = MINUS_INFINITY;
                        }
                    }
                }
            }
        }
        // A row's values stand in the four lanes of a quad: rows lane / 4 and lane / 4 + 8 of each 16.
#pragma unroll
        for (u32 t = 0; t < TILES; ++t) {
#pragma unroll
            for (u32 h = 0; h < 2; ++h) {
                float most = largest[t][h];
#pragma unroll
                for (u32 n = 0; n < OWN / 8; ++n) most = fmaxf(most, fmaxf(scores[t][n][2 * h], scores[t][n][2 * h + 1]));
                most = quad_max(most);
                // Nothing was seen yet: any number will do, but infinity less infinity is none.
                float offset = most == MINUS_INFINITY ? 0.0f : most * args.scale;
                float keep = power_of_two(fmaf(largest[t][h], args.scale, -offset));
                largest[t][h] = most;
                float sum = totals[t][h] * keep;
#pragma unroll
                for (u32 n = 0; n < OWN / 8; ++n) {
#pragma unroll
                    for (u32 j = 0; j < 2; ++j) {
                        float& score = scores[t][n][2 * h + j];
                        score = power_of_two(fmaf(score, args.scale, -offset));
                        sum += score;
                    }
                }
                totals[t][h] = sum;
#pragma unroll
                for (u32 n = 0; n < DIM / 8; ++n) {
                    sums[t][n][2 * h] *= keep;
                    sums[t][n][2 * h + 1] *= keep;
                }
            }
        }
#pragma unroll
        for (u32 k = 0; k < OWN / 16; ++k) {
            u32 a[TILES][4];
#pragma unroll
            for (u32 t = 0; t < TILES; ++t) {
#pragma unroll
                for (u32 i = 0; i < 4; ++i) {
                    const float* pair = &scores[t][2 * k + i / 2][i % 2 * 2];
                    a[t][i] = narrow_two(pair[0], pair[1]);
                }
            }
#pragma unroll
            for (u32 n = 0; n < DIM / 16; ++n) {
                u32 b[4];
                load_matrices_transposed(b, own_value, k * 16 * STRIDE + n * 16);
#pragma unroll
                for (u32 t = 0; t < TILES; ++t) {
                    multiply_add(sums[t][2 * n], a[t], b[0], b[1]);
                    multiply_add(sums[t][2 * n + 1], a[t], b[2], b[3]);
                }
            }
        }
    }

    float* const partial = reinterpret_cast<float*>(args.partial);
    auto place = [&](u32 local) {
        u32 m = patch.first + local;
        u64 row = piece.first_row + m / group, head = kv_head * group + m % group;
        return reinterpret_cast<u16*>(args.out) + (row * args.heads + head) * DIM;
    };
    auto part = [&](u32 local) {
        return partial + ((u64(patch.partial) + local) * args.kv_heads + kv_head) * (DIM + 2);
    };
    if (!NARROW) {
#pragma unroll
        for (u32 t = 0; t < TILES; ++t) {
#pragma unroll
            for (u32 h = 0; h < 2; ++h) {
                float total = quad_sum(totals[t][h]);
                u32 local = own_queries + t * 16 + h * 8 + lane / 4;
                if (local >= patch.count) continue;
                if (patch.partial == WHOLE) {
                    u16* out = place(local);
#pragma unroll
                    for (u32 n = 0; n < DIM / 8; ++n)
                        *reinterpret_cast<u32*>(out + n * 8 + lane % 4 * 2) =
                            narrow_two(sums[t][n][2 * h] / total, sums[t][n][2 * h + 1] / total);
                } else {
                    float* out = part(local);
#pragma unroll
                    for (u32 n = 0; n < DIM / 8; ++n)
                        *reinterpret_cast<Some<float, 2>*>(out + n * 8 + lane % 4 * 2) =
                            {sums[t][n][2 * h], sums[t][n][2 * h + 1]};
                    if (lane % 4 == 0) out[DIM] = largest[t][h] * args.scale, out[DIM + 1] = total;
                }
            }
        }
        return;
    }

    // The warps' parts come together where keys and values were.
    float* const parts = reinterpret_cast<float*>(keys);
    float* const weights = parts + ATTEND_WARPS * 16 * DIM;
    float* const weight_sums = weights + ATTEND_WARPS * 16;
    __syncthreads();
#pragma unroll
    for (u32 h = 0; h < 2; ++h) {
        float total = quad_sum(totals[0][h]);
        u32 at = warp * 16 + h * 8 + lane / 4;
#pragma unroll
        for (u32 n = 0; n < DIM / 8; ++n)
            *reinterpret_cast<Some<float, 2>*>(parts + at * DIM + n * 8 + lane % 4 * 2) =
                {sums[0][n][2 * h], sums[0][n][2 * h + 1]};
        if (lane % 4 == 0) weights[at] = largest[0][h] * args.scale, weight_sums[at] = total;
    }
    __syncthreads();
    if (threadIdx.x < patch.count) {
        u32 local = threadIdx.x;
        float most = MINUS_INFINITY, total = 0.0f;
        for (u32 w = 0; w < ATTEND_WARPS; ++w) most = fmaxf(most, weights[w * 16 + local]);
        float offset = most == MINUS_INFINITY ? 0.0f : most;
        for (u32 w = 0; w < ATTEND_WARPS; ++w) {
            float weight = power_of_two(weights[w * 16 + local] - offset);
            weights[w * 16 + local] = weight;
            total += weight * weight_sums[w * 16 + local];
        }
        weight_sums[local] = total;
        if (patch.partial != WHOLE) part(local)[DIM] = most, part(local)[DIM + 1] = total;
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < patch.count * DIM; i += ATTEND_THREADS) {
        u32 local = i / DIM, d = i % DIM;
        float sum = 0.0f;
        for (u32 w = 0; w < ATTEND_WARPS; ++w) sum = fmaf(weights[w * 16 + local], parts[w * 16 * DIM + i], sum);
        if (patch.partial == WHOLE) place(local)[d] = narrow(sum / weight_sums[local]);
        else part(local)[d] = sum;
    }
}

// Grid: patches x key-value heads. The host side knows the shapes: see cuda/src/flash.rs.
#define ATTEND(dim, tiles, keys)                                                                        \
    KERNEL(fast_attend_wide_##dim, Attend, ATTEND_THREADS) { attend<dim, tiles, keys, false>(args); }   \
    KERNEL(fast_attend_narrow_##dim, Attend, ATTEND_THREADS) { attend<dim, 1, 64, true>(args); }
ATTEND(32, 2, 64)
ATTEND(64, 2, 64)
ATTEND(80, 2, 64)
ATTEND(96, 2, 64)
// With 64 keys, registers do not suffice for what the compiler makes of sm_100.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1000
ATTEND(128, 2, 48)
#else
ATTEND(128, 2, 64)
#endif
ATTEND(256, 1, 32)

// Attention for heads of any width, one query at a time. Grid: rows x heads. Shared memory: 5 dim + 8 floats.
KERNEL(fast_attend_plain, Attend, ATTEND_THREADS) {
    DYNAMIC_SHARED(float, floats);
    const u64 row = blockIdx.x;
    const u32 head = blockIdx.y, dim = args.dim, kv_head = head / (args.heads / args.kv_heads);
    const u32 warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const Piece piece = reinterpret_cast<const Piece*>(args.pieces)[reinterpret_cast<const u32*>(args.owners)[row]];
    const u16* from = reinterpret_cast<const u16*>(args.queries) + row * args.query_stride + head * dim;
    const u16* keys = keys_of(piece, args.layer);
    const u16* values = values_of(piece, args.layer);
    float* const query = floats;
    float* const parts = floats + dim;
    float* const weights = parts + ATTEND_WARPS * dim;
    float* const own = parts + warp * dim;
    for (u32 d = threadIdx.x; d < dim; d += ATTEND_THREADS) query[d] = widen(from[d]);
    for (u32 d = lane; d < dim; d += WARP) own[d] = 0.0f;
    __syncthreads();
    const u32 end = reinterpret_cast<const u32*>(args.positions)[row] + 1, start = end > args.window ? end - args.window : 0;
    float largest = MINUS_INFINITY, total = 0.0f;
    for (u32 key = start + warp; key < end; key += ATTEND_WARPS) {
        const u64 offset = (u64(key) * args.kv_heads + kv_head) * dim;
        float score = 0.0f;
        for (u32 d = lane; d < dim; d += WARP) score = fmaf(query[d], widen(keys[offset + d]), score);
        score = warp_sum(score) * args.scale;
        const float most = fmaxf(largest, score), keep = power_of_two(largest - most), weight = power_of_two(score - most);
        for (u32 d = lane; d < dim; d += WARP) own[d] = fmaf(weight, widen(values[offset + d]), own[d] * keep);
        total = total * keep + weight;
        largest = most;
    }
    if (lane == 0) weights[warp] = largest, weights[ATTEND_WARPS + warp] = total;
    __syncthreads();
    float most = MINUS_INFINITY;
    for (u32 w = 0; w < ATTEND_WARPS; ++w) most = fmaxf(most, weights[w]);
    total = 0.0f;
    for (u32 w = 0; w < ATTEND_WARPS; ++w) total += power_of_two(weights[w] - most) * weights[ATTEND_WARPS + w];
    u16* out = reinterpret_cast<u16*>(args.out) + (row * args.heads + head) * dim;
    for (u32 d = threadIdx.x; d < dim; d += ATTEND_THREADS) {
        float sum = 0.0f;
        for (u32 w = 0; w < ATTEND_WARPS; ++w) sum = fmaf(power_of_two(weights[w] - most), parts[w * dim + d], sum);
        out[d] = narrow(sum / total);
    }
}

struct Combine {
    u64 partial;  // f32: see Tile
    u64 out;      // bf16, rows x heads x dim
    u64 pieces;   // Piece
    u64 merges;   // Merge
    u32 heads;
    u32 kv_heads;
    u32 dim;
    u32 pad;
};

// Queries whose keys were seen in parts.
struct Merge {
    u32 piece;
    u32 first;    // the first query
    u32 count;    // queries
    u32 partial;  // rows of the first part
    u32 parts;    // parts, one behind the other with `count` rows each
    u32 pad;
};

// Brings the parts of split patches together. Grid: merges x key-value heads. Warp: a query at a time.
KERNEL(fast_combine, Combine, ATTEND_THREADS) {
    const Merge merge = reinterpret_cast<const Merge*>(args.merges)[blockIdx.x];
    const Piece piece = reinterpret_cast<const Piece*>(args.pieces)[merge.piece];
    const u32 kv_head = blockIdx.y, group = args.heads / args.kv_heads, dim = args.dim, lane = threadIdx.x % WARP;
    for (u32 local = threadIdx.x / WARP; local < merge.count; local += ATTEND_WARPS) {
        auto part = [&](u32 p) {
            u64 row = merge.partial + u64(p) * merge.count + local;
            return reinterpret_cast<const float*>(args.partial) + (row * args.kv_heads + kv_head) * (dim + 2);
        };
        float most = MINUS_INFINITY, total = 0.0f;
        for (u32 p = lane; p < merge.parts; p += WARP) most = fmaxf(most, part(p)[dim]);
        most = warp_max(most);
        for (u32 p = lane; p < merge.parts; p += WARP) total += power_of_two(part(p)[dim] - most) * part(p)[dim + 1];
        total = warp_sum(total);
        u32 m = merge.first + local;
        u64 row = piece.first_row + m / group, head = kv_head * group + m % group;
        u16* out = reinterpret_cast<u16*>(args.out) + (row * args.heads + head) * dim;
        for (u32 d = lane; d < dim; d += WARP) {
            float sum = 0.0f;
            for (u32 p = 0; p < merge.parts; ++p) sum = fmaf(power_of_two(part(p)[dim] - most), part(p)[d], sum);
            out[d] = narrow(sum / total);
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
