// What the kernels that nvcc compiles share.
#pragma once

#include <cstdint>

#include "devices/cuda/kernels/mma.cuh"

#ifdef __CUDACC__

inline constexpr int kWarp = 32;

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

/// Whether 16 bytes from `at` on are one access.
__device__ inline bool lies_on_words(const void* at) {
  return reinterpret_cast<uintptr_t>(at) % 16 == 0;
}

template <class T>
__device__ inline T least(T a, T b) {
  return a < b ? a : b;
}
