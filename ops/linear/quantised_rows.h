// Activations as 8-bit codes, quantised once to meet any number of quantised weights: what linear
// and the fused ops with several weights are made of.
#pragma once

#include <array>
#include <span>

#include "ops/kernels/cpu/quant.h"
#include "ops/linear/gemm.h"
#include "ops/linear/leaves.h"
#include "ops/linear/task_grid.h"

namespace yiti {

/// Some panels of 16 rows of a quantised weight, as the kernels read them.
struct WeightPanels {
  cpu::BlockType type;
  bool unpacked;
  const uint8_t* bytes;
  int64_t count;
};

/// Panels that `weight` has.
inline int64_t panel_count(const MatrixView& weight) {
  return (weight.rows + cpu::kPanelWidth - 1) / cpu::kPanelWidth;
}
/// Columns of the product with `count` panels from `p` on: 16 each, if the weight has so many rows.
inline int panel_columns(const MatrixView& weight, int64_t p, int64_t count) {
  return static_cast<int>(std::min(count * cpu::kPanelWidth, weight.rows - p * cpu::kPanelWidth));
}
/// Bytes of scratch that weight_panels wants; none for few rows and a weight in panels.
int64_t panel_scratch(Device& device, const MatrixView& weight, int64_t rows);
/// Panels for a product with `rows` rows: as many of `panels` as lie ready in the weight's own
/// memory, else the first one, assembled and unpacked in `scratch`.
WeightPanels weight_panels(Device& device, const MatrixView& weight, TaskGrid::Range panels,
                           int64_t rows, uint8_t* scratch);

/// X [M, K], K a multiple of 32, as codes and scales in memory of the caller's.
class QuantisedRows {
 public:
  /// Bytes that the memory must have.
  static size_t bytes(int64_t rows, int64_t cols);
  /// How products with panels of `weight_rows` rows in all are shared out.
  static TaskGrid grid(Device& device, int64_t rows, int64_t cols, int64_t weight_rows,
                       int64_t panels);

  /// Quantises x in parallel. `options` gives the leaves of the reduction.
  QuantisedRows(Device& device, const MatrixView& x, const LinearOptions& options,
                std::byte* memory);

  int64_t count() const { return rows_; }
  /// Calls f(Range) for one part of `rows` after the other, each of which stays in the second-level
  /// cache while it meets panels.
  template <class F>
  void for_each_block(TaskGrid::Range rows, F&& f) const {
    const int64_t step = block_rows();
    for (int64_t m = rows.begin; m < rows.end; m += step) {
      f(TaskGrid::Range{m, std::min(m + step, rows.end)});
    }
  }
  /// The product of some of the rows with panels; `out` is where the first of them goes.
  void multiply(TaskGrid::Range rows, const WeightPanels& panels, const cpu::TileOutput& out) const;

 private:
  int64_t block_rows() const;

  const cpu::QuantTable& table_;
  int64_t rows_, cols_;
  int8_t* codes_;
  cpu::BlockScale* scales_;
  std::array<int32_t, LeafPlan::kMaxLeaves> leaf_blocks_;
  int leaves_;
};

/// One of several products with the same X.
struct LinearTarget {
  MatrixView weight;  ///< quantised
  float* y;           ///< rows lie `y_stride` floats apart
  int64_t y_stride;
  const float* bias = nullptr;    ///< [N]
  const float* addend = nullptr;  ///< as in LinearOptions
};

/// linear_into for each target, its bias and addend instead of those of `options`: the activations
/// are quantised once, and all products share one parallel region.
void linear_group_into(Device& device, const MatrixView& x, std::span<const LinearTarget> targets,
                       const LinearOptions& options, std::byte* workspace);
/// Looks at the targets' weights only.
size_t linear_group_workspace(Device& device, int64_t m, std::span<const LinearTarget> targets);

}  // namespace yiti
