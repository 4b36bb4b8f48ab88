// What the module's functions share: the tape, and how this thread runs ops.
#pragma once

#include <nanobind/nanobind.h>

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "autograd/tape.h"
#include "core/op.h"

namespace yiti::python {

namespace nb = nanobind;

/// The one tape that follows all tensors whose gradient is wanted. Hold tape_mutex(), without the
/// GIL, while it is used.
Tape& tape();
std::recursive_mutex& tape_mutex();

/// Runs `f` with the tape and without the GIL.
template <class F>
auto with_tape(F&& f) {
  nb::gil_scoped_release release;
  const std::lock_guard lock(tape_mutex());
  return f();
}

/// How this thread's ops see tensors.
struct Mode {
  bool records = true;  ///< false: within no_grad
  /// Where a capture is under way: what stands for an untraced or watched tensor in it.
  std::function<Tensor(const Tensor&)> substitute = {};
};
Mode& mode();

/// Changes the mode for a scope.
class ScopedMode {
 public:
  explicit ScopedMode(Mode inner) : before_(std::exchange(mode(), std::move(inner))) {}
  ~ScopedMode() { mode() = std::move(before_); }
  ScopedMode(const ScopedMode&) = delete;
  ScopedMode& operator=(const ScopedMode&) = delete;

 private:
  Mode before_;
};

/// `tensor` as this thread's mode has it.
Tensor resolved(const Tensor& tensor);

/// Runs an op as this thread's mode wants it, without the GIL.
std::vector<Tensor> call(const Op& op, std::vector<Tensor> inputs, const Attrs& attrs = {});
/// The first output.
Tensor call1(const Op& op, std::vector<Tensor> inputs, const Attrs& attrs = {});

/// A Python object that C++ may let go at any time, in any thread.
std::shared_ptr<nb::object> shared(nb::object object);

}  // namespace yiti::python
