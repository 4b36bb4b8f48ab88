#include "devices/cuda/stream_backend.h"

#include <vector>

namespace yiti::devices::cuda {

Grid::Grid(const Extent& global, const Extent& local, const char* kernel) {
  constexpr Extent kMost = {2147483647, 65535, 65535};
  Extent count;
  for (size_t axis = 0; axis < 3; ++axis) {
    count[axis] = global[axis] / local[axis];
    if (count[axis] > kMost[axis]) {
      fail(YITI_STATUS_OUT_OF_RANGE, "{}: {} blocks in axis {} of a grid; takes {} or less", kernel,
           count[axis], axis, kMost[axis]);
    }
  }
  const auto dim = [](const Extent& extent) {
    return dim3(static_cast<unsigned>(extent[0]), static_cast<unsigned>(extent[1]),
                static_cast<unsigned>(extent[2]));
  };
  blocks = dim(count);
  threads = dim(local);
}

void StreamBackend::launch(const KernelId& id, const Extent& global, const Extent& local,
                           std::span<const Argument> arguments) {
  const Grid grid(global, local, id.name);
  std::vector<void*> pointers(arguments.size()), values(arguments.size());
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Argument& argument = arguments[i];
    if (argument.memory != nullptr) pointers[i] = argument.memory->pointer;
    values[i] = argument.value == nullptr ? &pointers[i] : const_cast<void*>(argument.value);
  }
  cudaLaunchConfig_t config{};
  config.gridDim = grid.blocks;
  config.blockDim = grid.threads;
  config.stream = stream_;
  check(cudaLaunchKernelExC(&config, reinterpret_cast<const void*>(device_.kernel(id)),
                            values.data()),
        id.name);
}

void StreamBackend::copy(const Place& target, const Place& source, int64_t bytes) {
  check(cudaMemcpyAsync(address(target), address(source), static_cast<size_t>(bytes),
                        cudaMemcpyDeviceToDevice, stream_),
        "cudaMemcpyAsync");
}

void StreamBackend::clear(const Place& target, int64_t bytes) {
  check(cudaMemsetAsync(address(target), 0, static_cast<size_t>(bytes), stream_),
        "cudaMemsetAsync");
}

}  // namespace yiti::devices::cuda
