// Walks the rows of broadcast, strided operands: axes that lie alike in all operands are merged, so
// that contiguous tensors are one long row.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <initializer_list>

#include "core/parallel.h"
#include "core/tensor.h"

namespace yiti::cpu {

class RowWalk {
 public:
  static constexpr int kMaxOperands = 4;
  /// Elements of the longest piece that is handed out.
  static constexpr int64_t kPiece = 2048;
  using Offsets = std::array<int64_t, kMaxOperands>;

  /// Each operand broadcasts to `shape`.
  RowWalk(const Shape& shape, std::initializer_list<std::reference_wrapper<const Tensor>> operands);

  /// Elements between neighbours of a row of the operand.
  int64_t step(int operand) const { return step_[static_cast<size_t>(operand)]; }

  /// Calls f(offsets, n) for pieces of rows that cover all elements once: `offsets` are the
  /// operands' first elements, n <= kPiece. Pieces start at multiples of kPiece in their row.
  template <class F>
  void run(ThreadPool& threads, const F& f) const {
    const int64_t pieces_per_row = (width_ + kPiece - 1) / kPiece;
    const int64_t grain = std::max<int64_t>(1, 16384 / std::min(width_ + 1, kPiece));
    threads.parallel_for(rows_ * pieces_per_row, grain, [&](int64_t begin, int64_t end) {
      Cursor cursor = at(begin / pieces_per_row);
      int64_t piece = begin % pieces_per_row;
      for (int64_t unit = begin; unit < end; ++unit) {
        Offsets offsets = cursor.offsets;
        const int64_t start = piece * kPiece;
        for (size_t i = 0; i < count_; ++i) offsets[i] += start * step_[i];
        f(offsets, std::min(kPiece, width_ - start));
        if (++piece == pieces_per_row) {
          piece = 0;
          advance(cursor);
        }
      }
    });
  }

 private:
  struct Cursor {
    std::array<int64_t, Shape::kMaxRank> index{};
    Offsets offsets{};
  };
  Cursor at(int64_t row) const;
  void advance(Cursor& cursor) const;

  size_t count_ = 0;
  size_t outer_ = 0;  // axes outside the row
  int64_t rows_ = 1;
  int64_t width_ = 1;
  Offsets step_{};
  std::array<int64_t, Shape::kMaxRank> size_{};
  std::array<Offsets, Shape::kMaxRank> stride_{};
};

}  // namespace yiti::cpu
