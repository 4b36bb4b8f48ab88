#include "core/io/file_bytes.h"

#include <algorithm>

#include "core/error.h"
#include "core/shape_text.h"

namespace yiti {
namespace {

// What the kernels load at once from a block or an element.
size_t alignment_of(DType dtype) {
  return is_quantised(dtype) ? sizeof(uint16_t) : static_cast<size_t>(info(dtype).block_bytes);
}

void check_bools(const FileBytes& source, std::span<const std::byte> bytes) {
  if (std::ranges::any_of(bytes, [](std::byte b) { return b > std::byte{1}; })) {
    fail(Code::kDataLoss, source.name, "a bool tensor holds a byte that is neither 0 nor 1");
  }
}

}  // namespace

FileBytes FileBytes::map(const std::string& path) {
  std::shared_ptr<const MappedFile> file = MappedFile::open(path);
  return {file->bytes(), file, path, file};
}

Tensor tensor_in(const FileBytes& source, size_t offset, const Shape& shape, DType dtype,
                 const DevicePtr& device) {
  const size_t size = byte_size(shape, dtype);
  if (offset > source.bytes.size() || size > source.bytes.size() - offset) {
    fail(Code::kOutOfRange, source.name, "{} of {} at byte {} leaves {} bytes", shape,
         info(dtype).name, offset, source.bytes.size());
  }
  const std::span<const std::byte> bytes = source.bytes.subspan(offset, size);
  if (dtype == DType::kBool) check_bools(source, bytes);
  const bool aligned = reinterpret_cast<uintptr_t>(bytes.data()) % alignment_of(dtype) == 0;
  if (!aligned || !device->host_accessible()) {
    return Tensor::from_bytes(bytes, shape, dtype, device);
  }
  std::shared_ptr<Storage> storage = Storage::wrap(device, const_cast<std::byte*>(bytes.data()),
                                                   size, source.owner, /*read_only=*/true);
  return Tensor::of_storage(std::move(storage), 0, shape, dtype);
}

}  // namespace yiti
