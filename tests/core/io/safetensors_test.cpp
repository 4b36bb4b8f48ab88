#include "core/io/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/io/files.h"
#include "tests/core/io/mutations.h"
#include "tests/core/io/temporary_folder.h"
#include "tests/message_of.h"

namespace yiti {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

DevicePtr cpu() { return make_cpu_device({.threads = 1}); }

void read_all(FileBytes bytes) {
  const auto file = SafetensorsFile::parse(std::move(bytes), cpu());
  for (const SafetensorsInfo& info : file->tensors()) {
    EXPECT_EQ(file->tensor(info.name).bytes(), info.bytes);
  }
}

// A file with this header and so many bytes of data.
std::string file_of(std::string_view header, size_t data_bytes) {
  std::string file(8, '\0');
  file = with_number<uint64_t>(file, 0, header.size());
  file += header;
  return file + std::string(data_bytes, '\0');
}

std::string refusal_of(const std::string& file, Code code) {
  return message_of([&] { read_all(bytes_of(file)); }, code);
}

std::vector<std::pair<std::string, Tensor>> some_tensors(const DevicePtr& device) {
  return {{"b", Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3}, device)},
          {"a", Tensor::from(std::vector<uint8_t>{7, 8, 9}, {3}, device)},
          {"d", Tensor::from(std::vector<double>{0.5}, Shape{}, device)},
          {"e", Tensor::zeros({0, 4}, DType::kI32, device)},
          {"h", Tensor::full({5}, 1.5, DType::kBF16, device)},
          {"t", Tensor::full({2}, 1, DType::kBool, device)}};
}

TEST(Safetensors, ReadsWhatItWrote) {
  const TemporaryFolder folder;
  const DevicePtr device = cpu();
  const auto tensors = some_tensors(device);
  write_safetensors(folder / "x.safetensors", tensors, {{"format", "pt"}, {"naïve", "\n\""}});
  const auto file = SafetensorsFile::open(folder / "x.safetensors", device);
  EXPECT_EQ(file->metadata().at("format"), "pt");
  EXPECT_EQ(file->metadata().at("naïve"), "\n\"");
  ASSERT_EQ(file->tensors().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const Tensor back = file->tensor(name);
    EXPECT_EQ(back.shape(), tensor.shape());
    ASSERT_EQ(back.dtype(), tensor.dtype());
    EXPECT_EQ(std::memcmp(back.raw(), tensor.raw(), tensor.bytes()), 0) << name;
  }
}

TEST(Safetensors, MapsItsOwnFilesWithoutACopyAndReadOnly) {
  const TemporaryFolder folder;
  const DevicePtr device = cpu();
  write_safetensors(folder / "x.safetensors", some_tensors(device));
  const size_t before = device->live_bytes();
  auto file = SafetensorsFile::open(folder / "x.safetensors", device);
  std::vector<Tensor> tensors;
  for (const SafetensorsInfo& info : file->tensors()) tensors.push_back(file->tensor(info.name));
  EXPECT_EQ(device->live_bytes(), before);
  EXPECT_TRUE(tensors[0].storage()->read_only());
  file->release_pages("b");
  file = nullptr;
  EXPECT_EQ(tensors[0].item(), 0.5);
}

TEST(Safetensors, WritesViewsInRowMajorOrder) {
  const TemporaryFolder folder;
  const DevicePtr device = cpu();
  const Tensor x = Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3}, device);
  write_safetensors(folder / "x.safetensors", {{"x", x.as_strided({3, 2}, {1, 3}, 0)}});
  EXPECT_THAT(
      SafetensorsFile::open(folder / "x.safetensors", device)->tensor("x").to_vector<float>(),
      ElementsAre(1, 4, 2, 5, 3, 6));
}

TEST(Safetensors, CopiesMisalignedTensors) {
  std::string file = file_of(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 0);
  const float value = 2.5f;
  file.append(reinterpret_cast<const char*>(&value), 4);
  for (size_t shift = 0; shift < 4; ++shift) {
    const auto owner = std::make_shared<const std::string>(std::string(shift, ' ') + file);
    const auto bytes = std::as_bytes(std::span(*owner)).subspan(shift);
    const auto parsed = SafetensorsFile::parse({bytes, owner, "shifted", nullptr}, cpu());
    EXPECT_EQ(parsed->tensor("x").item(), 2.5);
  }
}

TEST(Safetensors, RefusesToWriteWhatTheFormatLacks) {
  const TemporaryFolder folder;
  const DevicePtr device = cpu();
  const Tensor x = Tensor::zeros({1}, DType::kF32, device);
  const std::string path = folder / "x.safetensors";
  EXPECT_THROW(write_safetensors(path, {{"x", x}, {"x", x}}), Error);
  EXPECT_THROW(write_safetensors(path, {{"__metadata__", x}}), Error);
  EXPECT_THROW(write_safetensors(path, {{"\xff", x}}), Error);
  EXPECT_THROW(write_safetensors(path, {{"x", x.as_meta()}}), Error);
  EXPECT_THROW(write_safetensors(path, {{"q", Tensor::zeros({1, 32}, DType::kQ8_0, device)}}),
               Error);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Safetensors, ReadsShardsThroughTheirIndex) {
  const TemporaryFolder folder;
  const DevicePtr device = cpu();
  const Tensor x = Tensor::full({2}, 1, DType::kF32, device);
  const Tensor y = Tensor::full({3}, 2, DType::kF32, device);
  write_safetensors(folder / "m-1.safetensors", {{"x", x}});
  write_safetensors(folder / "m-2.safetensors", {{"y", y}});
  const std::string index = folder / "model.safetensors.index.json";
  write_file_atomically(index, R"({"weight_map":{"x":"m-1.safetensors","y":"m-2.safetensors"}})");
  for (const std::string& path : {folder.path(), index}) {
    const Safetensors set = Safetensors::open(path, device);
    EXPECT_THAT(set.names(), ElementsAre("x", "y"));
    EXPECT_THAT(set.tensor("y").to_vector<float>(), ElementsAre(2, 2, 2));
    EXPECT_THROW(set.tensor("z"), Error);
  }
}

TEST(Safetensors, RefusesAnIndexThatDoesNotFitItsShards) {
  const TemporaryFolder folder;
  const DevicePtr device = cpu();
  const Tensor x = Tensor::full({2}, 1, DType::kF32, device);
  write_safetensors(folder / "1.safetensors", {{"x", x}});
  write_safetensors(folder / "2.safetensors", {{"x", x}, {"y", x}});
  const std::string index = folder / "model.safetensors.index.json";
  for (const char* text :
       {R"({"weight_map":{"z":"1.safetensors"}})", R"({"weight_map":{"x":"none.safetensors"}})",
        R"({"weight_map":{"x":"1.safetensors","y":"2.safetensors"}})",
        R"({"weight_map":{"x":"../1.safetensors"}})", R"({"weight_map":{"x":1}})",
        R"({"weight_map":[]})", R"([])", R"({})", R"({"weight_map":{"x":"1.safetensors")"}) {
    write_file_atomically(index, text);
    EXPECT_THROW(Safetensors::open(index, device), Error) << text;
  }
}

TEST(Safetensors, SaysWhatAFolderLacks) {
  const TemporaryFolder folder;
  try {
    Safetensors::open(folder.path(), cpu());
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kNotFound);
    EXPECT_THAT(error.what(), HasSubstr("model.safetensors"));
  }
}

TEST(SafetensorsHostile, NamesUnsupportedTypes) {
  const std::string message =
      refusal_of(file_of(R"({"x":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}})", 1),
                 Code::kUnimplemented);
  EXPECT_THAT(message, HasSubstr("F8_E4M3"));
  EXPECT_THAT(message, HasSubstr("BF16"));
}

TEST(SafetensorsHostile, RefusesMalformedHeaders) {
  for (const char* header :
       {"",
        "[]",
        " {}",
        "{",
        "{}x",
        "nul",
        R"({"x":1})",
        R"({"x":{}})",
        R"({"x":{"dtype":"F32","shape":[1]}})",
        R"({"__metadata__":{"a":1}})",
        R"({"__metadata__":[]})",
        R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1}})",
        R"({"x":{"dtype":1,"shape":[1],"data_offsets":[0,4]}})",
        R"({"x":{"dtype":"F32","shape":1,"data_offsets":[0,4]}})",
        R"({"x":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})",
        R"({"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})",
        R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0]}})",
        R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})",
        R"({"x":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
        R"({"x":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}})"}) {
    refusal_of(file_of(header, 4), Code::kDataLoss);
  }
  const std::string x = R"("x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  refusal_of(file_of("{" + x + "," + x + "}", 4), Code::kDataLoss);
}

TEST(SafetensorsHostile, RefusesOverlapsHolesAndWrongSizes) {
  const auto file = [](int begin, int end, int size, size_t data) {
    return file_of(fmt::format(R"({{"x":{{"dtype":"U8","shape":[4],"data_offsets":[0,4]}},)"
                               R"("y":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}}}})",
                               size, begin, end),
                   data);
  };
  EXPECT_EQ(error_of(read_all, file(4, 8, 4, 8)), std::nullopt);
  EXPECT_THAT(refusal_of(file(3, 7, 4, 8), Code::kDataLoss), HasSubstr("overlap"));
  EXPECT_THAT(refusal_of(file(0, 4, 4, 4), Code::kDataLoss), HasSubstr("overlap"));
  EXPECT_THAT(refusal_of(file(5, 9, 4, 9), Code::kDataLoss), HasSubstr("no tensor"));
  EXPECT_THAT(refusal_of(file(4, 8, 4, 9), Code::kDataLoss), HasSubstr("no tensor"));
  EXPECT_THAT(refusal_of(file(4, 8, 4, 7), Code::kDataLoss), HasSubstr("no range"));
  EXPECT_THAT(refusal_of(file(4, 8, 5, 8), Code::kDataLoss), HasSubstr("takes 5"));
}

TEST(SafetensorsHostile, RefusesHugeNumbers) {
  for (const char* shape :
       {"18446744073709551615", "4294967296,4294967296,4294967296", "0,9223372036854775807,16",
        "9223372036854775808", "99999999999999999999", "1,1,1,1,1,1,1,1,4"}) {
    refusal_of(
        file_of(
            fmt::format(R"({{"x":{{"dtype":"F32","shape":[{}],"data_offsets":[0,16]}}}})", shape),
            16),
        Code::kDataLoss);
  }
  refusal_of(file_of(R"({"x":{"dtype":"F32","shape":[4],)"
                     R"("data_offsets":[18446744073709551600,18446744073709551615]}})",
                     16),
             Code::kDataLoss);
  const std::string good = file_of("{}", 0);
  for (const uint64_t length : {uint64_t{3}, uint64_t{100'000'001}, ~uint64_t{0}}) {
    refusal_of(with_number(good, 0, length), Code::kDataLoss);
  }
}

TEST(SafetensorsHostile, RefusesBoolsThatAreNeither) {
  std::string file = file_of(R"({"x":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", 2);
  EXPECT_EQ(error_of(read_all, file), std::nullopt);
  file.back() = 2;
  refusal_of(file, Code::kDataLoss);
}

TEST(SafetensorsHostile, SurvivesTruncationAndBitFlips) {
  const TemporaryFolder folder;
  write_safetensors(folder / "x.safetensors", some_tensors(cpu()), {{"format", "pt"}});
  const std::string file = read_file(folder / "x.safetensors", 1 << 20);
  expect_truncations_refused(read_all, file, file.size());
  survive_bit_flips(read_all, file, file.size(), 3000);
}

}  // namespace
}  // namespace yiti
