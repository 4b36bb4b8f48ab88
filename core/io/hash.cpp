#include "core/io/hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include "core/io/mapped_file.h"

namespace yiti {

std::string hash_bytes(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::string hash_file(const std::string& path) {
  return hash_bytes(MappedFile::open(path)->bytes());
}

}  // namespace yiti
