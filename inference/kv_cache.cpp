#include "inference/kv_cache.h"

#include "core/error.h"
#include "ops/attention/key_block.h"

namespace yiti {

KvCache::KvCache(const ModelConfig& config, DType dtype, int64_t blocks, const DevicePtr& device)
    : blocks_(blocks) {
  check(blocks > 0, "kv cache", "got {} blocks; wants at least 1", blocks);
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    keys_.push_back(
        Tensor::empty({blocks, config.kv_heads, config.head_dim, kKeyBlock}, dtype, device));
    values_.push_back(
        Tensor::empty({blocks, config.kv_heads, kKeyBlock, config.head_dim}, dtype, device));
  }
  free_.reserve(static_cast<size_t>(blocks));
  for (int64_t block = blocks; block-- > 0;) free_.push_back(static_cast<int32_t>(block));
}

int64_t KvCache::block_bytes() const {
  int64_t bytes = 0;
  for (size_t layer = 0; layer < keys_.size(); ++layer) {
    bytes += static_cast<int64_t>(keys_[layer].bytes() + values_[layer].bytes()) / blocks_;
  }
  return bytes;
}

int32_t KvCache::take() {
  if (free_.empty()) {
    fail(Code::kResourceExhausted, "kv cache", "all {} blocks are in use", blocks_);
  }
  const int32_t block = free_.back();
  free_.pop_back();
  return block;
}

}  // namespace yiti
