// Updates of many tensors by one kernel: its argument and launch.
#pragma once

#include <cstdint>

#include "devices/common/adamw_scalars.h"

struct CUstream_st;  // cudaStream_t is a pointer to one

namespace yiti::devices::cuda {

/// Elements of a block.
inline constexpr int64_t kUpdateBlock = 2048;

/// Tensors whose elements one launch updates. Block b belongs to the last of them whose first_block
/// is at most b.
struct AdamwLaunch {
  static constexpr int kMost = 80;
  struct Tensors {
    float* param;
    const float* grad;
    float *m, *v;
    int64_t count;  ///< of elements, more than 0
  };

  AdamwScalars scalars;
  int tensor_count = 0;
  unsigned block_count = 0;
  unsigned first_block[kMost] = {};
  Tensors tensors[kMost] = {};
};
static_assert(sizeof(AdamwLaunch) <= 4096, "the arguments of a kernel");

/// Gives the kernel to the stream and returns CUDA's error, as a cudaError_t.
int launch(const AdamwLaunch& update, CUstream_st* stream);

}  // namespace yiti::devices::cuda
