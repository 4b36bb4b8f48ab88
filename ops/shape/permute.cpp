#include "ops/shape/permute.h"

#include <numeric>

#include "core/error.h"
#include "core/shape_text.h"
#include "ops/shape/attrs.h"

namespace yiti {
namespace {

struct PermuteAttrs {
  std::vector<int64_t> order;
  void visit(AttrVisitor& v) { v.field("order", order); }
};

Tensor view(const Tensor& x, const Attrs& attrs) {
  const auto& order = attrs.as<PermuteAttrs>().order;
  check(order.size() == static_cast<size_t>(x.rank()), "permute", "x is {}; order names {} axes",
        x.shape(), order.size());
  Shape shape, strides;
  unsigned seen = 0;
  for (int64_t from : order) {
    const int axis = axis_of(x.shape(), from, "permute");
    check((seen >> axis & 1u) == 0, "permute", "axis {} is named twice", axis);
    seen |= 1u << axis;
    shape.push_back(x.dim(axis));
    strides.push_back(x.strides()[axis]);
  }
  return x.as_strided(shape, strides, 0);
}

std::vector<Tensor> gradient(const GradArgs& args) {
  const auto& order = args.attrs.as<PermuteAttrs>().order;
  std::vector<int64_t> inverse(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    const int axis = axis_of(args.in[0].shape(), order[i], "permute");
    inverse[static_cast<size_t>(axis)] = static_cast<int64_t>(i);
  }
  return {ops::permute(args.grad_out[0], std::move(inverse))};
}

}  // namespace

const Op& permute_op() {
  static const Op op = OpBuilder("permute")
                           .doc("Axis i of the result is axis order[i] of x.")
                           .source("NumPy's transpose")
                           .attrs(PermuteAttrs{})
                           .input("x", "*", Kind::kAny)
                           .view(&view)
                           .gradient(&gradient, {})
                           .sample({Shape{2, 3, 5}}, PermuteAttrs{{2, 0, 1}})
                           .sample({Shape{0, 3}}, PermuteAttrs{{1, 0}})
                           .build();
  return op;
}

namespace ops {

Tensor permute(const Tensor& x, std::vector<int64_t> order) {
  return permute_op()({x}, PermuteAttrs{std::move(order)})[0];
}

Tensor transpose(const Tensor& x, int first, int second) {
  std::vector<int64_t> order(static_cast<size_t>(x.rank()));
  std::iota(order.begin(), order.end(), 0);
  std::swap(order[static_cast<size_t>(axis_of(x.shape(), first, "transpose"))],
            order[static_cast<size_t>(axis_of(x.shape(), second, "transpose"))]);
  return permute(x, std::move(order));
}

}  // namespace ops
}  // namespace yiti
