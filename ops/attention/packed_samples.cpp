#include "ops/attention/packed_samples.h"

#include <cmath>

#include "ops/attention/attention.h"
#include "ops/host_values.h"

namespace yiti {
namespace {

struct Sizes {
  int64_t heads, kv_heads, head_dim;
  std::vector<int64_t> documents;
};

Tensor wave(const Shape& shape, double phase, DType dtype, const DevicePtr& device) {
  std::vector<double> values(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = std::sin(phase + 1.7 * static_cast<double>(i));
  }
  return of_doubles(values, shape, dtype, device);
}

std::vector<Tensor> inputs(const Sizes& sizes, const AttentionAttrs& attrs, bool backward,
                           DType floats, const DevicePtr& device) {
  std::vector<int32_t> positions;
  for (int64_t length : sizes.documents) {
    for (int64_t i = 0; i < length; ++i) positions.push_back(static_cast<int32_t>(i));
  }
  const auto tokens = static_cast<int64_t>(positions.size());
  const Shape queries = {tokens, sizes.heads, sizes.head_dim};
  const Shape keys = {tokens, sizes.kv_heads, sizes.head_dim};
  std::vector<Tensor> in = {wave(queries, 0, floats, device), wave(keys, 1, floats, device),
                            wave(keys, 2, floats, device),
                            Tensor::from(positions, {tokens}, device)};
  if (backward) {
    for (Tensor& saved : attention_op().reference(in, attrs)) in.push_back(std::move(saved));
    in.push_back(wave(queries, 3, floats, device));
  }
  return in;
}

}  // namespace

std::vector<Sample> packed_attention_samples(bool backward) {
  std::vector<Sample> samples;
  const auto add = [&](Sizes sizes, AttentionAttrs attrs) {
    samples.push_back({.shapes = {},
                       .attrs = attrs,
                       .make = [sizes, attrs, backward](DType floats, const DevicePtr& device) {
                         return inputs(sizes, attrs, backward, floats, device);
                       }});
  };
  add({4, 2, 8, {3, 1, 5}}, {0.5, 0, "f32"});
  add({3, 1, 11, {70}}, {0.4, 0, "f32"});
  add({2, 2, 5, {66, 2}}, {0.6, 4, "f32"});
  add({2, 1, 8, {}}, {0.5, 0, "f32"});
  return samples;
}

}  // namespace yiti
