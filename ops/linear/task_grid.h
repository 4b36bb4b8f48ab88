// How the elements of C are shared out between threads. It never changes a bit.
#pragma once

#include <algorithm>
#include <cstdint>

namespace yiti {

/// A grid of equal parts: of the row tiles times of the column panels.
struct TaskGrid {
  int64_t rows = 1, columns = 1;

  int64_t count() const { return rows * columns; }
  struct Range {
    int64_t begin, end;
  };
  /// The part of `n` things that is task `i`'s.
  Range row_part(int64_t i, int64_t n) const { return part(i / columns, rows, n); }
  Range column_part(int64_t i, int64_t n) const { return part(i % columns, columns, n); }

 private:
  static Range part(int64_t i, int64_t of, int64_t n) { return {i * n / of, (i + 1) * n / of}; }
};

/// `work` counts multiply-adds. Splitting columns is better, since each panel of B is then prepared
/// once; rows are split where there are few panels. Much work is cut into more parts than there are
/// threads: one that the system interrupts then holds up the others by one part only.
inline TaskGrid make_task_grid(int64_t threads, int64_t row_tiles, int64_t panels, int64_t work) {
  constexpr int64_t kLeastWork = 1 << 17;  // of a thread; below it, waking threads costs more
  constexpr int64_t kMuchWork = 1 << 23;   // of a thread
  constexpr int64_t kMostParts = 4;        // of a thread, each of some panels
  constexpr int64_t kPanelsOfPart = 6;
  threads = std::clamp<int64_t>(work / kLeastWork, 1, threads);
  if (threads == 1) return {};
  if (panels < 4 * threads && row_tiles >= threads) return {.rows = threads, .columns = 1};
  int64_t parts = std::min(panels, threads);
  if (work > threads * kMuchWork) {
    parts = std::clamp(panels / kPanelsOfPart, parts, kMostParts * threads);
  }
  return {.rows = 1, .columns = std::max<int64_t>(1, parts)};
}

}  // namespace yiti
