// What the reader and the writer of GGUF files both know.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace yiti::gguf_format {

inline constexpr std::string_view kMagic = "GGUF";
inline constexpr uint32_t kVersion = 3;
inline constexpr std::string_view kAlignmentKey = "general.alignment";
inline constexpr std::string_view kPartKey = "split.no";
inline constexpr std::string_view kPartsKey = "split.count";
inline constexpr std::string_view kPartsTensorsKey = "split.tensors.count";
inline constexpr int64_t kMaxParts = 65535;
inline constexpr uint32_t kDefaultAlignment = 32;
inline constexpr uint32_t kMaxAlignment = 1u << 20;
inline constexpr size_t kMaxDims = 4;
inline constexpr size_t kMaxKeyBytes = 65535;
inline constexpr size_t kMaxNameBytes = 64;
inline constexpr int kMaxArrayDepth = 8;

/// The specification wants a multiple of 8; every writer uses a power of two.
inline bool valid_alignment(uint32_t alignment) {
  return std::has_single_bit(alignment) && alignment >= 8 && alignment <= kMaxAlignment;
}

/// Keys are ASCII without spaces.
inline bool valid_key(std::string_view key) {
  if (key.empty() || key.size() > kMaxKeyBytes) return false;
  for (const char c : key) {
    if (c <= ' ' || c > '~') return false;
  }
  return true;
}

inline bool valid_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && name.find('\0') == name.npos;
}

/// `size` rounded up to a multiple of `alignment`, a power of two.
inline size_t align_up(size_t size, size_t alignment) {
  return (size + alignment - 1) & ~(alignment - 1);
}

}  // namespace yiti::gguf_format
