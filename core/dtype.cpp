#include "core/dtype.h"

#include <array>
#include <bit>

namespace yiti {

const DTypeInfo& info(DType dtype) {
  static constexpr std::array<DTypeInfo, 13> kTable = {{
      {"f64", 1, 8, true, false},
      {"f32", 1, 4, true, false},
      {"f16", 1, 2, true, false},
      {"bf16", 1, 2, true, false},
      {"i64", 1, 8, false, false},
      {"i32", 1, 4, false, false},
      {"i16", 1, 2, false, false},
      {"i8", 1, 1, false, false},
      {"u8", 1, 1, false, false},
      {"bool", 1, 1, false, false},
      {"q4_0", 32, 18, false, true},
      {"q4_1", 32, 20, false, true},
      {"q8_0", 32, 34, false, true},
  }};
  return kTable[static_cast<size_t>(dtype)];
}

float to_float(BFloat16 value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16);
}

BFloat16 to_bfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

float to_float(Half value) {
  const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000u) << 16;
  const uint32_t rest = value.bits & 0x7fffu;
  if (rest >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | ((rest & 0x3ffu) << 13));
  if (rest >= 0x400u) return std::bit_cast<float>(sign | ((rest << 13) + (112u << 23)));
  const float subnormal = static_cast<float>(rest) * 0x1p-24f;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(subnormal));
}

Half to_half(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t rest = bits & 0x7fffffffu;
  if (rest > 0x7f800000u) {
    return {static_cast<uint16_t>(sign | 0x7e00u | ((rest >> 13) & 0x3ffu))};
  }
  if (rest >= 0x477ff000u) return {static_cast<uint16_t>(sign | 0x7c00u)};  // rounds past 65504
  if (rest < 0x38800000u) {
    // Adding 0.5 aligns the result's last bit with the last bit of a subnormal half.
    const float aligned = std::bit_cast<float>(rest) + 0.5f;
    return {static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(aligned) - 0x3f000000u))};
  }
  return {
      static_cast<uint16_t>(sign | ((rest - (112u << 23) + 0xfffu + ((rest >> 13) & 1u)) >> 13))};
}

}  // namespace yiti
