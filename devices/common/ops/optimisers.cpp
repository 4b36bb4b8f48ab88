// Updates of parameters in place.
#include <cmath>
#include <vector>

#include "devices/common/adamw.h"
#include "devices/common/ops.h"

namespace yiti::devices {
namespace {

void adamw_step(Launcher& run, const Call& call) {
  require_f32(call, call.inputs());
  const double beta1 = call.number("beta1"), beta2 = call.number("beta2"), lr = call.number("lr");
  const auto step = static_cast<double>(call.integer("step"));
  const auto f = [](double value) { return static_cast<float>(value); };
  const AdamwScalars s{.grad_scale = call.real("grad_scale"),
                       .decay = f(1 - lr * call.number("weight_decay")),
                       .mix1 = f(1 - beta1),
                       .beta2 = f(beta2),
                       .mix2 = f(1 - beta2),
                       .root_correction2 = f(std::sqrt(1 - std::pow(beta2, step))),
                       .eps = call.real("eps"),
                       .step_size = f(lr / (1 - std::pow(beta1, step)))};
  std::vector<AdamwTensors> lists;
  for (int i = 0; 4 * i < call.inputs(); ++i) {
    lists.push_back(
        {call.out(3 * i), call.in(4 * i + 1), call.out(3 * i + 1), call.out(3 * i + 2)});
  }
  if (run.backend().update(run, {lists, s})) return;
  for (const auto& [param, grad, m, v] : lists) {
    run.each({"optimisers", "adamw_step", ""}, param.numel(), pointer(param), pointer(grad),
             pointer(m), pointer(v), s.grad_scale, s.decay, s.mix1, s.beta2, s.mix2,
             s.root_correction2, s.eps, s.step_size);
  }
}

void run_sgd(Launcher& run, const Call& call, bool has_buffer) {
  require_f32(call, call.inputs());
  const int inputs = has_buffer ? 3 : 2, outputs = inputs - 1;
  for (int i = 0; inputs * i < call.inputs(); ++i) {
    const Operand param = call.out(outputs * i);
    const Operand buffer = has_buffer ? call.out(outputs * i + 1) : Operand(nullptr);
    run.each({"optimisers", "sgd_step", ""}, param.numel(), pointer(param),
             pointer(call.in(inputs * i + 1)), pointer(buffer), has_buffer ? 1 : 0,
             call.real("grad_scale"), call.real("weight_decay"), call.real("momentum"),
             call.real("lr"), call.flag("nesterov") ? 1 : 0);
  }
}

void sgd_step(Launcher& run, const Call& call) { run_sgd(run, call, false); }
void sgd_momentum_step(Launcher& run, const Call& call) { run_sgd(run, call, true); }

constexpr OpEntry kOps[] = {
    {"adamw_step", adamw_step, 0, true},
    {"sgd_step", sgd_step, 0, true},
    {"sgd_momentum_step", sgd_momentum_step, 0, true},
};

}  // namespace

std::span<const OpEntry> optimiser_ops() { return kOps; }

}  // namespace yiti::devices
