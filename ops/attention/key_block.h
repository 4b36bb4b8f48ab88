// How keys and values are kept and walked: the same in every mode, so that results are too.
#pragma once

#include <cstdint>

namespace yiti {

/// Keys in a block. A block holds the keys of absolute positions [64 b, 64 b + 64) of one sequence
/// and one kv head: K transposed [D][64], V [64][D].
inline constexpr int64_t kKeyBlock = 64;

/// Keys in a segment, at absolute positions: each yields (max, sum, output), and these are merged
/// in a binary tree over segment numbers.
inline constexpr int64_t kKeySegment = 512;

}  // namespace yiti
