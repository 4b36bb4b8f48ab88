#include "ops/shape/expand.h"

#include "core/error.h"
#include "core/shape_text.h"
#include "ops/host_values.h"
#include "ops/reduce/sum_to.h"
#include "ops/shape/attrs.h"

namespace yiti {
namespace {

Tensor view(const Tensor& x, const Attrs& attrs) {
  const auto& sizes = attrs.as<SizesAttrs>().sizes;
  const int added = static_cast<int>(sizes.size()) - x.rank();
  check(added >= 0, "expand", "x is {}; cannot have {} axes", x.shape(), sizes.size());
  Shape shape;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const int own = static_cast<int>(i) - added;
    check(sizes[i] >= 0 || (sizes[i] == -1 && own >= 0), "expand", "size {} of axis {}", sizes[i],
          i);
    shape.push_back(sizes[i] == -1 ? x.dim(own) : sizes[i]);
    check(own < 0 || x.dim(own) == 1 || x.dim(own) == shape[-1], "expand",
          "x is {}; cannot become [{}]", x.shape(), fmt::join(sizes, ", "));
  }
  return broadcast_view(x, shape);
}

}  // namespace

const Op& expand_op() {
  static const Op op = OpBuilder("expand")
                           .doc("x broadcast to other sizes; -1 keeps a size.")
                           .source("NumPy's broadcast_to")
                           .attrs(SizesAttrs{{-1}})
                           .input("x", "*", Kind::kAny)
                           .view(&view)
                           .gradient(
                               [](const GradArgs& args) -> std::vector<Tensor> {
                                 return {ops::sum_to(args.grad_out[0], args.in[0].shape())};
                               },
                               {})
                           .sample({Shape{3, 1}}, SizesAttrs{{2, -1, 5}})
                           .sample({Shape{1, 4}}, SizesAttrs{{0, 4}})
                           .build();
  return op;
}

namespace ops {

Tensor expand(const Tensor& x, std::vector<int64_t> sizes) {
  return expand_op()({x}, SizesAttrs{std::move(sizes)})[0];
}
Tensor expand(const Tensor& x, const Shape& shape) {
  return expand(x, std::vector<int64_t>(shape.begin(), shape.end()));
}

}  // namespace ops
}  // namespace yiti
