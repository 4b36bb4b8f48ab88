// Which blocks of a KV cache are in use, and what the others still hold.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/io/sha256.h"
#include "ops/attention/key_block.h"

namespace yiti {

/// Names what a full block holds: its tokens and all that came before them. The key of an empty
/// prefix says whose keys and values these are. Clients choose the tokens, so the hash must be one
/// for which nobody finds two texts with the same key.
using BlockKey = Sha256;

/// The key of `tokens` (kKeyBlock of them) after a prefix.
BlockKey block_key(const BlockKey& prefix, std::span<const int32_t> tokens);

/// Counts the users of each block and finds blocks by contents. A block that nobody uses keeps its
/// contents until the memory is wanted: then the one that nobody used for longest goes first.
/// Allocates nothing after it was made. Not thread-safe.
class BlockIndex {
 public:
  explicit BlockIndex(int64_t blocks);

  /// Blocks without users, and how many of these hold contents that find() knows.
  int64_t unused() const { return unused_; }
  int64_t remembered() const { return remembered_; }

  /// A block for one user, its contents undefined; -1 when all are in use.
  int32_t take();
  void release(int32_t block);

  /// The block of this key, with one user more; -1 where there is none.
  int32_t find(const BlockKey& key);
  /// Tells find() what a block in use holds, unless another one holds it already.
  void remember(int32_t block, const BlockKey& key);

 private:
  static constexpr int32_t kNone = -1;
  struct Block {
    int32_t users = 0;
    bool known = false;
    BlockKey key = {};
    int32_t next_in_bucket = kNone;
    int32_t older = kNone, newer = kNone;  // among the unused
  };

  Block& at(int32_t block) { return blocks_[static_cast<size_t>(block)]; }
  int32_t& bucket(const BlockKey& key);
  int32_t lookup(const BlockKey& key);
  void forget(int32_t block);
  /// Into the list of the unused: as the oldest, or as the newest.
  void link(int32_t block, bool newest);
  void unlink(int32_t block);

  std::vector<Block> blocks_;
  std::vector<int32_t> buckets_;
  int32_t oldest_ = kNone, newest_ = kNone;
  int64_t unused_ = 0, remembered_ = 0;
};

}  // namespace yiti
