// Any bytes are a safetensors file or an Error.
#include <cstddef>
#include <cstdint>

#include "core/error.h"
#include "core/io/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const yiti::DevicePtr device = yiti::make_cpu_device({.threads = 1, .cache_bytes = 0});
  try {
    const auto file = yiti::SafetensorsFile::parse(
        {std::as_bytes(std::span(data, size)), nullptr, "fuzz", nullptr}, device);
    for (const yiti::SafetensorsInfo& info : file->tensors()) (void)file->tensor(info.name);
  } catch (const yiti::Error&) {
  }
  return 0;
}
