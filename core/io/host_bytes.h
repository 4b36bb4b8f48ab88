// A tensor's elements as bytes in the host's memory.
#pragma once

#include "core/io/files.h"
#include "core/tensor.h"

namespace yiti {

/// Writes the elements in row-major order, without a copy where they lie so already.
inline void write_tensor(const Tensor& tensor, const WriteBytes& write) {
  if (tensor.device()->host_accessible() && tensor.is_contiguous()) {
    write({tensor.raw(), tensor.bytes()});
    return;
  }
  std::vector<std::byte> bytes(tensor.bytes());
  tensor.copy_to_host(bytes);
  write(bytes);
}

}  // namespace yiti
