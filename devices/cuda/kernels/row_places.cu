#include "devices/cuda/kernels/row_places.cuh"

namespace yiti::devices::cuda {

int launch_row_places(int* differences, cudaStream_t stream) {
  compare_row_places<<<1, 32, 0, stream>>>(differences);
  return cudaGetLastError();
}

}  // namespace yiti::devices::cuda
