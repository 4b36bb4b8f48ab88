// A hash table from pairs of 32-bit numbers to pairs of 32-bit numbers, filled once.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace yiti {

/// Open addressing; at most half full. Reading is thread-safe.
class PairTable {
 public:
  struct Value {
    int32_t rank, id;
  };

  explicit PairTable(size_t capacity)
      : slots_(std::bit_ceil(2 * capacity + 2), Slot{kFree, {}}), mask_(slots_.size() - 1) {}

  /// Keeps what is there for a key that is there. At most `capacity` keys fit.
  void insert(int32_t a, int32_t b, Value value) {
    const uint64_t key = key_of(a, b);
    Slot& slot = slots_[index_of(key)];
    if (slot.key == kFree) slot = {key, value};
  }

  /// Null where the key is not there.
  const Value* find(int32_t a, int32_t b) const {
    const Slot& slot = slots_[index_of(key_of(a, b))];
    return slot.key == kFree ? nullptr : &slot.value;
  }

 private:
  static constexpr uint64_t kFree = ~uint64_t{0};
  struct Slot {
    uint64_t key;
    Value value;
  };

  static uint64_t key_of(int32_t a, int32_t b) {
    return (uint64_t{static_cast<uint32_t>(a)} << 32) | static_cast<uint32_t>(b);
  }

  // Where the key is, or the free slot where it would be.
  size_t index_of(uint64_t key) const {
    uint64_t hash = key * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
    size_t at = hash & mask_;
    while (slots_[at].key != key && slots_[at].key != kFree) at = (at + 1) & mask_;
    return at;
  }

  std::vector<Slot> slots_;
  size_t mask_;
};

}  // namespace yiti
