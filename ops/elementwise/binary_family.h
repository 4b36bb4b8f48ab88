// How the two-operand ops are made: shape rule, kernels and reference from one function.
#pragma once

#include "core/op.h"
#include "ops/elementwise/scalar_math.h"
#include "ops/host_values.h"
#include "ops/kernels/cpu/elementwise_rows.h"
#include "ops/kernels/cpu/row_walk.h"
#include "ops/kernels/cpu/visit_dtype.h"

namespace yiti {

/// Broadcast shape; both inputs the same number dtype, a float where `floats`.
std::vector<Tensor> infer_binary(std::span<const Tensor> in, const Op& op, bool floats);

/// The samples of the broadcasting ops.
OpBuilder& add_binary_samples(OpBuilder& builder);

template <BinaryFn F>
inline constexpr bool kIsComparison =
    F == BinaryFn::kEqual || F == BinaryFn::kLess || F == BinaryFn::kGreater;

// Computes each element alone: f64 and integers as they are, the others in double where that is
// not exact.
template <BinaryFn F, class T>
void run_binary_scalar_as(const KernelArgs& args) {
  using C = std::conditional_t<F == BinaryFn::kPow, double, cpu::Compute<T>>;
  using R = std::conditional_t<kIsComparison<F>, bool, T>;
  const Tensor &a = args.in[0], &b = args.in[1], &y = args.out[0];
  const T* left = reinterpret_cast<const T*>(a.raw());
  const T* right = reinterpret_cast<const T*>(b.raw());
  R* target = reinterpret_cast<R*>(y.raw());
  const cpu::RowWalk walk(y.shape(), {a, b, y});
  walk.run(args.device.threads(), [&](const cpu::RowWalk::Offsets& at, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      const C l = static_cast<C>(cpu::widen(left[at[0] + i * walk.step(0)]));
      const C r = static_cast<C>(cpu::widen(right[at[1] + i * walk.step(1)]));
      target[at[2] + i * walk.step(2)] = cpu::narrow<R>(apply<F>(l, r));
    }
  });
}

template <BinaryFn F>
void run_binary_scalar(const KernelArgs& args) {
  cpu::visit_number(args.in[0].dtype(), [&]<class T>() {
    if constexpr (!for_floats(F) || !std::is_integral_v<T>) {
      run_binary_scalar_as<F, T>(args);
    }
  });
}

template <BinaryFn F>
std::vector<Tensor> binary_reference(std::span<const Tensor> in, const Attrs&) {
  const Shape shape = broadcast_shapes(in[0].shape(), in[1].shape(), "reference");
  const std::vector<double> a = to_doubles(broadcast_view(in[0], shape));
  const std::vector<double> b = to_doubles(broadcast_view(in[1], shape));
  std::vector<double> y(a.size());
  for (size_t i = 0; i < y.size(); ++i) y[i] = static_cast<double>(apply<F>(a[i], b[i]));
  return {of_doubles(y, shape, kIsComparison<F> ? DType::kBool : in[0].dtype(), in[0].device())};
}

/// An op with everything but documentation and gradient.
template <BinaryFn F>
OpBuilder binary(std::string name) {
  OpBuilder builder(std::move(name));
  builder.input("a", "*", Kind::kAny).input("b", "*", Kind::kAny);
  if constexpr (kIsComparison<F>) {
    builder.output("y", "*", DType::kBool).not_differentiable();
  } else {
    builder.output("y", "*");
  }
  builder.shape_rule([](std::span<const Tensor> in, const Attrs&, const Op& op) {
    return infer_binary(in, op, for_floats(F));
  });
  if constexpr (static_cast<int>(F) < cpu::kBinaryRows) {
    builder.kernel({.name = "cpu.rows",
                    .device_kind = "cpu",
                    .refuses = &cpu::refuses_rows,
                    .run = [](const KernelArgs& args) { cpu::run_binary_rows(F, args); }});
  }
  builder.kernel(
      {.name = "cpu.scalar", .device_kind = "cpu", .refuses = {}, .run = &run_binary_scalar<F>});
  builder.reference(&binary_reference<F>).accuracy(1);
  if constexpr (F != BinaryFn::kPow) add_binary_samples(builder);
  return builder;
}

}  // namespace yiti
