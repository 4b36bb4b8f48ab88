// Tiles of causal attention: some neighbouring tokens' query heads that share one kv head, against
// that head's key blocks (see ops/attention/key_block.h).
//
// Per query row, numbers and order are fixed: scores are chains over d, exponentials are relative
// to the running maximum of the segment, outputs are chains over keys in ascending order, rescaled
// from block to block; segments are merged in a binary tree over their numbers. Keys that a row
// does not see never enter its sums. So a row's bits depend on its position, window and keys alone.
//
// Codes are multiplied as they are: a key's scale then multiplies its score, a value's its weight.
//
// Memory: a tile of up to kAttentionRows rows reads each block once, as it is kept; rows of K and V
// that are in no pool are brought into the form of a block first.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/attention/key_block.h"
#include "ops/kernels/cpu/isa_table.h"

namespace yiti::cpu {

/// Query rows that a tile has at most (unless one token's group alone has more).
inline constexpr int64_t kAttentionRows = 96;

/// Where the keys and values of one sequence and kv head lie.
struct KeySource {
  /// Blocks of a pool, found by `table`: block b of the sequence is at k + table[b] * block_stride
  /// elements, likewise v. Null: rows of float32 K and V, k_stride and v_stride floats apart, the
  /// first of which is position 0.
  const int32_t* table;
  const void* k;
  const void* v;
  int64_t block_stride;
  int64_t k_stride, v_stride;
  /// What the pools hold; rows are rounded to it.
  KeyForm form;
};

struct AttentionTile {
  KeySource keys;
  int64_t first;   ///< position of the first token
  int64_t tokens;  ///< at positions first, first + 1, …
  int64_t heads;   ///< query heads of the tile, per token
  int64_t head_dim;
  int64_t window;  ///< keys that a token sees, itself among them; 0: all up to itself
  float scale;
  const float* q;  ///< first token and head
  int64_t q_token_stride, q_head_stride;
  float* out;  ///< heads are head_dim apart
  int64_t out_token_stride;
  float* lse;  ///< log of the sum of e^score, or null; heads are adjacent
  int64_t lse_token_stride;
  float* scratch;  ///< forward_scratch floats, 64-byte aligned
};

struct AttentionTable {
  /// Floats of scratch for tiles of up to `rows` rows whose positions are below `positions`.
  int64_t (*forward_scratch)(int64_t rows, int64_t head_dim, int64_t positions);
  void (*forward)(const AttentionTile& tile);
  /// The same in two steps, so that threads can share out the segments of a long context: what a
  /// tile of `rows` rows gathers of a segment, as part_floats floats, and their merging. The part
  /// of segment s is at parts + s * stride; those of segments that no row sees are not read.
  int64_t (*part_floats)(int64_t rows, int64_t head_dim);
  void (*forward_segment)(const AttentionTile& tile, int64_t segment, float* part);
  void (*merge_segments)(const AttentionTile& tile, const float* parts, int64_t stride);
  /// Writes one token's key and value heads into a block at `offset`: keys to k[d][offset] and
  /// values to v[offset][d].
  void (*write)(KeyForm form, const float* key, const float* value, int64_t head_dim,
                int64_t offset, void* k, void* v);
};

YITI_DECLARE_ISA_TABLE(AttentionTable, attention_table)

}  // namespace yiti::cpu
