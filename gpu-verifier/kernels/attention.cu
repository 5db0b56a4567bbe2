// Attention in fast mode: on tensor cores, for packed sequences of any lengths, with grouped heads and windows; the host's side
// is cuda/src/flash.rs.

#define MINUS_INFINITY __uint_as_float(0xff800000u)
#define ATTEND_THREADS 128
#define ATTEND_WARPS (ATTEND_THREADS / WARP)
#define WHOLE 0xffffffffu

// Over the four lanes that share a row of a fragment.
static __device__ __forceinline__ float quad_max(float x) {
    x = fmaxf(x, __shfl_xor_sync(FULL_WARP, x, 1));
    return fmaxf(x, __shfl_xor_sync(FULL_WARP, x, 2));
}
static __device__ __forceinline__ float quad_sum(float x) {
    x += __shfl_xor_sync(FULL_WARP, x, 1);
    return x + __shfl_xor_sync(FULL_WARP, x, 2);
}

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
