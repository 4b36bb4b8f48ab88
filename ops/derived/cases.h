// Inputs for an op from its samples, and runs of its kernels between guard bytes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/op.h"

namespace yiti::derived {

/// A sample made into tensors.
struct Case {
  std::vector<Tensor> in;
  Attrs attrs;
  std::string label;  ///< "sample 2 in f32"
};

/// The op's sample number `index` with float inputs of `floats` (which may be an integer type, for
/// ops that take any number); nullopt where the op does not take that dtype.
std::optional<Case> make_case(const Op& op, size_t index, DType floats, const DevicePtr& device);

/// As sample `index`, but with `rows` rows: the first size of each input whose dimension string
/// starts as the first input's does. A leading "...", "T" (tokens) or "B" (a batch) says that rows
/// are computed alone. Nullopt where the op or the sample has no rows.
std::optional<Case> make_rows(const Op& op, size_t index, int64_t rows, DType floats,
                              const DevicePtr& device);
/// As sample `index`, but with the first size of every input `factor` times as long; nullopt where
/// the op does not take that, or the sample makes its own inputs.
std::optional<Case> make_longer(const Op& op, size_t index, int64_t factor, DType floats,
                                const DevicePtr& device);
/// Whether the dimension string of this input or output starts with rows, in a tensor of `rank`.
bool has_rows(const Op& op, const std::string& dims, int rank);

/// The same elements in memory laid out otherwise: 0, axes reversed; 1, every other element of a
/// longer last axis. Quantised tensors and numbers stay as they are.
Tensor laid_out(const Tensor& tensor, int layout);
/// A deep copy, contiguous.
Tensor copy_of(const Tensor& tensor);

/// What a kernel computed, and what is wrong with the memory around it ("" when nothing).
struct GuardedRun {
  std::vector<Tensor> out;
  std::string damage;
};
/// Runs one kernel with outputs and workspace between guard bytes, and garbage inside. Inputs that
/// it updates are copied first.
GuardedRun run_guarded(const Op& op, const Kernel& kernel, std::span<const Tensor> in,
                       const Attrs& attrs, const DevicePtr& device);

/// Every kernel of the op that accepts the case on the device; where the device has its own, that.
std::vector<const Kernel*> accepting(const Op& op, const Case& c, Device& device);

/// Inputs of a case that may have rows, cut to [begin, end) of them.
std::vector<Tensor> rows_of(const Op& op, std::span<const Tensor> in, int64_t begin, int64_t end);

bool is_updating(const Op& op);

}  // namespace yiti::derived
