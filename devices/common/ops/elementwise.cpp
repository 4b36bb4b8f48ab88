// Ops whose result's elements come from one element of each operand.
#include <cmath>

#include "devices/common/element_types.h"
#include "devices/common/ops.h"
#include "devices/common/walks.h"

namespace yiti::devices {
namespace {

std::string kernel_name(const Call& call, const char* form) {
  return fmt::format("{}_{}", call.op(), form);
}

void run_unary(Launcher& run, const Call& call, float p, float q) {
  require_f32(call, 1);
  const std::string name = kernel_name(call, "each");
  run.each({"elementwise", name.c_str(), ""}, call.out(0).numel(), pointer(call.in(0)),
           pointer(call.out(0)), p, q);
}

void plain_unary(Launcher& run, const Call& call) { run_unary(run, call, 0, 0); }
void scale(Launcher& run, const Call& call) {
  run_unary(run, call, call.real("factor"), call.real("offset"));
}
void clamp(Launcher& run, const Call& call) {
  run_unary(run, call, call.real("low"), call.real("high"));
}

// Whether x's elements, repeated, are those of x broadcast to `shape`.
bool repeats(const Operand& x, const Operand& out) {
  int axis = 0;
  while (axis < x.rank() && x.dim(axis) == 1) ++axis;
  for (; axis < x.rank(); ++axis) {
    if (x.dim(axis) != out.dim(axis - x.rank())) return false;
  }
  return true;
}

void binary(Launcher& run, const Call& call) {
  const Operand a = call.in(0), b = call.in(1), y = call.out(0);
  const BuildOptions options = number_options(a);
  if (repeats(a, y) && repeats(b, y)) {
    const std::string name = kernel_name(call, "each");
    run.each({"elementwise", name.c_str(), options}, y.numel(), pointer(a), pointer(b), pointer(y),
             a.numel(), b.numel());
  } else {
    const std::string name = kernel_name(call, "walk");
    run.each({"elementwise", name.c_str(), options}, y.numel(), pointer(a), broadcast_walk(a, y),
             pointer(b), broadcast_walk(b, y), pointer(y));
  }
}

void swiglu(Launcher& run, const Call& call) {
  require_f32(call, 2);
  run.each({"elementwise", "swiglu", ""}, call.out(0).numel(), pointer(call.in(0)),
           pointer(call.in(1)), pointer(call.out(0)));
}

void swiglu_backward(Launcher& run, const Call& call) {
  require_f32(call, 3);
  run.each({"elementwise", "swiglu_backward", ""}, call.out(0).numel(), pointer(call.in(0)),
           pointer(call.in(1)), pointer(call.in(2)), pointer(call.out(0)), pointer(call.out(1)));
}

void dropout(Launcher& run, const Call& call) {
  require_f32(call, 1);
  const double p = call.number("p");
  run.each({"elementwise", "dropout", ""}, call.out(0).numel(), pointer(call.in(0)),
           pointer(call.out(0)), call.integer("seed"), call.integer("offset"),
           static_cast<int64_t>(std::ceil(p * 0x1p32)), static_cast<float>(1 / (1 - p)));
}

constexpr OpEntry kOps[] = {
    {"neg", plain_unary},
    {"exp", plain_unary},
    {"log", plain_unary},
    {"sqrt", plain_unary},
    {"rsqrt", plain_unary},
    {"square", plain_unary},
    {"abs", plain_unary},
    {"tanh", plain_unary},
    {"sigmoid", plain_unary},
    {"relu", plain_unary},
    {"silu", plain_unary},
    {"gelu", plain_unary},
    {"gelu_tanh", plain_unary},
    {"sin", plain_unary},
    {"cos", plain_unary},
    {"scale", scale},
    {"clamp", clamp},
    {"add", binary},
    {"sub", binary},
    {"mul", binary},
    {"div", binary},
    {"maximum", binary},
    {"minimum", binary},
    {"pow", binary},
    {"equal", binary},
    {"less", binary},
    {"greater", binary},
    {"swiglu", swiglu},
    {"swiglu_backward", swiglu_backward},
    {"dropout", dropout},
};

}  // namespace

std::span<const OpEntry> elementwise_ops() { return kOps; }

}  // namespace yiti::devices
