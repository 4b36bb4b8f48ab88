#include "core/parallel.h"

#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>

// The thread sanitizer does not see how oneTBB orders a loop's start, its ranges and its end, so it
// is told; this file itself is compiled without it.
#ifdef YITI_THREAD_SANITIZER
extern "C" {
void __tsan_acquire(void* address);  // NOLINT: the sanitizer's names
void __tsan_release(void* address);  // NOLINT
}
#endif

namespace yiti {
namespace {

void happens_before([[maybe_unused]] char& edge) {
#ifdef YITI_THREAD_SANITIZER
  __tsan_release(&edge);
#endif
}

void happens_after([[maybe_unused]] char& edge) {
#ifdef YITI_THREAD_SANITIZER
  __tsan_acquire(&edge);
#endif
}

}  // namespace

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
  char start = 0, end = 0;
  happens_before(start);
  arena_->arena.execute([&] {
    tbb::parallel_for(
        tbb::blocked_range<int64_t>(0, chunks),
        [&](const tbb::blocked_range<int64_t>& range) {
          happens_after(start);
          f(range.begin() * grain, std::min(n, range.end() * grain));
          happens_before(end);
        },
        tbb::static_partitioner());
  });
  happens_after(end);
}

}  // namespace yiti
