// What products may end in, with the bits that it has where it runs alone.
#pragma once

#include <cmath>

#include "devices/cuda/kernels/warp.cuh"

namespace yiti::devices::cuda {

using std::fma;
__device__ inline float as_float(int bits) { return float_of(static_cast<uint32_t>(bits)); }
#define DEVICE __device__
#include "devices/kernels/gates.cl"

}  // namespace yiti::devices::cuda
