#include "core/parallel.h"

#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>

namespace yiti {

struct ThreadPool::Arena {
  explicit Arena(int threads) : arena(threads) {}
  tbb::task_arena arena;
};

ThreadPool::ThreadPool(int threads)
    : threads_(std::min(threads > 0 ? threads : tbb::info::default_concurrency(),
                        tbb::info::default_concurrency())),
      arena_(std::make_unique<Arena>(threads_)) {}

ThreadPool::~ThreadPool() = default;

void ThreadPool::parallel_for(int64_t n, int64_t grain, RangeFn f) {
  if (n <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  const int64_t chunks = (n + grain - 1) / grain;
  if (threads_ == 1 || chunks == 1) return f(0, n);
  arena_->arena.execute([&] {
    tbb::parallel_for(
        tbb::blocked_range<int64_t>(0, chunks),
        [&](const tbb::blocked_range<int64_t>& range) {
          f(range.begin() * grain, std::min(n, range.end() * grain));
        },
        tbb::static_partitioner());
  });
}

}  // namespace yiti
