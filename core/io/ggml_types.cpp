#include "core/io/ggml_types.h"

#include <algorithm>
#include <array>

namespace yiti {
namespace {

using enum GgmlSupport;

constexpr auto kTypes = std::to_array<GgmlType>({
    {0, "F32", 1, 4, kMapped, DType::kF32},
    {1, "F16", 1, 2, kMapped, DType::kF16},
    {2, "Q4_0", 32, 18, kMapped, DType::kQ4_0},
    {3, "Q4_1", 32, 20, kMapped, DType::kQ4_1},
    {4, "Q4_2", 1, 0, kRemoved},
    {5, "Q4_3", 1, 0, kRemoved},
    {6, "Q5_0", 32, 22, kDequantised},
    {7, "Q5_1", 32, 24, kDequantised},
    {8, "Q8_0", 32, 34, kMapped, DType::kQ8_0},
    {9, "Q8_1", 32, 36, kRefused},
    {10, "Q2_K", 256, 84, kDequantised},
    {11, "Q3_K", 256, 110, kDequantised},
    {12, "Q4_K", 256, 144, kDequantised},
    {13, "Q5_K", 256, 176, kDequantised},
    {14, "Q6_K", 256, 210, kDequantised},
    {15, "Q8_K", 256, 292, kDequantised},
    {16, "IQ2_XXS", 256, 66, kRefused},
    {17, "IQ2_XS", 256, 74, kRefused},
    {18, "IQ3_XXS", 256, 98, kRefused},
    {19, "IQ1_S", 256, 50, kRefused},
    {20, "IQ4_NL", 32, 18, kDequantised},
    {21, "IQ3_S", 256, 110, kRefused},
    {22, "IQ2_S", 256, 82, kRefused},
    {23, "IQ4_XS", 256, 136, kDequantised},
    {24, "I8", 1, 1, kMapped, DType::kI8},
    {25, "I16", 1, 2, kMapped, DType::kI16},
    {26, "I32", 1, 4, kMapped, DType::kI32},
    {27, "I64", 1, 8, kMapped, DType::kI64},
    {28, "F64", 1, 8, kMapped, DType::kF64},
    {29, "IQ1_M", 256, 56, kRefused},
    {30, "BF16", 1, 2, kMapped, DType::kBF16},
    {31, "Q4_0_4_4", 1, 0, kRemoved},
    {32, "Q4_0_4_8", 1, 0, kRemoved},
    {33, "Q4_0_8_8", 1, 0, kRemoved},
    {34, "TQ1_0", 256, 54, kDequantised},
    {35, "TQ2_0", 256, 66, kDequantised},
    {36, "IQ4_NL_4_4", 1, 0, kRemoved},
    {37, "IQ4_NL_4_8", 1, 0, kRemoved},
    {38, "IQ4_NL_8_8", 1, 0, kRemoved},
    {39, "MXFP4", 32, 17, kDequantised},
    {40, "NVFP4", 64, 36, kRefused},
    {41, "Q1_0", 128, 18, kRefused},
});

}  // namespace

const GgmlType* find_ggml_type(uint32_t id) { return id < kTypes.size() ? &kTypes[id] : nullptr; }

const GgmlType* find_ggml_type(DType dtype) {
  const auto* found = std::ranges::find(kTypes, std::optional(dtype), &GgmlType::dtype);
  return found == kTypes.end() ? nullptr : found;
}

std::string supported_ggml_types() {
  std::string names;
  for (const GgmlType& type : kTypes) {
    if (type.support != kMapped && type.support != kDequantised) continue;
    if (!names.empty()) names += ", ";
    names += type.name;
  }
  return names;
}

}  // namespace yiti
