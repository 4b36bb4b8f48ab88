#include "ops/elementwise/where.h"

#include "core/error.h"
#include "ops/host_values.h"
#include "ops/kernels/cpu/row_walk.h"
#include "ops/kernels/cpu/visit_dtype.h"
#include "ops/reduce/sum_to.h"

namespace yiti {
namespace {

Shape common_shape(std::span<const Tensor> in, std::string_view where) {
  return broadcast_shapes(in[0].shape(), broadcast_shapes(in[1].shape(), in[2].shape(), where),
                          where);
}

std::vector<Tensor> infer(std::span<const Tensor> in, const Attrs&, const Op& op) {
  check(in[0].dtype() == DType::kBool, op.name, "condition is {}; wants bool", name(in[0].dtype()));
  check(!is_quantised(in[1].dtype()) && in[1].dtype() == in[2].dtype(), op.name,
        "a is {} and b is {}; wants one plain type", name(in[1].dtype()), name(in[2].dtype()));
  return {Tensor::meta(common_shape(in, op.name), in[1].dtype(), in[1].device())};
}

void run(const KernelArgs& args) {
  const Tensor &condition = args.in[0], &a = args.in[1], &b = args.in[2], &y = args.out[0];
  const cpu::RowWalk walk(y.shape(), {condition, a, b, y});
  cpu::visit_width(y.dtype(), [&]<class T>() {
    const bool* chosen = condition.data<bool>();
    const T* left = reinterpret_cast<const T*>(a.raw());
    const T* right = reinterpret_cast<const T*>(b.raw());
    T* target = reinterpret_cast<T*>(y.raw());
    walk.run(args.device.threads(), [&](const cpu::RowWalk::Offsets& at, int64_t n) {
      for (int64_t i = 0; i < n; ++i) {
        target[at[3] + i * walk.step(3)] = chosen[at[0] + i * walk.step(0)]
                                               ? left[at[1] + i * walk.step(1)]
                                               : right[at[2] + i * walk.step(2)];
      }
    });
  });
}

std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs&) {
  const Shape shape = common_shape(in, "reference");
  const std::vector<double> chosen = to_doubles(broadcast_view(in[0], shape));
  std::vector<double> a = to_doubles(broadcast_view(in[1], shape));
  const std::vector<double> b = to_doubles(broadcast_view(in[2], shape));
  for (size_t i = 0; i < a.size(); ++i) a[i] = chosen[i] != 0 ? a[i] : b[i];
  return {of_doubles(a, shape, in[1].dtype(), in[1].device())};
}

std::vector<Tensor> gradient(const GradArgs& args) {
  const Tensor& dy = args.grad_out[0];
  const Tensor zero = Tensor::zeros({}, dy.dtype(), dy.device());
  std::vector<Tensor> grads(3);
  if (args.wanted[1]) {
    grads[1] = ops::sum_to(ops::where(args.in[0], dy, zero), args.in[1].shape());
  }
  if (args.wanted[2]) {
    grads[2] = ops::sum_to(ops::where(args.in[0], zero, dy), args.in[2].shape());
  }
  return grads;
}

Sample sample(const Shape& condition, const Shape& a, const Shape& b) {
  return {
      .shapes = {condition, a, b}, .attrs = {}, .make = [=](DType floats, const DevicePtr& device) {
        const auto fill = [&](const Shape& shape, DType dtype, double step) {
          std::vector<double> values(static_cast<size_t>(shape.numel()));
          for (size_t i = 0; i < values.size(); ++i) {
            values[i] = dtype == DType::kBool ? static_cast<double>(i % 3 == 0)
                                              : step * static_cast<double>(i);
          }
          return of_doubles(values, shape, dtype, device);
        };
        return std::vector<Tensor>{fill(condition, DType::kBool, 1), fill(a, floats, 0.5),
                                   fill(b, floats, -0.25)};
      }};
}

}  // namespace

const Op& where_op() {
  static const Op op =
      OpBuilder("where")
          .doc("a where condition holds, else b.")
          .source("NumPy's where")
          .input("condition", "*", Kind::kAny)
          .input("a", "*", Kind::kAny)
          .input("b", "*", Kind::kAny)
          .output("y", "*", 1)
          .shape_rule(&infer)
          .kernel({.name = "cpu.copy", .device_kind = "cpu", .refuses = {}, .run = &run})
          .reference(&reference)
          .gradient(&gradient, {0})
          .sample(sample({3, 67}, {3, 67}, {3, 67}))
          .sample(sample({5, 1}, {1, 7}, {}))
          .sample(sample({0, 4}, {4}, {0, 4}))
          .accuracy(0)
          .build();
  return op;
}

namespace ops {

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  return where_op()({condition, a, b})[0];
}

}  // namespace ops
}  // namespace yiti
