// Runs the ops' kernels on a stream.
#pragma once

#include "devices/common/products.h"
#include "devices/cuda/device.h"
#include "devices/cuda/own_attention.h"
#include "devices/cuda/own_norms.h"
#include "devices/cuda/own_updates.h"

namespace yiti::devices::cuda {

/// Threads of a block and blocks of a grid, as CUDA counts them, for work-items of OpenCL. Throws
/// YITI_STATUS_OUT_OF_RANGE where a grid cannot have that many.
struct Grid {
  Grid(const Extent& global, const Extent& local, const char* kernel);
  dim3 blocks, threads;
};

class StreamBackend final : public Backend {
 public:
  StreamBackend(yiti_device& device, cudaStream_t stream) : device_(device), stream_(stream) {}

  bool has_doubles() const override { return true; }
  yiti_memory* fault() const override { return device_.fault(); }
  size_t row_group(std::string_view file) const override { return cuda::row_group(file); }
  void launch(const KernelId& id, const Extent& global, const Extent& local,
              std::span<const Argument> arguments) override;
  void copy(const Place& target, const Place& source, int64_t bytes) override;
  void clear(const Place& target, int64_t bytes) override;
  bool multiply(Launcher& run, const FloatProductCall& call) override;
  bool multiply(Launcher& run, const CodeProductCall& call) override;
  bool rounds(const FloatProductCall& call) const override;
  bool multiplies_codes() const override { return true; }
  bool gates(const Operand& weight, bool exact_activations) const override;
  bool attend(Launcher& run, const RowAttentionCall& call) override {
    return cuda::attend(run, call);
  }
  bool attend(Launcher& run, const PagedAttentionCall& call) override {
    return cuda::attend(run, call);
  }
  bool normalise(Launcher& run, const RmsNormCall& call) override {
    return cuda::normalise(run, call);
  }
  bool update(Launcher& run, const AdamwCall& call) override;

 private:
  yiti_device& device_;
  cudaStream_t stream_;
};

/// The address of a place.
inline void* address(const yiti_memory* memory, uint64_t offset) {
  return static_cast<char*>(memory->pointer) + offset;
}
inline void* address(const Place& place) { return address(place.memory, place.offset); }
/// The elements of a place or a tensor; null where there is no memory.
template <class T>
T* elements(const Place& place) {
  return place.memory == nullptr ? nullptr : static_cast<T*>(address(place));
}
template <class T>
T* elements(const Operand& x) {
  return elements<T>(pointer(x).place);
}

}  // namespace yiti::devices::cuda
