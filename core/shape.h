// Sizes and strides of a tensor, held inline: no allocation.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace yiti {

/// Up to eight sizes, outermost first.
class Shape {
 public:
  static constexpr int kMaxRank = 8;

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const int64_t> dims);

  int rank() const { return rank_; }
  /// The size of an axis; negative axes count from the end. Throws kOutOfRange.
  int64_t operator[](int axis) const { return dims_[static_cast<size_t>(index(axis))]; }
  void set(int axis, int64_t value) { dims_[static_cast<size_t>(index(axis))] = value; }
  void push_back(int64_t value);
  int64_t numel() const;
  std::span<const int64_t> dims() const { return {dims_.data(), static_cast<size_t>(rank_)}; }
  auto begin() const { return dims().begin(); }
  auto end() const { return dims().end(); }
  /// The non-negative form of an axis. Throws kOutOfRange.
  int index(int axis) const;
  /// "[2, 3, 64]"
  std::string str() const;

  friend bool operator==(const Shape& a, const Shape& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

/// Row-major strides, in elements.
Shape contiguous_strides(const Shape& shape);

/// The shape that NumPy's broadcasting rule gives. Throws kInvalidArgument.
Shape broadcast_shapes(const Shape& a, const Shape& b, std::string_view where);

}  // namespace yiti
