#include "devices/cuda/kernels/split_products.cuh"

namespace yiti::devices::cuda {

template <int kCount>
int launch_parts(const SplitProduct& p, cudaStream_t stream) {
  if (p.rows <= kFewRows) {
    launch_few<Split<FloatRows<kCount>>>(p, stream);
  } else {
    launch_many<Split<SplitRows<kCount>>>(p, stream);
  }
  return cudaGetLastError();
}

int launch(const SplitProduct& p, cudaStream_t stream) {
  return p.part_count == 1 ? launch_parts<1>(p, stream) : launch_parts<kParts>(p, stream);
}

int launch_split(const float* x, int part_count, uint16_t* parts, int64_t count,
                 cudaStream_t stream) {
  split<<<blocks_of(count, 256), 256, 0, stream>>>(x, part_count, parts, count);
  return cudaGetLastError();
}

}  // namespace yiti::devices::cuda
