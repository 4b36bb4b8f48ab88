#include <gtest/gtest.h>

#include <string_view>
#include <vector>

#include "core/io/crc32c.h"
#include "core/io/sha256.h"

namespace yiti {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(Sha256, IsThatOfTheStandard) {
  // FIPS 180-4's example, and the empty text.
  EXPECT_EQ(sha256(bytes_of("abc")).digits(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256({}).digits(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Crc32c, IsThatOfTheStandard) {
  // RFC 3720, B.4, and the check value of CRC catalogues.
  EXPECT_EQ(crc32c(bytes_of("123456789")), 0xe3069283U);
  EXPECT_EQ(crc32c(std::vector<std::byte>(32)), 0x8a9136aaU);
  EXPECT_EQ(crc32c(std::vector<std::byte>(32, std::byte{0xff})), 0x62a8ab43U);
  EXPECT_EQ(crc32c({}), 0U);
}

TEST(Crc32c, FollowsItsPolynomialAtAnyLengthAndPlace) {
  std::vector<std::byte> all;
  for (uint32_t i = 0; i < 100; ++i) all.push_back(std::byte(i * 37 + 11));
  for (size_t begin = 0; begin < 9; ++begin) {
    for (size_t count = 0; count < 40; ++count) {
      uint32_t wanted = 0xffffffffU;
      for (size_t i = 0; i < count; ++i) {
        wanted ^= static_cast<uint32_t>(all[begin + i]);
        for (int bit = 0; bit < 8; ++bit) {
          wanted = (wanted >> 1) ^ ((wanted & 1U) != 0 ? 0x82f63b78U : 0U);
        }
      }
      EXPECT_EQ(crc32c(std::span(all).subspan(begin, count)), ~wanted) << begin << " " << count;
    }
  }
}

}  // namespace
}  // namespace yiti
