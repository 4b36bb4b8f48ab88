#include "inference/kv_cache.h"

#include <algorithm>

#include "core/error.h"
#include "ops/attention/kv_types.h"

namespace yiti {

KvCache::KvCache(const ModelConfig& config, DType dtype, int64_t blocks, const DevicePtr& device)
    : blocks_(blocks), index_(blocks) {
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    keys_.push_back(Tensor::empty(key_pool_shape(blocks, config.kv_heads, config.head_dim, dtype),
                                  dtype, device));
    values_.push_back(Tensor::empty(
        value_pool_shape(blocks, config.kv_heads, config.head_dim, dtype), dtype, device));
  }
}

// Calls f with the memory of each of the block's parts: keys and values of each layer.
template <class F>
void KvCache::for_each_part(int32_t block, F f) const {
  for (size_t layer = 0; layer < keys_.size(); ++layer) {
    for (const Tensor* all : {&keys_[layer], &values_[layer]}) {
      const size_t bytes = all->bytes() / static_cast<size_t>(blocks_);
      f(std::span(all->raw() + static_cast<size_t>(block) * bytes, bytes));
    }
  }
}

int64_t KvCache::block_bytes() const {
  size_t bytes = 0;
  for_each_part(0, [&](std::span<std::byte> part) { bytes += part.size(); });
  return static_cast<int64_t>(bytes);
}

void KvCache::copy_out(int32_t block, std::span<std::byte> bytes) const {
  Device& device = *keys_[0].device();
  for_each_part(block, [&](std::span<std::byte> part) {
    device.copy_to_host(bytes.data(), part.data(), part.size());
    bytes = bytes.subspan(part.size());
  });
}

void KvCache::copy_in(int32_t block, std::span<const std::byte> bytes) {
  Device& device = *keys_[0].device();
  for_each_part(block, [&](std::span<std::byte> part) {
    device.copy_from_host(part.data(), bytes.data(), part.size());
    bytes = bytes.subspan(part.size());
  });
}

int32_t KvCache::take() {
  const int32_t block = index_.take();
  if (block < 0) fail(Code::kResourceExhausted, "kv cache", "all {} blocks are in use", blocks_);
  touched_blocks_ = std::max<int64_t>(touched_blocks_, block + 1);
  return block;
}

}  // namespace yiti
