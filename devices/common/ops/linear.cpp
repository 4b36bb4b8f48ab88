// Products with weights, and the ops that share them.
#include <array>
#include <optional>

#include "devices/common/ops.h"
#include "devices/common/products.h"
#include "devices/common/walks.h"

namespace yiti::devices {
namespace {

void require_floats(const Call& call) {
  require(call.in(0).is_f32(), "takes f32; got {}", dtype_name(call.in(0).dtype()));
}

void run_linear(Launcher& run, const Call& call) {
  require_floats(call);
  const Operand x = call.in(0);
  linear(run, pointer(x).place, x.rows(), call.in(1), call.in(2), call.flag("exact_activations"),
         pointer(call.out(0)).place);
}

struct WeightedRows {
  Operand weight;
  Place y;
};

// The same rows with each weight; quantised ones meet the same codes.
void multiply_each(Launcher& run, const Operand& x, bool exact,
                   std::span<const WeightedRows> products) {
  const Place place = pointer(x).place;
  std::optional<QuantisedRows> codes;
  for (const auto& [weight, y] : products) {
    if (exact || !is_quantised(weight.dtype())) {
      linear(run, place, x.rows(), weight, Operand(nullptr), exact, y);
      continue;
    }
    if (!codes) codes.emplace(run, place, x.rows(), x.width());
    codes->multiply(run, weight, Operand(nullptr), y);
  }
}

void linear3(Launcher& run, const Call& call) {
  require_floats(call);
  const auto product = [&](int i) {
    return WeightedRows{call.in(1 + i), pointer(call.out(i)).place};
  };
  multiply_each(run, call.in(0), call.flag("exact_activations"),
                std::array{product(0), product(1), product(2)});
}

void linear_swiglu(Launcher& run, const Call& call) {
  require_floats(call);
  const Operand x = call.in(0), gate = call.in(1), up = call.in(2);
  const bool exact = call.flag("exact_activations");
  if (gate.dtype() == up.dtype() && run.backend().gates(gate, exact)) {
    const Place y = pointer(call.out(0)).place;
    if (!is_quantised(gate.dtype())) {
      return multiply(run, as_rows(x), as_rows(gate).transposed(), y,
                      {.rounds = rounds_activations(gate, exact), .up = up});
    }
    return QuantisedRows(run, pointer(x).place, x.rows(), x.width())
        .multiply(run, gate, Operand(nullptr), y, up);
  }
  const int64_t count = x.rows() * gate.dim(0);
  const Place gated = run.take_floats(count), raised = run.take_floats(count);
  multiply_each(run, x, exact, std::array{WeightedRows{gate, gated}, WeightedRows{up, raised}});
  run.each({"elementwise", "swiglu", ""}, count, floats(gated), floats(raised),
           pointer(call.out(0)));
}

void linear_backward_input(Launcher& run, const Call& call) {
  require_floats(call);
  const bool rounds = rounds_activations(call.in(1), call.flag("exact_activations"));
  multiply(run, as_rows(call.in(0)), float_weight(run, call.in(1), rounds),
           pointer(call.out(0)).place, {.rounds = rounds});
}

void linear_backward_weight(Launcher& run, const Call& call) {
  require_f32(call, 2);
  multiply(run, as_rows(call.in(0)).transposed(), as_rows(call.in(1)), pointer(call.out(0)).place,
           {.rows_together = true});
}

void dequantise(Launcher& run, const Call& call) {
  const Operand weight = call.in(0);
  require(is_quantised(weight.dtype()), "takes quantised types; got {}",
          dtype_name(weight.dtype()));
  run.each({"quantised", "dequantise", quantised_options(weight)}, weight.numel() / 32,
           pointer(weight), pointer(call.out(0)), weight.dim(1) / 32);
}

// A matrix of x [..., rows, columns] with any strides, of batch `index` of `out`.
FloatMatrix matrix_at(const Operand& x, const Operand& out, int64_t index) {
  const int batch_axes = out.rank() - 2;
  int64_t first = 0;
  for (int axis = batch_axes - 1; axis >= 0; --axis) {
    const int own = axis - batch_axes + x.rank() - 2;
    if (own >= 0 && x.dim(own) != 1) first += index % out.dim(axis) * x.stride(own);
    index /= out.dim(axis);
  }
  return {pointer(x).place.at(first * 4),
          x.dim(-2),
          x.dim(-1),
          x.stride(-2),
          x.stride(-1),
          YITI_DTYPE_F32};
}

void matmul(Launcher& run, const Call& call) {
  require_f32(call, 2);
  const Operand y = call.out(0);
  const int64_t size = y.dim(-2) * y.dim(-1);
  for (int64_t i = 0; i < y.numel(0, y.rank() - 2); ++i) {
    const Launcher::Scope scope(run);
    multiply(run, matrix_at(call.in(0), y, i), matrix_at(call.in(1), y, i),
             pointer(y).place.at(i * size * 4));
  }
}

constexpr OpEntry kOps[] = {
    {"linear", run_linear},
    {"linear3", linear3},
    {"linear_swiglu", linear_swiglu},
    {"linear_backward_input", linear_backward_input},
    {"linear_backward_weight", linear_backward_weight},
    {"dequantise", dequantise},
    {"matmul", matmul, 3},
};

}  // namespace

std::span<const OpEntry> linear_ops() { return kOps; }

}  // namespace yiti::devices
