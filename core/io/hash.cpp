#include "core/io/hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <new>

#include "core/io/mapped_file.h"

namespace yiti {

void Hasher::Free::operator()(XXH3_state_s* state) const { XXH3_freeState(state); }

Hasher::Hasher() : state_(XXH3_createState()) {
  if (!state_) throw std::bad_alloc();
  XXH3_128bits_reset(state_.get());
}

Hasher::~Hasher() = default;

void Hasher::add(std::span<const std::byte> bytes) {
  XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
}

void Hasher::add(std::string_view text) {
  add(static_cast<int64_t>(text.size()));
  add(std::as_bytes(std::span(text)));
}

void Hasher::add(int64_t number) { add(std::as_bytes(std::span(&number, 1))); }

std::string Hasher::digits() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::string hash_bytes(std::span<const std::byte> bytes) {
  Hasher hasher;
  hasher.add(bytes);
  return hasher.digits();
}

std::string hash_file(const std::string& path) {
  return hash_bytes(MappedFile::open(path)->bytes());
}

}  // namespace yiti
