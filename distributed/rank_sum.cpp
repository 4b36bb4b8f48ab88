#include "distributed/rank_sum.h"

#include <type_traits>
#include <vector>

#include "core/error.h"

namespace yiti {
namespace {

// How an element is read, summed and written. Signed integers are summed as unsigned ones, which
// wrap around where signed overflow is undefined.
template <class T>
struct Element {
  using Sum = T;
  static Sum read(T value) { return value; }
  static T write(Sum sum) { return sum; }
};

template <class T>
requires std::is_integral_v<T>
struct Element<T> {
  using Sum = std::make_unsigned_t<T>;
  static Sum read(T value) { return static_cast<Sum>(value); }
  static T write(Sum sum) { return static_cast<T>(sum); }
};

template <>
struct Element<Half> {
  using Sum = float;
  static Sum read(Half value) { return to_float(value); }
  static Half write(Sum sum) { return to_half(sum); }
};

template <>
struct Element<BFloat16> {
  using Sum = float;
  static Sum read(BFloat16 value) { return to_float(value); }
  static BFloat16 write(Sum sum) { return to_bfloat16(sum); }
};

template <class T>
void sum_typed(std::span<const std::byte* const> parts, int64_t begin, int64_t end,
               std::byte* target) {
  using Sum = typename Element<T>::Sum;
  const size_t ranks = parts.size();
  std::vector<Sum> tree(ranks);
  for (int64_t i = begin; i < end; ++i) {
    for (size_t rank = 0; rank < ranks; ++rank) {
      tree[rank] = Element<T>::read(reinterpret_cast<const T*>(parts[rank])[i]);
    }
    for (size_t step = 1; step < ranks; step *= 2) {
      for (size_t rank = 0; rank + step < ranks; rank += 2 * step) {
        tree[rank] = static_cast<Sum>(tree[rank] + tree[rank + step]);
      }
    }
    reinterpret_cast<T*>(target)[i] = Element<T>::write(tree[0]);
  }
}

}  // namespace

void sum_ranks(DType dtype, std::span<const std::byte* const> parts, int64_t begin, int64_t end,
               std::byte* target) {
  switch (dtype) {
    case DType::kF64: return sum_typed<double>(parts, begin, end, target);
    case DType::kF32: return sum_typed<float>(parts, begin, end, target);
    case DType::kF16: return sum_typed<Half>(parts, begin, end, target);
    case DType::kBF16: return sum_typed<BFloat16>(parts, begin, end, target);
    case DType::kI64: return sum_typed<int64_t>(parts, begin, end, target);
    case DType::kI32: return sum_typed<int32_t>(parts, begin, end, target);
    case DType::kI16: return sum_typed<int16_t>(parts, begin, end, target);
    case DType::kI8: return sum_typed<int8_t>(parts, begin, end, target);
    case DType::kU8: return sum_typed<uint8_t>(parts, begin, end, target);
    default: fail(Code::kInvalidArgument, "sum_ranks", "{} has no sum", name(dtype));
  }
}

}  // namespace yiti
