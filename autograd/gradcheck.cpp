#include "autograd/gradcheck.h"

#include <cmath>

#include "autograd/tape.h"
#include "core/error.h"
#include "core/shape_text.h"
#include "ops/elementwise/binary.h"
#include "ops/host_values.h"
#include "ops/reduce/reduce.h"

namespace yiti {
namespace {

using Function = std::function<std::vector<Tensor>(std::span<const Tensor>)>;

// Numbers in [0.5, 1.5) with either sign: none is so small that it hides an error.
std::vector<double> weights_of(size_t count, uint64_t seed) {
  std::vector<double> weights(count);
  uint64_t state = 0x9e3779b97f4a7c15u * (seed + 1);
  for (double& weight : weights) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const double size = 0.5 + static_cast<double>(state >> 11) * 0x1p-53;
    weight = (state >> 10 & 1u) != 0 ? size : -size;
  }
  return weights;
}

bool counts(const Tensor& output) { return output.defined() && output.dtype() == DType::kF64; }

double weighted(const std::vector<Tensor>& outputs) {
  double total = 0;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!counts(outputs[i])) continue;
    const std::vector<double> values = to_doubles(outputs[i]);
    const std::vector<double> weights = weights_of(values.size(), i);
    for (size_t j = 0; j < values.size(); ++j) total += values[j] * weights[j];
  }
  return total;
}

// The gradient by a tape: zeros where no output depends on the input.
std::vector<double> by_tape(const std::string& name, const Function& f,
                            std::span<const Tensor> inputs, size_t which) {
  const auto tape = Tape::create();
  std::vector<Tensor> traced(inputs.begin(), inputs.end());
  traced[which] = tape->watch(traced[which]);
  const std::vector<Tensor> outputs = f(traced);
  Tensor loss;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!counts(outputs[i]) || !outputs[i].trace()) continue;
    const auto count = static_cast<size_t>(outputs[i].numel());
    const Tensor weights =
        of_doubles(weights_of(count, i), outputs[i].shape(), DType::kF64, outputs[i].device());
    const Tensor part = ops::sum(ops::mul(outputs[i], weights));
    loss = loss.defined() ? ops::add(loss, part) : part;
  }
  if (loss.defined()) tape->backward(loss);
  const Tensor grad = loss.defined() ? tape->grad(traced[which]) : Tensor();
  if (!grad.defined()) return std::vector<double>(static_cast<size_t>(inputs[which].numel()));
  if (!(grad.shape() == inputs[which].shape()) || grad.dtype() != DType::kF64) {
    fail(Code::kInternal, name, "the gradient of input {} is {} of {}; wants {} of f64", which,
         grad.shape(), yiti::name(grad.dtype()), inputs[which].shape());
  }
  return to_doubles(grad);
}

GradcheckReport compare(const std::string& name, const Function& f, std::span<const Tensor> inputs,
                        size_t which, const GradcheckOptions& options) {
  check(which < inputs.size() && counts(inputs[which]), "gradcheck", "{}: input {} is not of f64",
        name, which);
  const std::vector<double> got = by_tape(name, f, inputs, which);
  std::vector<double> values = to_doubles(inputs[which]);
  std::vector<Tensor> moved(inputs.begin(), inputs.end());
  const auto at = [&](size_t element, double value) {
    const double before = std::exchange(values[element], value);
    moved[which] = of_doubles(values, inputs[which].shape(), DType::kF64, inputs[which].device());
    values[element] = before;
    return weighted(f(moved));
  };
  GradcheckReport report;
  for (size_t i = 0; i < values.size(); ++i) {
    const double above = at(i, values[i] + options.step), below = at(i, values[i] - options.step);
    const double wanted = (above - below) / (2 * options.step);
    const double ratio =
        std::fabs(got[i] - wanted) / (options.atol + options.rtol * std::fabs(wanted));
    if (!(ratio <= 1)) {
      fail(Code::kInternal, name, "gradient of input {}, element {}: got {}; wanted {}", which, i,
           got[i], wanted);
    }
    report.worst = std::max(report.worst, ratio);
    ++report.compared;
  }
  return report;
}

}  // namespace

Result<GradcheckReport> gradcheck(const std::string& name, const Function& f,
                                  std::span<const Tensor> inputs, size_t which,
                                  const GradcheckOptions& options) {
  return capture_errors(name, [&] { return compare(name, f, inputs, which, options); });
}

Result<GradcheckReport> gradcheck(const Op& op, std::span<const Tensor> inputs, const Attrs& attrs,
                                  size_t which, const GradcheckOptions& options) {
  const auto run = [&](std::span<const Tensor> in) {
    std::vector<Tensor> out = op(in, attrs);
    for (size_t i = 0; i < out.size(); ++i) {
      if (op.outputs[i].saved) out[i] = Tensor();
    }
    return out;
  };
  return gradcheck(op.name, run, inputs, which, options);
}

}  // namespace yiti
