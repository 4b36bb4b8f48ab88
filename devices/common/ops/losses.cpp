// Cross-entropy, of logits and of a linear map whose logits never exist all at once.
#include <algorithm>

#include "devices/common/element_types.h"
#include "devices/common/ops.h"
#include "devices/common/products.h"

namespace yiti::devices {
namespace {

BuildOptions label_options(const Operand& labels) {
  return BuildOptions().define("-DLABEL=", index_type(labels));
}

// Some rows of logits, the first of which has label `first`.
struct Rows {
  Place logits;
  int64_t first, count, classes;
};

// Loss and, where `lse` is somewhere, lse of the rows.
void losses(Launcher& run, const Operand& labels, const Rows& rows, const Pointer& loss,
            const Pointer& lse, bool keeps_lse) {
  run.rows({"losses", "cross_entropy", label_options(labels)}, rows.count, floats(rows.logits),
           pointer(labels), loss, lse, keeps_lse ? 1 : 0, rows.first, rows.classes,
           Launcher::kFault);
}

// The gradient for logits, which may be where they are; of the sum of losses without `dloss`.
void slopes(Launcher& run, const Operand& labels, const Rows& rows, const Pointer& lse,
            const Operand& dloss, const Place& target) {
  run.rows({"losses", "cross_entropy_backward", label_options(labels)}, rows.count,
           floats(rows.logits), pointer(labels), lse, pointer(dloss), dloss ? 1 : 0, floats(target),
           rows.first, rows.classes, Launcher::kFault);
}

Rows all_rows(const Operand& logits) {
  return {pointer(logits).place, 0, logits.dim(0), logits.dim(1)};
}

void cross_entropy(Launcher& run, const Call& call) {
  require_f32(call, 1);
  const Operand lse = call.out(1);
  losses(run, call.in(1), all_rows(call.in(0)), pointer(call.out(0)), pointer(lse),
         static_cast<bool>(lse));
}

void cross_entropy_backward(Launcher& run, const Call& call) {
  require_f32(call, 4);
  slopes(run, call.in(1), all_rows(call.in(0)), pointer(call.in(2)), call.in(3),
         pointer(call.out(0)).place);
}

// Calls visit(Rows) for a chunk of rows after the other.
template <class Visit>
void for_chunks(Launcher& run, const Call& call, Visit visit) {
  const Operand x = call.in(0), weight = call.in(1);
  require(x.is_f32(), "takes f32; got {}", dtype_name(x.dtype()));
  const int64_t rows = x.dim(0), chunk = std::min(call.integer("chunk"), rows);
  const Place logits = run.take_floats(chunk * weight.dim(0));
  for (int64_t first = 0; first < rows; first += chunk) {
    const Launcher::Scope scope(run);
    const int64_t count = std::min(chunk, rows - first);
    linear(run, pointer(x).place.at(first * x.dim(1) * 4), count, weight, Operand(nullptr),
           call.flag("exact_activations"), logits);
    visit(Rows{logits, first, count, weight.dim(0)});
  }
}

void linear_cross_entropy(Launcher& run, const Call& call) {
  const Operand lse = call.out(1);
  for_chunks(run, call, [&](const Rows& rows) {
    losses(run, call.in(2), rows, pointer(call.out(0)), pointer(lse), static_cast<bool>(lse));
  });
}

// The same logits serve the loss and, where it is wanted, dx.
void linear_cross_entropy_frozen(Launcher& run, const Call& call) {
  const Operand dx = call.out(1);
  const bool wants_dx = run.plans() || dx;
  const int64_t width = call.in(1).dim(1);
  const Pointer lse = floats(run.take_floats(call.in(0).dim(0)));
  const bool rounds = rounds_activations(call.in(1), call.flag("exact_activations"));
  const FloatMatrix values = wants_dx ? float_weight(run, call.in(1), rounds) : FloatMatrix{};
  for_chunks(run, call, [&](const Rows& rows) {
    losses(run, call.in(2), rows, pointer(call.out(0)), lse, true);
    if (!wants_dx) return;
    slopes(run, call.in(2), rows, lse, Operand(nullptr), rows.logits);
    multiply(run, row_major(rows.logits, rows.count, rows.classes), values,
             pointer(dx).place.at(rows.first * width * 4), {.rounds = rounds});
  });
}

void linear_cross_entropy_backward(Launcher& run, const Call& call) {
  const Operand x = call.in(0), weight = call.in(1), dx = call.out(0), dweight = call.out(1);
  require(weight.is_f32(), "takes no weight of {}", dtype_name(weight.dtype()));
  const int64_t width = weight.dim(1);
  run.clear(pointer(dweight).place, dweight.numel() * 4);
  for_chunks(run, call, [&](const Rows& rows) {
    slopes(run, call.in(2), rows, pointer(call.in(3)), call.in(4), rows.logits);
    const FloatMatrix dlogits = row_major(rows.logits, rows.count, rows.classes);
    const int64_t start = rows.first * width * 4;
    multiply(run, dlogits, as_rows(weight), pointer(dx).place.at(start));
    multiply(run, dlogits.transposed(), row_major(pointer(x).place.at(start), rows.count, width),
             pointer(dweight).place, {.accumulates = true, .rows_together = true});
  });
}

constexpr OpEntry kOps[] = {
    {"cross_entropy", cross_entropy},
    {"cross_entropy_backward", cross_entropy_backward},
    {"linear_cross_entropy", linear_cross_entropy},
    {"linear_cross_entropy_frozen", linear_cross_entropy_frozen},
    {"linear_cross_entropy_backward", linear_cross_entropy_backward},
};

}  // namespace

std::span<const OpEntry> loss_ops() { return kOps; }

}  // namespace yiti::devices
