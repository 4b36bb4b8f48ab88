#include "devices/cuda/kernels/split_products.cuh"

namespace yiti::devices::cuda {

int launch(const SplitProduct& p, cudaStream_t stream) {
  if (p.rows <= 8) {
    multiply_few<Split><<<blocks_of(p.columns, 16), 256, 0, stream>>>(p);
  } else {
    const dim3 grid(blocks_of(p.columns, 64), blocks_of(p.rows, 64));
    multiply_many<Split><<<grid, 128, 0, stream>>>(p);
  }
  return cudaGetLastError();
}

int launch_split(const float* x, int part_count, uint16_t* parts, int64_t count,
                 cudaStream_t stream) {
  split<<<blocks_of(count, 256), 256, 0, stream>>>(x, part_count, parts, count);
  return cudaGetLastError();
}

}  // namespace yiti::devices::cuda
