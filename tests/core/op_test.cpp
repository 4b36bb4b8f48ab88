#include "core/op.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace yiti {
namespace {

using ::testing::HasSubstr;

struct ScaleAttrs {
  double by = 2;
  void visit(AttrVisitor& v) { v.field("by", by); }
};

const Op& scale_op() {
  static const Op op =
      OpBuilder("scale")
          .attrs(ScaleAttrs{})
          .input("x", "[..., D]")
          .input("weight", "[D]")
          .output("y", "[..., D]")
          .kernel(cpu_kernel("cpu.f32", DType::kF32,
                             [](const KernelArgs& args) {
                               const auto* x = args.in[0].data<float>();
                               const auto* w = args.in[1].data<float>();
                               auto* y = args.out[0].data<float>();
                               const int64_t width = args.in[1].dim(0);
                               for (int64_t i = 0; i < args.in[0].numel(); ++i) {
                                 y[i] = x[i] * w[i % width] *
                                        static_cast<float>(args.attrs.as<ScaleAttrs>().by);
                               }
                             }))
          .build();
  return op;
}

TEST(Op, RunsItsKernel) {
  const DevicePtr device = make_cpu_device();
  const Tensor x = Tensor::from(std::vector<float>{1, 2, 3, 4}, {2, 2}, device);
  const Tensor w = Tensor::from(std::vector<float>{1, 10}, {2}, device);
  EXPECT_EQ(scale_op()({x, w}, ScaleAttrs{3})[0].to_vector<float>(),
            (std::vector<float>{3, 60, 9, 120}));
}

TEST(Op, ShapeErrorNamesOpInputGotAndWanted) {
  const DevicePtr device = make_cpu_device();
  const Tensor x = Tensor::zeros({2, 8, 2048}, DType::kF32, device);
  const Tensor w = Tensor::zeros({4096}, DType::kF32, device);
  try {
    scale_op()({x, w});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_STREQ(error.what(), "scale: weight is [4096]; wants [D], D=2048 from x [2, 8, 2048]");
  }
}

TEST(Op, RefusesTwoEngines) {
  const Tensor x = Tensor::zeros({2, 2}, DType::kF32, make_cpu_device());
  const Tensor w = Tensor::zeros({2}, DType::kF32, make_cpu_device());
  EXPECT_THROW(scale_op()({x, w}), Error);
}

TEST(Op, SaysWhyNoKernelRuns) {
  const DevicePtr device = make_cpu_device();
  const Tensor x = Tensor::zeros({2, 2}, DType::kF64, device);
  const Tensor w = Tensor::zeros({2}, DType::kF64, device);
  try {
    scale_op()({x, w});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnimplemented);
    EXPECT_THAT(error.what(), HasSubstr("cpu.f32: takes f32; got f64"));
  }
}

TEST(Attrs, PrintAndRewrite) { EXPECT_EQ(Attrs(ScaleAttrs{1.5}).str(), "by=1.5"); }

}  // namespace
}  // namespace yiti
