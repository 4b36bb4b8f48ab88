// Threads: a bounded oneTBB arena and a deterministic parallel loop.
#pragma once

#include <cstdint>
#include <memory>

namespace yiti {

/// A non-owning reference to a callable (begin, end): no allocation where one is passed.
class RangeFn {
 public:
  template <class F>
  RangeFn(const F& f)  // NOLINT: implicit on purpose
      : object_(&f), call_([](const void* object, int64_t begin, int64_t end) {
          (*static_cast<const F*>(object))(begin, end);
        }) {}
  void operator()(int64_t begin, int64_t end) const { call_(object_, begin, end); }

 private:
  const void* object_;
  void (*call_)(const void*, int64_t, int64_t);
};

/// At most `threads` threads at once, the caller's among them. Safe to use from several threads.
class ThreadPool {
 public:
  /// `threads` <= 0, or more than there are, means one per processor that this process may use.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return threads_; }
  /// Calls f(begin, end) over [0, n) in ranges of at least `grain`, whose borders are multiples of
  /// `grain`. Which thread runs a range is left open, so f must give the same bits for any split.
  void parallel_for(int64_t n, int64_t grain, RangeFn f);

 private:
  struct Arena;
  int threads_;
  std::unique_ptr<Arena> arena_;
};

}  // namespace yiti
