// Sums, means, extrema and their places along axes.
#include "devices/common/element_types.h"
#include "devices/common/ops.h"
#include "devices/common/walks.h"

namespace yiti::devices {
namespace {

// A group for each element that is left when the axes whose bit is set are folded.
void fold(Launcher& run, const Call& call, unsigned folded_axes) {
  const Operand x = call.in(0), y = call.out(0);
  Walk kept, folded;
  int64_t count = 1;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const bool folds = (folded_axes >> axis & 1u) != 0;
    Walk& walk = folds ? folded : kept;
    walk.size[static_cast<size_t>(walk.rank)] = x.dim(axis);
    walk.step[static_cast<size_t>(walk.rank++)] = x.stride(axis);
    if (folds) count *= x.dim(axis);
  }
  const std::string name = fmt::format("{}_walk", call.op());
  run.rows({"reductions", name.c_str(), number_options(x)}, y.numel(), pointer(x), kept, folded,
           count, pointer(y));
}

void reduce(Launcher& run, const Call& call) {
  unsigned axes = 0;
  for (const int64_t axis : call.integers("axes")) {
    axes |= 1u << (axis < 0 ? axis + call.in(0).rank() : axis);
  }
  fold(run, call, axes == 0 ? ~0u : axes);
}

void best(Launcher& run, const Call& call) { fold(run, call, 1u << call.axis("axis", call.in(0))); }

void square_sum(Launcher& run, const Call& call) {
  constexpr int64_t kChunk = 4096;  // CHUNK in kernels/reductions.cl
  const Operand x = call.in(0);
  require_f32(call, 1);
  require(run.backend().has_doubles(), "the device has no f64");
  const int64_t chunks = (x.numel() + kChunk - 1) / kChunk;
  const Pointer parts = {run.take(chunks * 8), 8};
  run.rows({"reductions", "chunk_squares", "-DSQUARES"}, chunks, pointer(x), x.numel(), parts);
  run.rows({"reductions", "add_parts", "-DSQUARES"}, 1, parts, chunks, pointer(call.out(0)));
}

// Long rows in two steps, so that many groups look at one: the best of parts, then of those.
void top_k(Launcher& run, const Call& call) {
  constexpr int64_t kPart = 2048;
  require_f32(call, 1);
  const Operand x = call.in(0);
  const Pointer values = pointer(call.out(0)), places = pointer(call.out(1));
  const KernelId kernel = {"reductions", "top_k", number_options(x)};
  const int64_t k = call.integer("k"), width = x.width(), rows = k == 0 ? 0 : x.rows();
  const int64_t parts = (width + kPart - 1) / kPart, found = parts * k;
  if (2 * found > width) {
    return run.rows(kernel, rows, pointer(x), Pointer{{}, 8}, 0, values, places, k, width, width,
                    int64_t{1});
  }
  const Pointer best = floats(run.take_floats(rows * found));
  const Pointer best_places = {run.take(rows * found * 8), 8};
  run.rows(kernel, rows * parts, pointer(x), Pointer{{}, 8}, 0, best, best_places, k, width, kPart,
           parts);
  run.rows(kernel, rows, best, best_places, 1, values, places, k, found, found, int64_t{1});
}

constexpr OpEntry kOps[] = {
    {"sum", reduce, 1},  {"mean", reduce, 1}, {"max", reduce, 1},         {"min", reduce, 1},
    {"argmax", best, 1}, {"argmin", best, 1}, {"square_sum", square_sum}, {"top_k", top_k},
};

}  // namespace

std::span<const OpEntry> reduction_ops() { return kOps; }

}  // namespace yiti::devices
