// Writes the files that the safetensors fuzzer begins with into the folder given.
#include <string>

#include "core/io/safetensors.h"

int main(int argc, char** argv) {
  if (argc != 2) return 1;
  const std::string folder = argv[1];
  const yiti::DevicePtr device = yiti::make_cpu_device({.threads = 1});
  yiti::write_safetensors(folder + "/empty", {});
  yiti::write_safetensors(folder + "/tensors",
                          {{"a", yiti::Tensor::full({2, 3}, 1, yiti::DType::kF32, device)},
                           {"b", yiti::Tensor::full({}, 1, yiti::DType::kBF16, device)},
                           {"c", yiti::Tensor::full({2}, 1, yiti::DType::kBool, device)}},
                          {{"format", "pt"}});
  return 0;
}
