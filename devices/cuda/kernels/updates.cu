#include "devices/cuda/kernels/updates.cuh"

namespace yiti::devices::cuda {

int launch(const AdamwLaunch& update, cudaStream_t stream) {
  update_by_adamw<<<update.block_count, 256, 0, stream>>>(update);
  return cudaGetLastError();
}

}  // namespace yiti::devices::cuda
