// SHA-256 (FIPS 180-4): names that nobody can make two contents share.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>

namespace yiti {

struct Sha256 {
  std::array<std::byte, 32> bytes = {};
  friend bool operator==(const Sha256&, const Sha256&) = default;

  /// As 64 hexadecimal digits.
  std::string digits() const;
};

Sha256 sha256(std::span<const std::byte> bytes);

}  // namespace yiti
