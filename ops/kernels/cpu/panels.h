// Layout::kPanels: how a quantised matrix lies in memory once it is loaded.
//
// Sixteen rows make a panel; a panel is a run of blocks, each 32 columns of its 16 rows:
//   16 scales (f16), then 16 minima (f16; Q4_1 only), then the codes:
//   4 bits: 4 groups of 64 bytes; byte 4r + j of group g holds column 4g + j of row r in its low
//           nibble and column 16 + 4g + j in its high one;
//   8 bits: 8 groups of 64 bytes; byte 4r + j of group g holds column 4g + j of row r.
// So a vector of 64 bytes meets four activations that are broadcast to all rows. Codes, scales and
// total size are the file's; only rows are padded with zeros to whole panels.
#pragma once

#include <cstdint>

namespace yiti::cpu {

enum class BlockType : uint8_t { kQ4_0, kQ4_1, kQ8_0 };

inline constexpr int64_t kBlock = 32;

/// Bytes before the codes of a panel's block.
constexpr int64_t codes_offset(BlockType type) { return type == BlockType::kQ4_1 ? 64 : 32; }
constexpr int64_t code_groups(BlockType type) { return type == BlockType::kQ8_0 ? 8 : 4; }
/// Bytes of a panel's block.
constexpr int64_t panel_block_bytes(BlockType type) {
  return codes_offset(type) + code_groups(type) * 64;
}

}  // namespace yiti::cpu
