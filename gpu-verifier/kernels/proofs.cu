// Proofs of hidden states: the largest elements of a block by magnitude, and polynomials modulo 65497. All integers.

// A block of hidden states.
struct Block {
    u64 elements;  // bf16
    u32 count;     // of elements
    u32 points;    // how many of the largest are looked for; at least 1, at most count
};

// What was found: `above` elements are larger than the last of those looked for, `ties` are as large as it.
struct Found {
    u32 above;
    u32 ties;
};

// An element: its index in the block, and its bits.
struct Element {
    u32 index;
    u32 bits;
};

struct SelectLargest {
    u64 blocks;    // Block each
    u64 found;     // Found each
    u64 elements;  // Element, `capacity` for each block: those above from the beginning, ties from `points` on
    u32 capacity;  // more than `points`; ties beyond it are counted only
    u32 count;     // of blocks
};

#define SELECT_THREADS 512
#define SELECT_WARPS (SELECT_THREADS / WARP)
// Bins of the first round are exponents, of the second mantissas: together all 15 bits of a magnitude.
#define EXPONENTS 256
#define MANTISSAS 128

// From the highest bin down, the one in which the `rank`-th element (counting from 1) lies; `rank` becomes its rank within
// that bin. By one thread.
static __device__ u32 bin_of(const u32* bins, u32 count, u32* rank) {
    u32 bin = count - 1;
    while (bin > 0 && bins[bin] < *rank) *rank -= bins[bin--];
    return bin;
}

// Grid: blocks.
KERNEL(select_largest, SelectLargest, SELECT_THREADS) {
    __shared__ u32 histograms[SELECT_WARPS / 4][EXPONENTS];
    __shared__ u32 rank, exponent, kth, above, ties;
    const Block block = reinterpret_cast<const Block*>(args.blocks)[blockIdx.x];
    const u16* values = reinterpret_cast<const u16*>(block.elements);
    u32* flat = &histograms[0][0];
    // Four warps share a histogram: most elements of a block have one of a few exponents.
    u32* mine = histograms[threadIdx.x / (4 * WARP)];

    for (u32 i = threadIdx.x; i < SELECT_WARPS / 4 * EXPONENTS; i += SELECT_THREADS) flat[i] = 0;
    if (threadIdx.x == 0) {
        rank = block.points;
        above = 0;
        ties = 0;
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < block.count; i += SELECT_THREADS) atomicAdd(&mine[(values[i] & 0x7fffu) >> 7], 1u);
    __syncthreads();
    if (threadIdx.x < EXPONENTS)
        for (u32 copy = 1; copy < SELECT_WARPS / 4; ++copy) flat[threadIdx.x] += histograms[copy][threadIdx.x];
    __syncthreads();
    if (threadIdx.x == 0) exponent = bin_of(flat, EXPONENTS, &rank);
    __syncthreads();

    if (threadIdx.x < MANTISSAS) flat[threadIdx.x] = 0;
    __syncthreads();
    for (u32 i = threadIdx.x; i < block.count; i += SELECT_THREADS) {
        u32 magnitude = values[i] & 0x7fffu;
        if (magnitude >> 7 == exponent) atomicAdd(&flat[magnitude & 0x7fu], 1u);
    }
    __syncthreads();
    if (threadIdx.x == 0) kth = exponent << 7 | bin_of(flat, MANTISSAS, &rank);
    __syncthreads();

    Element* out = reinterpret_cast<Element*>(args.elements) + u64(blockIdx.x) * args.capacity;
    for (u32 i = threadIdx.x; i < block.count; i += SELECT_THREADS) {
        u32 bits = values[i], magnitude = bits & 0x7fffu;
        if (magnitude < kth) continue;
        u32 at = magnitude > kth ? atomicAdd(&above, 1u) : block.points + atomicAdd(&ties, 1u);
        if (at < args.capacity) {
            out[at].index = i;
            out[at].bits = bits;
        }
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        Found found;
        found.above = above;
        found.ties = ties;
        reinterpret_cast<Found*>(args.found)[blockIdx.x] = found;
    }
}

struct Evaluate {
    u64 coefficients;  // u16, `terms` for each polynomial, lowest power first, below the prime
    u64 points;        // u32, all polynomials' points one after the other, below the prime
    u64 owners;        // u32, which polynomial each point is for
    u64 values;        // u16, one per point
    u32 terms;
    u32 count;  // of points
};

#define PRIME 65497u

// Horner's rule modulo the prime. The largest intermediate is 65496 * 65497 < 2^32. Grid: points.
KERNEL(evaluate, Evaluate, 256) {
    u32 at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= args.count) return;
    u32 x = reinterpret_cast<const u32*>(args.points)[at];
    u64 owner = reinterpret_cast<const u32*>(args.owners)[at];
    const u16* c = reinterpret_cast<const u16*>(args.coefficients) + owner * args.terms;
    u32 y = 0;
    for (u32 i = args.terms; i-- > 0;) y = (y * x + c[i]) % PRIME;
    reinterpret_cast<u16*>(args.values)[at] = u16(y);
}
