#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/io/files.h"
#include "core/io/host_bytes.h"
#include "core/io/safetensors.h"

namespace yiti {
namespace {

using nlohmann::json;
using NamedTensor = std::pair<std::string, Tensor>;

std::string_view type_name(const std::string& name, DType dtype) {
  switch (dtype) {
    case DType::kF64: return "F64";
    case DType::kF32: return "F32";
    case DType::kF16: return "F16";
    case DType::kBF16: return "BF16";
    case DType::kI64: return "I64";
    case DType::kI32: return "I32";
    case DType::kI16: return "I16";
    case DType::kI8: return "I8";
    case DType::kU8: return "U8";
    case DType::kBool: return "BOOL";
    default: break;
  }
  fail(Code::kInvalidArgument, "write safetensors", "{} is of {}, which the format has not", name,
       yiti::name(dtype));
}

// Wide elements first, so that every tensor is aligned; then by name.
std::vector<const NamedTensor*> in_file_order(const std::vector<NamedTensor>& tensors) {
  std::vector<const NamedTensor*> order;
  std::set<std::string_view> names;
  for (const NamedTensor& tensor : tensors) {
    check(tensor.first != "__metadata__", "write safetensors", "a tensor is called __metadata__");
    check(names.insert(tensor.first).second, "write safetensors", "{} is given twice",
          tensor.first);
    check(tensor.second.has_storage(), "write safetensors", "{} has no data", tensor.first);
    order.push_back(&tensor);
  }
  std::ranges::sort(order, {}, [](const NamedTensor* tensor) {
    return std::pair(-info(tensor->second.dtype()).block_bytes, std::string_view(tensor->first));
  });
  return order;
}

std::string make_header(const std::vector<const NamedTensor*>& tensors,
                        const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  size_t offset = 0;
  for (const NamedTensor* named : tensors) {
    const auto& [name, tensor] = *named;
    const size_t end = offset + tensor.bytes();
    const auto dims = tensor.shape().dims();
    header[name] = {{"dtype", type_name(name, tensor.dtype())},
                    {"shape", std::vector<int64_t>(dims.begin(), dims.end())},
                    {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception& error) {
    fail(Code::kInvalidArgument, "write safetensors", "a name is no UTF-8: {}", error.what());
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

}  // namespace

void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::vector<const NamedTensor*> order = in_file_order(tensors);
  const std::string header = make_header(order, metadata);
  write_file_atomically(path, [&](const WriteBytes& write) {
    const uint64_t length = header.size();
    write(std::as_bytes(std::span(&length, 1)));
    write(std::as_bytes(std::span(header)));
    for (const NamedTensor* named : order) write_tensor(named->second, write);
  });
}

}  // namespace yiti
