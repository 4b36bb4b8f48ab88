#include "ops/fused/linear_swiglu.h"

#include <algorithm>

#include "ops/fused/fused_samples.h"
#include "ops/kernels/cpu/swiglu.h"
#include "ops/linear/quantised_rows.h"
#include "ops/norm/norm_rows.h"
#include "ops/norm/swiglu.h"

namespace yiti {
namespace {

using cpu::kPanelWidth;

bool runs_quantised(const MatrixView& gate, const MatrixView& up, const LinearAttrs& attrs) {
  return is_quantised(gate.dtype) && is_quantised(up.dtype) && !attrs.exact_activations;
}

// Panel p of gate and of up meets each tile of rows; only the gated result is stored.
class TiledSwiglu {
 public:
  TiledSwiglu(Device& device, int64_t m, const MatrixView& gate, const MatrixView& up)
      : device_(device),
        m_(m),
        gate_(gate),
        up_(up),
        grid_(QuantisedRows::grid(device, m, gate.cols, 2 * gate.rows, panel_count(gate))),
        gate_bytes_(panel_scratch(device, gate, m)),
        task_bytes_(2 * kTileBytes + gate_bytes_ + panel_scratch(device, up, m)) {}

  size_t workspace() const {
    return QuantisedRows::bytes(m_, gate_.cols) + static_cast<size_t>(grid_.count() * task_bytes_);
  }

  void run(const MatrixView& x, float* y, const LinearOptions& options,
           std::byte* workspace) const {
    const QuantisedRows rows(device_, x, options, workspace);
    std::byte* tasks = workspace + QuantisedRows::bytes(m_, gate_.cols);
    device_.threads().parallel_for(grid_.count(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        run_task(task, rows, y, tasks + task * task_bytes_);
      }
    });
  }

 private:
  // A tile is this many rows of one panel, whose codes stay in the first-level cache between gate
  // and up, or fewer rows of more panels.
  static constexpr int64_t kTileRows = 16;
  static constexpr auto kTileBytes = kTileRows * kPanelWidth * static_cast<int64_t>(sizeof(float));

  void run_task(int64_t task, const QuantisedRows& rows, float* y, std::byte* memory) const {
    rows.for_each_block(grid_.row_part(task, rows.count()), [&](TaskGrid::Range part) {
      run_block(part, grid_.column_part(task, panel_count(gate_)), rows, y, memory);
    });
  }

  void run_block(TaskGrid::Range part, TaskGrid::Range panels, const QuantisedRows& rows, float* y,
                 std::byte* memory) const {
    const auto& table = cpu::swiglu_table_for(device_.isa());
    auto* gate_tile = reinterpret_cast<float*>(memory);
    auto* up_tile = reinterpret_cast<float*>(memory + kTileBytes);
    auto* gate_scratch = reinterpret_cast<uint8_t*>(memory + 2 * kTileBytes);
    uint8_t* up_scratch = gate_scratch + gate_bytes_;
    const int64_t width = std::max<int64_t>(1, kTileRows / (part.end - part.begin));
    while (panels.begin < panels.end) {
      const TaskGrid::Range some = {panels.begin, std::min(panels.begin + width, panels.end)};
      WeightPanels gate = weight_panels(device_, gate_, some, m_, gate_scratch);
      WeightPanels up = weight_panels(device_, up_, some, m_, up_scratch);
      gate.count = up.count = std::min(gate.count, up.count);
      const int columns = panel_columns(gate_, some.begin, gate.count);
      for (int64_t first = part.begin; first < part.end; first += kTileRows) {
        const TaskGrid::Range tile = {first, std::min(first + kTileRows, part.end)};
        rows.multiply(tile, gate, tile_output(gate_tile, columns));
        rows.multiply(tile, up, tile_output(up_tile, columns));
        for (int64_t m = tile.begin; m < tile.end; ++m) {
          const int64_t at = (m - first) * columns;
          table.row(gate_tile + at, up_tile + at, y + m * gate_.rows + some.begin * kPanelWidth,
                    columns);
        }
      }
      panels.begin += gate.count;
    }
  }

  static cpu::TileOutput tile_output(float* tile, int columns) {
    return {.c = tile, .c_stride = columns, .columns = columns, .bias = nullptr};
  }

  Device& device_;
  int64_t m_;
  const MatrixView& gate_;
  const MatrixView& up_;
  TaskGrid grid_;
  int64_t gate_bytes_, task_bytes_;
};

// Gate goes to y, up to the workspace; then y is gated in place.
struct PlainSwiglu {
  size_t up_bytes = 0, linear_bytes = 0;

  PlainSwiglu(Device& device, int64_t m, const MatrixView& gate, const MatrixView& up, bool exact)
      : up_bytes((static_cast<size_t>(m * up.rows) * sizeof(float) + 63) / 64 * 64),
        linear_bytes(std::max(linear_workspace(device, m, gate, exact),
                              linear_workspace(device, m, up, exact))) {}

  void run(Device& device, const MatrixView& x, const MatrixView& gate, const MatrixView& up,
           float* y, const LinearOptions& options, std::byte* workspace) const {
    auto* other = reinterpret_cast<float*>(workspace);
    std::byte* rest = workspace + up_bytes;
    const int64_t n = gate.rows;
    linear_into(device, x, gate, y, n, options, rest);
    linear_into(device, x, up, other, n, options, rest);
    const auto& table = cpu::swiglu_table_for(device.isa());
    device.threads().parallel_for(x.rows, cpu::row_grain(4 * n), [&](int64_t begin, int64_t end) {
      table.row(y + begin * n, other + begin * n, y + begin * n, (end - begin) * n);
    });
  }
};

void run(const KernelArgs& args) {
  const LinearAttrs& attrs = args.attrs.as<LinearAttrs>();
  Tensor keep;
  const MatrixView x = as_rows(args.in[0], keep);
  const MatrixView gate = matrix(args.in[1]), up = matrix(args.in[2]);
  if (x.rows == 0 || gate.rows == 0) return;
  const LinearOptions options{.leaf_unit = attrs.leaf_unit,
                              .exact_activations = attrs.exact_activations};
  float* y = args.out[0].data<float>();
  if (x.cols > 0 && runs_quantised(gate, up, attrs)) {
    return TiledSwiglu(args.device, x.rows, gate, up).run(x, y, options, args.workspace);
  }
  PlainSwiglu(args.device, x.rows, gate, up, attrs.exact_activations)
      .run(args.device, x, gate, up, y, options, args.workspace);
}

size_t workspace(std::span<const Tensor> in, const Attrs& attributes, Device& device) {
  const LinearAttrs& attrs = attributes.as<LinearAttrs>();
  const int64_t m = row_count(in[0]);
  const MatrixView gate = matrix(in[1]), up = matrix(in[2]);
  if (m == 0 || gate.rows == 0) return 0;
  if (gate.cols > 0 && runs_quantised(gate, up, attrs)) {
    return TiledSwiglu(device, m, gate, up).workspace();
  }
  const PlainSwiglu plain(device, m, gate, up, attrs.exact_activations);
  return plain.up_bytes + plain.linear_bytes;
}

std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs& attributes) {
  const auto& [unit, exact] = attributes.as<LinearAttrs>();
  return {ops::swiglu(ops::linear(in[0], in[1], {}, unit, exact),
                      ops::linear(in[0], in[2], {}, unit, exact))};
}

Kernel f32_kernel() {
  return {.name = "cpu.f32",
          .device_kind = "cpu",
          .refuses = [](std::span<const Tensor> in, const Attrs&) -> std::optional<std::string> {
            for (const Tensor& tensor : in) {
              if (tensor.dtype() == DType::kF64) return "takes no f64";
            }
            return std::nullopt;
          },
          .run = run,
          .workspace = workspace};
}

}  // namespace

const Op& linear_swiglu_op() {
  static const Op op =
      OpBuilder("linear_swiglu")
          .doc("silu(x gate_weightᵀ) * (x up_weightᵀ), without storing both factors whole.")
          .source("Two linear ops, then swiglu (Shazeer 2020, GLU Variants Improve Transformer)")
          .attrs(LinearAttrs{})
          .input("x", "[..., K]")
          .input("gate_weight", "[N, K]", Kind::kWeight)
          .input("up_weight", "[N, K]", Kind::kWeight)
          .output("y", "[..., N]")
          .kernel(f32_kernel())
          .reference(reference)
          .sample({Shape{2, 3, 64}, Shape{32, 64}, Shape{32, 64}})
          .sample({Shape{7, 100}, Shape{19, 100}, Shape{19, 100}})
          .sample(quantised_group_sample(5, {DType::kQ4_1, DType::kQ4_1}, {19, 19}, true))
          .sample(quantised_group_sample(3, {DType::kQ8_0, DType::kQ4_0}, {33, 33}, false))
          .sample({Shape{0, 8}, Shape{3, 8}, Shape{3, 8}})
          .sample({Shape{2, 0}, Shape{3, 0}, Shape{3, 0}})
          .accuracy(0)
          .build();
  return op;
}

Tensor ops::linear_swiglu(const Tensor& x, const Tensor& gate_weight, const Tensor& up_weight,
                          int64_t leaf_unit, bool exact_activations) {
  return linear_swiglu_op()({x, gate_weight, up_weight},
                            LinearAttrs{leaf_unit, exact_activations})[0];
}

}  // namespace yiti
