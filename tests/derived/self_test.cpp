// Tests of the tests: what is wrong on purpose must be found.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "ops/elementwise/operators.h"
#include "ops/fused/add_rms_norm.h"
#include "ops/host_values.h"
#include "tests/derived/checks.h"

namespace yiti::derived {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::vector<Tensor> doubled(std::span<const Tensor> in, const Attrs&) {
  std::vector<double> values = to_doubles(in[0]);
  for (double& value : values) value *= 2;
  return {of_doubles(values, in[0].shape(), in[0].dtype(), in[0].device())};
}

// y = 2x, right in all but what a test makes wrong.
OpBuilder twice(void (*run)(const KernelArgs&), double slope = 2) {
  OpBuilder builder("twice");
  builder.doc("2 x.")
      .source("Arithmetic")
      .input("x", "[..., D]")
      .output("y", "[..., D]")
      .kernel(cpu_kernel("cpu.f32", DType::kF32, run))
      .reference(&doubled)
      .gradient(
          [slope](const GradArgs& args) -> std::vector<Tensor> {
            return {args.grad_out[0] * slope};
          },
          {})
      .sample({Shape{3, 19}})
      .sample({Shape{0, 4}});
  return builder;
}

template <class F>
void each(const KernelArgs& args, F f) {
  const Tensor x = args.in[0].contiguous();
  for (int64_t i = 0; i < x.numel(); ++i) {
    args.out[0].data<float>()[i] = f(x.data<float>()[i], i);
  }
}

void right(const KernelArgs& args) {
  each(args, [](float x, int64_t) { return 2 * x; });
}
void inexact(const KernelArgs& args) {
  each(args, [](float x, int64_t) { return 2.00001f * x; });
}
void overrunning(const KernelArgs& args) {
  right(args);
  args.out[0].data<float>()[args.out[0].numel()] = 0;
}
void leaving_a_gap(const KernelArgs& args) {
  const float* x = args.in[0].data<float>();
  for (int64_t i = 0; i + 1 < args.in[0].numel(); ++i) args.out[0].data<float>()[i] = 2 * x[i];
}
void blind_to_strides(const KernelArgs& args) {
  const float* x = args.in[0].data<float>();
  for (int64_t i = 0; i < args.in[0].numel(); ++i) args.out[0].data<float>()[i] = 2 * x[i];
}
void looking_at_neighbours(const KernelArgs& args) {
  const int64_t rows = args.in[0].numel() / std::max<int64_t>(1, args.in[0].dim(-1));
  each(args, [&](float x, int64_t) { return 2 * x + 1e-9f * static_cast<float>(rows); });
}

void splitting_a_sum(const KernelArgs& args) {
  // Each thread's share gets its own number: the result depends on how the work was split.
  const Tensor x = args.in[0].contiguous();
  args.device.threads().parallel_for(x.numel(), 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      args.out[0].data<float>()[i] =
          2 * x.data<float>()[i] + 1e-9f * static_cast<float>(end - begin);
    }
  });
}

TEST(DerivedTests, CatchAKernelThatDependsOnItsThreads) {
  EXPECT_THAT(check_threads(twice(&splitting_a_sum).build()).failures,
              Contains(HasSubstr("threads")));
}

TEST(DerivedTests, PassARightOp) {
  const Op op = twice(&right).build();
  for (const auto check : {&check_declaration, &check_rejections, &check_kernels, &check_layouts,
                           &check_threads, &check_rows, &check_gradients}) {
    EXPECT_THAT(check(op).failures, IsEmpty());
  }
}

TEST(DerivedTests, CatchAWrongGradient) {
  EXPECT_THAT(check_gradients(twice(&right, 2.01).build()).failures,
              Contains(HasSubstr("gradient of input 0, element 0")));
}

TEST(DerivedTests, CatchAKernelThatIsALittleOff) {
  EXPECT_THAT(check_kernels(twice(&inexact).build()).failures,
              Contains(HasSubstr("times the allowed error")));
}

TEST(DerivedTests, CatchAFusionThatIsABitOff) {
  Op broken = add_rms_norm_op();
  broken.kernels[0].run = [](const KernelArgs& args) {
    add_rms_norm_op().kernels[0].run(args);
    if (args.out[1].numel() > 0) {
      float& last = args.out[1].data<float>()[args.out[1].numel() - 1];
      last = std::nextafter(last, 2.0f);
    }
  };
  EXPECT_THAT(check_kernels(add_rms_norm_op()).failures, IsEmpty());
  EXPECT_THAT(check_kernels(broken).failures, Contains(HasSubstr("normed is inf times")));
}

TEST(DerivedTests, CatchAWriteBehindTheOutput) {
  EXPECT_THAT(check_kernels(twice(&overrunning).build()).failures,
              Contains(HasSubstr("around output y")));
}

TEST(DerivedTests, CatchAnElementLeftUnwritten) {
  EXPECT_THAT(check_kernels(twice(&leaving_a_gap).build()).failures, Not(IsEmpty()));
}

TEST(DerivedTests, CatchAKernelBlindToStrides) {
  EXPECT_THAT(check_layouts(twice(&blind_to_strides).build()).failures,
              Contains(HasSubstr("strided")));
}

TEST(DerivedTests, CatchARowThatDependsOnItsBatch) {
  EXPECT_THAT(check_rows(twice(&looking_at_neighbours).build()).failures,
              Contains(HasSubstr("differs from that row alone")));
}

TEST(DerivedTests, CatchAnIncompleteDeclaration) {
  const Op op = OpBuilder("bare").input("x", "[N]").output("y", "[N]").build();
  EXPECT_THAT(check_declaration(op).failures, Contains(HasSubstr("no documentation")));
  EXPECT_THAT(check_declaration(op).failures,
              Contains(HasSubstr("differentiable without gradient or reference")));
}

TEST(DerivedTests, CatchAnErrorThatDoesNotNameTheOp) {
  const Op op = twice(&right)
                    .shape_rule([](std::span<const Tensor> in, const Attrs&, const Op&) {
                      check(in[0].dim(-1) % 5 == 4, "elsewhere", "odd");
                      return std::vector<Tensor>{in[0].as_meta()};
                    })
                    .build();
  EXPECT_THAT(check_rejections(op).failures, Contains(HasSubstr("does not name the op")));
}

}  // namespace
}  // namespace yiti::derived
