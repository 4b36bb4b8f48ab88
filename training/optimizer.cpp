#include "training/optimizer.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "ops/optim/adamw.h"
#include "ops/optim/sgd.h"
#include "ops/optim/square_sum.h"
#include "ops/shape/concat.h"
#include "ops/shape/reshape.h"

namespace yiti {
namespace {

std::vector<Tensor> zeros_like(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> zeros;
  for (const Tensor& t : tensors) zeros.push_back(Tensor::zeros(t.shape(), t.dtype(), t.device()));
  return zeros;
}

// What a step takes of each parameter that has a gradient: both, and its part of each of `state`.
std::vector<std::vector<Tensor>> operands(const std::vector<Tensor>& parameters,
                                          const std::vector<Tensor>& gradients,
                                          std::initializer_list<const std::vector<Tensor>*> state) {
  std::vector<std::vector<Tensor>> lists;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!gradients[i].defined()) continue;
    lists.push_back({parameters[i], gradients[i]});
    for (const std::vector<Tensor>* tensors : state) lists.back().push_back((*tensors)[i]);
  }
  return lists;
}

class AdamW final : public Optimizer {
 public:
  AdamW(const OptimizerOptions& options, const std::vector<Tensor>& parameters)
      : options_(options), m_(zeros_like(parameters)), v_(zeros_like(parameters)) {}

  void update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
              double lr, double grad_scale, int64_t step) override {
    adamw_step_op().update_each(operands(parameters, gradients, {&m_, &v_}),
                                AdamwAttrs{.lr = lr,
                                           .beta1 = options_.beta1,
                                           .beta2 = options_.beta2,
                                           .eps = options_.eps,
                                           .weight_decay = options_.weight_decay,
                                           .step = step,
                                           .grad_scale = grad_scale});
  }

  std::vector<std::pair<std::string, std::vector<Tensor>>> state() const override {
    return {{"m", m_}, {"v", v_}};
  }

 private:
  OptimizerOptions options_;
  std::vector<Tensor> m_, v_;
};

class Sgd final : public Optimizer {
 public:
  Sgd(const OptimizerOptions& options, const std::vector<Tensor>& parameters)
      : options_(options),
        momentum_(options.momentum > 0 ? zeros_like(parameters) : std::vector<Tensor>()) {}

  void update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
              double lr, double grad_scale, int64_t /*step*/) override {
    const SgdAttrs attrs{.lr = lr,
                         .momentum = options_.momentum,
                         .weight_decay = options_.weight_decay,
                         .nesterov = options_.nesterov,
                         .grad_scale = grad_scale};
    if (momentum_.empty()) {
      sgd_step_op().update_each(operands(parameters, gradients, {}), attrs);
    } else {
      sgd_momentum_step_op().update_each(operands(parameters, gradients, {&momentum_}), attrs);
    }
  }

  std::vector<std::pair<std::string, std::vector<Tensor>>> state() const override {
    if (momentum_.empty()) return {};
    return {{"momentum", momentum_}};
  }

 private:
  OptimizerOptions options_;
  std::vector<Tensor> momentum_;
};

void check_options(const OptimizerOptions& o) {
  const auto fraction = [](std::string_view name, double value) {
    check(value >= 0 && value < 1, "optimizer", "{} is {}; wants 0 to less than 1", name, value);
  };
  fraction("beta1", o.beta1);
  fraction("beta2", o.beta2);
  fraction("momentum", o.momentum);
  check(o.eps > 0, "optimizer", "eps is {}; wants more than 0", o.eps);
  check(o.weight_decay >= 0, "optimizer", "weight_decay is {}; wants 0 or more", o.weight_decay);
  check(!o.nesterov || o.momentum > 0, "optimizer", "nesterov wants a momentum above 0");
}

}  // namespace

double gradient_norm(const std::vector<Tensor>& gradients) {
  std::vector<Tensor> sums;
  for (const Tensor& gradient : gradients) {
    if (gradient.defined()) sums.push_back(ops::reshape(ops::square_sum(gradient), {1}));
  }
  if (sums.empty()) return 0;
  // Read at once: a device is waited for once.
  double total = 0;
  for (const double sum : ops::concat(sums, 0).to_vector<double>()) total += sum;
  return std::sqrt(total);
}

double clip_scale(double norm, double max_norm) {
  return max_norm > 0 ? std::min(1.0, max_norm / (norm + 1e-6)) : 1.0;
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options,
                                          const std::vector<Tensor>& parameters) {
  check_options(options);
  if (options.name == "adamw") return std::make_unique<AdamW>(options, parameters);
  if (options.name == "sgd") return std::make_unique<Sgd>(options, parameters);
  fail(Code::kInvalidArgument, "optimizer", "\"{}\"; wants adamw or sgd", options.name);
}

}  // namespace yiti
