#include "inference/kv_cache.h"

#include "core/error.h"
#include "ops/attention/key_block.h"

namespace yiti {

KvCache::KvCache(const ModelConfig& config, DType dtype, int64_t blocks, const DevicePtr& device)
    : blocks_(blocks), index_(blocks) {
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    keys_.push_back(
        Tensor::empty({blocks, config.kv_heads, config.head_dim, kKeyBlock}, dtype, device));
    values_.push_back(
        Tensor::empty({blocks, config.kv_heads, kKeyBlock, config.head_dim}, dtype, device));
  }
}

int64_t KvCache::block_bytes() const {
  int64_t bytes = 0;
  for (size_t layer = 0; layer < keys_.size(); ++layer) {
    bytes += static_cast<int64_t>(keys_[layer].bytes() + values_[layer].bytes()) / blocks_;
  }
  return bytes;
}

int32_t KvCache::take() {
  const int32_t block = index_.take();
  if (block < 0) fail(Code::kResourceExhausted, "kv cache", "all {} blocks are in use", blocks_);
  return block;
}

}  // namespace yiti
