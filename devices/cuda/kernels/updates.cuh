// AdamW over the elements of many tensors, with the bits of adamw_step in optimisers.cl.
#pragma once

#include "devices/cuda/kernels/elements.cuh"
#include "devices/cuda/kernels/updates.h"

namespace yiti::devices::cuda {

__global__ void __launch_bounds__(256) update_by_adamw(const __grid_constant__ AdamwLaunch p) {
  constexpr int kThreads = 256, kOwn = kUpdateBlock / kThreads;
  int low = 0, high = p.tensor_count;  // the tensor is in [low, high)
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (p.first_block[middle] <= blockIdx.x ? low : high) = middle;
  }
  const AdamwLaunch::Tensors& t = p.tensors[low];
  const AdamwScalars& s = p.scalars;
  const int64_t first = (blockIdx.x - p.first_block[low]) * kUpdateBlock + threadIdx.x;
  float param[kOwn], grad[kOwn], m[kOwn], v[kOwn];
  // All reads are under way before the first of them is needed.
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
    const int64_t at = first + i * kThreads;
    if (at >= t.count) continue;
    param[i] = t.param[at];
    grad[i] = t.grad[at];
    m[i] = t.m[at];
    v[i] = t.v[at];
  }
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
    const int64_t at = first + i * kThreads;
    if (at >= t.count) continue;
    t.param[at] = adamw_of(param[i], grad[i], &m[i], &v[i], s.grad_scale, s.decay, s.mix1, s.beta2,
                           s.mix2, s.root_correction2, s.eps, s.step_size);
    t.m[at] = m[i];
    t.v[at] = v[i];
  }
}

}  // namespace yiti::devices::cuda
