// Instructions that CUDA C has no word for; emulator/tensor.h has their twins. All of them are in sm_80.
#pragma once

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
