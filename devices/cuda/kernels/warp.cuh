// What the kernels need of a GPU. Tests compile the kernels for the CPU, with an emulator in place of
// all this.
#pragma once

#include <cstdint>

#ifdef __CUDACC__

inline constexpr int kWarp = 32;

/// D += A · B for a warp, A [16, 32] and B [32, 8] of 8-bit integers: exact.
/// Lane 4g + q has of A rows g and g + 8, elements 4q… and 16 + 4q…: a[0] and a[2] of row g. Of B it has
/// column g, elements 4q… and 16 + 4q…. Of D it has rows g and g + 8, columns 2q and 2q + 1.
/// Source: PTX ISA, "Matrix Fragments for mma.m16n8k32".
__device__ inline void add_product(int (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// The same for A [16, 16] and B [16, 8] of bfloat16, added up in float32; of a row the lane has
/// elements 2q, 2q + 1 and 8 + 2q, 9 + 2q. Source: "Matrix Fragments for mma.m16n8k16".
__device__ inline void add_product(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// x of the lane whose number differs by `mask`.
__device__ inline float exchange(float x, int mask) { return __shfl_xor_sync(~0u, x, mask); }

__device__ inline float half_to_float(uint16_t bits) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
  return x;
}
__device__ inline float float_of(uint32_t bits) { return __uint_as_float(bits); }
__device__ inline uint32_t bits_of(float x) { return __float_as_uint(x); }

#endif

/// bfloat16 as bits, rounded to nearest even; NaN stays one.
__device__ inline float bf16_to_float(uint16_t bits) {
  return float_of(static_cast<uint32_t>(bits) << 16);
}
__device__ inline uint16_t to_bf16(float x) {
  const uint32_t bits = bits_of(x);
  if (x != x) return static_cast<uint16_t>(bits >> 16 | 64);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

template <class T>
__device__ inline T least(T a, T b) {
  return a < b ? a : b;
}
