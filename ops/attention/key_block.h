// How keys and values are kept and walked: the same in every mode, so that results are too.
#pragma once

#include <cstdint>

namespace yiti {

/// What keys and values are kept as: floats, or 8-bit codes with a scale for each token's head.
enum class KeyForm : uint8_t { kF32, kF16, kBF16, kI8 };

/// Keys in a block. A block holds the keys of absolute positions [64 b, 64 b + 64) of one sequence
/// and one kv head: K transposed [D][64], V [64][D]. Of codes, each is followed by the 64 keys'
/// scales as float32, and so is as large as floats with kScaleRows more elements in a head.
inline constexpr int64_t kKeyBlock = 64;
inline constexpr int64_t kScaleRows = 4;

/// The elements of a head, with what its scales take.
inline constexpr int64_t kept_dim(int64_t head_dim, KeyForm form) {
  return head_dim + (form == KeyForm::kI8 ? kScaleRows : 0);
}

/// Keys in a segment, at absolute positions: each yields (max, sum, output), and these are merged
/// in a binary tree over segment numbers.
inline constexpr int64_t kKeySegment = 512;

}  // namespace yiti
