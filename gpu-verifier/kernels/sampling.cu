// Which token comes next, and how far a claimed one is from it: the rule of tandem_model::sampling, bit for bit.

// One token to draw or to judge.
struct Draw {
    u32 seed_low;
    u32 seed_high;
    float temperature;
    u32 position;
    u32 claimed;  // a token; any number where none is claimed
};

// What came of it.
struct Drawn {
    u32 best;
    float best_score;
    float claimed_score;  // NaN where there is no such token
};

struct DrawTokens {
    u64 logits;  // f32, rows x vocabulary
    u64 draws;   // Draw per row
    u64 drawn;   // Drawn per row
    u32 vocabulary;
    u32 rows;
};

// Natural logarithm of a positive normal number: the polynomial of tandem_model::numeric::ln, in its order.
static __device__ __forceinline__ float natural_log(float x) {
    const u32 ROOT_HALF = 0x3f3504f3u;
    u32 offset = __float_as_uint(x) - ROOT_HALF;
    float exponent = float(i32(offset) >> 23);
    float m = __uint_as_float((offset & 0x007fffffu) + ROOT_HALF) - 1.0f;
    float z = m * m;
    float p = 7.0376836e-2f;
    p = fmaf(p, m, -1.151461e-1f);
    p = fmaf(p, m, 1.1676999e-1f);
    p = fmaf(p, m, -1.2420141e-1f);
    p = fmaf(p, m, 1.4249323e-1f);
    p = fmaf(p, m, -1.6668058e-1f);
    p = fmaf(p, m, 2.0000715e-1f);
    p = fmaf(p, m, -2.4999994e-1f);
    p = fmaf(p, m, 3.333333e-1f);
    float tail = fmaf(exponent, -2.1219444e-4f, p * m * z);
    tail = fmaf(z, -0.5f, tail);
    return fmaf(exponent, 0.6933594f, m + tail);
}

// Philox4x32 with ten rounds; counter and result in `c`.
static __device__ __forceinline__ void philox(u32 key0, u32 key1, u32 c[4]) {
    for (int round = 0; round < 10; ++round) {
        u32 a_high = __umulhi(c[0], 0xd2511f53u), a_low = c[0] * 0xd2511f53u;
        u32 b_high = __umulhi(c[2], 0xcd9e8d57u), b_low = c[2] * 0xcd9e8d57u;
        c[0] = b_high ^ c[1] ^ key0;
        c[1] = b_low;
        c[2] = a_high ^ c[3] ^ key1;
        c[3] = a_low;
        key0 += 0x9e3779b9u;
        key1 += 0xbb67ae85u;
    }
}

static __device__ __forceinline__ float with_noise(float logit, float temperature, u32 word) {
    if (!(temperature > 0.0f)) return logit;
    float u = (float(word >> 9) + 0.5f) * (1.0f / 8388608.0f);
    return fmaf(temperature, -natural_log(-natural_log(u)), logit);
}

// A greater score wins; among equals the lowest token, which is how a serial search in ascending order ends.
static __device__ __forceinline__ bool beats(float score, u32 token, float other, u32 other_token) {
    return score > other || (score == other && token < other_token);
}

#define DRAW_THREADS 256

// Grid: rows.
KERNEL(draw_tokens, DrawTokens, DRAW_THREADS) {
    __shared__ float scores[DRAW_THREADS / WARP];
    __shared__ u32 tokens[DRAW_THREADS / WARP];
    __shared__ float claimed_score;
    u64 row = blockIdx.x;
    const float* logits = reinterpret_cast<const float*>(args.logits) + row * args.vocabulary;
    const Draw draw = reinterpret_cast<const Draw*>(args.draws)[row];
    if (threadIdx.x == 0) claimed_score = __uint_as_float(0x7fc00000u);
    __syncthreads();

    // A serial search begins with token 0 at minus infinity.
    float best = __uint_as_float(0xff800000u);
    u32 best_token = 0;
    for (u32 group = threadIdx.x; group * 4 < args.vocabulary; group += DRAW_THREADS) {
        u32 words[4] = {group, draw.position, 0, 0x54414e44u};
        if (draw.temperature > 0.0f) philox(draw.seed_low, draw.seed_high, words);
        for (u32 lane = 0; lane < 4 && group * 4 + lane < args.vocabulary; ++lane) {
            u32 token = group * 4 + lane;
            float score = with_noise(logits[token], draw.temperature, words[lane]);
            if (token == draw.claimed) claimed_score = score;
            if (score > best) {
                best = score;
                best_token = token;
            }
        }
    }
    for (int flip = WARP / 2; flip > 0; flip /= 2) {
        float score = __shfl_xor_sync(FULL_WARP, best, flip);
        u32 token = __shfl_xor_sync(FULL_WARP, best_token, flip);
        if (beats(score, token, best, best_token)) {
            best = score;
            best_token = token;
        }
    }
    if (threadIdx.x % WARP == 0) {
        scores[threadIdx.x / WARP] = best;
        tokens[threadIdx.x / WARP] = best_token;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        for (u32 warp = 1; warp < DRAW_THREADS / WARP; ++warp) {
            if (beats(scores[warp], tokens[warp], best, best_token)) {
                best = scores[warp];
                best_token = tokens[warp];
            }
        }
        Drawn drawn;
        drawn.best = best_token;
        drawn.best_score = best;
        drawn.claimed_score = claimed_score;
        reinterpret_cast<Drawn*>(args.drawn)[row] = drawn;
    }
}

struct FillNoise {
    u64 out;    // bf16
    u64 count;
    u64 seed;
    float mean;
    float deviation;
};

// Values around `mean`, about normally distributed: the sum of four uniform 16-bit numbers, of deviation 37837. Weights for
// measurements, where only their size matters. Grid: count / 256.
KERNEL(fill_noise, FillNoise, 256) {
    u64 at = u64(blockIdx.x) * blockDim.x + threadIdx.x;
    if (at >= args.count) return;
    u32 words[4] = {u32(at), u32(at >> 32), 0, 0x6e6f6973u};
    philox(u32(args.seed), u32(args.seed >> 32), words);
    u32 sum = (words[0] & 0xffffu) + (words[1] & 0xffffu) + (words[2] & 0xffffu) + (words[3] & 0xffffu);
    float value = (float(sum) - 131070.0f) * (1.0f / 37837.0f);
    reinterpret_cast<u16*>(args.out)[at] = narrow(fmaf(value, args.deviation, args.mean));
}
