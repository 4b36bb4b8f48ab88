#include "ops/attention/rope.h"

#include <cmath>

#include "ops/attention/head_view.h"
#include "ops/host_values.h"
#include "ops/kernels/cpu/rope.h"

namespace yiti {
namespace {

template <class Index>
void fill_table(const KernelArgs& args) {
  const Tensor positions = args.in[0].contiguous(), frequencies = args.in[1].contiguous();
  const double factor = args.attrs.as<RopeTableAttrs>().attention_factor;
  const auto* p = positions.data<Index>();
  const auto* f = frequencies.data<float>();
  float *cos = args.out[0].data<float>(), *sin = args.out[1].data<float>();
  const int64_t pairs = frequencies.numel();
  args.device.threads().parallel_for(positions.numel(), 4, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t i = 0; i < pairs; ++i) {
        const double angle = static_cast<double>(p[t]) * static_cast<double>(f[i]);
        cos[t * pairs + i] = static_cast<float>(std::cos(angle) * factor);
        sin[t * pairs + i] = static_cast<float>(std::sin(angle) * factor);
      }
    }
  });
}

std::vector<Tensor> table_reference(std::span<const Tensor> in, const Attrs& attrs) {
  const std::vector<double> positions = to_doubles(in[0]), frequencies = to_doubles(in[1]);
  const double factor = attrs.as<RopeTableAttrs>().attention_factor;
  std::vector<double> cos, sin;
  for (double position : positions) {
    for (double frequency : frequencies) {
      cos.push_back(std::cos(position * frequency) * factor);
      sin.push_back(std::sin(position * frequency) * factor);
    }
  }
  const Shape shape = {in[0].dim(0), in[1].dim(0)};
  return {of_doubles(cos, shape, in[1].dtype(), in[1].device()),
          of_doubles(sin, shape, in[1].dtype(), in[1].device())};
}

void rotate_f32(const KernelArgs& args) {
  const cpu::HeadView x(args.in[0]);
  const Tensor cos = args.in[1].contiguous(), sin = args.in[2].contiguous();
  const auto& table = cpu::rope_table_for(args.device.isa());
  const float sign = args.attrs.as<RopeAttrs>().inverse ? -1.0f : 1.0f;
  const float *c = cos.data<float>(), *s = sin.data<float>();
  float* y = args.out[0].data<float>();
  const int64_t heads = x.heads(), width = x.head_dim(), pairs = cos.dim(1);
  args.device.threads().parallel_for(x.tokens(), 4, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t h = 0; h < heads; ++h) {
        table.head(x.at(t, h), c + t * pairs, s + t * pairs, sign, pairs, width,
                   y + (t * heads + h) * width);
      }
    }
  });
}

std::vector<Tensor> rotate_reference(std::span<const Tensor> in, const Attrs& attrs) {
  std::vector<double> x = to_doubles(in[0]);
  const std::vector<double> cos = to_doubles(in[1]), sin = to_doubles(in[2]);
  const double sign = attrs.as<RopeAttrs>().inverse ? -1 : 1;
  const auto heads = static_cast<size_t>(in[0].dim(1)), width = static_cast<size_t>(in[0].dim(2));
  const auto tokens = static_cast<size_t>(in[0].dim(0)), pairs = static_cast<size_t>(in[1].dim(1));
  for (size_t row = 0; row < tokens * heads; ++row) {
    for (size_t i = 0; i < pairs; ++i) {
      const size_t angle = row / heads * pairs + i;
      double &a = x[row * width + i], &b = x[row * width + pairs + i];
      const double first = a * cos[angle] - b * sin[angle] * sign;
      b = b * cos[angle] + a * sin[angle] * sign;
      a = first;
    }
  }
  return {of_doubles(x, in[0].shape(), in[0].dtype(), in[0].device())};
}

std::vector<Tensor> rotated_shape(std::span<const Tensor> in, const Attrs&, const Op& op) {
  check(2 * in[1].dim(1) <= in[0].dim(2), op.name, "cos has {} angles; wants at most half of D={}",
        in[1].dim(1), in[0].dim(2));
  return {Tensor::meta(in[0].shape(), in[0].dtype(), in[0].device())};
}

// The tables get none.
std::vector<Tensor> rotate_back(const GradArgs& g) {
  const RopeAttrs inverse{!g.attrs.as<RopeAttrs>().inverse};
  return {rope_op()({g.grad_out[0], g.in[1], g.in[2]}, inverse)[0], Tensor(), Tensor()};
}

constexpr const char* kSource = "Su et al. 2021, RoFormer";

}  // namespace

const Op& rope_table_op() {
  static const Op op = OpBuilder("rope_table")
                           .doc("The cosines and sines of each position's rotary angles.")
                           .source(kSource)
                           .attrs(RopeTableAttrs{})
                           .input("positions", "[T]", Kind::kIndex)
                           .input("inv_freq", "[P]")
                           .output("cos", "[T, P]", 1)
                           .output("sin", "[T, P]", 1)
                           .kernel(cpu_kernel("cpu.f32", DType::kF32,
                                              [](const KernelArgs& args) {
                                                args.in[0].dtype() == DType::kI32
                                                    ? fill_table<int32_t>(args)
                                                    : fill_table<int64_t>(args);
                                              }))
                           .reference(table_reference)
                           .not_differentiable()
                           .sample({Shape{5}, Shape{4}}, RopeTableAttrs{}, 1000)
                           .sample({Shape{3}, Shape{7}}, RopeTableAttrs{1.25}, 100)
                           .sample({Shape{0}, Shape{4}}, RopeTableAttrs{})
                           .accuracy(4)
                           .build();
  return op;
}

const Op& rope_op() {
  static const Op op = OpBuilder("rope")
                           .doc(
                               "Rotates the pairs (i, i + P) of each head of x by the angle of "
                               "table column i; what is behind 2P passes through.")
                           .source(kSource)
                           .attrs(RopeAttrs{})
                           .input("x", "[T, H, D]")
                           .input("cos", "[T, P]")
                           .input("sin", "[T, P]")
                           .output("y", "[T, H, D]")
                           .shape_rule(rotated_shape)
                           .kernel(cpu_kernel("cpu.f32", DType::kF32, rotate_f32))
                           .reference(rotate_reference)
                           .gradient(rotate_back, {1, 2})
                           .sample({Shape{3, 2, 64}, Shape{3, 32}, Shape{3, 32}}, RopeAttrs{})
                           .sample({Shape{3, 2, 21}, Shape{3, 5}, Shape{3, 5}}, RopeAttrs{true})
                           .sample({Shape{0, 2, 8}, Shape{0, 4}, Shape{0, 4}}, RopeAttrs{})
                           .accuracy(4)
                           .build();
  return op;
}

std::pair<Tensor, Tensor> ops::rope_table(const Tensor& positions, const Tensor& inv_freq,
                                          double attention_factor) {
  const auto out = rope_table_op()({positions, inv_freq}, RopeTableAttrs{attention_factor});
  return {out[0], out[1]};
}

Tensor ops::rope(const Tensor& x, const Tensor& cos, const Tensor& sin) {
  return rope_op()({x, cos, sin}, RopeAttrs{})[0];
}

}  // namespace yiti
