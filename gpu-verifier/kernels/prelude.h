// What all kernels share. Compiled by NVRTC for the card and, with emulator/emulator.h before it, by a C++ compiler for
// the host: the same text runs in both places, so that its indexing and its arithmetic can be tested without a card.
//
// A kernel takes one structure of arguments by value, whose twin on the host is a #[repr(C)] structure of the same name.
// Arithmetic that must have the same bits as the CPU reference is written with fmaf, +, -, *, / and sqrtf only, and is
// compiled with --fmad=false: each operation is rounded to nearest, and nothing is contracted or flushed to zero.
#pragma once

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;

#ifndef EMULATED
#define KERNEL(name, Arguments, threads) extern "C" __global__ void __launch_bounds__(threads) name(const Arguments args)
#define UNROLL _Pragma("unroll")
// Threads of a block, and how many blocks are to share a multiprocessor.
#define RESIDENT(threads, blocks) threads, blocks
#define DYNAMIC_SHARED(type, name) extern __shared__ __align__(16) unsigned char name##_bytes[]; type* const name = reinterpret_cast<type*>(name##_bytes)
#endif

#define FULL_WARP 0xffffffffu
#define WARP 32

// A bf16 value, widened: exact.
static __device__ __forceinline__ float widen(u16 bits) { return __uint_as_float(u32(bits) << 16); }

// To the nearest bf16, ties to even; a NaN stays one and keeps its sign, as the CPU reference has it.
static __device__ __forceinline__ u16 narrow(float value) {
    u32 bits = __float_as_uint(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return u16((bits >> 16) | 0x0040u);
    return u16((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// e^x, as `tandem_model::numeric::exp` has it: 0 below -87.3, infinite above 88.3, NaN for NaN.
static __device__ __forceinline__ float exponential(float x) {
    const float round = 12582912.0f;
    float shifted = fmaf(x, 1.44269504088896340736f, round);
    float n = shifted - round;
    float r = fmaf(n, 2.1219444e-4f, fmaf(n, -0.6933594f, x));
    float p = fmaf(1.9875691e-4f, r, 1.3981999e-3f);
    p = fmaf(p, r, 8.333452e-3f);
    p = fmaf(p, r, 4.1665796e-2f);
    p = fmaf(p, r, 1.6666665e-1f);
    p = fmaf(p, r, 0.5f);
    float mantissa = fmaf(p, r * r, r) + 1.0f;
    float value = mantissa * __uint_as_float((__float_as_uint(shifted) - __float_as_uint(round) + 127u) << 23);
    value = x < -87.3f ? 0.0f : value;
    return x > 88.3f ? __uint_as_float(0x7f800000u) : value;
}

// Consecutive rows of one sequence in a chunk, and where that sequence's keys and values lie: a row of `kv_heads x dim`
// elements per position.
struct Piece {
    u64 cache;        // address of the keys of layer 0
    u64 layer_bytes;  // from the keys of a layer to those of the next
    u64 value_bytes;  // from the keys of a layer to its values
    u32 first_row;    // in the chunk
    u32 rows;
    u32 first_position;
    u32 pad;
};

// Rows of a piece that one block attends for.
struct Tile {
    u32 piece;
    u32 first;
};
