// CRC-32C (Castagnoli; RFC 3720, appendix B.4): a checksum that finds damage.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace yiti {

uint32_t crc32c(std::span<const std::byte> bytes);

}  // namespace yiti
