// Any bytes are a GGUF file or an Error.
#include <cstddef>
#include <cstdint>

#include "core/error.h"
#include "core/io/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const yiti::DevicePtr device = yiti::make_cpu_device({.threads = 1, .cache_bytes = 0});
  try {
    const auto file = yiti::GgufFile::parse(
        {std::as_bytes(std::span(data, size)), nullptr, "fuzz", nullptr}, device);
    for (const yiti::GgufTensorInfo& info : file->tensors()) {
      if (info.type->support != yiti::GgmlSupport::kRefused) (void)file->tensor(info.name);
    }
    (void)file->metadata().get_optional<std::vector<std::string>>("words");
    (void)file->metadata().get_optional<int32_t>("count");
  } catch (const yiti::Error&) {
  }
  return 0;
}
