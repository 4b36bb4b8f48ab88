// Optimisers and schedules, as training loops in Python use them.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/python/src/bindings.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/devices.h"
#include "bindings/python/src/engine.h"
#include "core/shape_text.h"
#include "ops/elementwise/scale.h"
#include "training/optimizer.h"
#include "training/schedule.h"

namespace yiti::python {
namespace {

// The state of an optimiser over parameters that Python holds.
class OptimizerState {
 public:
  OptimizerState(const OptimizerOptions& options, const std::vector<Tensor>& parameters) {
    for (const Tensor& parameter : parameters) {
      check(parameter.is_contiguous(), "optimizer", "a parameter of {} is not contiguous",
            parameter.shape());
      check(tape().follows(parameter), "optimizer", "a parameter of {} does not require a gradient",
            parameter.shape());
      parameters_.push_back(parameter);
    }
    optimizer_ = make_optimizer(options, parameters_);
  }

  void step(double lr, double grad_scale) {
    with_tape([&] {
      std::vector<Tensor> values, gradients;
      for (const Tensor& parameter : parameters_) {
        values.push_back(parameter.detached());
        const Tensor grad = tape().grad(parameter);
        gradients.push_back(grad.defined() ? grad.contiguous() : grad);
      }
      optimizer_->update(values, gradients, lr, grad_scale, ++steps_);
    });
  }

  void forget_gradients() {
    with_tape([&] {
      for (const Tensor& parameter : parameters_) tape().set_grad(parameter, {});
    });
  }

  nb::dict state() const {
    nb::dict state;
    for (const auto& [name, tensors] : optimizer_->state()) {
      for (size_t i = 0; i < tensors.size(); ++i) {
        state[fmt::format("{}.{}", name, i).c_str()] = tensors[i];
      }
    }
    state["step"] = Tensor::from(std::vector<int64_t>{steps_}, {}, parameters_.at(0).device());
    return state;
  }

  void restore(const nb::dict& state) {
    for (const auto& [name, tensors] : optimizer_->state()) {
      for (size_t i = 0; i < tensors.size(); ++i) {
        const std::string key = fmt::format("{}.{}", name, i);
        if (!state.contains(key.c_str())) {
          fail(Code::kNotFound, "optimizer", "the state has no {}", key);
        }
        const Tensor source = tensor_from(state[key.c_str()], key);
        check(source.shape() == tensors[i].shape() && source.dtype() == tensors[i].dtype(),
              "optimizer", "{} is {} of {}; wants {} of {}", key, source.shape(), name_of(source),
              tensors[i].shape(), name_of(tensors[i]));
        write_elements(source.detached(), tensors[i]);
      }
    }
    if (!state.contains("step")) fail(Code::kNotFound, "optimizer", "the state has no step");
    steps_ = static_cast<int64_t>(tensor_from(state["step"], "step").item());
  }

  int64_t steps() const { return steps_; }

 private:
  static std::string_view name_of(const Tensor& tensor) { return name(tensor.dtype()); }

  std::vector<Tensor> parameters_;
  std::unique_ptr<Optimizer> optimizer_;
  int64_t steps_ = 0;
};

double clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm) {
  return with_tape([&] {
    std::vector<Tensor> gradients;
    for (const Tensor& parameter : parameters) gradients.push_back(tape().grad(parameter));
    const double norm = gradient_norm(gradients);
    const double scale = clip_scale(norm, max_norm);
    if (scale < 1) {
      for (size_t i = 0; i < parameters.size(); ++i) {
        if (!gradients[i].defined()) continue;
        tape().set_grad(parameters[i], ops::scale(gradients[i], scale));
      }
    }
    return norm;
  });
}

}  // namespace

void add_training(nb::module_& module) {
  nb::class_<OptimizerState>(module, "OptimizerState")
      .def(
          "__init__",
          [](OptimizerState* self, const std::vector<Tensor>& parameters, const std::string& name,
             double beta1, double beta2, double eps, double momentum, bool nesterov,
             double weight_decay) {
            new (self) OptimizerState({name, beta1, beta2, eps, momentum, nesterov, weight_decay},
                                      parameters);
          },
          nb::arg("parameters"), nb::arg("name"), nb::arg("beta1") = 0.9, nb::arg("beta2") = 0.999,
          nb::arg("eps") = 1e-8, nb::arg("momentum") = 0.0, nb::arg("nesterov") = false,
          nb::arg("weight_decay") = 0.0)
      .def("step", &OptimizerState::step, nb::arg("lr"), nb::arg("grad_scale") = 1.0)
      .def("forget_gradients", &OptimizerState::forget_gradients)
      .def("state", &OptimizerState::state)
      .def("restore", &OptimizerState::restore, nb::arg("state"))
      .def_prop_ro("steps", &OptimizerState::steps);
  module.def("clip_grad_norm", &clip_grad_norm, nb::arg("parameters"), nb::arg("max_norm"),
             "Scales the gradients down so that their common norm is at most max_norm; gives the "
             "norm before.");
  nb::class_<Schedule>(
      module, "Schedule",
      "lr(step): warms up in a line from 0, then is constant or falls to min_lr in "
      "a line or half a cosine.")
      .def(
          "__init__",
          [](Schedule* self, const std::string& kind, double lr, int64_t total_steps,
             int64_t warmup_steps, double min_lr) {
            new (self) Schedule({.kind = parse_schedule(kind),
                                 .lr = lr,
                                 .min_lr = min_lr,
                                 .total_steps = total_steps,
                                 .warmup_steps = warmup_steps});
          },
          nb::arg("kind"), nb::arg("lr"), nb::arg("total_steps") = 0, nb::arg("warmup_steps") = 0,
          nb::arg("min_lr") = 0.0)
      .def("__call__", &Schedule::at, nb::arg("step"), "The rate of step `step`, from 0.");
}

}  // namespace yiti::python
