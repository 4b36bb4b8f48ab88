// How ops run kernels and share out their workspace. An op is one function over a Launcher, called
// twice: to plan, when nothing runs and the workspace that it takes is counted, and to run.
#pragma once

#include <array>
#include <string>

#include "devices/opencl/device.h"
#include "devices/opencl/operands.h"

namespace yiti::opencl {

/// Where elements lie: a memory object and a byte offset.
struct Place {
  cl_mem memory = nullptr;
  uint64_t offset = 0;

  Place at(int64_t bytes) const { return {memory, offset + static_cast<uint64_t>(bytes)}; }
};

/// A place as a kernel's pair of arguments, pointer and offset in elements.
struct Pointer {
  Place place;
  int64_t element_bytes;
};

/// The elements of `x`; a null pointer where it was left out. Quantised ones are bytes.
Pointer pointer(const Operand& x);
inline Pointer floats(const Place& place) { return {place, 4}; }

/// Sizes and strides of up to YITI_MAX_RANK axes, as the kernels' struct Walk has them.
struct Walk {
  int32_t rank = 0;
  int32_t reserved = 0;
  std::array<int64_t, YITI_MAX_RANK> size{}, step{};
};
static_assert(sizeof(Walk) == 136);

/// How windows lie over images: struct Windows in kernels/images.cl.
struct Windows {
  int64_t images = 0, channels = 0, outputs = 0, groups = 1;
  int64_t height = 0, width = 0, kernel_h = 1, kernel_w = 1, out_h = 0, out_w = 0;
  int64_t stride_h = 1, stride_w = 1, padding_h = 0, padding_w = 0, dilation_h = 1, dilation_w = 1;
};

/// Work-items of a group in kernels that take one; GROUP in kernels/common.cl.
inline constexpr size_t kGroup = 64;

struct KernelId {
  const char* file;
  const char* name;
  std::string options;
};

class Launcher {
 public:
  /// Plans where `queue` is null. `number` names the op in the device's fault word.
  Launcher(yiti_device& device, cl_command_queue queue, const yiti_op_call& call, int number);

  yiti_device& device() const { return device_; }
  bool plans() const { return queue_ == nullptr; }
  /// The most bytes of workspace that were taken at once.
  uint64_t most_taken() const { return most_taken_; }
  /// A part of the workspace, on a multiple of 64 bytes.
  Place take(int64_t bytes);
  Place take_floats(int64_t count) { return take(count * 4); }
  /// Gives back what was taken within it: work runs in order, so later work may use it again.
  class Scope {
   public:
    explicit Scope(Launcher& run) : run_(run), taken_(run.taken_) {}
    ~Scope() { run_.taken_ = taken_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Launcher& run_;
    uint64_t taken_;
  };

  /// One work-item an element, in groups of kGroup; the kernel's last argument is `count`.
  template <class... A>
  void each(const KernelId& id, int64_t count, const A&... values) {
    if (count == 0) return;
    const auto groups = (static_cast<size_t>(count) + kGroup - 1) / kGroup;
    launch(id, {groups * kGroup, 1, 1}, {kGroup, 1, 1}, values..., count);
  }
  /// One group a row.
  template <class... A>
  void rows(const KernelId& id, int64_t count, const A&... values) {
    if (count == 0) return;
    launch(id, {static_cast<size_t>(count) * kGroup, 1, 1}, {kGroup, 1, 1}, values...);
  }
  template <class... A>
  void launch(const KernelId& id, std::array<size_t, 3> global, std::array<size_t, 3> local,
              const A&... values) {
    if (plans()) return;
    const cl_kernel kernel = device_.kernel(id.file, id.name, id.options);
    cl_uint index = 0;
    (set(kernel, index, values), ...);
    enqueue(kernel, id.name, global, local);
  }
  void copy(const Place& target, const Place& source, int64_t bytes);
  void clear(const Place& target, int64_t bytes);

  /// The fault word and what to write there: the last arguments of kernels that look at numbers
  /// which may be out of range.
  struct Fault {};
  static constexpr Fault kFault{};

 private:
  template <class T>
  requires std::is_arithmetic_v<T> || std::is_same_v<T, Walk> || std::is_same_v<T, Windows>
  void set(cl_kernel kernel, cl_uint& index, const T& value) {
    static_assert(!std::is_same_v<T, bool> && !std::is_same_v<T, size_t>);
    set_bytes(kernel, index, sizeof(value), &value);
  }
  void set(cl_kernel kernel, cl_uint& index, const Pointer& value);
  void set(cl_kernel kernel, cl_uint& index, Fault);
  void set_bytes(cl_kernel kernel, cl_uint& index, size_t bytes, const void* value);
  void enqueue(cl_kernel kernel, const char* name, std::array<size_t, 3> global,
               std::array<size_t, 3> local);

  yiti_device& device_;
  cl_command_queue queue_;
  Place workspace_;
  uint64_t workspace_bytes_;
  int32_t number_;
  uint64_t taken_ = 0, most_taken_ = 0;
};

}  // namespace yiti::opencl
