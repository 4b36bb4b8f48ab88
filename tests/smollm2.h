// Where the tests find SmolLM2-135M-Instruct (Q4_1), which is fetched by scripts/setup.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace yiti {

/// The GGUF's path; empty where it was not fetched.
inline std::string smollm2_path() {
  if (const char* path = std::getenv("YITI_SMOLLM2")) return path;
  const std::filesystem::path cached =
      std::filesystem::path(YITI_TEST_DATA).parent_path().parent_path() /
      ".cache/models/SmolLM2-135M-Instruct.Q4_1.gguf";
  return std::filesystem::exists(cached) ? cached.string() : "";
}

}  // namespace yiti

#define YITI_SKIP_WITHOUT_SMOLLM2() \
  if (yiti::smollm2_path().empty()) GTEST_SKIP() << "set YITI_SMOLLM2 to the GGUF's path"
