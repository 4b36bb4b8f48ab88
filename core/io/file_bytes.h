// What a file reader reads: the bytes of a mapped file, or of memory that somebody owns.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "core/io/mapped_file.h"
#include "core/tensor.h"

namespace yiti {

/// Bytes, what keeps them alive, and what messages call them.
struct FileBytes {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
  std::string name;
  std::shared_ptr<const MappedFile> file;  ///< null where the bytes are not a mapped file

  static FileBytes map(const std::string& path);
};

/// A read-only tensor at [offset, offset + byte_size(shape, dtype)), which must lie in `source`.
/// Its storage is the source's memory, or a copy where that is misaligned for the dtype or the
/// device cannot read the host's memory.
Tensor tensor_in(const FileBytes& source, size_t offset, const Shape& shape, DType dtype,
                 const DevicePtr& device);

}  // namespace yiti
