// Products with a weight as the linear op defines them. Quantised weights: the activations are
// quantised once, then each panel of weights, which stays in the first-level cache, meets all rows.
#include <algorithm>
#include <vector>

#include "core/error.h"
#include "ops/kernels/cpu/quant.h"
#include "ops/linear/gemm.h"
#include "ops/linear/leaf_segments.h"
#include "ops/linear/panels.h"
#include "ops/linear/task_grid.h"

namespace yiti {
namespace {

using cpu::BlockScale, cpu::kBlock, cpu::kPanelWidth;

// The workspace: codes, then their scales, then one panel a task where the weight is not in panels.
struct QuantWorkspace {
  int8_t* codes = nullptr;
  BlockScale* scales = nullptr;
  uint8_t* panels = nullptr;
  int64_t panel_bytes = 0;
  size_t total = 0;

  QuantWorkspace(std::byte* base, int64_t m, const MatrixView& weight, int64_t tasks) {
    const int64_t blocks = weight.cols / kBlock;
    const int64_t code_bytes = (m * weight.cols + 63) / 64 * 64;
    const int64_t scale_bytes =
        (m * blocks * static_cast<int64_t>(sizeof(BlockScale)) + 63) / 64 * 64;
    if (weight.layout == Layout::kRows) {
      panel_bytes = blocks * cpu::panel_block_bytes(block_type(weight.dtype));
    }
    total = static_cast<size_t>(code_bytes + scale_bytes + tasks * panel_bytes);
    if (base == nullptr) return;
    codes = reinterpret_cast<int8_t*>(base);
    scales = reinterpret_cast<BlockScale*>(base + code_bytes);
    panels = reinterpret_cast<uint8_t*>(base + code_bytes + scale_bytes);
  }
};

TaskGrid grid_of(Device& device, const cpu::QuantTable& table, int64_t m, const MatrixView& w) {
  // A multiply-add of codes costs about a quarter of one of floats.
  return make_task_grid(device.threads().size(), (m + table.rows - 1) / table.rows,
                        (w.rows + kPanelWidth - 1) / kPanelWidth, m * w.rows * w.cols / 4);
}

void quantise_rows(Device& device, const cpu::QuantTable& table, const MatrixView& x,
                   const QuantWorkspace& space) {
  const int64_t blocks = x.cols / kBlock;
  const int64_t grain = std::max<int64_t>(1, 32768 / std::max<int64_t>(x.cols, 1));
  device.threads().parallel_for(x.rows, grain, [&](int64_t begin, int64_t end) {
    std::vector<float> adjacent(x.col_stride == 1 ? 0 : static_cast<size_t>(x.cols));
    for (int64_t m = begin; m < end; ++m) {
      const float* row = reinterpret_cast<const float*>(x.data) + m * x.row_stride;
      for (size_t k = 0; k < adjacent.size(); ++k) {
        adjacent[k] = row[static_cast<int64_t>(k) * x.col_stride];
      }
      table.quantise(adjacent.empty() ? row : adjacent.data(), blocks, space.codes + m * x.cols,
                     space.scales + m * blocks);
    }
  });
}

// The panel that holds rows [16 * p, …): the weight's own, or assembled in `scratch`.
const uint8_t* whole_panel(const MatrixView& weight, int64_t p, uint8_t* scratch) {
  if (weight.layout == Layout::kPanels) return panel_block(weight, p * kPanelRows, 0, nullptr);
  const int64_t bytes = cpu::panel_block_bytes(block_type(weight.dtype));
  for (int64_t b = 0; b < weight.cols / kBlock; ++b) {
    panel_block(weight, p * kPanelRows, b, scratch + b * bytes);
  }
  return scratch;
}

void linear_quantised(Device& device, const MatrixView& x, const MatrixView& weight, float* y,
                      int64_t y_stride, const LinearOptions& options, std::byte* workspace) {
  const auto& table = cpu::quant_table_for(device.isa());
  const TaskGrid grid = grid_of(device, table, x.rows, weight);
  const QuantWorkspace space(workspace, x.rows, weight, grid.count());
  quantise_rows(device, table, x, space);
  const LeafPlan plan = plan_leaves(x.cols, options.leaf_unit, options.max_leaves);
  const SegmentList segments(plan, 0, x.cols, kBlock);
  const int64_t blocks = x.cols / kBlock;
  const int64_t tiles = (x.rows + table.rows - 1) / table.rows;
  const int64_t panels = (weight.rows + kPanelWidth - 1) / kPanelWidth;
  const auto run = [&](int64_t task) {
    const TaskGrid::Range mine = grid.row_part(task, tiles);
    const TaskGrid::Range columns = grid.column_part(task, panels);
    for (int64_t p = columns.begin; p < columns.end; ++p) {
      const int64_t n0 = p * kPanelWidth;
      cpu::QuantTile job = {
          .type = block_type(weight.dtype),
          .panel = whole_panel(weight, p, space.panels + task * space.panel_bytes),
          .codes = nullptr,
          .scales = nullptr,
          .blocks = blocks,
          .segments = segments.items.data(),
          .segment_count = segments.count,
          .out = {.c = nullptr,
                  .c_stride = y_stride,
                  .columns = static_cast<int>(std::min<int64_t>(kPanelWidth, weight.rows - n0)),
                  .bias = options.bias == nullptr ? nullptr : options.bias + n0,
                  .accumulate = false}};
      for (int64_t t = mine.begin; t < mine.end; ++t) {
        const int64_t m0 = t * x.rows / tiles, m1 = (t + 1) * x.rows / tiles;
        job.codes = space.codes + m0 * x.cols;
        job.scales = space.scales + m0 * blocks;
        job.out.c = y + m0 * y_stride + n0;
        table.tile(job, static_cast<int>(m1 - m0));
      }
    }
  };
  device.threads().parallel_for(grid.count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) run(task);
  });
}

}  // namespace

size_t linear_workspace(Device& device, int64_t m, const MatrixView& weight,
                        bool exact_activations) {
  if (m <= 0 || weight.rows <= 0 || weight.cols <= 0) return 0;
  if (exact_activations || !is_quantised(weight.dtype)) {
    return gemm_workspace(device, m, weight.rows, weight.cols);
  }
  const TaskGrid grid = grid_of(device, cpu::quant_table_for(device.isa()), m, weight);
  return QuantWorkspace(nullptr, m, weight, grid.count()).total;
}

void linear_into(Device& device, const MatrixView& x, const MatrixView& weight, float* y,
                 int64_t y_stride, const LinearOptions& options, std::byte* workspace) {
  check(x.dtype == DType::kF32, "linear", "x is {}; wants f32", name(x.dtype));
  check(x.cols == weight.cols, "linear", "x is [{}, {}], weight [{}, {}]; wants equal last sizes",
        x.rows, x.cols, weight.rows, weight.cols);
  const bool plain = options.exact_activations || !is_quantised(weight.dtype) || x.cols == 0;
  if (x.rows == 0 || weight.rows == 0) return;
  if (plain) {
    return gemm(
        device, x, weight.t(), y, y_stride,
        {.bias = options.bias, .leaf_unit = options.leaf_unit, .max_leaves = options.max_leaves},
        workspace);
  }
  check(!weight.transposed, "linear", "weight is transposed");
  std::shared_ptr<Storage> own;
  if (workspace == nullptr) {
    own = Storage::allocate(device.shared_from_this(), linear_workspace(device, x.rows, weight));
    workspace = own->data();
  }
  linear_quantised(device, x, weight, y, y_stride, options, workspace);
}

}  // namespace yiti
