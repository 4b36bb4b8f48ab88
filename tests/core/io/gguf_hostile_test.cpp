#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/io/gguf.h"
#include "tests/core/io/mutations.h"
#include "tests/message_of.h"

namespace yiti {
namespace {

using ::testing::HasSubstr;

void read_all(FileBytes bytes) {
  const auto file = GgufFile::parse(std::move(bytes), make_cpu_device({.threads = 1}));
  for (const GgufTensorInfo& info : file->tensors()) {
    if (info.type->support == GgmlSupport::kRefused) continue;
    EXPECT_EQ(file->tensor(info.name).shape(), info.shape);
  }
}

// A GGUF file built field by field, so that each may be wrong.
class Builder {
 public:
  template <class T>
  Builder& put(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof(T));
    return *this;
  }
  Builder& text(std::string_view text) {
    text_ += text;
    return *this;
  }
  Builder& string(std::string_view value) { return put<uint64_t>(value.size()).text(value); }
  Builder& header(uint64_t tensors, uint64_t keys, uint32_t version = 3) {
    return text("GGUF").put(version).put(tensors).put(keys);
  }
  Builder& tensor(std::string_view name, std::vector<uint64_t> dims, uint32_t type,
                  uint64_t offset) {
    string(name).put<uint32_t>(static_cast<uint32_t>(dims.size()));
    for (const uint64_t dim : dims) put(dim);
    return put(type).put(offset);
  }
  Builder& data(size_t bytes) {
    text_.resize((text_.size() + 31) / 32 * 32 + bytes, '\1');
    return *this;
  }
  const std::string& file() const { return text_; }

 private:
  std::string text_;
};

std::string refusal_of(const std::string& file, Code code = Code::kDataLoss) {
  return message_of([&] { read_all(bytes_of(file)); }, code);
}

constexpr uint32_t kF32 = 0, kQ4_1 = 3, kQ4_K = 12, kIq1S = 19, kU32 = 4, kBool = 7, kString = 8,
                   kArray = 9;

std::string good_file(size_t* header_bytes = nullptr) {
  Builder builder;
  builder.header(4, 4);
  builder.string("general.alignment").put(kU32).put<uint32_t>(32);
  builder.string("flag").put(kBool).put<uint8_t>(1);
  builder.string("words").put(kArray).put(kString).put<uint64_t>(2).string("a").string("bc");
  builder.string("nested").put(kArray).put(kArray).put<uint64_t>(1);
  builder.put(kU32).put<uint64_t>(2).put<uint32_t>(5).put<uint32_t>(6);
  builder.tensor("a", {3, 2}, kF32, 0).tensor("b", {32, 2}, kQ4_1, 32);
  builder.tensor("c", {256}, kQ4_K, 96).tensor("d", {256}, kIq1S, 256);
  if (header_bytes) *header_bytes = builder.file().size();
  return builder.data(256 + 50).file();
}

TEST(GgufHostile, StartsFromAGoodFile) { EXPECT_EQ(error_of(read_all, good_file()), std::nullopt); }

TEST(GgufHostile, SurvivesTruncationAndBitFlips) {
  size_t header = 0;
  const std::string file = good_file(&header);
  expect_truncations_refused(read_all, file, file.size());
  survive_bit_flips(read_all, file, header, 10000);
}

TEST(GgufHostile, NamesOtherFormatsAndVersions) {
  EXPECT_THAT(refusal_of("PK\3\4 and so on"), HasSubstr("not a GGUF file: begins with \"PK"));
  const auto version = [](uint32_t number) {
    return refusal_of(Builder().header(0, 0, number).file(), Code::kUnimplemented);
  };
  EXPECT_THAT(version(1), HasSubstr("version 1; wants 2 or 3"));
  EXPECT_THAT(version(4), HasSubstr("version 4"));
  EXPECT_THAT(version(0), HasSubstr("version 0"));
  EXPECT_THAT(version(0x03000000), HasSubstr("big-endian"));
  EXPECT_EQ(error_of(read_all, Builder().header(0, 0, 2).file()), std::nullopt);
}

TEST(GgufHostile, RefusesCountsThatCannotLieInTheFile) {
  for (const uint64_t count : {uint64_t{1}, uint64_t{1} << 40, ~uint64_t{0}}) {
    refusal_of(Builder().header(count, 0).file());
    refusal_of(Builder().header(0, count).file());
    for (uint32_t type = 0; type <= 12; ++type) {
      refusal_of(Builder().header(0, 1).string("key").put(kArray).put(type).put(count).file());
    }
    refusal_of(Builder().header(0, 1).string("key").put(kString).put(count).file());
    refusal_of(Builder().header(0, 1).put(count).text("").file());
  }
}

TEST(GgufHostile, RefusesBadKeysAndValues) {
  const auto with_key = [](std::string_view key) {
    return Builder().header(0, 1).string(key).put(kBool).put<uint8_t>(1).file();
  };
  EXPECT_EQ(error_of(read_all, with_key("ok")), std::nullopt);
  EXPECT_EQ(error_of(read_all, with_key(std::string(65535, 'k'))), std::nullopt);
  for (const std::string& key :
       {std::string(), std::string(65536, 'k'), std::string("\xc3\xa9"), std::string("a b")}) {
    refusal_of(with_key(key));
  }
  EXPECT_THAT(refusal_of(Builder().header(0, 1).string("k").put(kBool).put<uint8_t>(2).file()),
              HasSubstr("a bool is 2"));
  EXPECT_THAT(refusal_of(Builder().header(0, 1).string("k").put<uint32_t>(13).put(0).file()),
              HasSubstr("unknown type 13"));
  refusal_of(
      Builder().header(0, 1).string("k").put(kArray).put<uint32_t>(13).put<uint64_t>(0).file());
  EXPECT_THAT(
      refusal_of(
          Builder().header(0, 2).string("k").put(kU32).put(1).string("k").put(kU32).put(1).file()),
      HasSubstr("twice"));
}

TEST(GgufHostile, RefusesDeepArrays) {
  const auto nested = [](int depth) {
    Builder builder;
    builder.header(0, 1).string("deep").put(kArray);
    for (int i = 1; i < depth; ++i) builder.put(kArray).put<uint64_t>(1);
    return builder.put(kU32).put<uint64_t>(0).file();
  };
  EXPECT_EQ(error_of(read_all, nested(8)), std::nullopt);
  EXPECT_THAT(refusal_of(nested(9)), HasSubstr("nest deeper"));
  EXPECT_THAT(refusal_of(nested(100000)), HasSubstr("nest deeper"));
}

TEST(GgufHostile, RefusesBadAlignments) {
  for (const uint32_t alignment : {0u, 1u, 4u, 24u, 1u << 21, ~0u}) {
    EXPECT_THAT(
        refusal_of(
            Builder().header(0, 1).string("general.alignment").put(kU32).put(alignment).file()),
        HasSubstr("power of two"));
  }
  EXPECT_THAT(
      refusal_of(
          Builder().header(0, 1).string("general.alignment").put(kBool).put<uint8_t>(1).file()),
      HasSubstr("wants u32"));
}

TEST(GgufHostile, RefusesBadTensors) {
  const auto with_tensor = [](std::vector<uint64_t> dims, uint32_t type, uint64_t offset,
                              std::string_view name = "x") {
    return Builder().header(1, 0).tensor(name, dims, type, offset).data(512).file();
  };
  EXPECT_EQ(error_of(read_all, with_tensor({128}, kF32, 0)), std::nullopt);
  EXPECT_EQ(error_of(read_all, with_tensor({}, kF32, 0)), std::nullopt);
  EXPECT_EQ(error_of(read_all, with_tensor({0, 5}, kF32, 0)), std::nullopt);
  EXPECT_THAT(refusal_of(with_tensor({129}, kF32, 0)), HasSubstr("leave the 512 bytes"));
  refusal_of(with_tensor({1}, kF32, 512));
  refusal_of(with_tensor({1}, kF32, uint64_t{0} - 32));
  EXPECT_THAT(refusal_of(with_tensor({1}, kF32, 4)), HasSubstr("alignment"));
  EXPECT_THAT(refusal_of(with_tensor({1, 1, 1, 1, 1}, kF32, 0)), HasSubstr("5 axes"));
  EXPECT_THAT(refusal_of(with_tensor({33}, kQ4_1, 0)), HasSubstr("whole blocks of Q4_1"));
  refusal_of(with_tensor({}, kQ4_1, 0));
  refusal_of(with_tensor({~uint64_t{0}}, kF32, 0));
  refusal_of(with_tensor({uint64_t{1} << 62}, kF32, 0));
  refusal_of(with_tensor({uint64_t{1} << 32, uint64_t{1} << 32}, kF32, 0));
  refusal_of(with_tensor({0, uint64_t{1} << 62, uint64_t{1} << 62}, kF32, 0));
  refusal_of(with_tensor({1}, kF32, 0, ""));
  refusal_of(with_tensor({1}, kF32, 0, std::string(65, 'x')));
  refusal_of(with_tensor({1}, kF32, 0, std::string_view("a\0b", 3)));
}

TEST(GgufHostile, NamesTensorTypesThatItCannotRead) {
  const auto with_type = [](uint32_t type) {
    return Builder().header(1, 0).tensor("x", {256}, type, 0).data(4096).file();
  };
  EXPECT_THAT(refusal_of(with_type(4), Code::kUnimplemented), HasSubstr("4 (Q4_2)"));
  EXPECT_THAT(refusal_of(with_type(999), Code::kUnimplemented), HasSubstr("999 (unknown)"));
  const auto file = GgufFile::parse(bytes_of(with_type(kIq1S)), make_cpu_device({.threads = 1}));
  try {
    file->tensor("x");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnimplemented);
    EXPECT_THAT(error.what(), HasSubstr("IQ1_S; supported are F32, F16, Q4_0"));
  }
}

TEST(GgufHostile, RefusesTensorsThatOverlapOrShareAName) {
  const auto two = [](uint64_t offset, std::string_view name) {
    return Builder()
        .header(2, 0)
        .tensor("a", {16}, kF32, 0)
        .tensor(name, {8}, kF32, offset)
        .data(256)
        .file();
  };
  EXPECT_EQ(error_of(read_all, two(64, "b")), std::nullopt);
  EXPECT_THAT(refusal_of(two(32, "b")), HasSubstr("\"a\" and \"b\" overlap"));
  refusal_of(two(0, "b"));
  EXPECT_THAT(refusal_of(two(64, "a")), HasSubstr("twice"));
}

}  // namespace
}  // namespace yiti
