#include "core/io/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace yiti {
namespace {

// Of each byte, by the reflected polynomial.
constexpr std::array<uint32_t, 256> kTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = (rest >> 1) ^ ((rest & 1U) != 0 ? 0x82f63b78U : 0U);
    table[byte] = rest;
  }
  return table;
}();

uint32_t byte_by_byte(uint32_t crc, std::span<const std::byte> bytes) {
  for (const std::byte byte : bytes) {
    crc = (crc >> 8) ^ kTable[(crc ^ static_cast<uint32_t>(byte)) & 0xffU];
  }
  return crc;
}

#if defined(__x86_64__)
// The processor's instruction takes this polynomial, eight bytes at a time.
__attribute__((target("sse4.2"))) uint32_t by_words(uint32_t crc,
                                                    std::span<const std::byte>& bytes) {
  uint64_t wide = crc;
  for (; bytes.size() >= sizeof(uint64_t); bytes = bytes.subspan(sizeof(uint64_t))) {
    uint64_t word;
    std::memcpy(&word, bytes.data(), sizeof(word));
    wide = _mm_crc32_u64(wide, word);
  }
  return static_cast<uint32_t>(wide);
}
#endif

}  // namespace

uint32_t crc32c(std::span<const std::byte> bytes) {
  uint32_t crc = 0xffffffffU;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) crc = by_words(crc, bytes);
#endif
  return byte_by_byte(crc, bytes) ^ 0xffffffffU;
}

}  // namespace yiti
