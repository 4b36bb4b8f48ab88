// Matrix products on the CPU as plain functions: what the ops of this folder, and fused ops
// elsewhere, are made of. All keep the numeric contract: an output row depends on its own row of A
// and on B alone, and its bits on neither the number of rows, nor tiles, threads or instruction
// set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/device.h"
#include "core/tensor.h"

namespace yiti {

/// A read-only matrix somewhere in memory. It does not own what it sees.
struct MatrixView {
  const std::byte* data = nullptr;
  DType dtype = DType::kF32;
  int64_t rows = 0, cols = 0;
  int64_t row_stride = 0, col_stride = 1;  ///< in elements; of no meaning for quantised types
  Layout layout = Layout::kRows;
  bool transposed = false;  ///< quantised types only: stored as [cols, rows]

  /// The same memory with rows and columns exchanged.
  MatrixView t() const;
  /// Rows [begin, end). In a quantised matrix that is not transposed, panels want `begin` to be a
  /// multiple of 16. Throws kInvalidArgument.
  MatrixView row_range(int64_t begin, int64_t end) const;
};

/// A tensor of two axes as a matrix. Throws kInvalidArgument for another rank.
MatrixView matrix(const Tensor& tensor);
/// Floats [rows, cols] without gaps.
MatrixView row_major(const float* data, int64_t rows, int64_t cols);
/// The product of a tensor's axes but the last one, of which there must be one.
int64_t row_count(const Tensor& tensor);
/// A tensor [..., D] as the matrix [product of …, D]; makes a contiguous copy in `keep` where its
/// strides allow no such view.
MatrixView as_rows(const Tensor& tensor, Tensor& keep);

struct GemmOptions {
  const float* addend = nullptr;  ///< [M, N] that lies as C does: C = addend + A·B; may be C itself
  const float* bias = nullptr;    ///< [N], added to each row after the product
  int64_t leaf_unit = 0;          ///< see plan_leaves
  int64_t max_leaves = 8;
  /// Rounds A and B to bf16 first: up to twice as fast, where the processor multiplies these.
  bool rounded = false;
};

/// C [M, N] = A [M, K] · B [K, N] in float32. A is f32 with any strides; B is f32, f16 or bf16 with
/// any strides, or quantised in either layout and orientation (then dequantised tile by tile). Rows
/// of C lie `c_stride` floats apart. A weight [N, K] is given as `matrix(weight).t()`; a weight
/// gradient is gemm(dy.t(), x). `workspace` has gemm_workspace bytes, or is null: then it is
/// allocated on the device. Throws kInvalidArgument for shapes or dtypes that do not fit.
void gemm(Device& device, const MatrixView& a, const MatrixView& b, float* c, int64_t c_stride,
          const GemmOptions& options = {}, std::byte* workspace = nullptr);
/// How A is read.
enum class GemmRows : uint8_t { kAdjacent, kStrided, kRounded };
/// kStrided: A's col_stride is not 1; kRounded: as in GemmOptions.
size_t gemm_workspace(Device& device, int64_t m, int64_t n, int64_t k,
                      GemmRows rows = GemmRows::kAdjacent);

/// C [M, N] = A [M, K] · B [K, N] in float64, by plain loops; all are f64 with any strides.
void gemm_f64(const MatrixView& a, const MatrixView& b, double* c, int64_t c_stride);

/// Whether a linear op with such a weight rounds its activations, to 8-bit codes where the weight
/// is quantised and to bf16 where it is bf16. The gradient's factors are then rounded to bf16.
inline bool rounds_activations(DType weight, bool exact_activations) {
  return !exact_activations && (is_quantised(weight) || weight == DType::kBF16);
}

struct LinearOptions {
  const float* bias = nullptr;    ///< [N]
  const float* addend = nullptr;  ///< as in GemmOptions
  int64_t leaf_unit = 0;          ///< see plan_leaves
  int64_t max_leaves = 8;
  bool exact_activations = false;  ///< see rounds_activations
};

/// Y [M, N] = X [M, K] · weight [N, K]ᵀ: exactly what the linear op computes, also for a row range
/// of its weight. X is f32 with any strides. `workspace` has linear_workspace bytes, or is
/// null: then it is allocated on the device, as it is where X's col_stride is not 1.
void linear_into(Device& device, const MatrixView& x, const MatrixView& weight, float* y,
                 int64_t y_stride, const LinearOptions& options = {},
                 std::byte* workspace = nullptr);
size_t linear_workspace(Device& device, int64_t m, const MatrixView& weight,
                        bool exact_activations = false);

}  // namespace yiti
