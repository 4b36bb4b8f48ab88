// Oracle: the gguf package for Python, through tests/data/io/ggml_blocks.safetensors.
#include "core/io/ggml_types.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/io/ggml_quantise.h"
#include "core/io/safetensors.h"

namespace yiti {
namespace {

using ::testing::HasSubstr;

const GgmlType* type_named(std::string_view name) {
  for (uint32_t id = 0; find_ggml_type(id); ++id) {
    if (find_ggml_type(id)->name == name) return find_ggml_type(id);
  }
  return nullptr;
}

class GgmlBlocks : public ::testing::TestWithParam<std::string> {
 protected:
  Tensor fixture(const std::string& what) const { return file_->tensor(GetParam() + "." + what); }
  const GgmlType& type() const { return *type_named(GetParam()); }

 private:
  std::shared_ptr<const SafetensorsFile> file_ = SafetensorsFile::open(
      YITI_TEST_DATA "/io/ggml_blocks.safetensors", make_cpu_device({.threads = 1}));
};

class GgmlDequantise : public GgmlBlocks {};
class GgmlQuantise : public GgmlBlocks {};

TEST_P(GgmlDequantise, GivesTheValuesOfGgml) {
  const Tensor expected = fixture("values");
  std::vector<float> values(static_cast<size_t>(expected.numel()));
  const std::vector<uint8_t> blocks = fixture("blocks").to_vector<uint8_t>();
  dequantise_block_type(type(), std::as_bytes(std::span(blocks)), values);
  EXPECT_EQ(values, expected.to_vector<float>());
}

INSTANTIATE_TEST_SUITE_P(Types, GgmlDequantise,
                         ::testing::Values("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K",
                                           "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "TQ1_0",
                                           "TQ2_0", "MXFP4"),
                         [](const auto& test) { return test.param; });

TEST_P(GgmlQuantise, GivesTheBlocksOfGgml) {
  const std::vector<std::byte> blocks =
      quantise_blocks(fixture("source").to_vector<float>(), *type().dtype);
  const std::vector<uint8_t> expected = fixture("quantised").to_vector<uint8_t>();
  ASSERT_EQ(blocks.size(), expected.size());
  EXPECT_EQ(std::memcmp(blocks.data(), expected.data(), blocks.size()), 0);
}

INSTANTIATE_TEST_SUITE_P(Types, GgmlQuantise, ::testing::Values("Q4_0", "Q4_1", "Q8_0"),
                         [](const auto& test) { return test.param; });

TEST(GgmlTypes, DequantisesQ8KFromItsOwnLayout) {
  const GgmlType& type = *type_named("Q8_K");
  std::vector<std::byte> block(static_cast<size_t>(type.block_bytes));
  const float scale = 0.5f;
  std::memcpy(block.data(), &scale, sizeof(scale));
  block[4] = std::byte{0xff};
  block[4 + 255] = std::byte{127};
  std::vector<float> values(256);
  dequantise_block_type(type, block, values);
  EXPECT_EQ(values[0], -0.5f);
  EXPECT_EQ(values[1], 0.0f);
  EXPECT_EQ(values[255], 63.5f);
}

TEST(GgmlTypes, RefusesOthersByName) {
  const GgmlType& type = *type_named("IQ2_XXS");
  std::vector<std::byte> block(static_cast<size_t>(type.block_bytes));
  std::vector<float> values(256);
  try {
    dequantise_block_type(type, block, values);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnimplemented);
    EXPECT_THAT(error.what(), HasSubstr("IQ2_XXS"));
    EXPECT_THAT(error.what(), HasSubstr("Q4_K"));
  }
}

TEST(GgmlTypes, RefusesSizesThatAreNotWholeBlocks) {
  std::vector<std::byte> block(144);
  std::vector<float> values(255);
  EXPECT_THROW(dequantise_block_type(*type_named("Q4_K"), block, values), Error);
  values.resize(512);
  EXPECT_THROW(dequantise_block_type(*type_named("Q4_K"), block, values), Error);
}

TEST(GgmlTypes, AgreesWithTheDTypeTable) {
  for (const DType dtype :
       {DType::kF64, DType::kF32, DType::kF16, DType::kBF16, DType::kI64, DType::kI32, DType::kI16,
        DType::kI8, DType::kQ4_0, DType::kQ4_1, DType::kQ8_0}) {
    const GgmlType* type = find_ggml_type(dtype);
    ASSERT_NE(type, nullptr) << name(dtype);
    EXPECT_EQ(type->block, info(dtype).block);
    EXPECT_EQ(type->block_bytes, info(dtype).block_bytes);
  }
  EXPECT_EQ(find_ggml_type(DType::kBool), nullptr);
}

TEST(Quantise, RefusesWhatABlockCannotHold) {
  std::vector<float> values(32, 1.0f);
  EXPECT_THROW(quantise_blocks(std::span(values).first(31), DType::kQ8_0), Error);
  EXPECT_THROW(quantise_blocks(values, DType::kF16), Error);
  values[3] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(quantise_blocks(values, DType::kQ4_0), Error);
  values[3] = 1e30f;
  EXPECT_THROW(quantise_blocks(values, DType::kQ8_0), Error);
}

TEST(Quantise, RoundsTinyBlocksToZero) {
  const std::vector<float> values(32, 1e-40f);
  for (const DType dtype : {DType::kQ4_0, DType::kQ4_1, DType::kQ8_0}) {
    const std::vector<std::byte> blocks = quantise_blocks(values, dtype);
    std::vector<float> back(32, 1.0f);
    dequantise_block_type(*find_ggml_type(dtype), blocks, back);
    EXPECT_THAT(back, ::testing::Each(::testing::Eq(0.0f))) << name(dtype);
  }
}

}  // namespace
}  // namespace yiti
