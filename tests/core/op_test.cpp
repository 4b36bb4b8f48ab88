#include "core/op.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/recorder.h"

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

// total += x, and how often its kernel has run.
struct Adder {
  int runs = 0;
  Op op;

  explicit Adder(bool takes_lists)
      : op(OpBuilder("add_to")
               .input("total", "[N]")
               .input("x", "[N]")
               .updates("total", 0)
               .build()) {
    Kernel kernel = cpu_kernel("cpu.f32", DType::kF32, nullptr);
    kernel.takes_lists = takes_lists;
    kernel.run = [this](const KernelArgs& args) {
      ++runs;
      for (size_t i = 0; i < args.out.size(); ++i) {
        for (int64_t at = 0; at < args.out[i].numel(); ++at) {
          args.out[i].data<float>()[at] += args.in[2 * i + 1].data<float>()[at];
        }
      }
    };
    op.kernels.push_back(kernel);
  }
};

TEST(Op, UpdatesEachListAtOnceWhereItsKernelTakesThat) {
  const DevicePtr device = make_cpu_device();
  for (const bool at_once : {false, true}) {
    Adder adder(at_once);
    std::vector<std::vector<Tensor>> lists;
    for (const float value : {1.0f, 2.0f, 3.0f}) {
      lists.push_back({Tensor::zeros({1}, DType::kF32, device),
                       Tensor::from(std::vector<float>{value}, {1}, device)});
    }
    adder.op.update_each(lists, {});
    EXPECT_EQ(adder.runs, at_once ? 1 : 3);
    for (const auto& list : lists) EXPECT_EQ(list[0].item(), list[1].item());
    adder.op.update_each({}, {});
    EXPECT_EQ(adder.runs, at_once ? 1 : 3);
  }
}

struct Listener final : Recorder {
  bool shape_only() const override { return false; }
  bool active() const override { return true; }
  void record(const Op&, std::span<const Tensor>, const Attrs&, std::span<Tensor>) override {}
};

TEST(Op, UpdatesOfListsAreCheckedAsOthersAre) {
  const DevicePtr device = make_cpu_device();
  Adder adder(true);
  const auto fails = [&](const Op& op, const std::vector<Tensor>& list, const char* why) {
    try {
      op.update_each({&list, 1}, {});
      FAIL() << "wants an error: " << why;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(why));
    }
  };
  const Tensor one = Tensor::zeros({1}, DType::kF32, device);
  fails(adder.op, {one, Tensor::zeros({2}, DType::kF32, device)}, "x is [2]; wants [N], N=1");
  fails(scale_op(), {one, one}, "makes tensors; wants an op that only updates");
  float value = 1;
  const auto fixed = Storage::wrap(device, &value, sizeof(value), nullptr, true);
  fails(adder.op, {Tensor::of_storage(fixed, 0, {1}, DType::kF32), one}, "total is read-only");
  Tensor traced = one.copy();
  traced.set_trace(std::make_shared<Trace>(Trace{std::make_shared<Listener>(), 0}));
  fails(adder.op, {one, traced}, "would lose the gradient");
  EXPECT_EQ(adder.runs, 0);
}

TEST(Attrs, PrintAndRewrite) { EXPECT_EQ(Attrs(ScaleAttrs{1.5}).str(), "by=1.5"); }

}  // namespace
}  // namespace yiti
