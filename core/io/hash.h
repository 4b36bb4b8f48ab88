// Content hashes: XXH3-128, mostly as 32 hexadecimal digits. They find change and damage, not
// forgery.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct XXH3_state_s;

namespace yiti {

/// Hashes what is added in turn. Texts are added with their length, so that neighbours stay apart.
class Hasher {
 public:
  Hasher();
  ~Hasher();

  void add(std::span<const std::byte> bytes);
  void add(std::string_view text);
  void add(int64_t number);
  std::string digits() const;

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

std::string hash_bytes(std::span<const std::byte> bytes);

/// Of a file's contents. Throws kNotFound.
std::string hash_file(const std::string& path);

}  // namespace yiti
