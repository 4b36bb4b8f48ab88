#include "core/parallel.h"

#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <thread>

#include "core/cpu_time.h"
#include "core/gate.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// The thread sanitizer does not see how a loop's start, its ranges and its end are ordered, so it
// is told; this file itself is compiled without it.
#ifdef YITI_THREAD_SANITIZER
extern "C" {
void __tsan_acquire(void* address);  // NOLINT: the sanitizer's names
void __tsan_release(void* address);  // NOLINT
}
#endif

namespace yiti {
namespace {

using Clock = std::chrono::steady_clock;

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

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// Waits for what should come within microseconds; lets others run where it does not.
class Spin {
 public:
  void wait() {
    if (++turns_ < kPauses) return pause();
    std::this_thread::yield();
  }
  bool is_long() const { return turns_ >= kPauses; }

 private:
  static constexpr int kPauses = 2000;
  int turns_ = 0;
};

// One loop, cut into parts that threads claim. Who claims a part knows that the loop is still open,
// since its caller waits for all parts.
struct Loop {
  const RangeFn* f = nullptr;
  int64_t n = 0, grain = 1, chunks = 0;
  uint32_t parts = 0;
  char start = 0, end = 0;  // edges
  std::atomic_flag has_failed;
  std::exception_ptr error;

  void run(uint32_t part) {
    const auto border = [&](uint32_t p) {
      return std::min(n, static_cast<int64_t>(p) * chunks / parts * grain);
    };
    happens_after(start);
    try {
      (*f)(border(part), border(part + 1));
    } catch (...) {
      if (!has_failed.test_and_set()) error = std::current_exception();
    }
    happens_before(end);
  }
};

// Threads that stay a while after a loop, since the next one mostly follows within microseconds:
// waking a thread takes longer than many a loop of a decoded token.
class Team {
 public:
  // Runs the loop with whoever is there.
  void run(Loop& loop) {
    loop_ = &loop;
    done_.store(0, std::memory_order_relaxed);
    const uint64_t round = (ticket_.load(std::memory_order_relaxed) >> kRoundShift) + 1;
    ticket_.store(round << kRoundShift | uint64_t{loop.parts} << kPartsShift,
                  std::memory_order_release);
    while (run_part()) {
    }
    Spin spin;
    while (done_.load(std::memory_order_acquire) < loop.parts) spin.wait();
  }

  // Serves loops until none has come for a while.
  void serve() {
    Spin spin;
    Clock::time_point idle_since;
    for (;;) {
      if (run_part()) {
        spin = {};
        continue;
      }
      const bool was_long = spin.is_long();
      spin.wait();
      if (!spin.is_long()) continue;
      if (!was_long) idle_since = Clock::now();
      if (Clock::now() - idle_since > kPatience) break;
    }
    serving.fetch_sub(1, std::memory_order_relaxed);
  }

  std::atomic<int> serving{0};  // threads in serve, or on their way
  std::atomic_flag busy;        // a loop is under way

 private:
  static constexpr int kRoundShift = 32, kPartsShift = 16;
  static constexpr std::chrono::microseconds kPatience{200};

  bool run_part() {
    uint64_t ticket = ticket_.load(std::memory_order_acquire);
    for (;;) {
      const auto parts = static_cast<uint16_t>(ticket >> kPartsShift);
      const auto part = static_cast<uint16_t>(ticket);
      if (part >= parts) return false;
      if (ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acquire)) {
        loop_->run(part);
        done_.fetch_add(1, std::memory_order_release);
        return true;
      }
    }
  }

  Loop* loop_ = nullptr;
  // The loop's number, how many parts it has, and how many are claimed.
  alignas(64) std::atomic<uint64_t> ticket_{0};
  alignas(64) std::atomic<uint32_t> done_{0};
};

}  // namespace

struct ThreadPool::Arena {
  explicit Arena(int size) : threads(size), arena(size) {}

  void run(int64_t n, int64_t grain, RangeFn f);
  void run_in_slices(Gate::Training& training, int64_t n, int64_t grain, RangeFn f);

  const int threads;
  tbb::task_arena arena;
  std::shared_ptr<Team> team = std::make_shared<Team>();
};

ThreadPool::ThreadPool(int threads)
    : threads_(std::min(threads > 0 ? threads : tbb::info::default_concurrency(),
                        tbb::info::default_concurrency())),
      arena_(std::make_unique<Arena>(threads_)) {}

ThreadPool::~ThreadPool() = default;

void ThreadPool::parallel_for(int64_t n, int64_t grain, RangeFn f) {
  if (n <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  if (Gate::Training* training = Gate::Training::of_this_thread()) {
    return arena_->run_in_slices(*training, n, grain, f);
  }
  arena_->run(n, grain, f);
}

void ThreadPool::Arena::run(int64_t n, int64_t grain, RangeFn f) {
  const int64_t chunks = (n + grain - 1) / grain;
  if (threads == 1 || chunks == 1) return f(0, n);
  // Several parts a thread, for those that are late or interrupted.
  constexpr int64_t kPartsPerThread = 4;
  Loop loop;
  loop.f = &f;
  loop.n = n;
  loop.grain = grain;
  loop.chunks = chunks;
  loop.parts = static_cast<uint32_t>(std::min({chunks, kPartsPerThread * threads, int64_t{65535}}));
  happens_before(loop.start);
  arena.execute([&] {
    // Busy with another caller's loop, or with the one that this one is in.
    if (team->busy.test_and_set(std::memory_order_acquire)) {
      return tbb::parallel_for(
          uint32_t{0}, loop.parts, [&](uint32_t part) { loop.run(part); },
          tbb::static_partitioner());
    }
    while (team->serving.load(std::memory_order_relaxed) < threads - 1) {
      team->serving.fetch_add(1, std::memory_order_relaxed);
      arena.enqueue([mine = team] { mine->serve(); });
    }
    team->run(loop);
    team->busy.clear(std::memory_order_release);
  });
  happens_after(loop.end);
  if (loop.error != nullptr) std::rethrow_exception(loop.error);
}

// Slices take about a millisecond, so that a request waits no longer.
void ThreadPool::Arena::run_in_slices(Gate::Training& training, int64_t n, int64_t grain,
                                      RangeFn f) {
  constexpr double kSliceSeconds = 1e-3;
  constexpr int64_t kFirstPart = 16, kMostGrowth = 4;
  const auto caller = std::this_thread::get_id();
  const int64_t chunks = (n + grain - 1) / grain;
  int64_t slice = std::max<int64_t>(threads, chunks / kFirstPart);
  for (int64_t first = 0; first < chunks;) {
    training.yield();
    const int64_t last = std::min(chunks, first + slice);
    const int64_t from = first * grain, to = std::min(n, last * grain);
    const Clock::time_point began = Clock::now();
    {
      const Gate::Training::Slice within(training);
      run(to - from, grain, [&](int64_t begin, int64_t end) {
        if (std::this_thread::get_id() == caller) return f(from + begin, from + end);
        const int64_t before = thread_cpu_ns();
        f(from + begin, from + end);
        training.count_helper(thread_cpu_ns() - before);
      });
    }
    const std::chrono::duration<double> took = Clock::now() - began;
    const double slices = kSliceSeconds / std::max(took.count(), 1e-6);
    const auto wanted = static_cast<int64_t>(static_cast<double>(slice) * slices);
    slice = std::clamp<int64_t>(wanted, threads, slice * kMostGrowth);
    first = last;
  }
}

}  // namespace yiti
