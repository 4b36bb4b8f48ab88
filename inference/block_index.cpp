#include "inference/block_index.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "core/error.h"

namespace yiti {
namespace {

size_t checked(int64_t blocks) {
  check(blocks > 0 && blocks <= INT32_MAX, "kv cache", "got {} blocks; wants 1 to {}", blocks,
        INT32_MAX);
  return static_cast<size_t>(blocks);
}

}  // namespace

BlockKey block_key(const BlockKey& prefix, std::span<const int32_t> tokens) {
  struct {
    BlockKey prefix;
    std::array<int32_t, kKeyBlock> tokens;
  } all{prefix, {}};
  std::ranges::copy(tokens, all.tokens.begin());
  return sha256(std::as_bytes(std::span(&all, 1)));
}

BlockIndex::BlockIndex(int64_t blocks)
    : blocks_(checked(blocks)), buckets_(std::bit_ceil(2 * blocks_.size()), kNone) {
  for (int32_t block = 0; block < blocks; ++block) link(block, true);
}

int32_t BlockIndex::take() {
  const int32_t block = oldest_;
  if (block == kNone) return kNone;
  unlink(block);
  if (at(block).known) forget(block);
  at(block).users = 1;
  return block;
}

void BlockIndex::release(int32_t block) {
  if (--at(block).users > 0) return;
  link(block, at(block).known);
}

int32_t BlockIndex::find(const BlockKey& key) {
  const int32_t found = lookup(key);
  if (found != kNone && at(found).users++ == 0) unlink(found);
  return found;
}

void BlockIndex::remember(int32_t block, const BlockKey& key) {
  if (lookup(key) != kNone) return;
  Block& entry = at(block);
  entry.known = true;
  entry.key = key;
  entry.next_in_bucket = bucket(key);
  bucket(key) = block;
}

int32_t& BlockIndex::bucket(const BlockKey& key) {
  size_t hash = 0;
  std::memcpy(&hash, key.bytes.data(), sizeof(hash));
  return buckets_[hash & (buckets_.size() - 1)];
}

int32_t BlockIndex::lookup(const BlockKey& key) {
  int32_t block = bucket(key);
  while (block != kNone && !(at(block).key == key)) block = at(block).next_in_bucket;
  return block;
}

void BlockIndex::forget(int32_t block) {
  int32_t* link = &bucket(at(block).key);
  while (*link != block) link = &at(*link).next_in_bucket;
  *link = at(block).next_in_bucket;
  at(block).known = false;
}

void BlockIndex::link(int32_t block, bool newest) {
  Block& entry = at(block);
  entry.older = newest ? newest_ : kNone;
  entry.newer = newest ? kNone : oldest_;
  (entry.older == kNone ? oldest_ : at(entry.older).newer) = block;
  (entry.newer == kNone ? newest_ : at(entry.newer).older) = block;
  ++unused_;
  remembered_ += entry.known ? 1 : 0;
}

void BlockIndex::unlink(int32_t block) {
  Block& entry = at(block);
  (entry.older == kNone ? oldest_ : at(entry.older).newer) = entry.newer;
  (entry.newer == kNone ? newest_ : at(entry.newer).older) = entry.older;
  --unused_;
  remembered_ -= entry.known ? 1 : 0;
}

}  // namespace yiti
