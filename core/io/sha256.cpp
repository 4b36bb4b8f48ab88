#include "core/io/sha256.h"

#include <fmt/format.h>
#include <openssl/sha.h>

namespace yiti {

std::string Sha256::digits() const {
  std::string out;
  for (const std::byte byte : bytes) out += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return out;
}

Sha256 sha256(std::span<const std::byte> bytes) {
  Sha256 out;
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(out.bytes.data()));
  return out;
}

}  // namespace yiti
