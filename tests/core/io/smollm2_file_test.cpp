// The real model file: found through YITI_SMOLLM2 or in the project's cache, else skipped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "core/io/files.h"
#include "core/io/gguf.h"
#include "tests/core/io/temporary_folder.h"

namespace yiti {
namespace {

constexpr const char* kCached =
    YITI_TEST_DATA "/../../.cache/models/SmolLM2-135M-Instruct.Q4_1.gguf";

class SmolLm2File : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* given = std::getenv("YITI_SMOLLM2");
    path_ = given ? given : kCached;
    if (!std::filesystem::exists(path_)) GTEST_SKIP() << "no " << path_;
    file_ = GgufFile::open(path_, device_);
  }

  std::string path_;
  DevicePtr device_ = make_cpu_device({.threads = 1});
  std::shared_ptr<const GgufFile> file_;
};

TEST_F(SmolLm2File, HasTheKnownKeysAndTensors) {
  const GgufMetadata& metadata = file_->metadata();
  EXPECT_EQ(metadata.get<std::string>("general.architecture"), "llama");
  EXPECT_EQ(metadata.get<int64_t>("llama.block_count"), 30);
  EXPECT_EQ(metadata.array<std::string>("tokenizer.ggml.tokens").size(), 49152u);
  ASSERT_NE(file_->find("token_embd.weight"), nullptr);
  EXPECT_EQ(file_->find("token_embd.weight")->shape, Shape({49152, 576}));
  EXPECT_EQ(file_->tensor("token_embd.weight").dtype(), DType::kQ8_0);
  EXPECT_EQ(file_->tensor("blk.0.attn_q.weight").dtype(), DType::kQ4_1);
  EXPECT_EQ(file_->tensor("output_norm.weight").dtype(), DType::kF32);
  EXPECT_EQ(device_->live_bytes(), 0u);
}

TEST_F(SmolLm2File, IsTheSameAfterARoundTrip) {
  const TemporaryFolder folder;
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const GgufTensorInfo& info : file_->tensors()) {
    tensors.emplace_back(info.name, file_->tensor(info.name));
  }
  write_gguf(folder / "copy.gguf", file_->metadata(), tensors);
  const auto copy = GgufFile::open(folder / "copy.gguf", device_);
  EXPECT_TRUE(copy->metadata().entries() == file_->metadata().entries());
  ASSERT_EQ(copy->tensors().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const Tensor back = copy->tensor(name);
    ASSERT_EQ(back.shape(), tensor.shape()) << name;
    ASSERT_EQ(back.dtype(), tensor.dtype()) << name;
    EXPECT_EQ(std::memcmp(back.raw(), tensor.raw(), tensor.bytes()), 0) << name;
  }
}

}  // namespace
}  // namespace yiti
