// Elementwise kernels: rows of f32 in one pass, other dtypes by scalar loops.
#pragma once

#include <cstdint>

#include "ops/kernels/cpu/isa_table.h"

namespace yiti::cpu {

enum class BinaryFn : uint8_t {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMaximum,
  kMinimum,
  kReluBackward,
  kGeluBackward,
  kPow,
  kEqual,
  kLess,
  kGreater
};
inline constexpr int kBinaryRows = 8;  ///< the first ones have f32 rows; the rest are scalar

enum class UnaryFn : uint8_t {
  kNeg,
  kExp,
  kSqrt,
  kRsqrt,
  kSquare,
  kAbs,
  kTanh,
  kSigmoid,
  kRelu,
  kSilu,
  kGelu,
  kGeluTanh,
  kScale,  ///< x * p + q
  kClamp,  ///< x limited to [p, q]
  kLog,
  kSin,
  kCos,
};
inline constexpr int kUnaryRows = 14;

/// y[i] = f(a[i * a_step], b[i * b_step]) for n elements; steps are 0 or 1.
using BinaryRow = void (*)(const float* a, int64_t a_step, const float* b, int64_t b_step, float* y,
                           int64_t n);
/// y[i] = f(x[i]; p, q).
using UnaryRow = void (*)(const float* x, float* y, int64_t n, float p, float q);
using WidenRow = void (*)(const uint16_t* x, float* y, int64_t n);
using NarrowRow = void (*)(const float* x, uint16_t* y, int64_t n);

struct ElementwiseTable {
  BinaryRow binary[kBinaryRows];
  UnaryRow unary[kUnaryRows];
  WidenRow half_to_float, bf16_to_float;
  NarrowRow float_to_half, float_to_bf16;
};
YITI_DECLARE_ISA_TABLE(ElementwiseTable, elementwise_table)

}  // namespace yiti::cpu
