#include <gmock/gmock.h>

#include "ops/attention/attention.h"
#include "tests/message_of.h"
#include "tests/ops/op_checks.h"

namespace yiti {
namespace {

std::vector<Tensor> packed(const std::vector<int64_t>& documents, int64_t heads, int64_t kv_heads,
                           int64_t dim, DType dtype, const DevicePtr& device) {
  std::vector<int32_t> positions;
  for (int64_t length : documents) {
    for (int64_t i = 0; i < length; ++i) positions.push_back(static_cast<int32_t>(i));
  }
  const auto tokens = static_cast<int64_t>(positions.size());
  return {noise_tensor({tokens, heads, dim}, 1, dtype, device),
          noise_tensor({tokens, kv_heads, dim}, 2, dtype, device),
          noise_tensor({tokens, kv_heads, dim}, 3, dtype, device),
          Tensor::from(positions, {tokens}, device)};
}

TEST(AttentionBackward, ReferenceMatchesFiniteDifferences) {
  const DevicePtr device = make_cpu_device();
  expect_gradient_matches_differences(attention_op(), packed({3, 4}, 2, 1, 3, DType::kF64, device),
                                      AttentionAttrs{0.7, 0, "f32"}, {0, 1, 2});
  expect_gradient_matches_differences(attention_op(), packed({6}, 2, 2, 2, DType::kF64, device),
                                      AttentionAttrs{0.7, 3, "f32"}, {0, 1, 2});
}

// Gradients by the f32 kernels, from what the forward kernel saved.
std::vector<Tensor> by_kernel(const std::vector<Tensor>& in, const AttentionAttrs& attrs) {
  const DevicePtr& device = in[0].device();
  const Tensor out = Tensor::empty(in[0].shape(), DType::kF32, device);
  const Tensor lse = Tensor::empty({in[0].dim(0), in[0].dim(1)}, DType::kF32, device);
  attention_op().run_into(in, attrs, std::vector<Tensor>{out, lse});
  const Tensor dout = noise_tensor(in[0].shape(), 9, DType::kF32, device);
  return attention_backward_op()({in[0], in[1], in[2], in[3], out, lse, dout}, attrs);
}

TEST(AttentionBackward, KernelMatchesTheReference) {
  const DevicePtr device = make_cpu_device();
  struct Case {
    std::vector<int64_t> documents;
    int64_t heads, kv_heads, dim;
    AttentionAttrs attrs;
  };
  for (const Case& c :
       {Case{{150, 3, 64}, 4, 2, 16, {0.5, 0, "f32"}}, Case{{200}, 3, 1, 20, {0.5, 0, "f16"}},
        Case{{300}, 2, 2, 64, {0.25, 90, "f32"}}, Case{{130, 65}, 6, 2, 80, {0.2, 0, "f16"}},
        Case{{150}, 4, 2, 16, {0.5, 0, "bf16"}}, Case{{70, 90}, 6, 2, 20, {0.2, 40, "i8"}}}) {
    const std::vector<Tensor> in =
        packed(c.documents, c.heads, c.kv_heads, c.dim, DType::kF32, device);
    const std::vector<Tensor> forward = attention_op().reference(in, c.attrs);
    const Tensor dout = noise_tensor(in[0].shape(), 9, DType::kF32, device);
    const std::vector<Tensor> wanted = attention_backward_op().reference(
        std::vector<Tensor>{in[0], in[1], in[2], in[3], forward[0], forward[1], dout}, c.attrs);
    const std::vector<Tensor> got = by_kernel(in, c.attrs);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_LE(relative_error(got[i], wanted[i]), 5e-6) << "output " << i << ", D " << c.dim;
    }
  }
}

TEST(AttentionBackward, AllInstructionSetsAndThreadCountsGiveTheSameBits) {
  const AttentionAttrs attrs{0.3, 0, "f16"};
  const auto run = [&](const DevicePtr& device) {
    return by_kernel(packed({150, 40, 1}, 6, 2, 24, DType::kF32, device), attrs);
  };
  const std::vector<Tensor> wanted = run(make_cpu_device({.threads = 1}));
  for (int threads : {1, 2}) {
    for (const DevicePtr& device : devices_of_all_isas(threads)) {
      const std::vector<Tensor> got = run(device);
      for (size_t i = 0; i < 3; ++i)
        EXPECT_TRUE(same_bits(got[i], wanted[i])) << name(device->isa());
    }
  }
}

TEST(AttentionBackward, RejectsHeadsThatAreNoMultiple) {
  const auto run = [](int64_t heads, DType dtype) {
    const std::vector<Tensor> in = packed({3}, heads, 2, 8, dtype, make_cpu_device());
    const Tensor lse = Tensor::zeros({3, heads}, dtype, in[0].device());
    attention_backward_op()({in[0], in[1], in[2], in[3], in[0], lse, in[0]}, AttentionAttrs{});
  };
  for (const DType dtype : {DType::kF32, DType::kF64}) {
    run(4, dtype);
    for (const int64_t heads : {1, 3}) {
      EXPECT_THAT(message_of([&] { run(heads, dtype); }, Code::kInvalidArgument),
                  ::testing::HasSubstr("wants a multiple of the 2"));
    }
  }
}

}  // namespace
}  // namespace yiti
