// AdamW over many tensors by the CUDA plug-in's own kernel, on the emulator.
#include <gtest/gtest.h>

#include <vector>

#include "tests/devices/cuda/emulator.h"
// The emulator comes first.
#include "devices/cuda/kernels/updates.cuh"

namespace yiti::devices::cuda {
namespace {

constexpr AdamwScalars kScalars = {.grad_scale = 0.5f,
                                   .decay = 0.99f,
                                   .mix1 = 0.1f,
                                   .beta2 = 0.999f,
                                   .mix2 = 0.001f,
                                   .root_correction2 = 0.03f,
                                   .eps = 1e-8f,
                                   .step_size = 0.01f};
constexpr float kUntouched = 12345;

// A parameter with its gradient and moments, and an element behind each.
struct Tensors {
  std::vector<float> param, grad, m, v;

  Tensors(int64_t count, float seed) {
    for (int64_t i = 0; i < count; ++i) {
      const float x = seed + static_cast<float>(i % 97) / 97;
      param.push_back(x);
      grad.push_back(1 - x);
      m.push_back(0.1f * x);
      v.push_back(0.01f + x * x);
    }
    for (auto* values : {&param, &grad, &m, &v}) values->push_back(kUntouched);
  }
  bool operator==(const Tensors&) const = default;

  void step_alone() {
    for (size_t i = 0; i + 1 < param.size(); ++i) {
      param[i] = adamw_of(param[i], grad[i], &m[i], &v[i], kScalars.grad_scale, kScalars.decay,
                          kScalars.mix1, kScalars.beta2, kScalars.mix2, kScalars.root_correction2,
                          kScalars.eps, kScalars.step_size);
    }
  }
};

TEST(CudaUpdates, StepEachElementOfEachTensorOnce) {
  std::vector<Tensors> tensors, expected;
  AdamwLaunch launch{.scalars = kScalars};
  for (const int64_t count : {int64_t{1}, kUpdateBlock, kUpdateBlock + 1, int64_t{255},
                              3 * kUpdateBlock - 5, int64_t{7}}) {
    tensors.emplace_back(count, static_cast<float>(tensors.size()));
  }
  expected = tensors;
  for (Tensors& own : tensors) {
    const auto count = static_cast<int64_t>(own.param.size()) - 1;
    launch.first_block[launch.tensor_count] = launch.block_count;
    launch.tensors[launch.tensor_count++] = {own.param.data(), own.grad.data(), own.m.data(),
                                             own.v.data(), count};
    launch.block_count += static_cast<unsigned>((count + kUpdateBlock - 1) / kUpdateBlock);
  }
  EXPECT_EQ(launch.block_count, 9u);
  emulated::run({launch.block_count}, {256}, [&] { update_by_adamw(launch); });
  for (size_t i = 0; i < tensors.size(); ++i) {
    expected[i].step_alone();
    EXPECT_TRUE(tensors[i] == expected[i]) << "tensor " << i;
  }
}

}  // namespace
}  // namespace yiti::devices::cuda
