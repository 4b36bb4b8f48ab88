#include "inference/block_store.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "inference/language_session.h"
#include "models/loader.h"
#include "tests/core/io/temporary_folder.h"

namespace yiti {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBytes = 1000;

BlockKey key_from(int32_t first) {
  std::vector<int32_t> tokens(kKeyBlock);
  std::iota(tokens.begin(), tokens.end(), first);
  return block_key({}, tokens);
}

class BlockStoreTest : public testing::Test {
 protected:
  std::string folder() const { return folder_.path() + "/kv"; }
  void save(BlockStore& store, int32_t first, char value = 'a') const {
    store.save(key_from(first), std::vector<std::byte>(kBytes, std::byte(value)));
    store.flush();
  }
  // What the store has for these tokens, or nothing.
  static std::string load(BlockStore& store, int32_t first) {
    std::string payload(kBytes, '?');
    const bool found = store.load(key_from(first), std::as_writable_bytes(std::span(payload)));
    return found ? payload : "";
  }
  // Of the only block.
  fs::path file() const { return fs::directory_iterator(folder())->path(); }
  std::string read_only_file() const {
    std::ifstream in(file(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write_only_file(const std::string& contents) const {
    std::ofstream(file(), std::ios::binary) << contents;
  }

  TemporaryFolder folder_;
};

TEST_F(BlockStoreTest, GivesBackWhatWasSavedAlsoAfterARestart) {
  {
    BlockStore store({folder()});
    EXPECT_EQ(load(store, 0), "");
    save(store, 0);
    EXPECT_EQ(load(store, 0), std::string(kBytes, 'a'));
  }
  BlockStore store({folder()});
  EXPECT_EQ(store.stats().blocks, 1);
  EXPECT_EQ(load(store, 0), std::string(kBytes, 'a'));
  EXPECT_EQ(load(store, 1), "");
}

TEST_F(BlockStoreTest, TakesEveryDamagedFileForAMissAndDeletesIt) {
  BlockStore first({folder()});
  save(first, 0);
  const std::string good = read_only_file();
  for (size_t at :
       {size_t{0}, size_t{9}, size_t{20}, size_t{50}, size_t{54}, size_t{300}, good.size() - 1}) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    write_only_file(bad);
    BlockStore store({folder()});
    EXPECT_EQ(load(store, 0), "") << at;
    EXPECT_EQ(store.stats().damaged, 1);
    EXPECT_TRUE(fs::is_empty(folder()));
    save(store, 0);
  }
  for (const std::string& bad :
       {std::string(), good.substr(0, 50), good.substr(0, 100), good + "more"}) {
    write_only_file(bad);
    BlockStore store({folder()});
    EXPECT_EQ(load(store, 0), "");
    save(store, 0);
  }
}

TEST_F(BlockStoreTest, TakesABlockUnderAnothersNameForAMiss) {
  BlockStore store({folder()});
  save(store, 0);
  const fs::path name = file();
  const std::string contents = read_only_file();
  fs::remove(name);
  save(store, 1);
  write_only_file(contents);
  EXPECT_EQ(load(store, 1), "");
}

TEST_F(BlockStoreTest, DeletesWhatWasNotReadForLongest) {
  BlockStore store({.folder = folder(), .max_bytes = 3000});
  save(store, 0);
  save(store, 1);
  load(store, 0);
  save(store, 2);
  EXPECT_NE(load(store, 0), "");
  EXPECT_EQ(load(store, 1), "");
  EXPECT_NE(load(store, 2), "");
  EXPECT_LE(store.stats().bytes, 3000);
}

TEST_F(BlockStoreTest, ClearsWhatAKilledWriterLeftAndLeavesOtherFilesAlone) {
  fs::create_directories(folder());
  const std::string left = folder() + "/0123456789abcdef0123456789abcdef.kv.AbCdEf";
  const std::string other = folder() + "/notes.txt";
  std::ofstream(left) << "half";
  std::ofstream(other) << "mine";
  BlockStore store({folder()});
  EXPECT_FALSE(fs::exists(left));
  EXPECT_TRUE(fs::exists(other));
  EXPECT_EQ(store.stats().blocks, 0);
}

TEST_F(BlockStoreTest, PausesWhereTheFolderCannotBeWritten) {
  BlockStore store({folder()});
  fs::remove_all(folder());
  EXPECT_TRUE(store.wants(key_from(0)));
  save(store, 0);
  EXPECT_EQ(store.stats().unsaved, 1);
  EXPECT_FALSE(store.wants(key_from(0)));
  EXPECT_EQ(load(store, 0), "");
}

TEST_F(BlockStoreTest, SaysWhyAFolderIsOfNoUse) {
  std::ofstream(folder()) << "a file";
  EXPECT_THROW(BlockStore({folder()}), Error);
}

TEST_F(BlockStoreTest, LoadsOnlyWhereThatIsFasterThanComputing) {
  BlockStore store({folder()});
  save(store, 0);
  EXPECT_TRUE(store.is_worth_loading(1e-9)) << "not measured yet";
  load(store, 0);
  EXPECT_TRUE(store.is_worth_loading(3600));
  int tried = 0;
  for (int i = 0; i < 128; ++i) tried += store.is_worth_loading(1e-9) ? 1 : 0;
  EXPECT_EQ(tried, 2) << "now and then";
}

TEST_F(BlockStoreTest, ASequenceGoesOnFromTheFolderWithTheSameBits) {
  const ModelPtr model =
      load_model(YITI_TEST_DATA "/tiny/llama-gqa-tied", make_cpu_device({.threads = 1}))
          .value()
          .model;
  std::vector<int32_t> prompt(200);
  for (size_t i = 0; i < prompt.size(); ++i) prompt[i] = static_cast<int32_t>(i * 7 % 90);
  std::vector<std::vector<float>> logits;
  for (const int64_t held : {0, 192}) {
    const auto store = std::make_shared<BlockStore>(BlockStoreOptions{folder()});
    LanguageSession session(model, {.max_tokens = 1024, .block_store = store});
    const SequenceId sequence = session.open_with_prompt(prompt);
    EXPECT_EQ(session.length(sequence), held);
    const auto last =
        session.prefill(sequence, std::span(prompt).subspan(static_cast<size_t>(held)));
    logits.emplace_back(last.begin(), last.end());
  }
  EXPECT_EQ(std::memcmp(logits[0].data(), logits[1].data(), logits[0].size() * sizeof(float)), 0);
}

}  // namespace
}  // namespace yiti
