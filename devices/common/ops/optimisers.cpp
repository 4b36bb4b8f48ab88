// Updates of parameters in place.
#include <cmath>

#include "devices/common/ops.h"

namespace yiti::devices {
namespace {

void adamw_step(Launcher& run, const Call& call) {
  require_f32(call, 4);
  const double beta1 = call.number("beta1"), beta2 = call.number("beta2"), lr = call.number("lr");
  const auto step = static_cast<double>(call.integer("step"));
  const auto f = [](double value) { return static_cast<float>(value); };
  run.each({"optimisers", "adamw_step", ""}, call.out(0).numel(), pointer(call.out(0)),
           pointer(call.in(1)), pointer(call.out(1)), pointer(call.out(2)), call.real("grad_scale"),
           f(1 - lr * call.number("weight_decay")), f(1 - beta1), f(beta2), f(1 - beta2),
           f(std::sqrt(1 - std::pow(beta2, step))), call.real("eps"),
           f(lr / (1 - std::pow(beta1, step))));
}

void sgd_step(Launcher& run, const Call& call) {
  require_f32(call, 3);
  const Operand buffer = call.out(1);
  run.each({"optimisers", "sgd_step", ""}, call.out(0).numel(), pointer(call.out(0)),
           pointer(call.in(1)), pointer(buffer), buffer ? 1 : 0, call.real("grad_scale"),
           call.real("weight_decay"), call.real("momentum"), call.real("lr"),
           call.flag("nesterov") ? 1 : 0);
}

constexpr OpEntry kOps[] = {
    {"adamw_step", adamw_step},
    {"sgd_step", sgd_step},
    {"sgd_momentum_step", sgd_step},
};

}  // namespace

std::span<const OpEntry> optimiser_ops() { return kOps; }

}  // namespace yiti::devices
