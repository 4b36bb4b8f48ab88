#include <set>

#include "core/error.h"
#include "core/io/gguf.h"
#include "core/io/gguf_format.h"
#include "core/io/host_bytes.h"
#include "core/io/printable.h"
#include "core/shape_text.h"

namespace yiti {
namespace {

using namespace gguf_format;
using NamedTensor = std::pair<std::string, Tensor>;

constexpr std::string_view kWhere = "write GGUF";

// Everything before the tensors' contents.
class Header {
 public:
  template <class T>
  void put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  void put(const std::string& text) {
    put<uint64_t>(text.size());
    bytes_ += text;
  }
  void put(const GgufArray& array) { put_array(array, 1); }
  void put_magic() { bytes_ += kMagic; }
  void pad(size_t alignment) { bytes_.resize(align_up(bytes_.size(), alignment), '\0'); }
  const std::string& bytes() const { return bytes_; }

 private:
  void put_array(const GgufArray& array, int depth) {
    check(depth <= kMaxArrayDepth, kWhere, "arrays nest deeper than {}", kMaxArrayDepth);
    put<uint32_t>(static_cast<uint32_t>(array.items.index()));
    put<uint64_t>(array.size());
    std::visit(
        [&](const auto& items) {
          using Item = typename std::remove_cvref_t<decltype(items)>::value_type;
          for (const auto& item : items) {
            if constexpr (std::same_as<Item, GgufArray>) {
              put_array(item, depth + 1);
            } else {
              put(static_cast<const Item&>(item));
            }
          }
        },
        array.items);
  }

  std::string bytes_;
};

size_t alignment_in(const GgufMetadata& metadata) {
  const uint32_t alignment =
      metadata.get_or<uint32_t>(kAlignmentKey, static_cast<uint32_t>(kDefaultAlignment));
  check(valid_alignment(alignment) &&
            (!metadata.contains(kAlignmentKey) ||
             std::holds_alternative<uint32_t>(*metadata.find(kAlignmentKey))),
        kWhere, "{} is {}; wants a u32 that is a power of two from 8 to {}", kAlignmentKey,
        alignment, kMaxAlignment);
  return alignment;
}

const GgmlType& type_of(const NamedTensor& named) {
  const auto& [name, tensor] = named;
  check(tensor.has_storage(), kWhere, "{} has no data", name);
  check(tensor.layout() == Layout::kRows, kWhere, "{} is packed in panels; wants rows", name);
  check(tensor.rank() <= static_cast<int>(kMaxDims), kWhere, "{} is {}; wants at most {} axes",
        name, tensor.shape(), kMaxDims);
  const GgmlType* type = find_ggml_type(tensor.dtype());
  check(type != nullptr, kWhere, "{} is of {}, which the format has not", name,
        info(tensor.dtype()).name);
  return *type;
}

void put_metadata(const GgufMetadata& metadata, Header& header) {
  for (const auto& [key, value] : metadata.entries()) {
    check(valid_key(key), kWhere, "{} is no key: wants 1 to {} of ASCII", printable(key),
          kMaxKeyBytes);
    header.put(key);
    header.put<uint32_t>(static_cast<uint32_t>(value.index()));
    std::visit([&](const auto& typed) { header.put(typed); }, value);
  }
}

void put_tensor_infos(const std::vector<NamedTensor>& tensors, size_t alignment, Header& header) {
  std::set<std::string_view> names;
  uint64_t offset = 0;
  for (const NamedTensor& named : tensors) {
    const auto& [name, tensor] = named;
    check(valid_name(name), kWhere, "{} is no tensor name: wants 1 to {} bytes", printable(name),
          kMaxNameBytes);
    check(names.insert(name).second, kWhere, "{} is given twice", name);
    const GgmlType& type = type_of(named);
    header.put(name);
    header.put<uint32_t>(static_cast<uint32_t>(tensor.rank()));
    for (int axis = tensor.rank() - 1; axis >= 0; --axis) {
      header.put<uint64_t>(static_cast<uint64_t>(tensor.dim(axis)));
    }
    header.put<uint32_t>(type.id);
    header.put<uint64_t>(offset);
    offset += align_up(tensor.bytes(), alignment);
  }
}

}  // namespace

void write_gguf(const std::string& path, const GgufMetadata& metadata,
                const std::vector<NamedTensor>& tensors) {
  const size_t alignment = alignment_in(metadata);
  Header header;
  header.put_magic();
  header.put<uint32_t>(kVersion);
  header.put<uint64_t>(tensors.size());
  header.put<uint64_t>(metadata.entries().size());
  put_metadata(metadata, header);
  put_tensor_infos(tensors, alignment, header);
  header.pad(alignment);
  write_file_atomically(path, [&](const WriteBytes& write) {
    write(std::as_bytes(std::span(header.bytes())));
    const std::vector<std::byte> zeros(alignment);
    for (const auto& [name, tensor] : tensors) {
      write_tensor(tensor, write);
      const size_t size = tensor.bytes();
      write(std::span(zeros).first(align_up(size, alignment) - size));
    }
  });
}

}  // namespace yiti
