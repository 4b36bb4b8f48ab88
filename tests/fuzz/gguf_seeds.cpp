// Writes the files that the GGUF fuzzer begins with into the folder given.
#include <string>

#include "core/io/ggml_quantise.h"
#include "core/io/gguf.h"

int main(int argc, char** argv) {
  if (argc != 2) return 1;
  const std::string folder = argv[1];
  const yiti::DevicePtr device = yiti::make_cpu_device({.threads = 1});
  const yiti::Tensor matrix = yiti::Tensor::full({2, 32}, 0.5, yiti::DType::kF32, device);
  yiti::GgufMetadata metadata;
  metadata.set("general.architecture", std::string("llama"));
  metadata.set("count", int32_t{-3});
  metadata.set("scale", 0.25);
  metadata.set("flag", true);
  metadata.set("words", yiti::GgufArray{std::vector<std::string>{"a", "bc"}});
  metadata.set("nested", yiti::GgufArray{std::vector<yiti::GgufArray>{{std::vector<uint16_t>{1, 2}},
                                                                      {std::vector<bool>{true}}}});
  yiti::write_gguf(folder + "/metadata", metadata, {});
  yiti::write_gguf(folder + "/tensors", metadata,
                   {{"a", matrix},
                    {"b", yiti::quantise(matrix, yiti::DType::kQ4_1)},
                    {"c", yiti::Tensor::full({2, 1, 3}, 1, yiti::DType::kF16, device)}});
  metadata.set("general.alignment", uint32_t{64});
  yiti::write_gguf(folder + "/aligned", metadata, {{"a", matrix}});
  return 0;
}
