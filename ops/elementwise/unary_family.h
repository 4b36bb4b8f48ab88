// How the one-operand ops are made: kernels and reference from one function.
#pragma once

#include "core/op.h"
#include "ops/elementwise/scalar_math.h"
#include "ops/host_values.h"
#include "ops/kernels/cpu/elementwise_rows.h"
#include "ops/kernels/cpu/row_walk.h"
#include "ops/kernels/cpu/visit_dtype.h"

namespace yiti {

struct ScaleAttrs {
  double factor = 1;
  double offset = 0;
  void visit(AttrVisitor& v) {
    v.field("factor", factor);
    v.field("offset", offset);
  }
  double p() const { return factor; }
  double q() const { return offset; }
};

struct ClampAttrs {
  double low = 0;
  double high = 1;
  void visit(AttrVisitor& v) {
    v.field("low", low);
    v.field("high", high);
  }
  double p() const { return low; }
  double q() const { return high; }
};

struct UnaryAttrs : NoAttrs {
  double p() const { return 0; }
  double q() const { return 0; }
};

/// The two parameters of a unary function. Ops without any are called with NoAttrs.
template <class A>
A unary_attrs(const Attrs& attrs) {
  if constexpr (std::is_same_v<A, UnaryAttrs>) {
    return {};
  } else {
    return attrs.as<A>();
  }
}

template <UnaryFn F, class A>
void run_unary_scalar(const KernelArgs& args) {
  const Tensor &x = args.in[0], &y = args.out[0];
  const A a = unary_attrs<A>(args.attrs);
  const cpu::RowWalk walk(y.shape(), {x, y});
  cpu::visit_number(x.dtype(), [&]<class T>() {
    const T* source = reinterpret_cast<const T*>(x.raw());
    T* target = reinterpret_cast<T*>(y.raw());
    walk.run(args.device.threads(), [&](const cpu::RowWalk::Offsets& at, int64_t n) {
      for (int64_t i = 0; i < n; ++i) {
        const auto value = static_cast<double>(cpu::widen(source[at[0] + i * walk.step(0)]));
        target[at[1] + i * walk.step(1)] = cpu::narrow<T>(apply<F>(value, a.p(), a.q()));
      }
    });
  });
}

template <UnaryFn F, class A>
std::vector<Tensor> unary_reference(std::span<const Tensor> in, const Attrs& attrs) {
  const A a = unary_attrs<A>(attrs);
  std::vector<double> y = to_doubles(in[0]);
  for (double& value : y) value = apply<F>(value, a.p(), a.q());
  return {of_doubles(y, in[0].shape(), in[0].dtype(), in[0].device())};
}

/// An op with everything but documentation and gradient.
template <UnaryFn F, class A = UnaryAttrs>
OpBuilder unary(std::string name) {
  OpBuilder builder(std::move(name));
  builder.input("x", "[...]", Kind::kAnyFloat).output("y", "[...]");
  Attrs attrs;
  if constexpr (!std::is_same_v<A, UnaryAttrs>) attrs = Attrs(A{});
  builder.attrs(attrs);
  if constexpr (static_cast<int>(F) < cpu::kUnaryRows) {
    builder.kernel({.name = "cpu.rows",
                    .device_kind = "cpu",
                    .refuses = &cpu::refuses_rows,
                    .run = [](const KernelArgs& args) {
                      const A a = unary_attrs<A>(args.attrs);
                      cpu::run_unary_rows(F, args, static_cast<float>(a.p()),
                                          static_cast<float>(a.q()));
                    }});
  }
  builder.kernel(
      {.name = "cpu.scalar", .device_kind = "cpu", .refuses = {}, .run = &run_unary_scalar<F, A>});
  builder.reference(&unary_reference<F, A>).accuracy(F == UnaryFn::kRsqrt ? 1 : 4);
  constexpr bool kPositive = F == UnaryFn::kLog || F == UnaryFn::kSqrt || F == UnaryFn::kRsqrt;
  for (const Shape& shape : {Shape{3, 67}, Shape{2, 5, 16}, Shape{}, Shape{0, 4}}) {
    Sample sample{.shapes = {shape}, .attrs = attrs, .make = nullptr};
    if (kPositive) {
      sample.make = [shape](DType floats, const DevicePtr& device) {
        std::vector<double> values(static_cast<size_t>(shape.numel()));
        for (size_t i = 0; i < values.size(); ++i)
          values[i] = 0.125 + 0.37 * static_cast<double>(i);
        return std::vector<Tensor>{of_doubles(values, shape, floats, device)};
      };
    }
    builder.sample(std::move(sample));
  }
  return builder;
}

}  // namespace yiti
