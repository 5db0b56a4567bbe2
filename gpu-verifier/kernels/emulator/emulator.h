// CUDA C on the host, for tests: a block's threads are fibers that take turns at barriers and warp collectives. It is
// strict where a card may be lenient: a barrier that not all threads of a block reach, or a collective that not all lanes
// of a warp reach, is an error. It knows nothing of a card's caches, nor of the timing of asynchronous copies.
#pragma once
#define EMULATED 1

#include <cstdint>
#include <cstring>
#include <math.h>

#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __restrict__ __restrict
#define __align__(n) alignas(n)
#define __shared__ static thread_local
#define __constant__ static const

struct Dim3 { unsigned x, y, z; };
namespace emulator {
// __thread, not thread_local: they are read everywhere, and need no test whether they are made already.
extern __thread Dim3 thread, block, block_size, grid_size;
extern __thread unsigned char* dynamic_shared;
unsigned lane();
// Waits for all threads of the block.
void block_barrier();
// Waits for all lanes of the warp.
void warp_barrier(unsigned mask);
// Ends the process: what the kernel does is wrong on any card.
[[noreturn]] void fault(const char* reason);
// 64 bytes of each lane of the warp, for the collective under way. There are two sets that take turns, so that nobody needs to
// wait until all have read: begin_collective goes to the next.
void begin_collective();
unsigned char* warp_slot(unsigned lane);
template <typename T, typename F> T exchange(unsigned mask, T value, F read) {
    static_assert(sizeof(T) <= 64, "a slot is small");
    begin_collective();
    std::memcpy(warp_slot(lane()), &value, sizeof(T));
    warp_barrier(mask);
    return read();
}
template <typename T> T of_lane(unsigned lane) {
    T value;
    std::memcpy(&value, warp_slot(lane & 31), sizeof(T));
    return value;
}
}  // namespace emulator

#define threadIdx emulator::thread
#define blockIdx emulator::block
#define blockDim emulator::block_size
#define gridDim emulator::grid_size

#define KERNEL(name, Arguments, threads)                                                     \
    static void name##_body(const Arguments& args);                                          \
    extern "C" const unsigned name##_argument_bytes = sizeof(Arguments);                     \
    extern "C" const unsigned name##_most_threads = threads;                                 \
    extern "C" void name(const void* args) { name##_body(*static_cast<const Arguments*>(args)); } \
    static void name##_body(const Arguments& args)
#define UNROLL _Pragma("GCC unroll 64")
#define RESIDENT(threads, blocks) threads
#define DYNAMIC_SHARED(type, name) type* const name = reinterpret_cast<type*>(emulator::dynamic_shared)

static inline void __syncthreads() { emulator::block_barrier(); }
static inline void __syncwarp(unsigned mask = 0xffffffffu) { emulator::warp_barrier(mask); }
template <typename T> static inline T __shfl_sync(unsigned mask, T value, int lane) {
    return emulator::exchange(mask, value, [=] { return emulator::of_lane<T>(lane); });
}
template <typename T> static inline T __shfl_xor_sync(unsigned mask, T value, int flip) {
    unsigned own = emulator::lane();
    return emulator::exchange(mask, value, [=] { return emulator::of_lane<T>(own ^ flip); });
}
template <typename T> static inline T __shfl_down_sync(unsigned mask, T value, unsigned by) {
    unsigned own = emulator::lane();
    return emulator::exchange(mask, value, [=] { return own + by < 32 ? emulator::of_lane<T>(own + by) : value; });
}
template <typename T> static inline T __shfl_up_sync(unsigned mask, T value, unsigned by) {
    unsigned own = emulator::lane();
    return emulator::exchange(mask, value, [=] { return own >= by ? emulator::of_lane<T>(own - by) : value; });
}
static inline unsigned __ballot_sync(unsigned mask, int vote) {
    return emulator::exchange(mask, unsigned(vote != 0), [] {
        unsigned all = 0;
        for (unsigned i = 0; i < 32; ++i) all |= emulator::of_lane<unsigned>(i) << i;
        return all;
    });
}
static inline int __any_sync(unsigned mask, int vote) { return __ballot_sync(mask, vote) != 0; }
static inline int __all_sync(unsigned mask, int vote) { return __ballot_sync(mask, vote) == 0xffffffffu; }
template <typename T> static inline T atomicAdd(T* at, T value) { T old = *at; *at = T(old + value); return old; }
template <typename T> static inline T atomicMax(T* at, T value) { T old = *at; if (value > old) *at = value; return old; }
template <typename T> static inline T atomicMin(T* at, T value) { T old = *at; if (value < old) *at = value; return old; }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
static inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((static_cast<unsigned long long>(a) * b) >> 32); }
static inline unsigned __float_as_uint(float x) { unsigned u; std::memcpy(&u, &x, 4); return u; }
static inline float __uint_as_float(unsigned x) { float f; std::memcpy(&f, &x, 4); return f; }
static inline int __float_as_int(float x) { return int(__float_as_uint(x)); }
static inline float __int_as_float(int x) { return __uint_as_float(unsigned(x)); }
static inline long long __double_as_longlong(double x) { long long u; std::memcpy(&u, &x, 8); return u; }
template <typename T> static inline T min(T a, T b) { return b < a ? b : a; }
template <typename T> static inline T max(T a, T b) { return a < b ? b : a; }
#include "tensor.h"
