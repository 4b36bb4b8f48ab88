// A hash table from texts to ids, filled once.
#pragma once

#include <bit>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace yiti {

/// Open addressing; at most half full. Refers to its texts. Reading is thread-safe.
class TextIds {
 public:
  explicit TextIds(size_t capacity) : slots_(std::bit_ceil(2 * capacity + 2)) {
    entries_.reserve(capacity);
  }

  /// Keeps what is there for a text that is there. At most `capacity` texts fit.
  void insert(std::string_view text, int32_t id) {
    const uint32_t hash = hash_of(text);
    Slot& slot = slots_[index_of(text, hash)];
    if (slot.entry != 0) return;
    entries_.push_back({text, id});
    slot = {hash, static_cast<uint32_t>(entries_.size())};
  }

  /// -1 where the text is not there.
  int32_t find(std::string_view text) const {
    const Slot& slot = slots_[index_of(text, hash_of(text))];
    return slot.entry == 0 ? -1 : entries_[slot.entry - 1].id;
  }

 private:
  struct Slot {
    uint32_t hash = 0;
    uint32_t entry = 0;  // its number, from 1 on; 0: free
  };
  struct Entry {
    std::string_view text;
    int32_t id;
  };

  static uint32_t hash_of(std::string_view text) {
    return static_cast<uint32_t>(std::hash<std::string_view>()(text));
  }

  // Where the text is, or the free slot where it would be.
  size_t index_of(std::string_view text, uint32_t hash) const {
    const size_t mask = slots_.size() - 1;
    size_t at = hash & mask;
    while (slots_[at].entry != 0 &&
           (slots_[at].hash != hash || entries_[slots_[at].entry - 1].text != text)) {
      at = (at + 1) & mask;
    }
    return at;
  }

  std::vector<Slot> slots_;
  std::vector<Entry> entries_;
};

}  // namespace yiti
