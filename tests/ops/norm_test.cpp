#include "ops/norm/layer_norm.h"
#include "ops/norm/rms_norm.h"
#include "ops/norm/softmax.h"
#include "ops/norm/swiglu.h"
#include "tests/ops/op_checks.h"

namespace yiti {
namespace {

TEST(Norm, KernelsMatchTheirReferences) {
  for (const Op* op :
       {&rms_norm_op(), &rms_norm_backward_input_op(), &rms_norm_backward_weight_op(),
        &layer_norm_op(), &layer_norm_backward_input_op(), &layer_norm_backward_weight_op(),
        &softmax_op(), &softmax_backward_op(), &log_softmax_op(), &log_softmax_backward_op(),
        &swiglu_op(), &swiglu_backward_op()}) {
    expect_kernels_match_reference(*op);
  }
}

TEST(Norm, GradientsMatchFiniteDifferences) {
  const DevicePtr device = make_cpu_device();
  const Tensor x = noise_tensor({3, 5}, 1, DType::kF64, device);
  const Tensor w = noise_tensor({5}, 2, DType::kF64, device);
  const Tensor b = noise_tensor({5}, 3, DType::kF64, device);
  expect_gradient_matches_differences(rms_norm_op(), {x, w}, NormAttrs{1e-5}, {0, 1});
  expect_gradient_matches_differences(layer_norm_op(), {x, w, b}, NormAttrs{1e-5}, {0, 1, 2});
  expect_gradient_matches_differences(layer_norm_op(), {x, Tensor(), Tensor()}, NormAttrs{1e-5},
                                      {0});
  expect_gradient_matches_differences(softmax_op(), {x}, {}, {0});
  expect_gradient_matches_differences(log_softmax_op(), {x}, {}, {0});
  const Tensor up = noise_tensor({3, 5}, 4, DType::kF64, device);
  expect_gradient_matches_differences(swiglu_op(), {x, up}, {}, {0, 1});
}

TEST(Norm, AllInstructionSetsAndThreadCountsGiveTheSameBits) {
  const DevicePtr base = make_cpu_device({.threads = 1}, Isa::kPortable);
  const auto run = [](const DevicePtr& device) {
    const Tensor x = noise_tensor({150, 131}, 5, DType::kF32, device);
    const Tensor dy = noise_tensor({150, 131}, 6, DType::kF32, device);
    const Tensor w = noise_tensor({131}, 7, DType::kF32, device);
    const Tensor r = noise_tensor({150}, 8, DType::kF32, device);
    return std::vector<Tensor>{ops::rms_norm(x, w, 1e-5),
                               rms_norm_backward_input_op()({x, w, r, dy})[0],
                               rms_norm_backward_weight_op()({x, r, dy})[0],
                               ops::layer_norm(x, w, w, 1e-5),
                               layer_norm_backward_input_op()({x, w, r, r, dy})[0],
                               layer_norm_backward_weight_op()({x, r, r, dy})[0],
                               ops::softmax(x),
                               ops::log_softmax(x),
                               softmax_backward_op()({x, dy})[0],
                               log_softmax_backward_op()({x, dy})[0],
                               ops::swiglu(x, dy),
                               swiglu_backward_op()({x, dy, dy})[0]};
  };
  const std::vector<Tensor> wanted = run(base);
  for (int threads : {1, 2}) {
    for (const DevicePtr& device : devices_of_all_isas(threads)) {
      const std::vector<Tensor> got = run(device);
      for (size_t i = 0; i < got.size(); ++i) {
        EXPECT_TRUE(same_bits(got[i], wanted[i])) << i << " on " << name(device->isa());
      }
    }
  }
}

TEST(Norm, ReadsStridedViews) {
  const DevicePtr device = make_cpu_device();
  const Tensor wide = noise_tensor({4, 40}, 9, DType::kF32, device);
  const Tensor part = wide.as_strided({4, 19}, {40, 1}, 21);
  const Tensor across = wide.as_strided({40, 4}, {1, 40}, 0);
  EXPECT_TRUE(same_bits(ops::softmax(part), ops::softmax(part.contiguous())));
  EXPECT_TRUE(same_bits(ops::softmax(across), ops::softmax(across.contiguous())));
  const Tensor gate = wide.as_strided({4, 20}, {40, 1}, 0),
               up = wide.as_strided({4, 20}, {40, 1}, 20);
  EXPECT_TRUE(same_bits(ops::swiglu(gate, up), ops::swiglu(gate.contiguous(), up.contiguous())));
}

TEST(Softmax, HandlesLargeAndMaskedScores) {
  const DevicePtr device = make_cpu_device();
  const float low = -INFINITY;
  const Tensor x = Tensor::from(std::vector<float>{1000, 1000, low, -1000}, {1, 4}, device);
  EXPECT_EQ(ops::softmax(x).to_vector<float>(), (std::vector<float>{0.5f, 0.5f, 0, 0}));
  const Tensor all_low = Tensor::from(std::vector<float>{low, low}, {1, 2}, device);
  EXPECT_TRUE(std::isnan(ops::softmax(all_low).to_vector<float>()[0]));
}

TEST(RmsNorm, RejectsMismatchedWeight) {
  const DevicePtr device = make_cpu_device();
  EXPECT_THROW(ops::rms_norm(Tensor::zeros({2, 8}, DType::kF32, device),
                             Tensor::zeros({7}, DType::kF32, device), 1e-6),
               Error);
}

}  // namespace
}  // namespace yiti
