#include "ops/optim/sgd.h"

#include "ops/host_values.h"
#include "ops/kernels/cpu/optim.h"
#include "ops/optim/updates.h"
#include "ops/same_dtype.h"

namespace yiti {
namespace {

void run_f32(const KernelArgs& args) {
  const auto& a = args.attrs.as<SgdAttrs>();
  const auto f = [](double value) { return static_cast<float>(value); };
  const cpu::SgdScalars scalars = {f(a.grad_scale), f(a.weight_decay), f(a.momentum), f(a.lr),
                                   a.nesterov};
  const auto kernel = cpu::optim_table_for(args.device.isa()).sgd;
  float* param = args.out[0].data<float>();
  float* buffer = args.out.size() > 1 ? args.out[1].data<float>() : nullptr;
  const float* grad = args.in[1].data<float>();
  args.device.threads().parallel_for(args.out[0].numel(), 16384, [&](int64_t begin, int64_t end) {
    kernel(param + begin, grad + begin, buffer == nullptr ? nullptr : buffer + begin, end - begin,
           scalars);
  });
}

// `buffer` may be null.
double stepped(double param, double grad, double* buffer, const SgdAttrs& a) {
  double g = grad * a.grad_scale + a.weight_decay * param;
  if (buffer != nullptr) {
    *buffer = *buffer * a.momentum + g;
    g = a.nesterov ? g + a.momentum * *buffer : *buffer;
  }
  return param - a.lr * g;
}

void run_f64(const KernelArgs& args) {
  double* param = args.out[0].data<double>();
  double* buffer = args.out.size() > 1 ? args.out[1].data<double>() : nullptr;
  const double* grad = args.in[1].data<double>();
  for (int64_t i = 0; i < args.out[0].numel(); ++i) {
    param[i] = stepped(param[i], grad[i], buffer == nullptr ? nullptr : buffer + i,
                       args.attrs.as<SgdAttrs>());
  }
}

std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs& attrs) {
  std::vector<double> param = to_doubles(in[0]), buffer;
  const std::vector<double> grad = to_doubles(in[1]);
  if (in.size() > 2) buffer = to_doubles(in[2]);
  for (size_t i = 0; i < param.size(); ++i) {
    param[i] =
        stepped(param[i], grad[i], buffer.empty() ? nullptr : &buffer[i], attrs.as<SgdAttrs>());
  }
  std::vector<Tensor> out = {of_doubles(param, in[0].shape(), in[0].dtype(), in[0].device())};
  if (in.size() > 2) {
    out.push_back(of_doubles(buffer, in[0].shape(), in[0].dtype(), in[0].device()));
  }
  return out;
}

std::vector<Tensor> infer(std::span<const Tensor> in, const Attrs&, const Op& op) {
  check_same_dtype(in, op);
  std::vector<Tensor> out = {in[0].as_meta()};
  if (in.size() > 2) out.push_back(in[2].as_meta());
  return out;
}

OpBuilder sgd(const char* name, bool momentum) {
  OpBuilder builder(name);
  builder.source("torch.optim.SGD; Sutskever et al. 2013 (Nesterov)")
      .attrs(SgdAttrs{})
      .input("param", "[...]")
      .input("grad", "[...]");
  if (momentum) builder.input("buffer", "[...]");
  builder.updates("param", 0);
  if (momentum) builder.updates("buffer", 2);
  builder.shape_rule(&infer)
      .kernel(update_kernel("cpu.f32", DType::kF32, &run_f32))
      .kernel(update_kernel("cpu.f64", DType::kF64, &run_f64))
      .reference(&reference)
      .not_differentiable();
  for (const Shape& shape : {Shape{3, 67}, Shape{129}, Shape{0}}) {
    const SgdAttrs attrs{0.1, momentum ? 0.9 : 0.0, 0.01, momentum && shape.rank() == 2, 0.5};
    std::vector<std::optional<Shape>> shapes(momentum ? 3 : 2, shape);
    builder.sample(std::move(shapes), attrs);
  }
  builder.accuracy(4);
  return builder;
}

}  // namespace

const Op& sgd_step_op() {
  static const Op op =
      sgd("sgd_step", false).doc("param -= lr (grad + weight_decay param), in place.").build();
  return op;
}

const Op& sgd_momentum_step_op() {
  static const Op op =
      sgd("sgd_momentum_step", true)
          .doc("One step of gradient descent with momentum, or Nesterov's, in place.")
          .build();
  return op;
}

namespace ops {

void sgd_step(const Tensor& param, const Tensor& grad, const SgdAttrs& attrs,
              const Tensor& buffer) {
  if (buffer.defined()) {
    sgd_momentum_step_op()({param, grad, buffer}, attrs);
  } else {
    sgd_step_op()({param, grad}, attrs);
  }
}

}  // namespace ops
}  // namespace yiti
