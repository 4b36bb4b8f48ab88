#include "core/io/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/io/json.h"
#include "core/io/mapped_file.h"
#include "tests/core/io/temporary_folder.h"
#include "tests/message_of.h"

namespace yiti {
namespace {

using ::testing::HasSubstr;

TEST(Files, ReadsWhatItWrote) {
  const TemporaryFolder folder;
  const std::string contents("a\0b\n", 4);
  write_file_atomically(folder / "file", contents);
  EXPECT_EQ(read_file(folder / "file", 4), contents);
}

TEST(Files, RefusesFilesBeyondTheBound) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "file", "12345");
  message_of([&] { read_file(folder / "file", 4); }, Code::kResourceExhausted);
}

TEST(Files, NamesMissingFilesAndFolders) {
  const TemporaryFolder folder;
  EXPECT_THAT(message_of([&] { read_file(folder / "none", 9); }, Code::kNotFound),
              HasSubstr("none"));
  EXPECT_THAT(message_of([&] { read_file(folder.path(), 9); }, Code::kInvalidArgument),
              HasSubstr("is a folder"));
  message_of([&] { write_file_atomically(folder / "none/file", "x"); }, Code::kNotFound);
}

TEST(Files, KeepsTheOldFileAndNoOtherWhenTheProducerThrows) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "file", "old");
  EXPECT_THROW(write_file_atomically(folder / "file",
                                     [](const WriteBytes& write) {
                                       write(std::as_bytes(std::span("new")));
                                       fail(Code::kInternal, "test", "no more");
                                     }),
               Error);
  EXPECT_EQ(read_file(folder / "file", 10), "old");
  const std::filesystem::directory_iterator all(folder.path());
  EXPECT_EQ(std::distance(begin(all), end(all)), 1);
}

TEST(Files, KeepsTheModeOfTheFileItReplaces) {
  const TemporaryFolder folder;
  const std::string path = folder / "file";
  write_file_atomically(path, "old");
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  write_file_atomically(path, "new");
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST(MappedFile, ShowsTheBytesAlsoAfterLettingPagesGo) {
  const TemporaryFolder folder;
  const std::string contents(10000, 'x');
  write_file_atomically(folder / "file", contents);
  const auto file = MappedFile::open(folder / "file");
  ASSERT_EQ(file->bytes().size(), contents.size());
  file->advise_dontneed(1, 9999);
  EXPECT_EQ(std::memcmp(file->bytes().data(), contents.data(), contents.size()), 0);
  message_of([&] { file->advise_dontneed(1, 10000); }, Code::kOutOfRange);
}

// Bytes of mapped files that this process holds in memory.
size_t resident_file_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssFile:")) return std::stoul(line.substr(8)) * 1024;
  }
  return 0;
}

TEST(MappedFile, LetsThePagesInARangeGo) {
  if (resident_file_bytes() == 0) GTEST_SKIP() << "no RssFile in /proc/self/status";
  const TemporaryFolder folder;
  const size_t size = size_t{16} << 20;
  write_file_atomically(folder / "file", std::string(size, 'x'));
  const auto file = MappedFile::open(folder / "file");
  ASSERT_EQ(std::ranges::count(file->bytes(), std::byte{'x'}), static_cast<std::ptrdiff_t>(size));
  const size_t before = resident_file_bytes();
  file->advise_dontneed(size / 2 - 1, size / 2);
  EXPECT_LT(resident_file_bytes() + size / 4, before);
}

TEST(MappedFile, SaysWhyItCannotMap) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "empty", "");
  EXPECT_THAT(message_of([&] { MappedFile::open(folder / "empty"); }, Code::kInvalidArgument),
              HasSubstr("is empty"));
  EXPECT_THAT(message_of([&] { MappedFile::open(folder.path()); }, Code::kInvalidArgument),
              HasSubstr("is a folder"));
  EXPECT_THAT(message_of([&] { MappedFile::open(folder / "none"); }, Code::kNotFound),
              HasSubstr("No such file"));
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(message_of([&] { MappedFile::open(folder / "pipe"); }, Code::kInvalidArgument),
              HasSubstr("not a regular file"));
}

TEST(Json, RefusesRepeatedKeysOfOneObjectOnly) {
  EXPECT_THAT(
      message_of([] { parse_json(R"({"a":{"b":1,"b":2}})", "here"); }, Code::kInvalidArgument),
      HasSubstr("here: JSON object has the key \"b\" twice"));
  EXPECT_EQ(parse_json(R"([{"a":1},{"a":2},{"b":{"a":3}}])", "here").size(), 3u);
}

TEST(Json, RefusesDeepNesting) {
  EXPECT_EQ(parse_json("[[1]]", "here", 2).size(), 1u);
  message_of([] { parse_json("[[1]]", "here", 1); }, Code::kInvalidArgument);
  message_of([] { parse_json(std::string(1 << 20, '['), "here"); }, Code::kInvalidArgument);
}

TEST(Json, RefusesMalformedTextWithAPrintableMessage) {
  for (const char* text : {"", "{", "{\"a\":}", "[1] 2", "nul", "\"\xff\"", "[1,]"}) {
    const std::string message =
        message_of([&] { parse_json(text, "here"); }, Code::kInvalidArgument);
    EXPECT_TRUE(std::ranges::all_of(message, [](char c) { return c >= ' ' && c <= '~'; }))
        << message;
  }
}

}  // namespace
}  // namespace yiti
