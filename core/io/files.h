// Small files, read and written whole.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace yiti {

/// The contents of a file of at most `max_bytes`. Throws kNotFound, kInvalidArgument (a folder) or
/// kResourceExhausted (larger).
std::string read_file(const std::string& path, size_t max_bytes);

/// Replaces `path` by `contents`: a reader sees the old file or the new one, also after a crash.
void write_file_atomically(const std::string& path, std::string_view contents);

/// Appends bytes to the file being written.
using WriteBytes = std::function<void(std::span<const std::byte>)>;
/// The same for contents made piece by piece. Where `produce` throws, the old file stays.
void write_file_atomically(const std::string& path,
                           const std::function<void(const WriteBytes&)>& produce);

}  // namespace yiti
