#include <algorithm>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "core/io/checked.h"
#include "core/io/gguf.h"
#include "core/io/gguf_format.h"
#include "core/io/printable.h"

namespace yiti {

using namespace gguf_format;

namespace {

// As llama.cpp's gguf-split names a model's files.
std::string part_ending(int64_t part, int64_t count) {
  return fmt::format("-{:05}-of-{:05}.gguf", part + 1, count);
}

}  // namespace

// Reads a file from its start to its tensors' contents. A count is believed only as far as the rest
// of the file could hold so many things.
class GgufParser {
 public:
  GgufParser(FileBytes source, DevicePtr device) : file_(new GgufFile()) {
    file_->source_ = std::move(source);
    file_->device_ = std::move(device);
  }

  std::shared_ptr<GgufFile> run() {
    read_version();
    const uint64_t tensors = read_count("tensors", kMinTensorBytes);
    const uint64_t keys = read_count("keys", kMinKeyBytes);
    for (uint64_t i = 0; i < keys; ++i) read_entry();
    read_alignment();
    for (uint64_t i = 0; i < tensors; ++i) read_tensor_info();
    place_tensors();
    return std::move(file_);
  }

 private:
  static constexpr size_t kMinTensorBytes = 8 + 1 + 4 + 4 + 8;
  static constexpr size_t kMinKeyBytes = 8 + 1 + 4 + 1;

  template <class... Args>
  [[noreturn]] void malformed(fmt::format_string<Args...> format, Args&&... args) const {
    fail(Code::kDataLoss, file_->source_.name, format, std::forward<Args>(args)...);
  }

  size_t remaining() const { return file_->source_.bytes.size() - at_; }

  std::span<const std::byte> take(size_t count, std::string_view what) {
    if (count > remaining()) {
      malformed("truncated in {} at byte {}: wants {} bytes, {} are left", what, at_, count,
                remaining());
    }
    at_ += count;
    return file_->source_.bytes.subspan(at_ - count, count);
  }

  template <class T>
  T read(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }

  // A number of things that take at least `least` bytes each.
  size_t read_count(std::string_view what, size_t least) {
    const uint64_t count = read<uint64_t>(what);
    if (count > remaining() / least) {
      malformed("{} {} cannot lie in the {} bytes that are left", count, what, remaining());
    }
    return count;
  }

  std::string read_string(std::string_view what) {
    const size_t length = read_count(what, 1);
    const std::span<const std::byte> bytes = take(length, what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  bool read_bool(std::string_view what) {
    const uint8_t value = read<uint8_t>(what);
    if (value > 1) malformed("{}: a bool is {}", what, value);
    return value != 0;
  }

  void read_version() {
    const std::span<const std::byte> magic =
        take(std::min(kMagic.size(), remaining()), "the magic number");
    const std::string_view text(reinterpret_cast<const char*>(magic.data()), magic.size());
    if (text != kMagic) malformed("not a GGUF file: begins with {}", printable(text));
    const uint32_t version = read<uint32_t>("the version");
    // A big-endian file's small version number has its low bytes at the other end.
    if ((version & 0xffffu) == 0 && version != 0) {
      fail(Code::kUnimplemented, file_->source_.name, "is a big-endian GGUF file; wants {}",
           "a little-endian one");
    }
    if (version != 2 && version != 3) {
      fail(Code::kUnimplemented, file_->source_.name, "is GGUF version {}; wants 2 or 3", version);
    }
    file_->version_ = version;
  }

  void read_entry() {
    const std::string key = read_string("a key");
    if (!valid_key(key)) malformed("{} is no key: wants 1 to 65535 of ASCII", printable(key));
    if (file_->metadata_.contains(key)) malformed("has the key {} twice", printable(key));
    const uint32_t type = read<uint32_t>("a value's type");
    file_->metadata_.set(key, read_value(type, printable(key)));
  }

  GgufValue read_value(uint32_t type, std::string_view what) {
    switch (type) {
      case 0: return read<uint8_t>(what);
      case 1: return read<int8_t>(what);
      case 2: return read<uint16_t>(what);
      case 3: return read<int16_t>(what);
      case 4: return read<uint32_t>(what);
      case 5: return read<int32_t>(what);
      case 6: return read<float>(what);
      case 7: return read_bool(what);
      case 8: return read_string(what);
      case 9: return read_array(what, 1);
      case 10: return read<uint64_t>(what);
      case 11: return read<int64_t>(what);
      case 12: return read<double>(what);
      default: malformed("{} has the unknown type {}", what, type);
    }
  }

  template <class T>
  GgufArray read_numbers(std::string_view what) {
    std::vector<T> items(read_count(what, sizeof(T)));
    const std::span<const std::byte> bytes = take(items.size() * sizeof(T), what);
    if (!items.empty()) std::memcpy(items.data(), bytes.data(), bytes.size());
    return {std::move(items)};
  }

  template <class T, class F>
  GgufArray read_items(std::string_view what, size_t least, F&& read_item) {
    const size_t count = read_count(what, least);
    std::vector<T> items;
    items.reserve(count);
    for (size_t i = 0; i < count; ++i) items.push_back(read_item());
    return {std::move(items)};
  }

  GgufArray read_array(std::string_view what, int depth) {
    const uint32_t type = read<uint32_t>(what);
    switch (type) {
      case 0: return read_numbers<uint8_t>(what);
      case 1: return read_numbers<int8_t>(what);
      case 2: return read_numbers<uint16_t>(what);
      case 3: return read_numbers<int16_t>(what);
      case 4: return read_numbers<uint32_t>(what);
      case 5: return read_numbers<int32_t>(what);
      case 6: return read_numbers<float>(what);
      case 7: return read_items<bool>(what, 1, [&] { return read_bool(what); });
      case 8: return read_items<std::string>(what, 8, [&] { return read_string(what); });
      case 9:
        if (depth == kMaxArrayDepth) malformed("{}: arrays nest deeper than {}", what, depth);
        return read_items<GgufArray>(what, 12, [&] { return read_array(what, depth + 1); });
      case 10: return read_numbers<uint64_t>(what);
      case 11: return read_numbers<int64_t>(what);
      case 12: return read_numbers<double>(what);
      default: malformed("{} is an array of the unknown type {}", what, type);
    }
  }

  void read_alignment() {
    const GgufValue* value = file_->metadata_.find(kAlignmentKey);
    if (!value) return;
    const uint32_t* alignment = std::get_if<uint32_t>(value);
    if (!alignment) malformed("{} is {}; wants u32", kAlignmentKey, gguf_type_name(*value));
    if (!valid_alignment(*alignment)) {
      malformed("{} is {}; wants a power of two from 8 to {}", kAlignmentKey, *alignment,
                kMaxAlignment);
    }
    file_->alignment_ = *alignment;
  }

  void read_tensor_info() {
    GgufTensorInfo info;
    info.name = read_string("a tensor's name");
    if (!valid_name(info.name)) {
      malformed("{} is no tensor name: wants 1 to {} bytes", printable(info.name), kMaxNameBytes);
    }
    if (!file_->index_.emplace(info.name, file_->tensors_.size()).second) {
      malformed("has the tensor {} twice", printable(info.name));
    }
    const std::string what = printable(info.name);
    const uint32_t rank = read<uint32_t>(what);
    if (rank > kMaxDims) malformed("tensor {} has {} axes; wants at most {}", what, rank, kMaxDims);
    std::array<uint64_t, kMaxDims> dims{};
    for (uint32_t i = 0; i < rank; ++i) dims[rank - 1 - i] = read<uint64_t>(what);
    info.shape = checked_shape(std::span(dims).first(rank), file_->source_.name, info.name);
    info.type = read_type(what);
    info.offset = read<uint64_t>(what);
    info.bytes = size_of(info);
    file_->tensors_.push_back(std::move(info));
  }

  const GgmlType* read_type(std::string_view tensor) {
    const uint32_t id = read<uint32_t>(tensor);
    const GgmlType* type = find_ggml_type(id);
    if (!type || type->support == GgmlSupport::kRemoved) {
      fail(Code::kUnimplemented, file_->source_.name,
           "tensor {} is of type {} ({}); supported are {}", tensor, id,
           type ? type->name : "unknown", supported_ggml_types());
    }
    return type;
  }

  size_t size_of(const GgufTensorInfo& info) const {
    const int64_t row = info.shape.rank() == 0 ? 1 : info.shape[-1];
    if (row % info.type->block != 0) {
      malformed("tensor {}: rows of {} are no whole blocks of {}, {} elements each",
                printable(info.name), row, info.type->name, info.type->block);
    }
    int64_t bytes = 0;
    if (__builtin_mul_overflow(info.shape.numel() / info.type->block, info.type->block_bytes,
                               &bytes)) {
      malformed("tensor {} is too large: {}", printable(info.name), info.shape.str());
    }
    return static_cast<size_t>(bytes);
  }

  // Turns offsets in the data section into offsets in the file.
  void place_tensors() {
    const size_t size = file_->source_.bytes.size();
    const size_t begin = std::min(align_up(at_, file_->alignment_), size);
    std::vector<const GgufTensorInfo*> order;
    for (GgufTensorInfo& info : file_->tensors_) {
      if (info.offset % file_->alignment_ != 0) {
        malformed("tensor {}: offset {} is no multiple of the alignment {}", printable(info.name),
                  info.offset, file_->alignment_);
      }
      if (info.bytes > size - begin || info.offset > size - begin - info.bytes) {
        malformed("tensor {}: {} bytes at offset {} leave the {} bytes of data",
                  printable(info.name), info.bytes, info.offset, size - begin);
      }
      info.offset += begin;
      if (info.bytes > 0) order.push_back(&info);
    }
    std::ranges::sort(order, {}, &GgufTensorInfo::offset);
    for (size_t i = 1; i < order.size(); ++i) {
      if (order[i - 1]->offset + order[i - 1]->bytes > order[i]->offset) {
        malformed("tensors {} and {} overlap", printable(order[i - 1]->name),
                  printable(order[i]->name));
      }
    }
  }

  std::shared_ptr<GgufFile> file_;
  size_t at_ = 0;
};

std::shared_ptr<const GgufFile> GgufFile::open(const std::string& path, DevicePtr device) {
  const std::shared_ptr<GgufFile> file = GgufParser(FileBytes::map(path), device).run();
  const auto count = file->metadata_.get_or<int64_t>(kPartsKey, 1);
  if (count == 1) return file;
  const std::string& name = file->source_.name;
  if (count < 1 || count > kMaxParts) {
    fail(Code::kDataLoss, name, "has {} parts; wants 1 to {}", count, kMaxParts);
  }
  const std::string ending = part_ending(0, count);
  check(file->metadata_.get<int64_t>(kPartKey) == 0 && path.ends_with(ending), name,
        "is one of {} parts; wants the first, whose name ends with {}", count, ending);
  const std::string stem = path.substr(0, path.size() - ending.size());
  for (int64_t i = 1; i < count; ++i) {
    std::shared_ptr<const GgufFile> part =
        parse(FileBytes::map(stem + part_ending(i, count)), device);
    const auto number = part->metadata_.get_or<int64_t>(kPartKey, -1);
    if (number != i || part->metadata_.get_or<int64_t>(kPartsKey, -1) != count) {
      fail(Code::kDataLoss, part->source_.name, "says that it is part {}; wants {} of {}", number,
           i, count);
    }
    file->add_part(std::move(part));
  }
  const auto tensors = file->metadata_.get_or<uint64_t>(kPartsTensorsKey, file->tensors_.size());
  if (tensors != file->tensors_.size()) {
    fail(Code::kDataLoss, name, "has {} tensors in its parts; wants {}", file->tensors_.size(),
         tensors);
  }
  return file;
}

void GgufFile::add_part(std::shared_ptr<const GgufFile> part) {
  parts_.push_back(std::move(part));
  for (GgufTensorInfo info : parts_.back()->tensors_) {
    info.part = parts_.size();
    if (!index_.emplace(info.name, tensors_.size()).second) {
      fail(Code::kDataLoss, parts_.back()->source_.name, "has the tensor {} of an earlier part",
           printable(info.name));
    }
    tensors_.push_back(std::move(info));
  }
}

std::shared_ptr<const GgufFile> GgufFile::parse(FileBytes source, DevicePtr device) {
  return GgufParser(std::move(source), std::move(device)).run();
}

const GgufTensorInfo* GgufFile::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

const GgufTensorInfo& GgufFile::at(std::string_view name) const {
  const GgufTensorInfo* info = find(name);
  if (!info) fail(Code::kNotFound, source_.name, "no tensor {}", printable(name));
  return *info;
}

Tensor GgufFile::tensor(std::string_view name) const {
  const GgufTensorInfo& info = at(name);
  if (info.part > 0) return parts_[info.part - 1]->tensor(name);
  const std::optional<DType> dtype = info.type->dtype;
  if (dtype && (!is_quantised(*dtype) || info.shape.rank() == 2)) {
    return tensor_in(source_, info.offset, info.shape, *dtype, device_);
  }
  if (info.type->support == GgmlSupport::kRefused) {
    fail(Code::kUnimplemented, source_.name, "tensor {} is of type {}; supported are {}",
         printable(name), info.type->name, supported_ggml_types());
  }
  const std::span<const std::byte> blocks = source_.bytes.subspan(info.offset, info.bytes);
  const size_t count = static_cast<size_t>(info.shape.numel());
  if (device_->host_accessible()) {
    Tensor tensor = Tensor::empty(info.shape, DType::kF32, device_);
    dequantise_block_type(*info.type, blocks, {tensor.data<float>(), count});
    return tensor;
  }
  std::vector<float> values(count);
  dequantise_block_type(*info.type, blocks, values);
  return Tensor::from(values, info.shape, device_);
}

void GgufFile::release_pages(size_t part, size_t begin, size_t end) const {
  if (part > 0) return parts_.at(part - 1)->release_pages(0, begin, end);
  if (source_.file) source_.file->advise_dontneed(begin, end - begin);
}

}  // namespace yiti
