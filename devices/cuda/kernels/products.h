// Matrix products by the plug-in's own kernels: arguments, in device memory, and launches.
#pragma once

#include <cstdint>

struct CUstream_st;  // cudaStream_t is a pointer to one

namespace yiti::devices::cuda {

/// Leaves of K at most.
inline constexpr int kLeaves = 8;

/// So many are multiplied by blocks that share out the depth.
inline constexpr int64_t kFewRows = 8;

/// Of a float32 in bfloat16.
inline constexpr int kParts = 3;

/// Of a block of 32 codes.
struct CodeScale {
  float scale, scaled_sum;
};

/// Y [rows, columns] = codes · weightᵀ + bias; with `up`, swiglu(codes · weightᵀ, codes · upᵀ).
struct CodeProduct {
  const int8_t* codes;      ///< [rows, depth, 32]
  const CodeScale* scales;  ///< [rows, depth]
  const uint8_t* weight;    ///< [columns, depth] in GGUF's layout
  const float* bias;        ///< [columns] or null
  float* y;
  int64_t rows, columns, depth, leaf;  ///< depth and leaf in blocks
  const uint8_t* up = nullptr;
};

/// C [rows, columns] = A [rows, depth] · B [depth, columns] + bias, or C + A · B; with `up`, of B's
/// type and steps, swiglu(A · B, A · up).
struct FloatProduct {
  const float* a;
  int64_t a_row, a_depth;  ///< steps between elements along an axis
  const void* b;
  int64_t b_depth, b_column;
  const float* bias;  ///< [columns] or null
  float* c;
  bool accumulates;
  int64_t rows, columns, depth;
  int64_t leaf;  ///< elements of depth, a multiple of 32
  const void* up = nullptr;
};

/// Y [rows, columns] = X · weightᵀ + bias with X as three bfloat16 whose sum it is, or as the first
/// of them; with `up`, swiglu(X · weightᵀ, X · upᵀ).
struct SplitProduct {
  const float* x;  ///< [rows, depth]; read where there are at most kFewRows
  const uint16_t*
      parts;  ///< [part_count, rows, depth], the largest parts first, at a multiple of 16 bytes
  const uint16_t* weight;  ///< bfloat16 [columns, depth]
  const float* bias;       ///< [columns] or null
  float* y;
  int64_t rows, columns, depth;  ///< depth is a multiple of 8
  int64_t leaf;                  ///< elements of depth, a multiple of 32
  int part_count;                ///< kParts or 1
  const uint16_t* up = nullptr;
};

enum class BlockFormat { kQ4_0, kQ4_1, kQ8_0 };
enum class FloatFormat { kF32, kF16, kBF16 };

/// Blocks of `each` for `count`.
inline unsigned blocks_of(int64_t count, int64_t each) {
  return static_cast<unsigned>((count + each - 1) / each);
}

/// Each gives its kernel to the stream and returns CUDA's error, as a cudaError_t.
int launch(const CodeProduct& product, BlockFormat format, CUstream_st* stream);
int launch(const FloatProduct& product, FloatFormat b, CUstream_st* stream);
int launch(const SplitProduct& product, CUstream_st* stream);
/// Writes the first `part_count` of the bfloat16 parts of `count` elements of x.
int launch_split(const float* x, int part_count, uint16_t* parts, int64_t count,
                 CUstream_st* stream);

/// Writes for each of 32 lanes how many sums it has found that depend on a row's place among the
/// rows of a tensor core.
int launch_row_places(int* differences, CUstream_st* stream);

}  // namespace yiti::devices::cuda
