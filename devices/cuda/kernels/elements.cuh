// Functions of single elements, with the bits that they have in kernels of other compilers.
#pragma once

#include <cmath>

#include "devices/cuda/kernels/warp.cuh"

namespace yiti::devices::cuda {

using std::fma;
using std::sqrt;
__device__ inline float as_float(int bits) { return float_of(static_cast<uint32_t>(bits)); }
#define DEVICE __device__
#include "devices/kernels/elements.cl"

}  // namespace yiti::devices::cuda
