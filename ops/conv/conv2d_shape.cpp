#include "ops/conv/conv2d_shape.h"

#include "core/error.h"
#include "core/shape_text.h"

namespace yiti {
namespace {

Conv2dShape shape_of(const Shape& x, const Shape& weight, const Conv2dAttrs& attrs,
                     std::string_view op) {
  check(x.rank() == 4 && weight.rank() == 4, op, "x is {}, weight {}; wants four axes each", x,
        weight);
  check(attrs.groups >= 1 && x[1] % attrs.groups == 0 && weight[0] % attrs.groups == 0 &&
            weight[1] == x[1] / attrs.groups,
        op, "x is {}, weight {}; wants [O, C/groups, kh, kw] with {} groups", x, weight,
        attrs.groups);
  return {x[0], x[1], weight[0], attrs.groups,
          windows_of(x[2], x[3], weight[2], weight[3], attrs, op)};
}

// Throws unless what is not told by the inputs makes sense and dy is what the convolution gives.
Conv2dShape backward_shape(const Shape& dy, const Shape& x, const Shape& weight,
                           const Conv2dBackwardAttrs& attrs, std::string_view op) {
  const Conv2dShape shape = shape_of(x, weight, attrs, op);
  check(shape.y() == dy, op, "dy is {}; wants {}", dy, shape.y());
  return shape;
}

}  // namespace

Conv2dShape conv2d_forward_shape(std::span<const Tensor> in, const Attrs& attrs) {
  return shape_of(in[0].shape(), in[1].shape(), attrs.as<Conv2dAttrs>(), "conv2d");
}

Conv2dShape conv2d_backward_input_shape(std::span<const Tensor> in, const Attrs& attrs) {
  constexpr const char* kOp = "conv2d_backward_input";
  const auto& a = attrs.as<Conv2dBackwardAttrs>();
  check(a.height >= 0 && a.width >= 0 && a.groups >= 1, kOp, "an image of {} by {}, {} groups",
        a.height, a.width, a.groups);
  return backward_shape(in[0].shape(), {in[0].dim(0), in[1].dim(1) * a.groups, a.height, a.width},
                        in[1].shape(), a, kOp);
}

Conv2dShape conv2d_backward_weight_shape(std::span<const Tensor> in, const Attrs& attrs) {
  constexpr const char* kOp = "conv2d_backward_weight";
  const auto& a = attrs.as<Conv2dBackwardAttrs>();
  check(a.height >= 1 && a.width >= 1 && a.groups >= 1, kOp, "a kernel of {} by {}, {} groups",
        a.height, a.width, a.groups);
  return backward_shape(in[0].shape(), in[1].shape(),
                        {in[0].dim(1), in[1].dim(1) / a.groups, a.height, a.width}, a, kOp);
}

}  // namespace yiti
