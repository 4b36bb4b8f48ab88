// The paged KV cache: blocks of keys and values that sequences take and give back.
#pragma once

#include <span>
#include <vector>

#include "core/tensor.h"
#include "inference/block_index.h"
#include "models/config.h"

namespace yiti {

/// Memory for K and V of all layers, in blocks of kKeyBlock tokens (see ops/attention). A block
/// has the same number in every layer. Full blocks may be shared: see BlockIndex. Not thread-safe:
/// it belongs to one session, or to several of one thread.
class KvCache {
 public:
  /// Room for `blocks` blocks. The memory becomes resident as it is first used.
  KvCache(const ModelConfig& config, DType dtype, int64_t blocks, const DevicePtr& device);

  int64_t blocks() const { return blocks_; }
  /// That can be taken; some of them may still hold what find() knows.
  int64_t free_blocks() const { return index_.unused(); }
  /// Of those, how many do.
  int64_t kept_blocks() const { return index_.remembered(); }
  int64_t block_bytes() const;
  /// How many blocks have ever been taken: the first ones, as far as their memory was used.
  int64_t touched_blocks() const { return touched_blocks_; }
  /// Takes a block. Throws kResourceExhausted when all are in use.
  int32_t take();
  void give_back(int32_t block) { index_.release(block); }
  BlockIndex& index() { return index_; }
  /// A block's keys and values of all layers, to and from block_bytes() bytes.
  void copy_out(int32_t block, std::span<std::byte> bytes) const;
  void copy_in(int32_t block, std::span<const std::byte> bytes);

  /// Pools of ops/attention/kv_types.h.
  const Tensor& keys(int64_t layer) const { return keys_[static_cast<size_t>(layer)]; }
  const Tensor& values(int64_t layer) const { return values_[static_cast<size_t>(layer)]; }

 private:
  template <class F>
  void for_each_part(int32_t block, F f) const;

  int64_t blocks_;
  int64_t touched_blocks_ = 0;
  std::vector<Tensor> keys_, values_;
  BlockIndex index_;
};

}  // namespace yiti
