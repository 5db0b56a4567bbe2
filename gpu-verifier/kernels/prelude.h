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
