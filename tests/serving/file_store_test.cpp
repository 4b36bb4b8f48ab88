#include "serving/file_store.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "tests/core/io/temporary_folder.h"

namespace yiti {
namespace {

namespace fs = std::filesystem;

class FileStoreTest : public testing::Test {
 protected:
  FileStoreOptions options() const { return {.folder = fs::path(folder_ / "files")}; }
  TemporaryFolder folder_;
};

TEST_F(FileStoreTest, KeepsFilesAcrossARestart) {
  std::string first, second;
  {
    FileStore store(options());
    first = store.add("train \"1\".jsonl", "fine-tune", "abc").id;
    second = store.add("results.csv", "fine-tune-results", std::string("x\0y", 3)).id;
    EXPECT_NE(first, second);
  }
  FileStore store(options());
  const std::vector<StoredFile> files = store.list();
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(files[0].id, first);
  EXPECT_EQ(files[0].filename, "train \"1\".jsonl");
  EXPECT_EQ(files[0].purpose, "fine-tune");
  EXPECT_EQ(files[0].bytes, 3);
  EXPECT_EQ(store.contents(second), std::string("x\0y", 3));
  EXPECT_GT(store.add("more", "fine-tune", "z").number, files[1].number);
}

TEST_F(FileStoreTest, DeletesForGood) {
  FileStore store(options());
  const std::string id = store.add("a", "fine-tune", "abc").id;
  EXPECT_TRUE(store.remove(id));
  EXPECT_FALSE(store.remove(id));
  EXPECT_FALSE(store.find(id));
  EXPECT_THROW(store.contents(id), Error);
  EXPECT_TRUE(fs::is_empty(options().folder));
}

TEST_F(FileStoreTest, NoIdIsAPath) {
  std::ofstream(folder_ / "secret.data") << "secret";
  FileStore store(options());
  for (const char* id : {"../secret", "..", "", "/etc/passwd", "file-../secret"}) {
    EXPECT_FALSE(store.find(id)) << id;
    EXPECT_THROW(store.path(id), Error) << id;
    EXPECT_FALSE(store.remove(id)) << id;
  }
}

TEST_F(FileStoreTest, ClearsWhatACrashLeft) {
  fs::create_directories(options().folder);
  const fs::path half = options().folder / "file-0123456789abcdef01234567.data";
  const fs::path other = options().folder / "notes.txt";
  std::ofstream(half) << "half";
  std::ofstream(other) << "mine";
  EXPECT_TRUE(FileStore(options()).list().empty());
  EXPECT_FALSE(fs::exists(half));
  EXPECT_TRUE(fs::exists(other));
}

TEST_F(FileStoreTest, HasLimits) {
  FileStoreOptions wanted = options();
  wanted.max_file_bytes = 4;
  wanted.max_total_bytes = 6;
  wanted.max_files = 2;
  FileStore store(wanted);
  const auto code = [&](const char* contents) {
    const auto result = capture_errors("test", [&] { return store.add("a", "p", contents); });
    return result ? Code::kInternal : result.error().code();
  };
  EXPECT_EQ(code("12345"), Code::kResourceExhausted);
  const std::string id = store.add("a", "p", "1234").id;
  EXPECT_EQ(code("123"), Code::kResourceExhausted);
  store.add("b", "p", "12");
  EXPECT_EQ(code(""), Code::kResourceExhausted);
  store.remove(id);
  store.add("c", "p", "1234");
}

}  // namespace
}  // namespace yiti
