// What the sources of fast mode share: bf16 between operations, sums in any order.
#pragma once

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

// Keys, and values, of a piece in a layer: bf16.
static __device__ __forceinline__ u16* keys_of(const Piece& piece, u32 layer) {
    return reinterpret_cast<u16*>(piece.cache + piece.layer_bytes * layer);
}
static __device__ __forceinline__ u16* values_of(const Piece& piece, u32 layer) {
    return reinterpret_cast<u16*>(piece.cache + piece.layer_bytes * layer + piece.value_bytes);
}
