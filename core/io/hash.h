// Content hashes of files.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace yiti {

/// XXH3-128 as 32 hexadecimal digits: finds damage, not forgery.
std::string hash_bytes(std::span<const std::byte> bytes);

/// The same of a file's contents. Throws kNotFound.
std::string hash_file(const std::string& path);

}  // namespace yiti
