// The fusions that sessions apply: one entry each.
#include "inference/passes/passes.h"
#include "ops/elementwise/binary.h"
#include "ops/fused/add_rms_norm.h"
#include "ops/fused/linear3.h"
#include "ops/fused/linear_swiglu.h"
#include "ops/linear/linear.h"
#include "ops/norm/rms_norm.h"
#include "ops/norm/swiglu.h"

namespace yiti {
namespace {

constexpr int kStep0 = Fusion::kStep0, kStep1 = Fusion::kStep0 - 1, kNoBias = Fusion::kAbsent;

bool same(const LinearAttrs& a, const LinearAttrs& b) {
  return a.leaf_unit == b.leaf_unit && a.exact_activations == b.exact_activations;
}

// What the first `count` steps, linear ops all, agree on.
template <size_t count>
std::optional<Attrs> shared_linear(std::span<const Attrs> steps) {
  for (size_t i = 1; i < count; ++i) {
    if (!same(steps[0].as<LinearAttrs>(), steps[i].as<LinearAttrs>())) return std::nullopt;
  }
  return steps[0];
}

}  // namespace

std::span<const Fusion> all_fusions() {
  static const std::vector<Fusion> list = {
      {.name = "linear_swiglu",
       .op = &linear_swiglu_op(),
       .steps = {{&linear_op(), {0, 1, kNoBias}},
                 {&linear_op(), {0, 2, kNoBias}},
                 {&swiglu_op(), {kStep0, kStep1}}},
       .outputs = {2},
       .attrs = shared_linear<2>},
      {.name = "linear3",
       .op = &linear3_op(),
       .steps = {{&linear_op(), {0, 1, kNoBias}},
                 {&linear_op(), {0, 2, kNoBias}},
                 {&linear_op(), {0, 3, kNoBias}}},
       .outputs = {0, 1, 2},
       .attrs = shared_linear<3>},
      {.name = "add_rms_norm",
       .op = &add_rms_norm_op(),
       .steps = {{&add_op(), {0, 1}}, {&rms_norm_op(), {kStep0, 2}}},
       .outputs = {0, 1},
       .attrs = [](std::span<const Attrs> steps) { return std::optional(steps[1]); }},
  };
  return list;
}

}  // namespace yiti
