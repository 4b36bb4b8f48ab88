// The inner kernels of matrix products; ops/linear/gemm.cpp cuts the work into these tiles.
//
// B comes in packed panels of 16 columns: [k][16] floats, one Vec a step. A tile of up to `rows`
// rows of A meets one panel: per step one load of B and one broadcast and FMA a row, so that each
// element of C is one chain over k. At the end of a leaf the chain is merged into the tree of
// partial sums, whose pending nodes lie in `state`.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/kernels/cpu/isa_table.h"

namespace yiti::cpu {

/// Part of one leaf, or all of it: what a kernel runs through between two visits of the state.
struct LeafSegment {
  int32_t length;  ///< steps of k
  int32_t depth;   ///< nodes of the tree that wait below this one
  int32_t merges;  ///< of those, how many are added when the leaf ends here
  bool resumes;    ///< goes on from the chain that the last segment left in the state
  bool ends_leaf;
  bool ends_all;  ///< the result is complete
};

/// Most nodes that wait at once, the unfinished chain among them, for eight leaves.
inline constexpr int kTreeDepth = 4;
inline constexpr int kPanelWidth = 16;
/// Floats of the state of a tile of `rows` rows.
constexpr int64_t tile_state(int rows) { return int64_t{kTreeDepth} * rows * kPanelWidth; }

/// Where the result of a tile, or of a whole product, goes.
struct TileOutput {
  float* c = nullptr;
  int64_t c_stride = 0;           ///< floats from row to row
  int columns = 0;                ///< how many exist; at most 16 in a tile
  const float* bias = nullptr;    ///< [columns] or null
  const float* addend = nullptr;  ///< the result is added to it; lies as c does, may be c, or null
};

/// The part of `all` that begins at `row` and `column`, of at most `width` columns. Always inlined,
/// since files of every instruction set include this one.
[[gnu::always_inline]] inline TileOutput part_of(TileOutput all, int64_t row, int64_t column,
                                                 int64_t width) {
  const int64_t offset = row * all.c_stride + column, left = all.columns - column;
  all.c += offset;
  all.columns = static_cast<int>(left < width ? left : width);
  if (all.bias != nullptr) all.bias += column;
  if (all.addend != nullptr) all.addend += offset;
  return all;
}

struct GemmTile {
  const float* a = nullptr;  ///< rows lie a_stride floats apart; packed: [k][rows of the table]
  int64_t a_stride = 0;
  const float* b = nullptr;  ///< packed panel
  const LeafSegment* segments = nullptr;
  int segment_count = 0;
  float* state = nullptr;  ///< tile_state(rows of the table) floats
  TileOutput out = {};
  /// What tile_fetching brings into the second-level cache: the same steps of rows of a later tile.
  const float* next = nullptr;
  int64_t next_stride = 0;  ///< floats from row to row
  int next_rows = 0;
};

/// Element types that B is read from.
enum class FloatSource : uint8_t { kF32, kF16, kBF16 };

/// Rows of a weight [N, K] of which columns lie next to each other, read without packing.
struct DirectRows {
  const void* w;     ///< the first of them
  int64_t w_stride;  ///< elements from row to row
  const float* x;    ///< rows of A, contiguous in k
  int64_t x_stride;
  const LeafSegment* segments;
  int segment_count;
  TileOutput out;  ///< columns: how many rows of w there are (1 … 16)
};

/// The kernels of a product of factors that are rounded to bf16 (to nearest even). Both are seen as
/// words of four bytes in place of floats. It has the bits of the float product of the rounded
/// factors.
struct RoundedProduct {
  int steps;                                     ///< of k in a word
  void (*tile)(const GemmTile& tile, int rows);  ///< as those of GemmTable
  void (*tile_fetching)(const GemmTile& tile, int rows);
  /// k floats of a row of A to k / steps words, which may lie where they do.
  void (*round_row)(const float* a, int64_t k, float* words);
  /// A packed panel [k][16] to [k / steps][16] words, in place.
  void (*round_panel)(float* panel, int64_t k);
  /// Such words from `columns` rows of a bf16 weight, as GemmTable::pack_rows packs floats; null
  /// where `steps` is 1. `stride` is even.
  void (*pack_rows)(const void* w, int64_t stride, int columns, int64_t k, float* panel);
};

struct GemmTable {
  int rows;  ///< of a full tile
  /// `rows` rows of A (1 … table.rows) against a panel; A row-major, or packed.
  void (*tile)(const GemmTile& tile, int rows);
  void (*tile_packed)(const GemmTile& tile, int rows);
  void (*tile_fetching)(const GemmTile& tile, int rows);
  /// [k][16] from `columns` rows of a weight that lie `stride` elements apart, k adjacent; what is
  /// missing of 16 is zero.
  void (*pack_rows)(FloatSource type, const void* w, int64_t stride, int columns, int64_t k,
                    float* panel);
  /// [k][16] from a matrix whose columns are adjacent and whose steps lie `stride` elements apart.
  void (*pack_columns)(FloatSource type, const void* b, int64_t stride, int columns, int64_t k,
                       float* panel);
  /// [k][16] from any strides.
  void (*pack_strided)(FloatSource type, const void* b, int64_t k_stride, int64_t n_stride,
                       int columns, int64_t k, float* panel);
  /// A tile's rows as tile_packed wants them: [k][rows of the table], and 16 floats of scratch.
  void (*pack_a)(const float* a, int64_t row_stride, int64_t k_stride, int rows, int64_t k,
                 float* tile);
  /// The same result as packing and tile(), for 1 … kDirectRows rows of A.
  void (*direct)(FloatSource type, const DirectRows& job, int rows);
  /// For products of k steps: of two in a word where k is even and the processor multiplies pairs
  /// of bf16, else of one.
  const RoundedProduct& (*rounded)(int64_t k);
};

inline constexpr int kDirectRows = 4;

YITI_DECLARE_ISA_TABLE(GemmTable, gemm_table)

}  // namespace yiti::cpu
