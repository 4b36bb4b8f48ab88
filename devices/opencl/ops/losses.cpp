// Cross-entropy, of logits and of a linear map whose logits never exist all at once.
#include <algorithm>

#include "devices/opencl/ops.h"
#include "devices/opencl/products.h"

namespace yiti::opencl {
namespace {

std::string label_options(const Operand& labels) {
  return labels.dtype() == YITI_DTYPE_I64 ? "-DLABEL=long" : "-DLABEL=int";
}

// Loss and lse of `rows` rows of logits, the first of which has label `first`.
void losses(Launcher& run, const Call& call, const Operand& labels, const Place& logits,
            int64_t first, int64_t rows, int64_t classes) {
  const Operand lse = call.out(1);
  run.rows({"losses", "cross_entropy", label_options(labels)}, rows, floats(logits),
           pointer(labels), pointer(call.out(0)), pointer(lse), lse ? 1 : 0, first, classes,
           Launcher::kFault);
}

// The gradient for logits, from `lse` and `dloss` on; target may be the logits themselves.
void slopes(Launcher& run, const Operand& labels, const Operand& lse, const Operand& dloss,
            const Place& logits, const Place& target, int64_t first, int64_t rows,
            int64_t classes) {
  run.rows({"losses", "cross_entropy_backward", label_options(labels)}, rows, floats(logits),
           pointer(labels), pointer(lse), pointer(dloss), floats(target), first, classes,
           Launcher::kFault);
}

void cross_entropy(Launcher& run, const Call& call) {
  require_f32(call, 1);
  const Operand logits = call.in(0);
  losses(run, call, call.in(1), pointer(logits).place, 0, logits.dim(0), logits.dim(1));
}

void cross_entropy_backward(Launcher& run, const Call& call) {
  require_f32(call, 4);
  const Operand logits = call.in(0);
  slopes(run, call.in(1), call.in(2), call.in(3), pointer(logits).place, pointer(call.out(0)).place,
         0, logits.dim(0), logits.dim(1));
}

// Calls visit(first row, rows, logits) for a chunk of rows after the other.
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
    visit(first, count, logits);
  }
}

void linear_cross_entropy(Launcher& run, const Call& call) {
  for_chunks(run, call, [&](int64_t first, int64_t count, const Place& logits) {
    losses(run, call, call.in(2), logits, first, count, call.in(1).dim(0));
  });
}

// dx, and dweight where there is a second output.
void linear_cross_entropy_backward(Launcher& run, const Call& call) {
  const Operand x = call.in(0), weight = call.in(1), dx = call.out(0), dweight = call.out(1);
  const bool wants_weight = call.op() == "linear_cross_entropy_backward";
  require(!wants_weight || weight.is_f32(), "takes no weight of {}", dtype_name(weight.dtype()));
  const int64_t classes = weight.dim(0), width = weight.dim(1);
  const FloatMatrix values = float_weight(run, weight);
  if (wants_weight) run.clear(pointer(dweight).place, dweight.numel() * 4);
  for_chunks(run, call, [&](int64_t first, int64_t count, const Place& logits) {
    slopes(run, call.in(2), call.in(3), call.in(4), logits, logits, first, count, classes);
    const FloatMatrix dlogits = row_major(logits, count, classes);
    const int64_t start = first * width * 4;
    multiply(run, dlogits, values, pointer(dx).place.at(start));
    if (!wants_weight) return;
    multiply(run, dlogits.transposed(), row_major(pointer(x).place.at(start), count, width),
             pointer(dweight).place, {.accumulates = true});
  });
}

constexpr OpEntry kOps[] = {
    {"cross_entropy", cross_entropy},
    {"cross_entropy_backward", cross_entropy_backward},
    {"linear_cross_entropy", linear_cross_entropy},
    {"linear_cross_entropy_backward_input", linear_cross_entropy_backward},
    {"linear_cross_entropy_backward", linear_cross_entropy_backward},
};

}  // namespace

std::span<const OpEntry> loss_ops() { return kOps; }

}  // namespace yiti::opencl
