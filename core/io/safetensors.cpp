#include "core/io/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/io/checked.h"
#include "core/io/files.h"
#include "core/io/json.h"
#include "core/io/printable.h"
#include "core/shape_text.h"

namespace yiti {
namespace {

using nlohmann::json;

constexpr size_t kLengthBytes = 8;
constexpr size_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr size_t kMaxIndexBytes = 100'000'000;
constexpr size_t kHeaderDepth = 4;
constexpr std::string_view kSupported = "F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL";

struct NamedType {
  std::string_view name;
  DType dtype;
};

constexpr std::array<NamedType, 10> kTypes = {{
    {"F64", DType::kF64},
    {"F32", DType::kF32},
    {"F16", DType::kF16},
    {"BF16", DType::kBF16},
    {"I64", DType::kI64},
    {"I32", DType::kI32},
    {"I16", DType::kI16},
    {"I8", DType::kI8},
    {"U8", DType::kU8},
    {"BOOL", DType::kBool},
}};

DType parse_dtype(const std::string& file, const std::string& tensor, const json& value) {
  if (!value.is_string()) {
    fail(Code::kDataLoss, file, "tensor {}: dtype is no string", printable(tensor));
  }
  const std::string& text = value.get_ref<const std::string&>();
  const auto* found = std::ranges::find(kTypes, text, &NamedType::name);
  if (found == kTypes.end()) {
    fail(Code::kUnimplemented, file, "tensor {} is of type {}; supported are {}", printable(tensor),
         printable(text), kSupported);
  }
  return found->dtype;
}

std::vector<uint64_t> parse_numbers(const std::string& file, const std::string& tensor,
                                    std::string_view what, const json& value, size_t most) {
  if (!value.is_array() || value.size() > most) {
    fail(Code::kDataLoss, file, "tensor {}: {} is no array of at most {} numbers",
         printable(tensor), what, most);
  }
  std::vector<uint64_t> numbers;
  for (const json& item : value) {
    if (!item.is_number_unsigned()) {
      fail(Code::kDataLoss, file, "tensor {}: {} holds what is no unsigned integer",
           printable(tensor), what);
    }
    numbers.push_back(item.get<uint64_t>());
  }
  return numbers;
}

const json& member(const std::string& file, const std::string& tensor, const json& object,
                   const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) {
    fail(Code::kDataLoss, file, "tensor {} has no {}", printable(tensor), key);
  }
  return *found;
}

// One entry of the header. Offsets in the file count from the header's end; those returned from the
// file's start.
SafetensorsInfo parse_entry(const std::string& file, const std::string& name, const json& entry,
                            size_t data_begin, size_t data_bytes) {
  if (!entry.is_object() || entry.size() != 3) {
    fail(Code::kDataLoss, file, "tensor {} is no object of dtype, shape and data_offsets",
         printable(name));
  }
  SafetensorsInfo info;
  info.name = name;
  info.dtype = parse_dtype(file, name, member(file, name, entry, "dtype"));
  const std::vector<uint64_t> dims =
      parse_numbers(file, name, "shape", member(file, name, entry, "shape"), Shape::kMaxRank);
  info.shape = checked_shape(dims, file, name);
  info.bytes = byte_size(info.shape, info.dtype);
  const std::vector<uint64_t> range =
      parse_numbers(file, name, "data_offsets", member(file, name, entry, "data_offsets"), 2);
  if (range.size() != 2 || range[0] > range[1] || range[1] > data_bytes) {
    fail(Code::kDataLoss, file, "tensor {}: data_offsets [{}] are no range in {} bytes of data",
         printable(name), fmt::join(range, ", "), data_bytes);
  }
  if (range[1] - range[0] != info.bytes) {
    fail(Code::kDataLoss, file, "tensor {}: {} bytes at data_offsets; {} of {} takes {}",
         printable(name), range[1] - range[0], info.shape, yiti::name(info.dtype), info.bytes);
  }
  info.offset = data_begin + range[0];
  return info;
}

std::map<std::string, std::string> parse_metadata(const std::string& file, const json& value) {
  if (!value.is_object()) fail(Code::kDataLoss, file, "__metadata__ is no object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) {
      fail(Code::kDataLoss, file, "__metadata__ {} is no string", printable(key));
    }
    metadata.emplace(key, text.get<std::string>());
  }
  return metadata;
}

// The tensors, sorted by offset, must cover the data without holes or overlaps.
void check_coverage(const std::string& file, const std::vector<SafetensorsInfo>& tensors,
                    size_t begin, size_t end) {
  size_t at = begin;
  for (const SafetensorsInfo& info : tensors) {
    if (info.offset != at) {
      fail(Code::kDataLoss, file, "tensor {} begins at byte {} of the file; wants {}: {}",
           printable(info.name), info.offset, at,
           info.offset < at ? "tensors overlap" : "bytes belong to no tensor");
    }
    at += info.bytes;
  }
  if (at != end) {
    fail(Code::kDataLoss, file, "{} bytes after the last tensor belong to no tensor", end - at);
  }
}

std::string_view parse_length(const FileBytes& source) {
  const size_t size = source.bytes.size();
  if (size < kLengthBytes) {
    fail(Code::kDataLoss, source.name, "{} bytes are too short for a safetensors file", size);
  }
  uint64_t length = 0;
  std::memcpy(&length, source.bytes.data(), kLengthBytes);
  if (length > kMaxHeaderBytes || length > size - kLengthBytes) {
    fail(Code::kDataLoss, source.name,
         "not a safetensors file: a header of {} bytes in a file of {}; the limit is {}", length,
         size, kMaxHeaderBytes);
  }
  return {reinterpret_cast<const char*>(source.bytes.data()) + kLengthBytes,
          static_cast<size_t>(length)};
}

json parse_header(const std::string& file, std::string_view text) {
  if (!text.starts_with('{')) fail(Code::kDataLoss, file, "the header does not begin with '{{'");
  try {
    return parse_json(text, file, kHeaderDepth);
  } catch (const Error& error) {
    throw Error(Code::kDataLoss, "safetensors header", error.what());
  }
}

}  // namespace

SafetensorsFile::SafetensorsFile(FileBytes source, DevicePtr device)
    : source_(std::move(source)), device_(std::move(device)) {
  const std::string_view text = parse_length(source_);
  const json header = parse_header(source_.name, text);
  const size_t begin = kLengthBytes + text.size();
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      metadata_ = parse_metadata(source_.name, entry);
    } else {
      tensors_.push_back(
          parse_entry(source_.name, name, entry, begin, source_.bytes.size() - begin));
    }
  }
  std::ranges::sort(tensors_, {}, [](const SafetensorsInfo& info) {
    return std::tuple(info.offset, info.bytes, std::string_view(info.name));
  });
  check_coverage(source_.name, tensors_, begin, source_.bytes.size());
  for (size_t i = 0; i < tensors_.size(); ++i) index_.emplace(tensors_[i].name, i);
}

std::shared_ptr<const SafetensorsFile> SafetensorsFile::open(const std::string& path,
                                                             DevicePtr device) {
  return parse(FileBytes::map(path), std::move(device));
}

std::shared_ptr<const SafetensorsFile> SafetensorsFile::parse(FileBytes source, DevicePtr device) {
  return std::shared_ptr<const SafetensorsFile>(
      new SafetensorsFile(std::move(source), std::move(device)));
}

const SafetensorsInfo* SafetensorsFile::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

const SafetensorsInfo& SafetensorsFile::at(std::string_view name) const {
  const SafetensorsInfo* info = find(name);
  if (!info) fail(Code::kNotFound, source_.name, "no tensor {}", printable(name));
  return *info;
}

Tensor SafetensorsFile::tensor(std::string_view name) const {
  const SafetensorsInfo& info = at(name);
  return tensor_in(source_, info.offset, info.shape, info.dtype, device_);
}

void SafetensorsFile::release_pages(std::string_view name) const {
  const SafetensorsInfo& info = at(name);
  if (source_.file) source_.file->advise_dontneed(info.offset, info.bytes);
}

namespace {

// The index's tensor names and the files they are in.
std::map<std::string, std::string> parse_index(const std::string& path) {
  const json index = parse_json(read_file(path, kMaxIndexBytes), path, kHeaderDepth);
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (!index.is_object() || map == index.end() || !map->is_object()) {
    fail(Code::kDataLoss, path, "an index wants an object weight_map");
  }
  std::map<std::string, std::string> files;
  for (const auto& [name, file] : map->items()) {
    const std::string* text = file.get_ptr<const std::string*>();
    // A shard lies beside its index: a path in it would read anything.
    if (!text || text->empty() || text->find('/') != std::string::npos || *text == ".." ||
        text->find('\0') != std::string::npos) {
      fail(Code::kDataLoss, path, "tensor {}: its shard is no file name", printable(name));
    }
    files.emplace(name, *text);
  }
  return files;
}

}  // namespace

void Safetensors::add_file(std::shared_ptr<const SafetensorsFile> file) {
  for (const SafetensorsInfo& info : file->tensors()) {
    if (!place_.emplace(info.name, files_.size()).second) {
      fail(Code::kDataLoss, path_, "tensor {} is in two shards", printable(info.name));
    }
  }
  files_.push_back(std::move(file));
}

Safetensors Safetensors::open(const std::string& path, const DevicePtr& device) {
  namespace fs = std::filesystem;
  Safetensors set;
  set.path_ = path;
  fs::path file = path;
  if (std::error_code error; fs::is_directory(file, error)) {
    const fs::path whole = file / "model.safetensors";
    const fs::path index = file / "model.safetensors.index.json";
    if (!fs::exists(whole, error) && !fs::exists(index, error)) {
      fail(Code::kNotFound, path, "holds neither {} nor {}", whole.filename().string(),
           index.filename().string());
    }
    file = fs::exists(whole, error) ? whole : index;
  }
  if (file.extension() != ".json") {
    set.add_file(SafetensorsFile::open(file.string(), device));
    return set;
  }
  const std::map<std::string, std::string> index = parse_index(file.string());
  std::map<std::string, size_t> shards;
  for (const auto& [name, shard] : index) {
    if (!shards.emplace(shard, set.files_.size()).second) continue;
    set.add_file(SafetensorsFile::open((file.parent_path() / shard).string(), device));
  }
  for (const auto& [name, shard] : index) {
    const auto found = set.place_.find(name);
    if (found == set.place_.end() || found->second != shards.at(shard)) {
      fail(Code::kDataLoss, file.string(), "tensor {} is not in {}", printable(name), shard);
    }
  }
  return set;
}

std::vector<std::string> Safetensors::names() const {
  std::vector<std::string> names;
  for (const auto& [name, file] : place_) names.push_back(name);
  return names;
}

const SafetensorsFile& Safetensors::file_of(std::string_view name) const {
  const auto found = place_.find(name);
  if (found == place_.end()) fail(Code::kNotFound, path_, "no tensor {}", printable(name));
  return *files_[found->second];
}

const SafetensorsInfo& Safetensors::info(std::string_view name) const {
  return *file_of(name).find(name);
}

}  // namespace yiti
