// The sizes of a convolution, checked.
#pragma once

#include "ops/conv/conv2d.h"

namespace yiti {

struct Conv2dShape {
  int64_t images, channels, outputs, groups;
  Windows windows;

  int64_t group_channels() const { return channels / groups; }
  int64_t group_outputs() const { return outputs / groups; }
  /// Inputs of one output: the inner size of the matrix product.
  int64_t taps() const { return group_channels() * windows.area(); }
  Shape x() const { return {images, channels, windows.height, windows.width}; }
  Shape weight() const { return {outputs, group_channels(), windows.kernel_h, windows.kernel_w}; }
  Shape y() const { return {images, outputs, windows.out_h, windows.out_w}; }
};

/// The attributes of the backward ops: those of the convolution, and the shape that the gradient
/// has where its other input does not tell it.
struct Conv2dBackwardAttrs : Conv2dAttrs {
  int64_t height = 1, width = 1;  ///< of the image, or of the kernel
  void visit(AttrVisitor& v) {
    Conv2dAttrs::visit(v);
    v.field("height", height);
    v.field("width", width);
  }
};

/// The shapes of an op's call from its inputs. Each throws kInvalidArgument naming the op.
Conv2dShape conv2d_forward_shape(std::span<const Tensor> in, const Attrs& attrs);
Conv2dShape conv2d_backward_input_shape(std::span<const Tensor> in, const Attrs& attrs);
Conv2dShape conv2d_backward_weight_shape(std::span<const Tensor> in, const Attrs& attrs);

namespace ops {

/// dx [B, C, height, width] from dy [B, O, H', W'] and weight.
Tensor conv2d_backward_input(const Tensor& dy, const Tensor& weight,
                             const Conv2dBackwardAttrs& attrs);
/// dweight [O, C / groups, height, width] from dy and x.
Tensor conv2d_backward_weight(const Tensor& dy, const Tensor& x, const Conv2dBackwardAttrs& attrs);

}  // namespace ops

namespace cpu {

// f32 by matrix products; see conv2d_forward.cpp and conv2d_backward.cpp.

/// y from contiguous x and weight; y holds an element at least. The workspace is as long as
/// convolution_workspace says.
void convolve(const Conv2dShape& shape, const Tensor& x, const Tensor& weight, const Tensor& bias,
              float* y, Device& device, std::byte* workspace);
size_t convolution_workspace(const Conv2dShape& shape, Device& device);

void run_conv2d(const KernelArgs& args);
void run_conv2d_backward_input(const KernelArgs& args);
/// The same as a convolution of dy with the mirrored weights, for windows of stride 1 that are
/// padded by less than themselves: conv2d_mirrored.cpp.
Kernel mirrored_conv2d_backward_input();
void run_conv2d_backward_weight(const KernelArgs& args);
size_t conv2d_workspace(std::span<const Tensor> in, const Attrs& attrs, Device& device);
size_t conv2d_backward_input_workspace(std::span<const Tensor> in, const Attrs& attrs,
                                       Device& device);
size_t conv2d_backward_weight_workspace(std::span<const Tensor> in, const Attrs& attrs,
                                        Device& device);

}  // namespace cpu

// By plain loops in f64.
std::vector<Tensor> conv2d_reference(std::span<const Tensor> in, const Attrs& attrs);
std::vector<Tensor> conv2d_backward_input_reference(std::span<const Tensor> in, const Attrs& attrs);
std::vector<Tensor> conv2d_backward_weight_reference(std::span<const Tensor> in,
                                                     const Attrs& attrs);

}  // namespace yiti
