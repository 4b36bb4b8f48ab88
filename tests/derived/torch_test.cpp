// Conventions that no formula settles, against torch: ties, NaN, padding, the order of an
// optimiser's updates. The data comes from tests/data/ops/make_torch_ops.py.
#include <gtest/gtest.h>

#include <cmath>

#include "autograd/tape.h"
#include "core/io/safetensors.h"
#include "ops/conv/conv2d.h"
#include "ops/conv/pool2d.h"
#include "ops/elementwise/operators.h"
#include "ops/host_values.h"
#include "ops/op_list.h"
#include "ops/optim/adamw.h"
#include "ops/optim/sgd.h"
#include "ops/reduce/arg.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/cast.h"
#include "ops/shape/reshape.h"
#include "ops/shape/slice.h"

namespace yiti {
namespace {

class Torch : public ::testing::Test {
 protected:
  Tensor at(const std::string& name) const { return file_->tensor(name); }

  /// Within `ulps` of f32, relative to the largest wanted magnitude; NaN and infinities the same.
  static void expect_near(const Tensor& got, const Tensor& wanted, double ulps,
                          const std::string& what) {
    ASSERT_EQ(got.shape(), wanted.shape()) << what;
    const std::vector<double> g = to_doubles(got), w = to_doubles(wanted);
    double largest = 0;
    for (double value : w) {
      if (std::isfinite(value) && std::fabs(value) < 1e6)
        largest = std::max(largest, std::fabs(value));
    }
    for (size_t i = 0; i < w.size(); ++i) {
      if (std::isnan(w[i])) {
        EXPECT_TRUE(std::isnan(g[i])) << what << " element " << i << " is " << g[i];
      } else if (std::isfinite(w[i])) {
        const double allowed = ulps * 0x1p-23 * std::max(largest, std::fabs(w[i]));
        EXPECT_NEAR(g[i], w[i], allowed) << what << " element " << i;
      } else {
        EXPECT_EQ(g[i], w[i]) << what << " element " << i;
      }
    }
  }

  /// Runs f on the case's inputs and compares its output and all gradients.
  void expect_case(const std::string& name, double ulps,
                   const std::function<Tensor(const std::vector<Tensor>&)>& f) const {
    const auto tape = Tape::create();
    std::vector<Tensor> in;
    for (size_t i = 0; file_->find(fmt::format("{}.in{}", name, i)) != nullptr; ++i) {
      in.push_back(tape->watch(at(fmt::format("{}.in{}", name, i))));
    }
    const Tensor y = f(in);
    expect_near(y, at(name + ".y"), ulps, name);
    tape->backward(y, at(name + ".weight"));
    for (size_t i = 0; i < in.size(); ++i) {
      const std::string input = fmt::format("{}.grad{}", name, i);
      expect_near(tape->grad(in[i]), at(input), ulps, input);
    }
  }

  DevicePtr device_ = make_cpu_device();
  std::shared_ptr<const SafetensorsFile> file_ =
      SafetensorsFile::open(YITI_TEST_DATA "/ops/torch_ops.safetensors", device_);
};

TEST_F(Torch, AgreesOnFunctionsOfOneNumber) {
  const Tensor x = at("unary.x");
  for (const char* name :
       {"exp", "tanh", "sigmoid", "relu", "silu", "gelu", "gelu_tanh", "rsqrt", "abs", "log"}) {
    const Op* op = find_op(name);
    ASSERT_NE(op, nullptr);
    expect_near((*op)({x})[0], at(fmt::format("unary.{}", name)), 4, name);
  }
  expect_near(ops::clamp(x, -0.5, 0.75), at("unary.clamp"), 0, "clamp");
}

TEST_F(Torch, RoundsTo16BitsAlike) {
  for (const auto& [name, dtype] :
       {std::pair{"cast.f16", DType::kF16}, std::pair{"cast.bf16", DType::kBF16}}) {
    expect_near(ops::cast(at("cast.x"), dtype), at(name), 0, name);
  }
}

TEST_F(Torch, AgreesOnTiesAndNaN) {
  const Tensor x = at("ties.x");
  EXPECT_EQ(ops::argmax(x, 1).to_vector<int64_t>(), at("ties.argmax").to_vector<int64_t>());
  EXPECT_EQ(ops::argmin(x, 1).to_vector<int64_t>(), at("ties.argmin").to_vector<int64_t>());
  expect_near(ops::max(x, {1}), at("ties.max"), 0, "max");
  expect_near(ops::min(x, {1}), at("ties.min"), 0, "min");
  expect_case("amax", 2, [](auto& in) { return ops::max(in[0], {0, 2}); });
  expect_case("maximum", 0, [](auto& in) { return ops::maximum(in[0], in[1]); });
  expect_case("pow", 8, [](auto& in) { return ops::pow(in[0], in[1]); });
}

TEST_F(Torch, ConvolvesAlike) {
  Conv2dAttrs attrs;
  attrs.stride_h = 2;
  attrs.padding_h = 1;
  attrs.padding_w = 2;
  attrs.dilation_w = 2;
  attrs.groups = 2;
  expect_case("conv", 16, [&](auto& in) { return ops::conv2d(in[0], in[1], in[2], attrs); });
}

TEST_F(Torch, PoolsAlike) {
  const ops::Pool2dOptions dilated = {.kernel = 3, .stride = 2, .padding = 1, .dilation = 2};
  expect_case("max_pool", 0, [&](auto& in) { return ops::max_pool2d(in[0], dilated); });
  ops::Pool2dOptions options = {.kernel = 3, .stride = 2, .padding = 1};
  expect_case("avg_pool", 4, [&](auto& in) { return ops::avg_pool2d(in[0], options); });
  options.count_include_pad = false;
  expect_case("avg_pool_inside", 4, [&](auto& in) { return ops::avg_pool2d(in[0], options); });
}

// A tensor of its own: the file's memory is read-only.
Tensor writable(const Tensor& tensor) {
  return Tensor::from(tensor.to_vector<float>(), tensor.shape(), tensor.device());
}

TEST_F(Torch, StepsAdamwAlike) {
  const Tensor param = writable(at("adamw.start")), grads = at("adamw.grads");
  const Tensor m = Tensor::zeros(param.shape(), DType::kF32, device_);
  const Tensor v = Tensor::zeros(param.shape(), DType::kF32, device_);
  AdamwAttrs attrs = {.lr = 0.02, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-6, .weight_decay = 0.1};
  for (attrs.step = 1; attrs.step <= 5; ++attrs.step) {
    ops::adamw_step(param, ops::reshape(ops::slice(grads, 0, attrs.step - 1, attrs.step), {-1}), m,
                    v, attrs);
    expect_near(param,
                ops::reshape(ops::slice(at("adamw.trail"), 0, attrs.step - 1, attrs.step), {-1}), 2,
                fmt::format("step {}", attrs.step));
  }
}

TEST_F(Torch, StepsSgdAlike) {
  for (const std::string name : {"sgd", "nesterov"}) {
    const Tensor param = writable(at(name + ".start"));
    SgdAttrs attrs = {.lr = 0.1, .weight_decay = 0.01};
    Tensor buffer;
    if (name == "nesterov") {
      attrs.momentum = 0.9;
      attrs.nesterov = true;
      buffer = Tensor::zeros(param.shape(), DType::kF32, device_);
    }
    for (int64_t step = 0; step < 5; ++step) {
      const auto row = [&](const std::string& part) {
        return ops::reshape(ops::slice(at(name + part), 0, step, step + 1), {-1});
      };
      ops::sgd_step(param, row(".grads"), attrs, buffer);
      expect_near(param, row(".trail"), 2, fmt::format("{} step {}", name, step));
    }
  }
}

TEST_F(Torch, UpdatesRefuseReadOnlyMemory) {
  EXPECT_THROW(ops::sgd_step(at("sgd.start"), at("sgd.start"), {}), Error);
}

}  // namespace
}  // namespace yiti
