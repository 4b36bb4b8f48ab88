// Hostile variants of a good file, and what a reader owes each: success or an Error, nothing else.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/io/file_bytes.h"

namespace yiti {

inline FileBytes bytes_of(std::string_view text) {
  auto owner = std::make_shared<const std::string>(text);
  return {std::as_bytes(std::span(*owner)), owner, "test bytes", nullptr};
}

template <class T>
std::string with_number(std::string file, size_t at, T value) {
  std::memcpy(file.data() + at, &value, sizeof(T));
  return file;
}

/// Runs `read`, which reads all there is, on the file; the code of the error or nullopt.
template <class F>
std::optional<Code> error_of(F&& read, std::string_view file) {
  try {
    read(bytes_of(file));
    return std::nullopt;
  } catch (const Error& error) {
    EXPECT_STRNE(error.what(), "");
    return error.code();
  }
}

/// Every file that is cut short within the first `header` bytes must be refused.
template <class F>
void expect_truncations_refused(F&& read, const std::string& file, size_t header) {
  for (size_t length = 0; length < header; ++length) {
    EXPECT_NE(error_of(read, file.substr(0, length)), std::nullopt) << "cut at " << length;
  }
  EXPECT_NE(error_of(read, file.substr(0, file.size() - 1)), std::nullopt);
}

/// Flips one to eight random bits in the first `header` bytes, `count` times.
template <class F>
void survive_bit_flips(F&& read, const std::string& file, size_t header, int count) {
  std::mt19937_64 random(42);
  for (int i = 0; i < count; ++i) {
    std::string mutant = file;
    for (uint64_t flips = 1 + random() % 8; flips > 0; --flips) {
      mutant[random() % header] ^= static_cast<char>(1u << random() % 8);
    }
    (void)error_of(read, mutant);
  }
}

}  // namespace yiti
