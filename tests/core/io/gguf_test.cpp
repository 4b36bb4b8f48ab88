#include "core/io/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/io/files.h"
#include "core/io/ggml_quantise.h"
#include "tests/core/io/temporary_folder.h"
#include "tests/message_of.h"

namespace yiti {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

DevicePtr cpu() { return make_cpu_device({.threads = 1}); }

GgufMetadata every_type() {
  GgufMetadata metadata;
  metadata.set("u8", uint8_t{255});
  metadata.set("i8", int8_t{-128});
  metadata.set("u16", uint16_t{65535});
  metadata.set("i16", int16_t{-32768});
  metadata.set("u32", uint32_t{4294967295});
  metadata.set("i32", int32_t{-5});
  metadata.set("f32", 1.5f);
  metadata.set("bool", true);
  metadata.set("string", std::string("é\0", 3));
  metadata.set("u64", ~uint64_t{0});
  metadata.set("i64", int64_t{-7});
  metadata.set("f64", 0.1);
  metadata.set("words", GgufArray{std::vector<std::string>{"", "b", "c"}});
  metadata.set("numbers", GgufArray{std::vector<int32_t>{1, -2}});
  metadata.set("flags", GgufArray{std::vector<bool>{true, false}});
  metadata.set("none", GgufArray{std::vector<double>{}});
  metadata.set("nested", GgufArray{std::vector<GgufArray>{
                             {std::vector<float>{1, 2}},
                             {std::vector<GgufArray>{{std::vector<uint64_t>{3}}}}}});
  return metadata;
}

TEST(GgufMetadata, ConvertsNumbersThatFit) {
  const GgufMetadata metadata = every_type();
  EXPECT_EQ(metadata.get<int64_t>("u32"), 4294967295);
  EXPECT_EQ(metadata.get<int32_t>("u8"), 255);
  EXPECT_EQ(metadata.get<double>("f32"), 1.5);
  EXPECT_EQ(metadata.get<float>("f64"), 0.1f);
  EXPECT_THAT(metadata.get<std::vector<int64_t>>("numbers"), ElementsAre(1, -2));
  EXPECT_THAT(metadata.array<std::string>("words"), ElementsAre("", "b", "c"));
  EXPECT_EQ(metadata.get_or<int64_t>("missing", 3), 3);
  EXPECT_EQ(metadata.get_optional<bool>("missing"), std::nullopt);
  EXPECT_EQ(metadata.get_optional<bool>("bool"), true);
}

TEST(GgufMetadata, NamesKeyFoundTypeAndWantedType) {
  const GgufMetadata metadata = every_type();
  EXPECT_THAT(message_of([&] { metadata.get<int32_t>("u64"); }, Code::kInvalidArgument),
              HasSubstr("\"u64\" is u64; wants i32"));
  EXPECT_THAT(message_of([&] { metadata.get<double>("u8"); }, Code::kInvalidArgument),
              HasSubstr("wants float"));
  EXPECT_THAT(
      message_of([&] { metadata.get<std::vector<std::string>>("flags"); }, Code::kInvalidArgument),
      HasSubstr("array of 2 bool; wants array of string"));
  message_of([&] { metadata.get<std::vector<uint8_t>>("numbers"); }, Code::kInvalidArgument);
  message_of([&] { metadata.get<bool>("u8"); }, Code::kInvalidArgument);
  message_of([&] { metadata.get<uint8_t>("bool"); }, Code::kInvalidArgument);
  message_of([&] { metadata.array<float>("words"); }, Code::kInvalidArgument);
  message_of([&] { metadata.array<float>("u8"); }, Code::kInvalidArgument);
  EXPECT_THAT(message_of([&] { metadata.get<bool>("missing"); }, Code::kNotFound),
              HasSubstr("missing"));
}

TEST(GgufMetadata, SettingAKeyAgainReplacesItInPlace) {
  GgufMetadata metadata = every_type();
  const size_t size = metadata.entries().size();
  metadata.set("u8", std::string("now a string"));
  EXPECT_EQ(metadata.entries().size(), size);
  EXPECT_EQ(metadata.entries()[0].first, "u8");
  EXPECT_EQ(metadata.get<std::string>("u8"), "now a string");
}

TEST(Gguf, ReadsTheMetadataThatItWrote) {
  const TemporaryFolder folder;
  const GgufMetadata metadata = every_type();
  write_gguf(folder / "x.gguf", metadata, {});
  const auto file = GgufFile::open(folder / "x.gguf", cpu());
  EXPECT_EQ(file->version(), 3u);
  EXPECT_EQ(file->metadata().entries(), metadata.entries());
}

TEST(Gguf, ReadsTheTensorsThatItWrote) {
  const TemporaryFolder folder;
  const DevicePtr device = cpu();
  std::vector<float> ramp(192);
  for (size_t i = 0; i < ramp.size(); ++i) ramp[i] = static_cast<float>(i) / 7;
  const Tensor matrix = Tensor::from(ramp, {3, 64}, device);
  std::vector<std::pair<std::string, Tensor>> tensors = {{"f32", matrix}};
  for (const DType dtype : {DType::kF64, DType::kF16, DType::kBF16, DType::kI64, DType::kI32,
                            DType::kI16, DType::kI8}) {
    tensors.emplace_back(name(dtype), Tensor::full({2, 3, 1}, 3, dtype, device));
  }
  for (const DType dtype : {DType::kQ4_0, DType::kQ4_1, DType::kQ8_0}) {
    tensors.emplace_back(name(dtype), quantise(matrix, dtype));
  }
  for (const uint32_t alignment : {8u, 32u, 4096u}) {
    GgufMetadata metadata;
    metadata.set("general.alignment", alignment);
    write_gguf(folder / "x.gguf", metadata, tensors);
    const size_t before = device->live_bytes();
    const auto file = GgufFile::open(folder / "x.gguf", device);
    EXPECT_EQ(file->alignment(), alignment);
    for (const auto& [name, tensor] : tensors) {
      const Tensor back = file->tensor(name);
      EXPECT_EQ(back.shape(), tensor.shape()) << name;
      ASSERT_EQ(back.dtype(), tensor.dtype()) << name;
      EXPECT_TRUE(back.storage()->read_only());
      EXPECT_EQ(std::memcmp(back.raw(), tensor.raw(), tensor.bytes()), 0) << name;
      const GgufTensorInfo& info = *file->find(name);
      EXPECT_EQ(info.offset % alignment, 0u);
      file->release_pages(0, info.offset, info.offset + info.bytes);
      EXPECT_EQ(std::memcmp(back.raw(), tensor.raw(), tensor.bytes()), 0) << name;
    }
    EXPECT_EQ(device->live_bytes(), before) << "mapped tensors take no memory of the device";
  }
}

TEST(Gguf, ListsSizesInnermostFirstInTheFile) {
  const TemporaryFolder folder;
  write_gguf(folder / "x.gguf", {}, {{"x", Tensor::zeros({2, 3}, DType::kF32, cpu())}});
  const std::string file = read_file(folder / "x.gguf", 1 << 20);
  uint64_t dims[2];
  std::memcpy(dims, file.data() + 24 + 8 + 1 + 4, sizeof(dims));
  EXPECT_THAT(dims, ElementsAre(3, 2));
}

TEST(Gguf, DequantisesBlockTensorsThatAreNoMatrices) {
  const TemporaryFolder folder;
  const DevicePtr device = cpu();
  const Tensor x = quantise(Tensor::full({4, 32}, 2, DType::kF32, device), DType::kQ8_0);
  write_gguf(folder / "x.gguf", {}, {{"x", x}});
  // The same bytes under three axes: the file's rank and sizes, as a model of experts has them.
  std::string file = read_file(folder / "x.gguf", 1 << 20);
  const size_t rank_at = 24 + 8 + 1;
  const uint32_t rank = 3;
  const uint64_t dims[3] = {32, 2, 2};
  std::string info(reinterpret_cast<const char*>(&rank), sizeof(rank));
  info.append(reinterpret_cast<const char*>(dims), sizeof(dims));
  file.replace(rank_at, 4 + 16, info);
  file.erase(rank_at + 4 + 24 + 4 + 8, 8);  // padding: the header has grown
  write_file_atomically(folder / "x.gguf", file);
  const Tensor back = GgufFile::open(folder / "x.gguf", device)->tensor("x");
  EXPECT_EQ(back.shape(), Shape({2, 2, 32}));
  EXPECT_EQ(back.dtype(), DType::kF32);
}

TEST(Gguf, RefusesToWriteWhatTheFormatLacks) {
  const TemporaryFolder folder;
  const DevicePtr device = cpu();
  const std::string path = folder / "x.gguf";
  const Tensor x = Tensor::zeros({1}, DType::kF32, device);
  const auto refuses = [&](const GgufMetadata& metadata, const std::string& name,
                           const Tensor& tensor) {
    message_of(
        [&] {
          write_gguf(path, metadata, {{"first", x}, {name, tensor}});
        },
        Code::kInvalidArgument);
  };
  refuses({}, "first", x);
  refuses({}, "", x);
  refuses({}, std::string(65, 'n'), x);
  refuses({}, "x", x.as_meta());
  refuses({}, "x", Tensor::zeros({1}, DType::kBool, device));
  refuses({}, "x", Tensor::zeros({1}, DType::kU8, device));
  refuses({}, "x", Tensor::zeros({1, 1, 1, 1, 1}, DType::kF32, device));
  GgufMetadata bad_alignment, bad_key, deep;
  bad_alignment.set("general.alignment", uint32_t{24});
  refuses(bad_alignment, "x", x);
  bad_key.set("with space", true);
  refuses(bad_key, "x", x);
  GgufArray array{std::vector<float>{}};
  for (int depth = 0; depth < 8; ++depth) array = GgufArray{std::vector<GgufArray>{array}};
  deep.set("deep", array);
  refuses(deep, "x", x);
  EXPECT_FALSE(std::filesystem::exists(path));
}

class GgufParts : public ::testing::Test {
 protected:
  // A part with a tensor of its own number in each of its elements.
  void write(const std::string& name, uint16_t number, uint16_t count, const std::string& tensor,
             int32_t tensors) {
    GgufMetadata metadata;
    metadata.set("split.no", number);
    metadata.set("split.count", count);
    metadata.set("split.tensors.count", tensors);
    if (number == 0) metadata.set("general.name", std::string("whole"));
    write_gguf(folder_ / name, metadata,
               {{tensor, Tensor::full({number + 1}, number, DType::kF32, device_)}});
  }
  void write_all() {
    write("m-00001-of-00003.gguf", 0, 3, "a", 3);
    write("m-00002-of-00003.gguf", 1, 3, "b", 3);
    write("m-00003-of-00003.gguf", 2, 3, "c", 3);
  }
  std::string error(Code code, const std::string& name = "m-00001-of-00003.gguf") {
    return message_of([&] { GgufFile::open(folder_ / name, device_); }, code);
  }

  TemporaryFolder folder_;
  DevicePtr device_ = cpu();
};

TEST_F(GgufParts, AreReadAsOneFile) {
  write_all();
  const auto file = GgufFile::open(folder_ / "m-00001-of-00003.gguf", device_);
  EXPECT_EQ(file->metadata().get<std::string>("general.name"), "whole");
  ASSERT_EQ(file->tensors().size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const GgufTensorInfo& info = file->tensors()[i];
    EXPECT_EQ(info.part, i);
    EXPECT_EQ(file->find(info.name), &info);
    const Tensor tensor = file->tensor(info.name);
    file->release_pages(info.part, info.offset, info.offset + info.bytes);
    EXPECT_EQ(tensor.to_vector<float>(), std::vector<float>(i + 1, static_cast<float>(i)));
  }
}

TEST_F(GgufParts, AreOpenedByTheFirst) {
  write_all();
  EXPECT_THAT(error(Code::kInvalidArgument, "m-00002-of-00003.gguf"),
              HasSubstr("wants the first, whose name ends with -00001-of-00003.gguf"));
  std::filesystem::rename(folder_ / "m-00001-of-00003.gguf", folder_ / "m.gguf");
  EXPECT_THAT(error(Code::kInvalidArgument, "m.gguf"), HasSubstr("-00001-of-00003.gguf"));
}

TEST_F(GgufParts, AreAllThere) {
  write_all();
  std::filesystem::remove(folder_ / "m-00003-of-00003.gguf");
  EXPECT_THAT(error(Code::kNotFound), HasSubstr("m-00003-of-00003.gguf"));
}

TEST_F(GgufParts, BelongTogether) {
  write_all();
  write("m-00002-of-00003.gguf", 2, 3, "b", 3);
  EXPECT_THAT(error(Code::kDataLoss), HasSubstr("says that it is part 2; wants 1 of 3"));
  write("m-00002-of-00003.gguf", 1, 3, "a", 3);
  EXPECT_THAT(error(Code::kDataLoss), HasSubstr("of an earlier part"));
  write_all();
  write("m-00001-of-00003.gguf", 0, 3, "a", 4);
  EXPECT_THAT(error(Code::kDataLoss), HasSubstr("3 tensors in its parts; wants 4"));
  write("m-00001-of-00003.gguf", 0, 0, "a", 1);
  EXPECT_THAT(error(Code::kDataLoss), HasSubstr("0 parts"));
}

}  // namespace
}  // namespace yiti
