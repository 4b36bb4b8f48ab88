// How attention is cut into tiles for the threads. The cut never changes a result.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <span>

#include "core/device.h"
#include "ops/kernels/cpu/attention.h"

namespace yiti::cpu {

/// Neighbouring tokens at neighbouring positions of one sequence.
struct TokenRun {
  int32_t first;
  int32_t count;
};

/// Tokens that a tile holds at most when `group` query heads share a kv head.
inline int64_t tile_tokens(int64_t group) { return std::max<int64_t>(1, kAttentionRows / group); }

/// Cuts [0, tokens) into runs of at most `longest` wherever joins(t) says that token t does not go
/// on from t - 1. `runs` has room for one per token. Returns how many there are.
template <class Joins>
int64_t cut_into_runs(int64_t tokens, int64_t longest, Joins joins, TokenRun* runs) {
  int64_t count = 0;
  for (int64_t t = 0; t < tokens; ++t) {
    if (t > 0 && runs[count - 1].count < longest && joins(t)) {
      ++runs[count - 1].count;
    } else {
      runs[count++] = {static_cast<int32_t>(t), 1};
    }
  }
  return count;
}

inline size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

/// Where runs and one scratch for each thread lie in a workspace.
struct TileWorkspace {
  int64_t tokens, scratch_floats;
  size_t run_bytes() const { return aligned(static_cast<size_t>(tokens) * sizeof(TokenRun)); }
  size_t scratch_bytes() const {
    return aligned(static_cast<size_t>(scratch_floats) * sizeof(float));
  }
  size_t bytes(int threads) const {
    return run_bytes() + static_cast<size_t>(threads) * scratch_bytes();
  }
  TokenRun* runs(std::byte* workspace) const { return reinterpret_cast<TokenRun*>(workspace); }
  float* scratch(std::byte* workspace, int64_t thread) const {
    return reinterpret_cast<float*>(workspace + run_bytes() +
                                    static_cast<size_t>(thread) * scratch_bytes());
  }
};

/// Calls work(item, worker) once for each item, each worker's one after the other, on all threads.
template <class Work>
void share_out(ThreadPool& threads, int64_t items, Work work) {
  std::atomic<int64_t> next = 0;
  threads.parallel_for(std::min<int64_t>(threads.size(), items), 1,
                       [&](int64_t begin, int64_t end) {
                         for (int64_t worker = begin; worker < end; ++worker) {
                           for (int64_t item = next++; item < items; item = next++)
                             work(item, worker);
                         }
                       });
}

}  // namespace yiti::cpu
