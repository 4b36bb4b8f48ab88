#include "bindings/python/src/waiting.h"

#include <nanobind/nanobind.h>

#include <vector>

namespace yiti::python {
namespace {

struct LeftThreads {
  std::mutex mutex;
  std::vector<std::jthread> threads;  // with mutex
};

LeftThreads& left_threads() {
  static auto& left = *new LeftThreads;
  return left;
}

void join_left_threads() {
  nanobind::gil_scoped_release release;
  std::vector<std::jthread> threads;
  const std::lock_guard lock(left_threads().mutex);
  threads.swap(left_threads().threads);
}

}  // namespace

void leave(std::jthread thread) {
  thread.request_stop();
  const std::lock_guard lock(left_threads().mutex);
  left_threads().threads.push_back(std::move(thread));
}

void add_waiting() {
  nanobind::module_::import_("atexit").attr("register")(nanobind::cpp_function(&join_left_threads));
}

}  // namespace yiti::python
