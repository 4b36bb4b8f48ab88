// Blocks of keys and values in a folder: a tier below the KV cache that outlives the process.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "inference/block_index.h"
#include "models/generator.h"

namespace yiti {

struct BlockStoreOptions {
  std::string folder;
  int64_t max_bytes = int64_t{8} << 30;  ///< beyond it, what was not read for longest is deleted
  size_t max_waiting = 64;               ///< blocks to be written; further ones are left out
};

/// One file for each block, named by its key. A file appears whole or not at all, and carries its
/// key and checksums: one that is damaged, of another block or unreadable is a miss, and a folder
/// that cannot be written is left alone for a while. Nothing here throws after it was made.
/// Thread-safe.
class BlockStore {
 public:
  /// Makes the folder and finds what it holds. Throws kUnavailable where it cannot.
  explicit BlockStore(BlockStoreOptions options);
  /// Writes what still waits.
  ~BlockStore();
  BlockStore(const BlockStore&) = delete;
  BlockStore& operator=(const BlockStore&) = delete;

  using Stats = BlockStoreStats;
  Stats stats() const;

  /// Whether reading a block has lately taken less than `recompute_s`; now and then yes, to see.
  bool is_worth_loading(double recompute_s);
  /// Reads a block into `payload`, which has its size. False: a miss, and `payload` is undefined.
  bool load(const BlockKey& key, std::span<std::byte> payload);
  /// Whether save() would write this block: it is not there, and there is room to wait.
  bool wants(const BlockKey& key);
  /// Writes a block later, in the store's own thread.
  void save(const BlockKey& key, std::vector<std::byte> payload);
  /// Waits until everything saved so far is written, or was given up.
  void flush();

 private:
  struct Entry {
    int64_t bytes;
    std::list<std::string>::iterator age;  // in by_age_
  };
  struct Waiting {
    BlockKey key;
    std::vector<std::byte> payload;
  };

  std::string path(const std::string& name) const { return options_.folder + "/" + name; }
  void scan();
  void write_waiting();
  void add(const std::string& name, int64_t bytes);  // with mutex_, as those below
  void erase(const std::string& name);
  void make_room();

  const BlockStoreOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<std::string, Entry> entries_;
  std::list<std::string> by_age_;  // read or written longest ago first
  std::deque<Waiting> waiting_;    // the first is being written
  Stats stats_;
  double load_s_ = 0;  // a block's, lately; 0: not known
  int64_t asked_ = 0;
  std::chrono::steady_clock::time_point paused_until_;
  bool stopping_ = false;
  std::thread writer_;
};

}  // namespace yiti
