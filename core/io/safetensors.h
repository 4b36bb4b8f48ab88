// Hugging Face's safetensors: read in place, sharded or not, and written.
// Format: https://github.com/huggingface/safetensors
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/io/file_bytes.h"
#include "core/tensor.h"

namespace yiti {

/// A tensor in a safetensors file.
struct SafetensorsInfo {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  size_t offset = 0;  ///< bytes from the start of the file
  size_t bytes = 0;
};

/// One file. Immutable, thread-safe; tensors stay valid without it.
class SafetensorsFile {
 public:
  /// Maps and validates the whole header. Throws kNotFound, kDataLoss (malformed) or kUnimplemented
  /// (an element type that yiti has not, by name).
  static std::shared_ptr<const SafetensorsFile> open(const std::string& path, DevicePtr device);
  static std::shared_ptr<const SafetensorsFile> parse(FileBytes source, DevicePtr device);

  /// In order of their place in the file.
  const std::vector<SafetensorsInfo>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// Null when there is no such tensor.
  const SafetensorsInfo* find(std::string_view name) const;
  /// A read-only tensor in the file's memory. Throws kNotFound.
  Tensor tensor(std::string_view name) const;
  /// Lets the pages of a tensor go after it was copied elsewhere.
  void release_pages(std::string_view name) const;

 private:
  SafetensorsFile(FileBytes source, DevicePtr device);
  const SafetensorsInfo& at(std::string_view name) const;

  FileBytes source_;
  DevicePtr device_;
  std::vector<SafetensorsInfo> tensors_;
  std::map<std::string, size_t, std::less<>> index_;
  std::map<std::string, std::string> metadata_;
};

/// One file, or the shards that a `model.safetensors.index.json` names.
class Safetensors {
 public:
  /// `path` is a .safetensors file, an index file, or a folder that holds `model.safetensors` or
  /// `model.safetensors.index.json`. Every name of the index must be in the shard it names.
  static Safetensors open(const std::string& path, const DevicePtr& device);

  /// Sorted.
  std::vector<std::string> names() const;
  bool contains(std::string_view name) const { return place_.contains(name); }
  /// Throws kNotFound.
  const SafetensorsInfo& info(std::string_view name) const;
  Tensor tensor(std::string_view name) const { return file_of(name).tensor(name); }
  void release_pages(std::string_view name) const { file_of(name).release_pages(name); }
  const std::vector<std::shared_ptr<const SafetensorsFile>>& files() const { return files_; }

 private:
  void add_file(std::shared_ptr<const SafetensorsFile> file);
  const SafetensorsFile& file_of(std::string_view name) const;

  std::string path_;
  std::vector<std::shared_ptr<const SafetensorsFile>> files_;
  std::map<std::string, size_t, std::less<>> place_;  // tensor name -> index of its file
};

/// Writes tensors of plain dtypes (any device, any strides) and `metadata`. The file appears whole
/// or not at all; data is aligned to 8 bytes. Throws kInvalidArgument for a name given twice.
void write_safetensors(const std::string& path,
                       const std::vector<std::pair<std::string, Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace yiti
