// The float product, blocked for the caches. For each block of panels of B and each run of steps,
// B is packed once ([k][16], it stays in the second-level cache); then each tile of rows of A,
// which stays in the first-level one, meets all panels of the block. Partial sums of tiles whose
// steps take several runs wait in `state`. An A whose steps are not adjacent is packed first, once
// for all tasks (a tile after the other, [k][rows of a tile]).
//
// Where factors are rounded to bf16, A is rounded first and B when it is packed; below, A's steps
// are then words of one or two of them (cpu::RoundedProduct).
#include "ops/linear/gemm.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "ops/linear/adjacent_rows.h"
#include "ops/linear/leaf_segments.h"
#include "ops/linear/pack_b.h"
#include "ops/linear/task_grid.h"

namespace yiti {
namespace {

using cpu::kPanelWidth;

constexpr int64_t kRunSteps = 768;  // of B at once
constexpr int64_t kBlockPanels = 4;
constexpr int64_t kBlockTiles = 96;  // of A at once
// The same where tiles are copied, which more panels share.
constexpr int64_t kCopiedSteps = 384;
constexpr int64_t kCopiedPanels = 10;

// The kernels of one product of `k` steps.
struct Kernels {
  const cpu::GemmTable& gemm;
  const cpu::QuantTable& quant;
  const cpu::RoundedProduct* rounded = nullptr;  // where factors are
  int64_t steps = 1;                             // of B, in a step of A
  void (*tile)(const cpu::GemmTile&, int);
  void (*tile_fetching)(const cpu::GemmTile&, int);

  Kernels(Device& device, GemmRows rows, int64_t k)
      : gemm(cpu::gemm_table_for(device.isa())),
        quant(cpu::quant_table_for(device.isa())),
        tile(rows == GemmRows::kStrided ? gemm.tile_packed : gemm.tile),
        tile_fetching(gemm.tile_fetching) {
    if (rows != GemmRows::kRounded) return;
    rounded = &gemm.rounded(k);
    steps = rounded->steps;
    tile = rounded->tile;
    tile_fetching = rounded->tile_fetching;
  }
};

int64_t tile_count(const cpu::GemmTable& table, int64_t m) {
  return (m + table.rows - 1) / table.rows;
}

// Rows are shared out evenly, so that no tile is left with one or two.
TaskGrid::Range rows_of_tile(const cpu::GemmTable& table, int64_t m, int64_t tile) {
  const int64_t count = tile_count(table, m);
  return {tile * m / count, (tile + 1) * m / count};
}

// Floats of a packed tile of A: whole lines, and one that packing may write beyond the last step.
int64_t packed_tile(const cpu::GemmTable& table, int64_t k) {
  return (k * table.rows + kPanelWidth - 1) / kPanelWidth * kPanelWidth + kPanelWidth;
}

// Whether more rows of `k` floats than a set of the first-level cache has ways begin in one set, so
// that a tile's rows would push each other out.
bool rows_collide(const cpu::GemmTable& table, int64_t k) {
  constexpr int64_t kSetsBytes = 4096, kWays = 8;
  const int64_t places = kSetsBytes / std::gcd(k * int64_t{sizeof(float)}, kSetsBytes);
  return table.rows > places * kWays;
}

// Sizes of a task's buffers, in floats; `k` counts steps of A.
struct Buffers {
  bool copies;  // tiles of A, a run at a time
  int64_t run, panels, tiles;
  int64_t a_stride, a, b_panel, b, state;

  Buffers(const Kernels& kernels, int64_t m, int64_t n, int64_t k, GemmRows rows) {
    const cpu::GemmTable& table = kernels.gemm;
    copies = rows != GemmRows::kStrided && rows_collide(table, k);
    run = std::min(k, (copies ? kCopiedSteps : kRunSteps) / kernels.steps);
    // With few rows reading B takes as long as using it: each panel is fetched while one is used.
    const int64_t most = m <= 4 * table.rows ? 1 : copies ? kCopiedPanels : kBlockPanels;
    panels = std::min((n + kPanelWidth - 1) / kPanelWidth, most);
    // Without a wait one state serves all tiles in turn; a leaf that fits a run may still wait.
    tiles = std::min(tile_count(table, m), kBlockTiles);
    a_stride = run + kPanelWidth;
    a = copies ? table.rows * a_stride : 0;
    b_panel = run * kernels.steps * kPanelWidth;
    b = panels * b_panel;
    state = (k <= run ? 1 : tiles * panels) * cpu::tile_state(table.rows);
  }
  int64_t total() const { return (a + b + state + 15) / 16 * 16; }
};

TaskGrid grid_of(Device& device, const cpu::GemmTable& table, int64_t m, int64_t n, int64_t k) {
  return make_task_grid(device.threads().size(), tile_count(table, m),
                        (n + kPanelWidth - 1) / kPanelWidth, m * n * k);
}

const float* element_of(const MatrixView& a, int64_t row, int64_t step) {
  return reinterpret_cast<const float*>(a.data) + row * a.row_stride + step * a.col_stride;
}

// Floats of A as it is written once for all tasks; `k` counts its steps.
int64_t rewritten_a(const cpu::GemmTable& table, int64_t m, int64_t k, GemmRows rows) {
  switch (rows) {
    case GemmRows::kAdjacent: return 0;
    case GemmRows::kStrided: return tile_count(table, m) * packed_tile(table, k);
    case GemmRows::kRounded: return (m * k + kPanelWidth - 1) / kPanelWidth * kPanelWidth;
  }
  return 0;
}

// A few steps of a few tiles at a time: where rows are adjacent, tiles share lines of memory.
void pack_tiles(Device& device, const cpu::GemmTable& table, const MatrixView& a, float* packed) {
  constexpr int64_t kTiles = 8, kSteps = 64;
  const int64_t size = packed_tile(table, a.cols);
  device.threads().parallel_for(tile_count(table, a.rows), kTiles, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin; first < end; first += kTiles) {
      for (int64_t step = 0; step < a.cols; step += kSteps) {
        for (int64_t t = first; t < std::min(end, first + kTiles); ++t) {
          const TaskGrid::Range rows = rows_of_tile(table, a.rows, t);
          table.pack_a(element_of(a, rows.begin, step), a.row_stride, a.col_stride,
                       static_cast<int>(rows.end - rows.begin), std::min(kSteps, a.cols - step),
                       packed + t * size + step * table.rows);
        }
      }
    }
  });
}

// A's rows rounded, without gaps.
MatrixView round_rows(Device& device, const Kernels& kernels, const MatrixView& a, float* words) {
  const MatrixView rounded = row_major(words, a.rows, a.cols / kernels.steps);
  const int64_t grain = std::max<int64_t>(1, 8192 / a.cols);
  for_each_adjacent_row(device, a, grain, [&](int64_t m, const float* row) {
    kernels.rounded->round_row(row, a.cols, words + m * rounded.cols);
  });
  return rounded;
}

// One task: rows of whole tiles times whole panels.
class GemmTask {
 public:
  // `a` is as the kernels' products see it; `packed_a` is null, or has A's tiles; `c` is all of C.
  GemmTask(const Kernels& kernels, const MatrixView& a, const float* packed_a, const MatrixView& b,
           const cpu::TileOutput& c, const LeafPlan& plan, const Buffers& sizes, float* buffer)
      : kernels_(kernels),
        a_(a),
        packed_a_(packed_a),
        b_(b),
        c_(c),
        plan_(plan),
        sizes_(sizes),
        copied_a_(buffer),
        packed_b_(copied_a_ + sizes_.a),
        state_(packed_b_ + sizes_.b) {}

  void run(TaskGrid::Range tiles, TaskGrid::Range panels) {
    for (int64_t t = tiles.begin; t < tiles.end; t += sizes_.tiles) {
      const TaskGrid::Range some = {t, std::min(tiles.end, t + sizes_.tiles)};
      for (int64_t p = panels.begin; p < panels.end; p += sizes_.panels) {
        run_block(some, {p, std::min(panels.end, p + sizes_.panels)});
      }
    }
  }

 private:
  using Range = TaskGrid::Range;

  void run_block(Range tiles, Range panels) {
    for (Range steps = {0, 0}; steps.begin < a_.cols; steps.begin = steps.end) {
      steps.end = chunk_end(plan_, steps.begin, sizes_.run);
      const SegmentList segments(plan_, steps.begin, steps.end);
      pack_panels(panels, steps);
      for (int64_t t = tiles.begin; t < tiles.end; ++t) {
        run_tile(t, tiles, panels, steps, segments);
      }
    }
  }

  void pack_panels(Range panels, Range steps) {
    const int64_t k0 = steps.begin * kernels_.steps, n0 = panels.begin * kPanelWidth;
    const int64_t k = (steps.end - steps.begin) * kernels_.steps;
    const int64_t columns = std::min(panels.end * kPanelWidth, b_.cols) - n0;
    if (packs_pairs()) return pack_pairs(k0, k, n0, columns);
    pack_b(kernels_.gemm, kernels_.quant, b_, k0, k, n0, columns, packed_b_, sizes_.b_panel);
    if (kernels_.rounded == nullptr) return;
    for (int64_t p = 0; p < panels.end - panels.begin; ++p) {
      kernels_.rounded->round_panel(packed_b_ + p * sizes_.b_panel, k);
    }
  }

  void pack_pairs(int64_t k0, int64_t k, int64_t n0, int64_t columns) {
    float* panel = packed_b_;
    for (int64_t n = n0; n < n0 + columns; n += kPanelWidth, panel += sizes_.b_panel) {
      const std::byte* first = b_.data + (k0 + n * b_.col_stride) * info(b_.dtype).block_bytes;
      kernels_.rounded->pack_rows(
          first, b_.col_stride, static_cast<int>(std::min<int64_t>(kPanelWidth, n0 + columns - n)),
          k, panel);
    }
  }

  // Whether B's elements can be packed as the words that they are part of.
  bool packs_pairs() const {
    return kernels_.steps == 2 && b_.dtype == DType::kBF16 && b_.row_stride == 1 &&
           b_.col_stride % 2 == 0;
  }

  void run_tile(int64_t tile, Range tiles, Range panels, Range steps, const SegmentList& segments) {
    const Range rows = rows_of_tile(kernels_.gemm, a_.rows, tile);
    cpu::GemmTile job = {.segments = segments.items.data(), .segment_count = segments.count};
    find_rows(job, tile, rows, steps);
    Range next = {0, 0};  // rows of the next tile, of which each panel fetches a share
    if (sizes_.copies && tile + 1 < tiles.end)
      next = rows_of_tile(kernels_.gemm, a_.rows, tile + 1);
    const int64_t count = panels.end - panels.begin;
    const int64_t share = (next.end - next.begin + count - 1) / count;
    const int64_t slot = sizes_.run < a_.cols ? (tile - tiles.begin) * sizes_.panels : -1;
    for (int64_t p = panels.begin; p < panels.end; ++p) {
      const int64_t index = p - panels.begin;
      job.b = packed_b_ + index * sizes_.b_panel;
      job.state = state_ + (slot < 0 ? 0 : slot + index) * cpu::tile_state(kernels_.gemm.rows);
      job.out = part_of(c_, rows.begin, p * kPanelWidth, kPanelWidth);
      job.next = element_of(a_, next.begin, steps.begin);
      job.next_rows = static_cast<int>(std::min(share, next.end - next.begin));
      next.begin += job.next_rows;
      (sizes_.copies ? kernels_.tile_fetching : kernels_.tile)(
          job, static_cast<int>(rows.end - rows.begin));
    }
  }

  // Where the kernel finds the tile's rows: packed, copied, or where they are.
  void find_rows(cpu::GemmTile& job, int64_t tile, Range rows, Range steps) {
    job.a = element_of(a_, rows.begin, steps.begin);
    job.a_stride = job.next_stride = a_.row_stride;
    if (packed_a_ != nullptr) {
      job.a =
          packed_a_ + tile * packed_tile(kernels_.gemm, a_.cols) + steps.begin * kernels_.gemm.rows;
    } else if (sizes_.copies) {
      for (int64_t m = 0; m < rows.end - rows.begin; ++m) {
        std::copy_n(job.a + m * a_.row_stride, steps.end - steps.begin,
                    copied_a_ + m * sizes_.a_stride);
      }
      job.a = copied_a_;
      job.a_stride = sizes_.a_stride;
    }
  }

  const Kernels& kernels_;
  const MatrixView& a_;
  const float* packed_a_;
  const MatrixView& b_;
  const cpu::TileOutput& c_;
  const LeafPlan& plan_;
  const Buffers& sizes_;
  float* copied_a_;
  float* packed_b_;
  float* state_;
};

// No steps: the product is zero.
void fill_empty(int64_t m, int64_t n, float* c, int64_t c_stride, const GemmOptions& options) {
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      const float product = options.bias == nullptr ? 0.0f : options.bias[j];
      const float* addend = options.addend;
      c[i * c_stride + j] = addend != nullptr ? addend[i * c_stride + j] + product : product;
    }
  }
}

// A few rows against weights whose steps are adjacent: these are read once, without packing.
bool takes_direct_path(const MatrixView& a, const MatrixView& b, GemmRows rows) {
  if (a.rows > cpu::kDirectRows || b.row_stride != 1) return false;
  return rows == GemmRows::kRounded ? b.dtype == DType::kBF16
                                    : !is_quantised(b.dtype) && rows == GemmRows::kAdjacent;
}

void run_direct(Device& device, const cpu::GemmTable& table, const MatrixView& a,
                const MatrixView& b, const cpu::TileOutput& c, const LeafPlan& plan) {
  const SegmentList segments(plan, 0, a.cols);
  const cpu::FloatSource type = float_source(b.dtype);
  const int64_t panels = (b.cols + kPanelWidth - 1) / kPanelWidth;
  const TaskGrid grid =
      make_task_grid(device.threads().size(), 1, panels, a.rows * b.cols * a.cols);
  device.threads().parallel_for(grid.count(), 1, [&](int64_t begin, int64_t end) {
    const int64_t stop = grid.column_part(end - 1, panels).end;
    for (int64_t p = grid.column_part(begin, panels).begin; p < stop; ++p) {
      const int64_t n0 = p * kPanelWidth;
      const cpu::DirectRows job = {.w = b.data + n0 * b.col_stride * info(b.dtype).block_bytes,
                                   .w_stride = b.col_stride,
                                   .x = reinterpret_cast<const float*>(a.data),
                                   .x_stride = a.row_stride,
                                   .segments = segments.items.data(),
                                   .segment_count = segments.count,
                                   .out = part_of(c, 0, n0, kPanelWidth)};
      table.direct(type, job, static_cast<int>(a.rows));
    }
  });
}

GemmRows rows_of(const MatrixView& a, const GemmOptions& options) {
  if (options.rounded) return GemmRows::kRounded;
  return a.col_stride == 1 ? GemmRows::kAdjacent : GemmRows::kStrided;
}

void check_gemm(const MatrixView& a, const MatrixView& b) {
  check(a.dtype == DType::kF32, "gemm", "A is {}; wants f32", name(a.dtype));
  check(is_quantised(b.dtype) || (is_floating(b.dtype) && b.dtype != DType::kF64), "gemm",
        "B is {}; wants f32, f16, bf16 or a quantised type", name(b.dtype));
  check(a.cols == b.rows, "gemm", "A is [{}, {}], B [{}, {}]; wants equal inner sizes", a.rows,
        a.cols, b.rows, b.cols);
}

}  // namespace

size_t gemm_workspace(Device& device, int64_t m, int64_t n, int64_t k, GemmRows rows) {
  if (m <= 0 || n <= 0 || k <= 0) return 0;
  const Kernels kernels(device, rows, k);
  const int64_t tasks = grid_of(device, kernels.gemm, m, n, k).count();
  // A few rows may be rounded to floats.
  const int64_t a_steps = m <= cpu::kDirectRows ? k : k / kernels.steps;
  return static_cast<size_t>(tasks * Buffers(kernels, m, n, k / kernels.steps, rows).total() +
                             rewritten_a(kernels.gemm, m, a_steps, rows)) *
         sizeof(float);
}

void gemm(Device& device, const MatrixView& a, const MatrixView& b, float* c, int64_t c_stride,
          const GemmOptions& options, std::byte* workspace) {
  check_gemm(a, b);
  if (a.rows == 0 || b.cols == 0) return;
  if (a.cols == 0) return fill_empty(a.rows, b.cols, c, c_stride, options);
  const GemmRows rows = rows_of(a, options);
  const bool direct = takes_direct_path(a, b, rows);
  const Kernels kernels(device, rows, direct ? 1 : a.cols);
  LeafPlan plan = plan_leaves(a.cols, options.leaf_unit, options.max_leaves);
  for (int64_t& start : plan.starts) start /= kernels.steps;
  const cpu::TileOutput out = {.c = c,
                               .c_stride = c_stride,
                               .columns = static_cast<int>(b.cols),
                               .bias = options.bias,
                               .addend = options.addend};
  if (direct && rows == GemmRows::kAdjacent) {
    return run_direct(device, kernels.gemm, a, b, out, plan);
  }
  std::shared_ptr<Storage> own;
  if (workspace == nullptr) {
    own = Storage::allocate(device.shared_from_this(),
                            gemm_workspace(device, a.rows, b.cols, a.cols, rows));
    workspace = own->data();
  }
  auto* rewritten = reinterpret_cast<float*>(workspace);
  MatrixView words = a;
  if (rows == GemmRows::kStrided) pack_tiles(device, kernels.gemm, a, rewritten);
  if (rows == GemmRows::kRounded) words = round_rows(device, kernels, a, rewritten);
  if (direct) return run_direct(device, kernels.gemm, words, b, out, plan);
  const float* packed_a = rows == GemmRows::kStrided ? rewritten : nullptr;
  float* buffers = rewritten + rewritten_a(kernels.gemm, a.rows, words.cols, rows);

  const Buffers sizes(kernels, a.rows, b.cols, words.cols, rows);
  const TaskGrid grid = grid_of(device, kernels.gemm, a.rows, b.cols, a.cols);
  const int64_t tiles = tile_count(kernels.gemm, a.rows);
  const int64_t panels = (b.cols + kPanelWidth - 1) / kPanelWidth;
  device.threads().parallel_for(grid.count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      GemmTask(kernels, words, packed_a, b, out, plan, sizes, buffers + i * sizes.total())
          .run(grid.row_part(i, tiles), grid.column_part(i, panels));
    }
  });
}

void gemm_f64(const MatrixView& a, const MatrixView& b, double* c, int64_t c_stride) {
  check(a.dtype == DType::kF64 && b.dtype == DType::kF64 && a.cols == b.rows, "gemm_f64",
        "A is [{}, {}] of {}, B [{}, {}] of {}; wants f64 with equal inner sizes", a.rows, a.cols,
        name(a.dtype), b.rows, b.cols, name(b.dtype));
  const auto* x = reinterpret_cast<const double*>(a.data);
  const auto* y = reinterpret_cast<const double*>(b.data);
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < b.cols; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < a.cols; ++k) {
        sum += x[i * a.row_stride + k * a.col_stride] * y[k * b.row_stride + j * b.col_stride];
      }
      c[i * c_stride + j] = sum;
    }
  }
}

}  // namespace yiti
