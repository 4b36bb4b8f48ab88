#include "ops/random/dropout.h"

#include <cmath>

#include "core/error.h"
#include "core/random.h"
#include "ops/host_values.h"
#include "ops/shape/contiguous.h"

namespace yiti {
namespace {

struct DropoutAttrs {
  double p = 0.5;
  int64_t seed = 0;
  int64_t offset = 0;
  void visit(AttrVisitor& v) {
    v.field("p", p);
    v.field("seed", seed);
    v.field("offset", offset);
  }
};

std::vector<Tensor> infer(std::span<const Tensor> in, const Attrs& attrs, const Op& op) {
  const double p = attrs.as<DropoutAttrs>().p;
  check(p >= 0 && p <= 1, op.name, "p is {}; wants [0, 1]", p);
  return {in[0].as_meta()};
}

// Which elements stay, two to a draw of 64 random bits.
class Mask {
 public:
  explicit Mask(const DropoutAttrs& a)
      : key_{static_cast<uint64_t>(a.seed), static_cast<uint64_t>(a.offset)},
        threshold_(static_cast<uint64_t>(std::ceil(a.p * 0x1p32))) {}
  uint64_t pair(int64_t i) const { return random_bits(key_, static_cast<uint64_t>(i)); }
  bool keeps(uint64_t bits) const { return (bits & 0xffffffffu) >= threshold_; }

 private:
  RandomKey key_;
  uint64_t threshold_;
};

template <class T>
void run(const KernelArgs& args) {
  const auto& a = args.attrs.as<DropoutAttrs>();
  const Tensor x = ops::contiguous(args.in[0]);
  const Mask mask(a);
  const T scale = static_cast<T>(1 / (1 - a.p));
  const T* source = x.data<T>();
  T* target = args.out[0].data<T>();
  const int64_t n = x.numel();
  args.device.threads().parallel_for((n + 1) / 2, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t pair = begin; pair < end; ++pair) {
      uint64_t bits = mask.pair(pair);
      for (int64_t i = 2 * pair; i < std::min(n, 2 * pair + 2); ++i, bits >>= 32) {
        target[i] = mask.keeps(bits) ? source[i] * scale : T{0};
      }
    }
  });
}

std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs& attrs) {
  const auto& a = attrs.as<DropoutAttrs>();
  const Mask mask(a);
  std::vector<double> y = to_doubles(in[0]);
  for (size_t i = 0; i < y.size(); ++i) {
    const bool kept = mask.keeps(mask.pair(static_cast<int64_t>(i / 2)) >> (i % 2 * 32));
    y[i] = kept ? y[i] / (1 - a.p) : 0;
  }
  return {of_doubles(y, in[0].shape(), in[0].dtype(), in[0].device())};
}

}  // namespace

const Op& dropout_op() {
  static const Op op =
      OpBuilder("dropout")
          .doc("x with a random part of its elements set to 0 and the rest scaled up.")
          .source("Srivastava et al. 2014; Philox4x32-10")
          .attrs(DropoutAttrs{})
          .input("x", "*")
          .output("y", "*")
          .shape_rule(&infer)
          .kernel(cpu_kernel("cpu.f32", DType::kF32, &run<float>))
          .kernel(cpu_kernel("cpu.f64", DType::kF64, &run<double>))
          .reference(&reference)
          .gradient(
              // Linear in x: the same elements stay.
              [](const GradArgs& args) -> std::vector<Tensor> {
                return {dropout_op()({args.grad_out[0]}, args.attrs)[0]};
              },
              {})
          .sample({Shape{3, 67}}, DropoutAttrs{0.25, 5, 1})
          .sample({Shape{7}}, DropoutAttrs{0, 5, 2})
          .sample({Shape{2, 3}}, DropoutAttrs{1, 5, 3})
          .sample({Shape{0, 3}}, DropoutAttrs{})
          .accuracy(2)
          .build();
  return op;
}

namespace ops {

Tensor dropout(const Tensor& x, double p, int64_t seed, int64_t offset) {
  return dropout_op()({x}, DropoutAttrs{p, seed, offset})[0];
}

}  // namespace ops
}  // namespace yiti
