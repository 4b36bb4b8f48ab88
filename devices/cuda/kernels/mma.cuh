// What kernels ask of a warp: products on its tensor cores, and other lanes' values. NVRTC reads this
// before each of its programs. Tests compile the kernels for the CPU, with an emulator in place of all
// this.
#ifndef YITI_CUDA_MMA
#define YITI_CUDA_MMA
#ifdef __CUDACC__

// Whole warps multiply: volatile keeps an mma out of branches that only some lanes take.

/// D += A · B for a warp, A [16, 32] and B [32, 8] of 8-bit integers: exact.
/// Lane 4g + q has of A rows g and g + 8, elements 4q… and 16 + 4q…: a[0] and a[2] of row g. Of B it has
/// column g, elements 4q… and 16 + 4q…. Of D it has rows g and g + 8, columns 2q and 2q + 1.
/// Source: PTX ISA, "Matrix Fragments for mma.m16n8k32".
__device__ inline void add_product(int (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// The same for A [16, 16] and B [16, 8] of bfloat16, added up in float32; of a row the lane has
/// elements 2q, 2q + 1 and 8 + 2q, 9 + 2q. Source: "Matrix Fragments for mma.m16n8k16".
__device__ inline void add_product(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// The same for A [16, 8] and B [8, 8] of tf32, the upper 19 bits of a float32; of a row the lane has
/// elements q and q + 4. Source: "Matrix Fragments for mma.m16n8k8".
__device__ inline void add_product_tf32(float (&d)[4], const unsigned (&a)[4],
                                        const unsigned (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// x of the lane whose number differs by `mask`.
__device__ inline float exchange(float x, int mask) { return __shfl_xor_sync(~0u, x, mask); }
__device__ inline bool any_lane(bool holds) { return __any_sync(~0u, holds); }
__device__ inline void wait_for_warp() { __syncwarp(); }

__device__ inline float half_to_float(unsigned short bits) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
  return x;
}

#endif
#endif
