// GGUF model files: read in place (versions 2 and 3, little-endian) and written (version 3).
// Format: ggml/docs/gguf.md
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/io/file_bytes.h"
#include "core/io/ggml_types.h"
#include "core/io/gguf_metadata.h"
#include "core/tensor.h"

namespace yiti {

/// A tensor in a GGUF file.
struct GgufTensorInfo {
  std::string name;
  const GgmlType* type = nullptr;
  Shape shape;        ///< outermost first, as Tensor's (the file lists innermost first)
  size_t part = 0;    ///< of the files, which one it lies in
  size_t offset = 0;  ///< bytes from the start of that file
  size_t bytes = 0;
};

/// One file, or a model's several (NAME-00001-of-00003.gguf, …). Immutable, thread-safe; tensors
/// stay valid without it.
class GgufFile {
 public:
  /// Maps and validates everything but the tensors' contents; of several files `path` is the
  /// first, which holds the metadata. Throws kNotFound, kInvalidArgument (another part), kDataLoss
  /// (malformed) or kUnimplemented (big-endian, version 1, an unknown tensor type).
  static std::shared_ptr<const GgufFile> open(const std::string& path, DevicePtr device);
  /// One file.
  static std::shared_ptr<const GgufFile> parse(FileBytes source, DevicePtr device);

  uint32_t version() const { return version_; }
  size_t alignment() const { return alignment_; }
  const GgufMetadata& metadata() const { return metadata_; }
  /// In the order of the files.
  const std::vector<GgufTensorInfo>& tensors() const { return tensors_; }
  /// Null when there is no such tensor.
  const GgufTensorInfo* find(std::string_view name) const;
  /// Read-only, in the file's memory where the type is a DType; f32 for the types that are
  /// dequantised on load. Throws kNotFound, and kUnimplemented naming a type that is refused.
  Tensor tensor(std::string_view name) const;
  /// Lets bytes [begin, end) of a part go after the tensors in them were copied elsewhere.
  void release_pages(size_t part, size_t begin, size_t end) const;

 private:
  friend class GgufParser;
  GgufFile() = default;
  const GgufTensorInfo& at(std::string_view name) const;
  void add_part(std::shared_ptr<const GgufFile> part);

  FileBytes source_;
  DevicePtr device_;
  uint32_t version_ = 3;
  size_t alignment_ = 32;
  GgufMetadata metadata_;
  std::vector<GgufTensorInfo> tensors_;
  std::map<std::string, size_t, std::less<>> index_;
  std::vector<std::shared_ptr<const GgufFile>> parts_;  // behind the first, which is this one
};

/// Writes a version 3 file. The file appears whole or not at all. Alignment is the metadata's
/// `general.alignment`, else 32. Tensors may be on any device, plain ones with any strides;
/// quantised ones in Layout::kRows. Throws kInvalidArgument for what the format cannot hold.
void write_gguf(const std::string& path, const GgufMetadata& metadata,
                const std::vector<std::pair<std::string, Tensor>>& tensors);

}  // namespace yiti
