// Norms and softmax, a group of work-items a row.
#include "devices/common/ops.h"
#include "devices/common/rms_norm.h"

namespace yiti::devices {
namespace {

Pointer nothing() { return {{}, 1}; }

void run_rms_norm(Launcher& run, const RmsNormCall& call) {
  if (run.backend().normalise(run, call)) return;
  const Operand& x = call.x;
  run.rows({"norms", "rms_norm", ""}, x.rows(), pointer(x), pointer(call.other),
           pointer(call.weight), pointer(call.sum), pointer(call.y), pointer(call.rstd), call.eps,
           call.other ? 1 : 0, call.rstd ? 1 : 0, x.width());
}

void rms_norm(Launcher& run, const Call& call) {
  require_f32(call, 2);
  const Operand none(nullptr);
  run_rms_norm(run,
               {call.in(0), none, call.in(1), none, call.out(0), call.out(1), call.real("eps")});
}

void add_rms_norm(Launcher& run, const Call& call) {
  require_f32(call, 3);
  const Operand x = call.in(0), y = call.in(1);
  require(x.numel() == y.numel(), "x and y differ in shape");
  run_rms_norm(run,
               {x, y, call.in(2), call.out(0), call.out(1), Operand(nullptr), call.real("eps")});
}

void rms_norm_backward_input(Launcher& run, const Call& call) {
  require_f32(call, 4);
  const Operand x = call.in(0);
  run.rows({"norms", "rms_norm_backward", ""}, x.rows(), pointer(x), pointer(call.in(1)),
           pointer(call.in(2)), pointer(call.in(3)), pointer(call.out(0)), x.width());
}

void rms_norm_backward_weight(Launcher& run, const Call& call) {
  require_f32(call, 3);
  const Operand x = call.in(0);
  run.each({"norms", "norm_backward_weight", ""}, x.width(), pointer(x), nothing(),
           pointer(call.in(1)), pointer(call.in(2)), pointer(call.out(0)), nothing(), 0, x.rows());
}

void layer_norm(Launcher& run, const Call& call) {
  require_f32(call, 3);
  const Operand x = call.in(0), weight = call.in(1), bias = call.in(2);
  // Mean and rstd are wanted both or not at all: a gradient reads both.
  run.rows({"norms", "layer_norm", ""}, x.rows(), pointer(x), pointer(weight), pointer(bias),
           pointer(call.out(0)), pointer(call.out(1)), pointer(call.out(2)), call.real("eps"),
           weight ? 1 : 0, bias ? 1 : 0, call.out(1) && call.out(2) ? 1 : 0, x.width());
}

void layer_norm_backward_input(Launcher& run, const Call& call) {
  require_f32(call, 5);
  const Operand x = call.in(0), weight = call.in(1);
  run.rows({"norms", "layer_norm_backward", ""}, x.rows(), pointer(x), pointer(weight),
           pointer(call.in(2)), pointer(call.in(3)), pointer(call.in(4)), pointer(call.out(0)),
           weight ? 1 : 0, x.width());
}

void layer_norm_backward_weight(Launcher& run, const Call& call) {
  require_f32(call, 4);
  const Operand x = call.in(0);
  run.each({"norms", "norm_backward_weight", ""}, x.width(), pointer(x), pointer(call.in(1)),
           pointer(call.in(2)), pointer(call.in(3)), pointer(call.out(0)), pointer(call.out(1)), 1,
           x.rows());
}

void softmax(Launcher& run, const Call& call) {
  require_f32(call, 1);
  const std::string name(call.op());
  run.rows({"norms", name.c_str(), ""}, call.in(0).rows(), pointer(call.in(0)),
           pointer(call.out(0)), call.in(0).width());
}

void softmax_backward(Launcher& run, const Call& call) {
  require_f32(call, 2);
  const std::string name(call.op());
  run.rows({"norms", name.c_str(), ""}, call.in(0).rows(), pointer(call.in(0)), pointer(call.in(1)),
           pointer(call.out(0)), call.in(0).width());
}

constexpr OpEntry kOps[] = {
    {"rms_norm", rms_norm},
    {"add_rms_norm", add_rms_norm},
    {"rms_norm_backward_input", rms_norm_backward_input},
    {"rms_norm_backward_weight", rms_norm_backward_weight},
    {"layer_norm", layer_norm},
    {"layer_norm_backward_input", layer_norm_backward_input},
    {"layer_norm_backward_weight", layer_norm_backward_weight},
    {"softmax", softmax},
    {"log_softmax", softmax},
    {"softmax_backward", softmax_backward},
    {"log_softmax_backward", softmax_backward},
};

}  // namespace

std::span<const OpEntry> norm_ops() { return kOps; }

}  // namespace yiti::devices
