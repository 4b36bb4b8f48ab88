#include "ops/optim/adamw.h"

#include <cmath>

#include "core/error.h"
#include "ops/host_values.h"
#include "ops/kernels/cpu/optim.h"
#include "ops/optim/updates.h"
#include "ops/same_dtype.h"

namespace yiti {
namespace {

struct Corrections {
  double step_size, root2;
  explicit Corrections(const AdamwAttrs& a)
      : step_size(a.lr / (1 - std::pow(a.beta1, static_cast<double>(a.step)))),
        root2(std::sqrt(1 - std::pow(a.beta2, static_cast<double>(a.step)))) {}
};

void run_f32(const KernelArgs& args) {
  const auto& a = args.attrs.as<AdamwAttrs>();
  const Corrections c(a);
  const auto f = [](double value) { return static_cast<float>(value); };
  const cpu::AdamwScalars scalars = {f(a.grad_scale), f(1 - a.lr * a.weight_decay),
                                     f(1 - a.beta1),  f(a.beta2),
                                     f(1 - a.beta2),  f(c.root2),
                                     f(a.eps),        f(c.step_size)};
  const auto kernel = cpu::optim_table_for(args.device.isa()).adamw;
  float *param = args.out[0].data<float>(), *m = args.out[1].data<float>(),
        *v = args.out[2].data<float>();
  const float* grad = args.in[1].data<float>();
  args.device.threads().parallel_for(args.out[0].numel(), 16384, [&](int64_t begin, int64_t end) {
    kernel(param + begin, grad + begin, m + begin, v + begin, end - begin, scalars);
  });
}

struct Element {
  double param, m, v;
};

Element stepped(const Element& before, double grad, const AdamwAttrs& a, const Corrections& c) {
  const double g = grad * a.grad_scale;
  const double m = before.m + (1 - a.beta1) * (g - before.m);
  const double v = before.v * a.beta2 + (1 - a.beta2) * g * g;
  const double decayed = before.param * (1 - a.lr * a.weight_decay);
  return {decayed - c.step_size * m / (std::sqrt(v) / c.root2 + a.eps), m, v};
}

void run_f64(const KernelArgs& args) {
  const auto& a = args.attrs.as<AdamwAttrs>();
  const Corrections c(a);
  double *param = args.out[0].data<double>(), *m = args.out[1].data<double>(),
         *v = args.out[2].data<double>();
  const double* grad = args.in[1].data<double>();
  for (int64_t i = 0; i < args.out[0].numel(); ++i) {
    const Element next = stepped({param[i], m[i], v[i]}, grad[i], a, c);
    param[i] = next.param;
    m[i] = next.m;
    v[i] = next.v;
  }
}

std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs& attrs) {
  const auto& a = attrs.as<AdamwAttrs>();
  const Corrections c(a);
  std::vector<double> param = to_doubles(in[0]), m = to_doubles(in[2]), v = to_doubles(in[3]);
  const std::vector<double> grad = to_doubles(in[1]);
  for (size_t i = 0; i < param.size(); ++i) {
    const Element next = stepped({param[i], m[i], v[i]}, grad[i], a, c);
    param[i] = next.param;
    m[i] = next.m;
    v[i] = next.v;
  }
  const auto tensor = [&](const std::vector<double>& values) {
    return of_doubles(values, in[0].shape(), in[0].dtype(), in[0].device());
  };
  return {tensor(param), tensor(m), tensor(v)};
}

std::vector<Tensor> infer(std::span<const Tensor> in, const Attrs& attrs, const Op& op) {
  const auto& a = attrs.as<AdamwAttrs>();
  check(a.step >= 1, op.name, "step is {}; wants at least 1", a.step);
  check_same_dtype(in, op);
  return {in[0].as_meta(), in[2].as_meta(), in[3].as_meta()};
}

Sample sample(const Shape& shape, const AdamwAttrs& attrs) {
  return {.shapes = {shape, shape, shape, shape},
          .attrs = attrs,
          .make = [shape](DType floats, const DevicePtr& device) {
            std::vector<double> param, grad, m, v;
            for (int64_t i = 0; i < shape.numel(); ++i) {
              const double x = std::sin(static_cast<double>(i) + 1);
              param.push_back(x);
              grad.push_back(std::cos(3 * x));
              m.push_back(0.1 * std::cos(5 * x));
              v.push_back(0.01 + 0.2 * x * x);
            }
            std::vector<Tensor> in;
            for (const auto* values : {&param, &grad, &m, &v}) {
              in.push_back(of_doubles(*values, shape, floats, device));
            }
            return in;
          }};
}

}  // namespace

const Op& adamw_step_op() {
  static const Op op =
      OpBuilder("adamw_step")
          .doc(
              "One step of AdamW in place: decoupled weight decay, bias-corrected "
              "first and second moments.")
          .source("Loshchilov & Hutter 2019; torch.optim.AdamW")
          .attrs(AdamwAttrs{})
          .input("param", "[...]")
          .input("grad", "[...]")
          .input("m", "[...]")
          .input("v", "[...]")
          .updates("param", 0)
          .updates("m", 2)
          .updates("v", 3)
          .shape_rule(&infer)
          .kernel(update_kernel("cpu.f32", DType::kF32, &run_f32))
          .kernel(update_kernel("cpu.f64", DType::kF64, &run_f64))
          .reference(&reference)
          .not_differentiable()
          .sample(sample({3, 67}, {.step = 1}))
          .sample(sample({129}, {.lr = 0.02, .beta1 = 0.8, .step = 7, .grad_scale = 0.5}))
          .sample(sample({0}, {}))
          .accuracy(4)
          .build();
  return op;
}

namespace ops {

void adamw_step(const Tensor& param, const Tensor& grad, const Tensor& m, const Tensor& v,
                const AdamwAttrs& attrs) {
  adamw_step_op()({param, grad, m, v}, attrs);
}

}  // namespace ops
}  // namespace yiti
