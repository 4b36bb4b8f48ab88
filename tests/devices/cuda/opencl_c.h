// Enough of OpenCL C for kernels of devices/kernels on the emulator. Include it after the emulator
// and before a kernel.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "tests/devices/cuda/emulator.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"

#define __kernel inline
#define __global
#define __local
#define __private
#define SHARED static
#define GROUP_OF(x, y, z)
#define CLK_LOCAL_MEM_FENCE 0
#define PAIR(a, b) (float2{a, b})

struct half {
  uint16_t bits;
};
struct float2 {
  float x, y;
};

namespace yiti::emulated {

using std::fma;
using std::log;
using std::max;
using std::min;
using std::rint;
using std::sqrt;

inline void barrier(int) { wait_for_block(); }
inline size_t get_local_id(int) { return here().thread.x; }
inline size_t get_group_id(int) { return here().block.x; }
inline size_t get_global_id(int) { return get_group_id(0) * here().threads.x + get_local_id(0); }
inline float fmin(float a, float b) { return std::fmin(a, b); }
inline float fmax(float a, float b) { return std::fmax(a, b); }
inline float as_float(int bits) { return std::bit_cast<float>(bits); }
inline float as_float(uint32_t bits) { return std::bit_cast<float>(bits); }
inline uint32_t as_uint(float x) { return std::bit_cast<uint32_t>(x); }
inline int as_int(float x) { return std::bit_cast<int>(x); }
inline float vload_half(size_t i, const half* from) { return half_to_float(from[i].bits); }
inline void vstore_half_rte(float x, size_t i, half* to) { to[i].bits = to_half(x).bits; }
inline int atomic_cmpxchg(int* word, int expected, int value) {
  const int before = *word;
  if (before == expected) *word = value;
  return before;
}

}  // namespace yiti::emulated
