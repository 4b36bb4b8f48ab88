// Convolution and pooling.
#include "devices/common/ops.h"

namespace yiti::devices {
namespace {

Windows windows_of(const Call& call, const Operand& x, const Operand& y) {
  return {.images = x.dim(0),
          .channels = x.dim(1),
          .outputs = y.dim(1),
          .height = x.dim(2),
          .width = x.dim(3),
          .out_h = y.dim(2),
          .out_w = y.dim(3),
          .stride_h = call.integer("stride_h"),
          .stride_w = call.integer("stride_w"),
          .padding_h = call.integer("padding_h"),
          .padding_w = call.integer("padding_w"),
          .dilation_h = call.integer("dilation_h"),
          .dilation_w = call.integer("dilation_w")};
}

Windows convolution(const Call& call, const Operand& x, const Operand& weight, const Operand& y) {
  require_f32(call, 3);
  Windows windows = windows_of(call, x, y);
  windows.groups = call.integer("groups");
  windows.kernel_h = weight.dim(2);
  windows.kernel_w = weight.dim(3);
  return windows;
}

void conv2d(Launcher& run, const Call& call) {
  const Operand x = call.in(0), weight = call.in(1), bias = call.in(2), y = call.out(0);
  run.each({"images", "conv2d", ""}, y.numel(), pointer(x), pointer(weight), pointer(bias),
           bias ? 1 : 0, pointer(y), convolution(call, x, weight, y));
}

void conv2d_backward_input(Launcher& run, const Call& call) {
  const Operand dy = call.in(0), weight = call.in(1), dx = call.out(0);
  run.each({"images", "conv2d_backward_input", ""}, dx.numel(), pointer(dy), pointer(weight),
           pointer(dx), convolution(call, dx, weight, dy));
}

void conv2d_backward_weight(Launcher& run, const Call& call) {
  const Operand dy = call.in(0), x = call.in(1), dweight = call.out(0);
  run.each({"images", "conv2d_backward_weight", ""}, dweight.numel(), pointer(dy), pointer(x),
           pointer(dweight), convolution(call, x, dweight, dy));
}

Windows pooling(const Call& call, const Operand& x, const Operand& y) {
  require_f32(call, 1);
  Windows windows = windows_of(call, x, y);
  windows.kernel_h = call.integer("kernel_h");
  windows.kernel_w = call.integer("kernel_w");
  return windows;
}

void max_pool2d(Launcher& run, const Call& call) {
  const Operand x = call.in(0), y = call.out(0), index = call.out(1);
  run.each({"images", "max_pool2d", ""}, y.numel(), pointer(x), pointer(y), pointer(index),
           index ? 1 : 0, pooling(call, x, y));
}

void avg_pool2d(Launcher& run, const Call& call) {
  const Operand x = call.in(0), y = call.out(0);
  run.each({"images", "avg_pool2d", ""}, y.numel(), pointer(x), pointer(y),
           call.flag("count_include_pad") ? 1 : 0, pooling(call, x, y));
}

void avg_pool2d_backward(Launcher& run, const Call& call) {
  const Operand dy = call.in(0), dx = call.out(0);
  run.each({"images", "avg_pool2d_backward", ""}, dx.numel(), pointer(dy), pointer(dx),
           call.flag("count_include_pad") ? 1 : 0, pooling(call, dx, dy));
}

constexpr OpEntry kOps[] = {
    {"conv2d", conv2d},
    {"conv2d_backward_input", conv2d_backward_input},
    {"conv2d_backward_weight", conv2d_backward_weight},
    {"max_pool2d", max_pool2d},
    {"avg_pool2d", avg_pool2d},
    {"avg_pool2d_backward", avg_pool2d_backward},
};

}  // namespace

std::span<const OpEntry> image_ops() { return kOps; }

}  // namespace yiti::devices
