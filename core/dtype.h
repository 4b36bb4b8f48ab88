// Element types, among them the block-quantised ones that GGUF stores.
#pragma once

#include <cstdint>
#include <string_view>

namespace yiti {

enum class DType : uint8_t {
  kF64,
  kF32,
  kF16,
  kBF16,
  kI64,
  kI32,
  kI16,
  kI8,
  kU8,
  kBool,
  kQ4_0,
  kQ4_1,
  kQ8_0,
};

/// How a quantised matrix lies in memory.
enum class Layout : uint8_t {
  kRows,    ///< as the file has it: row after row, each a run of blocks
  kPanels,  ///< as the device's kernels read it; on CPUs 16 rows interleaved (kernels/cpu/panels.h)
};

struct DTypeInfo {
  std::string_view name;  ///< "f32", "q4_1", …
  int64_t block;          ///< elements in a block: 1 for plain types
  int64_t block_bytes;    ///< bytes of a block
  bool floating;          ///< f64, f32, f16, bf16
  bool quantised;
};

const DTypeInfo& info(DType dtype);
inline std::string_view name(DType dtype) { return info(dtype).name; }
inline bool is_floating(DType dtype) { return info(dtype).floating; }
inline bool is_quantised(DType dtype) { return info(dtype).quantised; }
inline bool is_integer(DType dtype) {
  return !is_floating(dtype) && !is_quantised(dtype) && dtype != DType::kBool;
}

/// IEEE binary16 and bfloat16 as bits. Conversions round to nearest even and keep NaN a NaN.
struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};
float to_float(Half value);
float to_float(BFloat16 value);
Half to_half(float value);
BFloat16 to_bfloat16(float value);

/// The DType of a C++ element type.
template <class T>
inline constexpr DType dtype_of = DType::kF32;
template <>
inline constexpr DType dtype_of<double> = DType::kF64;
template <>
inline constexpr DType dtype_of<Half> = DType::kF16;
template <>
inline constexpr DType dtype_of<BFloat16> = DType::kBF16;
template <>
inline constexpr DType dtype_of<int64_t> = DType::kI64;
template <>
inline constexpr DType dtype_of<int32_t> = DType::kI32;
template <>
inline constexpr DType dtype_of<int16_t> = DType::kI16;
template <>
inline constexpr DType dtype_of<int8_t> = DType::kI8;
template <>
inline constexpr DType dtype_of<uint8_t> = DType::kU8;
template <>
inline constexpr DType dtype_of<bool> = DType::kBool;

}  // namespace yiti
