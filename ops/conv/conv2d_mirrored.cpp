// The gradient of a convolution of stride 1 by its images: a convolution, too, of dy with the
// weights mirrored and their channels exchanged. It has the speed of the forward one, and needs no
// windows in memory.
#include "ops/conv/conv2d_shape.h"
#include "ops/shape/contiguous.h"

namespace yiti::cpu {
namespace {

// The padding with which the mirrored windows give the image's size again.
int64_t mirrored(int64_t kernel, int64_t dilation, int64_t padding) {
  return (kernel - 1) * dilation - padding;
}

std::optional<std::string> refuses(std::span<const Tensor> in, const Attrs& attrs) {
  const auto& a = attrs.as<Conv2dBackwardAttrs>();
  if (a.stride_h != 1 || a.stride_w != 1) return "takes a stride of 1";
  if (a.height == 0 || a.width == 0) return "takes images that have elements";
  if (mirrored(in[1].dim(2), a.dilation_h, a.padding_h) < 0 ||
      mirrored(in[1].dim(3), a.dilation_w, a.padding_w) < 0) {
    return "takes less padding than the window is wide";
  }
  return std::nullopt;
}

Conv2dShape mirrored_shape(std::span<const Tensor> in, const Attrs& attrs) {
  const Conv2dShape s = conv2d_backward_input_shape(in, attrs);
  const Windows& w = s.windows;
  WindowAttrs a = w.a;
  a.padding_h = mirrored(w.kernel_h, a.dilation_h, a.padding_h);
  a.padding_w = mirrored(w.kernel_w, a.dilation_w, a.padding_w);
  return {s.images, s.outputs, s.channels, s.groups,
          windows_of(w.out_h, w.out_w, w.kernel_h, w.kernel_w, a, "conv2d_backward_input")};
}

// [C, O / groups, Kh, Kw] from [O, C / groups, Kh, Kw].
Tensor mirrored_weights(const Tensor& weight, const Conv2dShape& s) {
  const int64_t area = s.windows.area(), outputs = s.group_channels(), channels = s.group_outputs();
  const Tensor source = ops::contiguous(weight);
  Tensor target = Tensor::empty(s.weight(), DType::kF32, weight.device());
  const float* from = source.data<float>();
  float* to = target.data<float>();
  for (int64_t group = 0; group < s.groups; ++group) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t o = 0; o < outputs; ++o, to += area) {
        const float* kernel = from + ((group * outputs + o) * channels + c) * area;
        for (int64_t tap = 0; tap < area; ++tap) to[tap] = kernel[area - 1 - tap];
      }
    }
  }
  return target;
}

void run(const KernelArgs& args) {
  if (args.out[0].numel() == 0) return;
  const Conv2dShape shape = mirrored_shape(args.in, args.attrs);
  convolve(shape, ops::contiguous(args.in[0]), mirrored_weights(args.in[1], shape), Tensor(),
           args.out[0].data<float>(), args.device, args.workspace);
}

size_t workspace(std::span<const Tensor> in, const Attrs& attrs, Device& device) {
  return convolution_workspace(mirrored_shape(in, attrs), device);
}

}  // namespace

Kernel mirrored_conv2d_backward_input() {
  Kernel kernel = cpu_kernel("cpu.mirrored", DType::kF32, &run, &workspace);
  kernel.refuses = [plain = kernel.refuses](std::span<const Tensor> in, const Attrs& attrs) {
    const auto reason = plain(in, attrs);
    return reason ? reason : refuses(in, attrs);
  };
  return kernel;
}

}  // namespace yiti::cpu
