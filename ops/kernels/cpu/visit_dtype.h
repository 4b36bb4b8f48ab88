// From a dtype at run time to a C++ type at compile time.
#pragma once

#include <type_traits>

#include "core/dtype.h"
#include "core/error.h"

namespace yiti::cpu {

/// Calls f.template operator()<T>() with the element type of a plain dtype.
template <class F>
decltype(auto) visit_dtype(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kF64: return f.template operator()<double>();
    case DType::kF32: return f.template operator()<float>();
    case DType::kF16: return f.template operator()<Half>();
    case DType::kBF16: return f.template operator()<BFloat16>();
    case DType::kI64: return f.template operator()<int64_t>();
    case DType::kI32: return f.template operator()<int32_t>();
    case DType::kI16: return f.template operator()<int16_t>();
    case DType::kI8: return f.template operator()<int8_t>();
    case DType::kU8: return f.template operator()<uint8_t>();
    case DType::kBool: return f.template operator()<bool>();
    default: fail(Code::kInvalidArgument, "tensor", "{} has no plain elements", name(dtype));
  }
}

/// The same for f64, f32, f16, bf16, i64 and i32.
template <class F>
decltype(auto) visit_number(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kF64: return f.template operator()<double>();
    case DType::kF32: return f.template operator()<float>();
    case DType::kF16: return f.template operator()<Half>();
    case DType::kBF16: return f.template operator()<BFloat16>();
    case DType::kI64: return f.template operator()<int64_t>();
    case DType::kI32: return f.template operator()<int32_t>();
    default: fail(Code::kInvalidArgument, "tensor", "{} is no number type", name(dtype));
  }
}

/// Calls f with an unsigned integer as wide as the plain dtype's elements, for copying them.
template <class F>
decltype(auto) visit_width(DType dtype, F&& f) {
  switch (is_quantised(dtype) ? 0 : info(dtype).block_bytes) {
    case 1: return f.template operator()<uint8_t>();
    case 2: return f.template operator()<uint16_t>();
    case 4: return f.template operator()<uint32_t>();
    case 8: return f.template operator()<uint64_t>();
    default: fail(Code::kInvalidArgument, "tensor", "{} has no plain elements", name(dtype));
  }
}

template <class T>
inline constexpr bool kIsHalf = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;

/// What elements of T are computed in: 16-bit floats in f32.
template <class T>
using Compute = std::conditional_t<kIsHalf<T>, float, T>;

template <class T>
Compute<T> widen(T value) {
  if constexpr (kIsHalf<T>) {
    return to_float(value);
  } else {
    return value;
  }
}

/// `value` rounded to T.
template <class T, class V>
T narrow(V value) {
  if constexpr (std::is_same_v<T, Half>) {
    return to_half(static_cast<float>(value));
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return to_bfloat16(static_cast<float>(value));
  } else {
    return static_cast<T>(value);
  }
}

}  // namespace yiti::cpu
