#include "core/random.h"

#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/shape_text.h"

namespace yiti {
namespace {

constexpr uint32_t low_half(uint64_t x) { return static_cast<uint32_t>(x); }
constexpr uint32_t high_half(uint64_t x) { return static_cast<uint32_t>(x >> 32); }

template <class F>
void fill(const Tensor& tensor, F&& draw) {
  check(tensor.is_contiguous(), "random", "got strides {}; wants a contiguous tensor",
        tensor.strides());
  const DevicePtr& device = tensor.device();
  const Tensor target = device->host_accessible()
                            ? tensor
                            : Tensor::empty(tensor.shape(), tensor.dtype(), device->host());
  float* data = target.data<float>();
  device->threads().parallel_for(tensor.numel(), 1 << 14, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) data[i] = draw(static_cast<uint64_t>(i));
  });
  if (!device->host_accessible()) device->copy_from_host(tensor.raw(), data, tensor.bytes());
}

}  // namespace

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> c, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * c[0], b = uint64_t{0xCD9E8D57} * c[2];
    c = {high_half(b) ^ c[1] ^ key[0], low_half(b), high_half(a) ^ c[3] ^ key[1], low_half(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return c;
}

uint64_t random_bits(RandomKey key, uint64_t index) {
  const auto words =
      philox4x32({low_half(index), high_half(index), low_half(key.stream), high_half(key.stream)},
                 {low_half(key.seed), high_half(key.seed)});
  return uint64_t{words[1]} << 32 | words[0];
}

double uniform(RandomKey key, uint64_t index) {
  return static_cast<double>(random_bits(key, index) >> 11) * 0x1p-53;
}

double normal(RandomKey key, uint64_t index) {
  const auto words =
      philox4x32({low_half(index), high_half(index), low_half(key.stream), high_half(key.stream)},
                 {low_half(key.seed), high_half(key.seed)});
  const double radius = (static_cast<double>(words[0]) + 1) * 0x1p-32;  // in (0, 1]
  const double angle = static_cast<double>(words[1]) * 0x1p-32 * 2 * std::numbers::pi;
  return std::sqrt(-2 * std::log(radius)) * std::cos(angle);
}

void fill_uniform(const Tensor& tensor, float low, float high, RandomKey key) {
  fill(tensor,
       [=](uint64_t i) { return low + (high - low) * static_cast<float>(uniform(key, i)); });
}

void fill_normal(const Tensor& tensor, float mean, float deviation, RandomKey key) {
  fill(tensor, [=](uint64_t i) { return mean + deviation * static_cast<float>(normal(key, i)); });
}

}  // namespace yiti
