#include "ops/shape/cast.h"

#include <cmath>
#include <limits>

#include "core/error.h"
#include "ops/host_values.h"
#include "ops/kernels/cpu/elementwise_rows.h"
#include "ops/kernels/cpu/row_walk.h"
#include "ops/kernels/cpu/visit_dtype.h"

namespace yiti {
namespace {

struct CastAttrs {
  std::string dtype = "f32";
  void visit(AttrVisitor& v) { v.field("dtype", dtype); }
};

constexpr DType kPlain[] = {DType::kF64, DType::kF32, DType::kF16, DType::kBF16, DType::kI64,
                            DType::kI32, DType::kI16, DType::kI8,  DType::kU8,   DType::kBool};

DType target_of(const Attrs& attrs) {
  const std::string& wanted = attrs.as<CastAttrs>().dtype;
  for (DType dtype : kPlain) {
    if (name(dtype) == wanted) return dtype;
  }
  fail(Code::kInvalidArgument, "cast", "dtype is {}; wants a plain one", wanted);
}

std::vector<Tensor> infer(std::span<const Tensor> in, const Attrs& attrs, const Op& op) {
  check(!is_quantised(in[0].dtype()), op.name, "x is {}; wants a plain type", name(in[0].dtype()));
  return {Tensor::meta(in[0].shape(), target_of(attrs), in[0].device())};
}

template <class To, class From>
To convert(From value) {
  const auto wide = cpu::widen(value);
  if constexpr (std::is_same_v<To, bool>) {
    return wide != 0;
  } else if constexpr (std::is_integral_v<To> && std::is_floating_point_v<decltype(wide)>) {
    const auto real = static_cast<double>(wide);
    if (std::isnan(real)) return 0;
    constexpr auto kMin = std::numeric_limits<To>::min(), kMax = std::numeric_limits<To>::max();
    if (real <= static_cast<double>(kMin)) return kMin;
    if (real >= static_cast<double>(kMax)) return kMax;
    return static_cast<To>(real);
  } else {
    return cpu::narrow<To>(wide);
  }
}

void run_any(const KernelArgs& args) {
  const Tensor &x = args.in[0], &y = args.out[0];
  const cpu::RowWalk walk(y.shape(), {x, y});
  cpu::visit_dtype(x.dtype(), [&]<class From>() {
    cpu::visit_dtype(y.dtype(), [&]<class To>() {
      const From* source = reinterpret_cast<const From*>(x.raw());
      To* target = reinterpret_cast<To*>(y.raw());
      walk.run(args.device.threads(), [&](const cpu::RowWalk::Offsets& at, int64_t n) {
        for (int64_t i = 0; i < n; ++i) {
          target[at[1] + i * walk.step(1)] = convert<To>(source[at[0] + i * walk.step(0)]);
        }
      });
    });
  });
}

std::optional<std::string> refuses_half(std::span<const Tensor> in, const Attrs& attrs) {
  if (auto why = cpu::refuses_rows(in, attrs)) return why;
  const DType to = target_of(attrs);
  if (to == DType::kF32 || to == DType::kF16 || to == DType::kBF16) return std::nullopt;
  return fmt::format("gives f32, f16 or bf16; wants {}", name(to));
}

std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs& attrs) {
  return {of_doubles(to_doubles(in[0]), in[0].shape(), target_of(attrs), in[0].device())};
}

}  // namespace

const Op& cast_op() {
  static const Op op =
      OpBuilder("cast")
          .doc("x as another dtype. Integers are cut towards zero and limited to the range.")
          .source("IEEE 754-2019, section 5.4.2")
          .attrs(CastAttrs{})
          .input("x", "*", Kind::kAny)
          .output("y", "*")
          .shape_rule(&infer)
          .kernel({.name = "cpu.rows",
                   .device_kind = "cpu",
                   .refuses = &refuses_half,
                   .run =
                       [](const KernelArgs& args) {
                         cpu::run_convert_rows(args.in[0], args.out[0], args.device);
                       }})
          .kernel({.name = "cpu.scalar", .device_kind = "cpu", .refuses = {}, .run = &run_any})
          .reference(&reference)
          .gradient(
              [](const GradArgs& args) -> std::vector<Tensor> {
                return {ops::cast(args.grad_out[0], args.in[0].dtype())};
              },
              {})
          .sample({Shape{3, 67}}, CastAttrs{"f64"})
          .sample({Shape{3, 67}}, CastAttrs{"f16"})
          .sample({Shape{3, 67}}, CastAttrs{"bf16"})
          .sample({Shape{2, 3}}, CastAttrs{"i32"})
          .sample({Shape{0, 3}}, CastAttrs{"f64"})
          .accuracy(0)
          .build();
  return op;
}

namespace ops {

Tensor cast(const Tensor& x, DType dtype) {
  return x.dtype() == dtype ? x : cast_op()({x}, CastAttrs{std::string(name(dtype))})[0];
}

}  // namespace ops
}  // namespace yiti
