// How ops run kernels and share out their workspace. An op is one function over a Launcher, called
// twice: to plan, when nothing runs and the workspace that it takes is counted, and to run.
#pragma once

#include <array>
#include <type_traits>

#include "devices/common/backend.h"

namespace yiti::devices {

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

/// Work-items of a group in kernels that take one, unless the backend has others for rows; GROUP in
/// kernels/common.cl.
inline constexpr size_t kGroup = 64;

class Launcher {
 public:
  enum class Mode { kPlans, kRuns };

  /// `number` names the op in the device's fault word.
  Launcher(Backend& backend, Mode mode, const yiti_op_call& call, int number);

  Backend& backend() const { return backend_; }
  bool plans() const { return mode_ == Mode::kPlans; }
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
    const size_t group = backend_.row_group(id.file);
    const Extent global = {static_cast<size_t>(count) * group, 1, 1}, local = {group, 1, 1};
    if (group == kGroup) {
      launch(id, global, local, values...);
    } else {
      const std::string options = fmt::format("{} -DGROUP={}", id.options, group);
      launch({id.file, id.name, options}, global, local, values...);
    }
  }
  template <class... A>
  void launch(const KernelId& id, const Extent& global, const Extent& local, const A&... values) {
    if (plans()) return;
    Arguments arguments;
    (add(arguments, values), ...);
    backend_.launch(id, global, local, arguments.span());
  }
  void copy(const Place& target, const Place& source, int64_t bytes);
  void clear(const Place& target, int64_t bytes);

  /// The fault word and what to write there: the last arguments of kernels that look at numbers
  /// which may be out of range.
  struct Fault {};
  static constexpr Fault kFault{};

 private:
  // The arguments of one launch, and the offsets among them.
  struct Arguments {
    static constexpr size_t kMost = 40;
    std::array<Argument, kMost> list;
    std::array<int64_t, kMost> offsets;
    size_t count = 0;

    std::span<const Argument> span() const { return {list.data(), count}; }
  };

  template <class T>
  requires std::is_arithmetic_v<T> || std::is_same_v<T, Walk> || std::is_same_v<T, Windows>
  static void add(Arguments& arguments, const T& value) {
    static_assert(!std::is_same_v<T, bool> && !std::is_same_v<T, size_t>);
    arguments.list[arguments.count++] = {&value, sizeof(value), nullptr};
  }
  static void add(Arguments& arguments, const Pointer& value);
  void add(Arguments& arguments, Fault) const;

  Backend& backend_;
  Mode mode_;
  Place workspace_;
  uint64_t workspace_bytes_;
  int32_t number_;
  uint64_t taken_ = 0, most_taken_ = 0;
};

}  // namespace yiti::devices
