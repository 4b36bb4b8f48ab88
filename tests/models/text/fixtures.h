// Where the text tests find their data.
#pragma once

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

namespace yiti::test {

inline std::string read_data(const std::string& name) {
  std::ifstream file(std::string(YITI_TEST_DATA) + "/" + name, std::ios::binary);
  if (!file) throw std::runtime_error("missing test data " + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline nlohmann::ordered_json read_cases(const std::string& name) {
  return nlohmann::ordered_json::parse(read_data(name));
}

/// The real model's path, or empty where it is not there.
inline std::string smollm2_path() {
  const char* named = std::getenv("YITI_SMOLLM2");
  const std::string path =
      named != nullptr ? named : YITI_TEST_DATA "/../../.cache/SmolLM2-135M-Instruct.Q4_1.gguf";
  return std::ifstream(path) ? path : "";
}

}  // namespace yiti::test
