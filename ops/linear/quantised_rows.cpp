// Each panel of weights, which stays in the first-level cache, meets a block of rows, which stays
// in the second-level cache.
#include "ops/linear/quantised_rows.h"

#include <algorithm>

#include "ops/linear/adjacent_rows.h"
#include "ops/linear/panels.h"

namespace yiti {
namespace {

using cpu::BlockScale, cpu::kBlock, cpu::kPanelWidth;

int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

int64_t code_bytes(int64_t rows, int64_t cols) { return aligned(rows * cols); }

void quantise(Device& device, const cpu::QuantTable& table, const MatrixView& x, int8_t* codes,
              BlockScale* scales) {
  const int64_t blocks = x.cols / kBlock;
  const int64_t grain = std::max<int64_t>(1, 4096 / std::max<int64_t>(x.cols, 1));
  for_each_adjacent_row(device, x, grain, [&](int64_t m, const float* row) {
    table.quantise(row, blocks, codes + m * x.cols, scales + m * blocks);
  });
}

// All panels of all targets, one after the other.
struct GroupSize {
  int64_t panels = 0, rows = 0, scratch = 0;
  GroupSize(Device& device, int64_t m, std::span<const LinearTarget> targets) {
    for (const LinearTarget& target : targets) {
      panels += panel_count(target.weight);
      rows += target.weight.rows;
      scratch = std::max(scratch, panel_scratch(device, target.weight, m));
    }
  }
};

// Bytes of a panel of `weight` that must be assembled.
int64_t assembled_bytes(const MatrixView& weight) {
  if (weight.layout == Layout::kPanels) return 0;
  return weight.cols / kBlock * cpu::panel_block_bytes(block_type(weight.dtype));
}

bool is_unpacked(Device& device, const MatrixView& weight, int64_t rows) {
  return rows >= cpu::quant_table_for(device.isa()).unpack_rows &&
         block_type(weight.dtype) != cpu::BlockType::kQ8_0;
}

}  // namespace

int64_t panel_scratch(Device& device, const MatrixView& weight, int64_t rows) {
  constexpr auto kUnpacked = static_cast<int64_t>(sizeof(cpu::UnpackedBlock));
  return assembled_bytes(weight) +
         (is_unpacked(device, weight, rows) ? weight.cols / kBlock * kUnpacked : 0);
}

WeightPanels weight_panels(Device& device, const MatrixView& weight, TaskGrid::Range panels,
                           int64_t rows, uint8_t* scratch) {
  const cpu::BlockType type = block_type(weight.dtype);
  const int64_t blocks = weight.cols / kBlock, bytes = cpu::panel_block_bytes(type);
  const uint8_t* panel = scratch;
  const int64_t first = panels.begin * kPanelRows;
  int64_t count = 1;
  if (weight.layout == Layout::kPanels) {
    panel = panel_block(weight, first, 0, nullptr);
    count = panels.end - panels.begin;
  } else {
    for (int64_t b = 0; b < blocks; ++b) panel_block(weight, first, b, scratch + b * bytes);
  }
  if (!is_unpacked(device, weight, rows)) return {type, false, panel, count};
  auto* unpacked = reinterpret_cast<cpu::UnpackedBlock*>(scratch + assembled_bytes(weight));
  cpu::quant_table_for(device.isa()).unpack(type, panel, blocks, unpacked);
  return {type, true, reinterpret_cast<const uint8_t*>(unpacked), 1};
}

size_t QuantisedRows::bytes(int64_t rows, int64_t cols) {
  const auto scale = static_cast<int64_t>(sizeof(BlockScale));
  return static_cast<size_t>(code_bytes(rows, cols) + aligned(rows * (cols / kBlock) * scale));
}

TaskGrid QuantisedRows::grid(Device& device, int64_t rows, int64_t cols, int64_t weight_rows,
                             int64_t panels) {
  const int64_t tile = cpu::quant_table_for(device.isa()).rows;
  // A multiply-add of codes costs about a quarter of one of floats; reading a weight, about one.
  return make_task_grid(device.threads().size(), (rows + tile - 1) / tile, panels,
                        std::max<int64_t>(rows, 4) * weight_rows * cols / 4);
}

QuantisedRows::QuantisedRows(Device& device, const MatrixView& x, const LinearOptions& options,
                             std::byte* memory)
    : table_(cpu::quant_table_for(device.isa())),
      rows_(x.rows),
      cols_(x.cols),
      codes_(reinterpret_cast<int8_t*>(memory)),
      scales_(reinterpret_cast<BlockScale*>(memory + code_bytes(x.rows, x.cols))),
      leaf_blocks_{} {
  const LeafPlan plan = plan_leaves(x.cols, options.leaf_unit, options.max_leaves);
  static_assert(LeafPlan::kMaxLeaves <= cpu::kMaxQuantLeaves);
  leaves_ = plan.count;
  for (size_t i = 0; i < static_cast<size_t>(plan.count); ++i) {
    leaf_blocks_[i] = static_cast<int32_t>((plan.starts[i + 1] - plan.starts[i]) / kBlock);
  }
  quantise(device, table_, x, codes_, scales_);
}

int64_t QuantisedRows::block_rows() const {
  constexpr int64_t kCacheBytes = 160 << 10;
  const int64_t row_bytes = cols_ + cols_ / kBlock * static_cast<int64_t>(sizeof(BlockScale));
  return std::max<int64_t>(64, kCacheBytes / row_bytes / table_.rows * table_.rows);
}

void QuantisedRows::multiply(TaskGrid::Range rows, const WeightPanels& panels,
                             const cpu::TileOutput& out) const {
  const int64_t blocks = cols_ / kBlock;
  table_.multiply({.type = panels.type,
                   .unpacked = panels.unpacked,
                   .panel = panels.bytes,
                   .panels = panels.count,
                   .codes = codes_ + rows.begin * cols_,
                   .scales = scales_ + rows.begin * blocks,
                   .rows = rows.end - rows.begin,
                   .blocks = blocks,
                   .leaf_blocks = leaf_blocks_.data(),
                   .leaves = leaves_,
                   .out = out});
}

size_t linear_group_workspace(Device& device, int64_t m, std::span<const LinearTarget> targets) {
  const GroupSize size(device, m, targets);
  const int64_t cols = targets[0].weight.cols;
  const int64_t tasks = QuantisedRows::grid(device, m, cols, size.rows, size.panels).count();
  return QuantisedRows::bytes(m, cols) + static_cast<size_t>(tasks * size.scratch);
}

void linear_group_into(Device& device, const MatrixView& x, std::span<const LinearTarget> targets,
                       const LinearOptions& options, std::byte* workspace) {
  const GroupSize size(device, x.rows, targets);
  const TaskGrid grid = QuantisedRows::grid(device, x.rows, x.cols, size.rows, size.panels);
  const QuantisedRows rows(device, x, options, workspace);
  auto* scratch = reinterpret_cast<uint8_t*>(workspace) + QuantisedRows::bytes(x.rows, x.cols);
  // Products of `part` of the rows with the panels `mine` of a target.
  const auto run_target = [&](const LinearTarget& target, TaskGrid::Range mine,
                              TaskGrid::Range part, uint8_t* task_scratch) {
    while (mine.begin < mine.end) {
      const WeightPanels panels = weight_panels(device, target.weight, mine, x.rows, task_scratch);
      const cpu::TileOutput all = {.c = target.y,
                                   .c_stride = target.y_stride,
                                   .columns = static_cast<int>(target.weight.rows),
                                   .bias = target.bias,
                                   .addend = target.addend};
      rows.multiply(part, panels,
                    part_of(all, part.begin, mine.begin * kPanelWidth, panels.count * kPanelWidth));
      mine.begin += panels.count;
    }
  };
  const auto run_targets = [&](int64_t task, TaskGrid::Range part) {
    TaskGrid::Range mine = grid.column_part(task, size.panels);
    for (const LinearTarget& target : targets) {
      const int64_t panels = panel_count(target.weight);
      run_target(target, {std::max<int64_t>(mine.begin, 0), std::min(mine.end, panels)}, part,
                 scratch + task * size.scratch);
      mine = {mine.begin - panels, mine.end - panels};
    }
  };
  device.threads().parallel_for(grid.count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      rows.for_each_block(grid.row_part(task, rows.count()),
                          [&](TaskGrid::Range part) { run_targets(task, part); });
    }
  });
}

}  // namespace yiti
