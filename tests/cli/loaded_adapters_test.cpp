// Adapters that requests load: from where, what stays, and the way back.
#include "cli/loaded_adapters.h"

#include <gmock/gmock.h>

#include <fstream>

#include "models/lora.h"
#include "models/peft.h"
#include "tests/core/io/temporary_folder.h"
#include "tests/message_of.h"

namespace yiti::cli {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

// What one process has, made again for the next.
struct Process {
  Process(const LoadedModel& base, LoadedAdaptersOptions options)
      : scheduler(base.model, {.session = {.max_tokens = 512, .max_sequences = 4}}),
        models(base, {.name = "tiny", .generator = &scheduler, .text = &*base.text}, scheduler,
               registry) {
    registry->add({.name = "tiny", .generator = &scheduler, .text = &*base.text});
    options.note = [this](std::string_view line) { notes += line; };
    adapters.emplace(models, std::move(options));
  }

  // The version of the parameters that answers; empty: nothing does.
  std::string answers(const std::string& name) const {
    const ServedModelPtr served = registry->find(name);
    if (served == nullptr) return {};
    return served->generator->generate({.prompt = {1, 2}, .max_tokens = 1}).value().fingerprint;
  }

  std::shared_ptr<ModelRegistry> registry = std::make_shared<ModelRegistry>();
  BatchScheduler scheduler;
  AdapterModels models;
  std::string notes;
  std::optional<LoadedAdapters> adapters;
};

class LoadedAdaptersTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    base_ = new LoadedModel(
        load_model(YITI_TEST_DATA "/tiny_chat", make_cpu_device({.threads = 1})).value());
  }
  static void TearDownTestSuite() { delete std::exchange(base_, nullptr); }

  void SetUp() override {
    fs::create_directories(folder_ / "source");
    for (int i = 1; i <= 6; ++i) make_adapter(fmt::format("a{}", i), i);
    options_ = {.source = folder_ / "source", .kept = folder_ / "kept"};
    start();
  }
  void start() { process_.emplace(*base_, options_); }
  void restart() {
    process_.reset();
    start();
  }
  LoadedAdapters& adapters() { return *process_->adapters; }

  // An adapter that adds something of its own to q.
  void make_adapter(const std::string& name, double value) const {
    const ModelPtr model = with_lora(*base_->model, {.rank = 2, .targets = {"q_proj"}});
    const StorePtr& store = model->store();
    std::vector<std::pair<Parameter, Tensor>> changes;
    for (const std::string& one : lora_parameters(*store)) {
      if (!one.ends_with("lora_B.weight")) continue;
      const Tensor& b = (*store->current())[store->at(one)];
      changes.emplace_back(store->at(one), Tensor::full(b.shape(), value, b.dtype(), b.device()));
    }
    save_peft(*model, *store->publish(changes), folder_ / ("source/" + name), "tiny");
  }
  std::vector<int64_t> numbers(const std::string& name) {
    std::vector<int64_t> list;
    for (const ModelVersion& one : adapters().versions(name)) list.push_back(one.number);
    return list;
  }
  int64_t served(const std::string& name) {
    for (const ModelVersion& one : adapters().versions(name)) {
      if (one.is_served) return one.number;
    }
    return -1;
  }

  static LoadedModel* base_;
  TemporaryFolder folder_;
  LoadedAdaptersOptions options_;
  std::optional<Process> process_;
};

LoadedModel* LoadedAdaptersTest::base_ = nullptr;

TEST_F(LoadedAdaptersTest, ARestartServesTheSameAgain) {
  adapters().load_adapter("mine", "a1", false);
  adapters().load_adapter("yours", "a2", false);
  adapters().unload_adapter("yours");
  const std::string answer = process_->answers("mine");
  EXPECT_NE(answer, process_->answers("tiny"));
  fs::remove_all(folder_ / "source/a1");  // what was loaded is a copy
  restart();
  EXPECT_EQ(process_->answers("mine"), answer);
  EXPECT_EQ(process_->answers("yours"), "");
  EXPECT_EQ(message_of([&] { adapters().load_adapter("mine", "a2", false); }, Code::kAlreadyExists),
            "adapters: 'mine' is loaded already; wants load_inplace to replace it");
}

TEST_F(LoadedAdaptersTest, ANewLoadReplacesTheOldOneUnderRequests) {
  adapters().load_adapter("mine", "a1", false);
  const std::string first = process_->answers("mine");
  const ServedModelPtr under_way = process_->registry->find("mine");
  adapters().load_adapter("mine", "a2", true);
  EXPECT_NE(process_->answers("mine"), first);
  EXPECT_EQ(under_way->generator->generate({.prompt = {1, 2}, .max_tokens = 1}).value().fingerprint,
            first);
}

TEST_F(LoadedAdaptersTest, GoesBackToAnEarlierVersionAndStaysThere) {
  adapters().load_adapter("mine", "a1", false);
  const std::string first = process_->answers("mine");
  adapters().load_adapter("mine", "a2", true);
  const std::string second = process_->answers("mine");
  EXPECT_THAT(numbers("mine"), ElementsAre(1, 2));
  EXPECT_EQ(served("mine"), 2);
  adapters().serve_version("mine", 1);
  EXPECT_EQ(process_->answers("mine"), first);
  restart();
  EXPECT_EQ(process_->answers("mine"), first);
  EXPECT_EQ(served("mine"), 1);
  adapters().serve_version("mine", 2);
  EXPECT_EQ(process_->answers("mine"), second);
  EXPECT_EQ(message_of([&] { adapters().serve_version("mine", 3); }, Code::kNotFound),
            "adapters: version 3 of 'mine' is not kept");
  EXPECT_TRUE(adapters().versions("tiny").empty());
}

TEST_F(LoadedAdaptersTest, KeepsTheLatestVersionsOnly) {
  adapters().load_adapter("mine", "a1", false);
  for (int i = 2; i <= 6; ++i) adapters().load_adapter("mine", fmt::format("a{}", i), true);
  EXPECT_THAT(numbers("mine"), ElementsAre(3, 4, 5, 6));
  EXPECT_FALSE(fs::exists(folder_ / "kept/2"));
  EXPECT_TRUE(fs::exists(folder_ / "kept/3"));
  adapters().unload_adapter("mine");
  EXPECT_FALSE(fs::exists(folder_ / "kept/3"));
  EXPECT_EQ(process_->registry->find("mine"), nullptr);
  EXPECT_EQ(message_of([&] { adapters().unload_adapter("mine"); }, Code::kNotFound),
            "adapters: the adapter 'mine' was not loaded");
}

TEST_F(LoadedAdaptersTest, WhatDoesNotFitLeavesTheOldOne) {
  adapters().load_adapter("mine", "a1", false);
  const std::string answer = process_->answers("mine");
  fs::copy(YITI_TEST_DATA "/tiny/llama-gqa-tied/adapter", folder_ / "source/other");
  EXPECT_NE(
      message_of([&] { adapters().load_adapter("mine", "other", true); }, Code::kInvalidArgument),
      "");
  EXPECT_EQ(process_->answers("mine"), answer);
  EXPECT_THAT(numbers("mine"), ElementsAre(1));
  EXPECT_FALSE(fs::exists(folder_ / "kept/2"));
  EXPECT_THAT(
      message_of([&] { adapters().load_adapter("tiny", "a1", false); }, Code::kAlreadyExists),
      HasSubstr("there is a model 'tiny' already"));
  for (const char* path : {"..", "../kept/1", "/etc", "nothing"}) {
    EXPECT_THAT(message_of([&] { adapters().load_adapter("mine", path, true); }, Code::kNotFound),
                HasSubstr("there is no adapter"));
  }
  fs::create_directory_symlink(folder_ / "kept", folder_ / "source/link");
  EXPECT_THAT(message_of([&] { adapters().load_adapter("x", "link/1", false); }, Code::kNotFound),
              HasSubstr("there is no adapter"));
}

TEST_F(LoadedAdaptersTest, ModulesThatTheModelLacksAreNamed) {
  const fs::path file = folder_ / "source/a1/adapter_model.safetensors";
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  std::string contents(std::istreambuf_iterator<char>(stream), {});
  const std::string module = "layers.0.self_attn.q_proj";
  for (size_t at = 0; (at = contents.find(module, at)) != std::string::npos; at += module.size()) {
    contents.replace(at, module.size(), "layers.0.self_attn.w_proj");
  }
  stream.seekp(0);
  stream << contents << std::flush;
  EXPECT_THAT(message_of([&] { adapters().load_adapter("x", "a1", false); }, Code::kNotFound),
              HasSubstr("w_proj is no linear layer of this model"));
  EXPECT_EQ(process_->registry->find("x"), nullptr);
}

TEST_F(LoadedAdaptersTest, WhereTheListCannotBeWrittenNothingChanges) {
  adapters().load_adapter("mine", "a1", false);
  const std::string answer = process_->answers("mine");
  fs::remove(folder_ / "kept/adapters.json");
  fs::create_directories(folder_ / "kept/adapters.json/in the way");
  EXPECT_ANY_THROW(adapters().load_adapter("mine", "a2", true));
  EXPECT_ANY_THROW(adapters().load_adapter("yours", "a2", false));
  EXPECT_ANY_THROW(adapters().unload_adapter("mine"));
  EXPECT_EQ(process_->answers("mine"), answer);
  EXPECT_EQ(process_->registry->find("yours"), nullptr);
  EXPECT_THAT(numbers("mine"), ElementsAre(1));
}

TEST_F(LoadedAdaptersTest, AStartNotesWhatItCannotServe) {
  adapters().load_adapter("mine", "a1", false);
  adapters().load_adapter("yours", "a2", false);
  fs::remove(folder_ / "kept/1/adapter_model.safetensors");
  restart();
  EXPECT_THAT(process_->notes, HasSubstr("the adapter mine is not served"));
  EXPECT_NE(process_->answers("yours"), "");
  adapters().load_adapter("mine", "a1", true);
  EXPECT_NE(process_->answers("mine"), "");
  std::ofstream(folder_ / "kept/adapters.json") << "{\"mine\": [{}]}";
  EXPECT_THAT(message_of([&] { restart(); }, Code::kDataLoss), HasSubstr("is damaged"));
}

TEST_F(LoadedAdaptersTest, WithoutAFolderOfItsOwnItForgets) {
  options_.kept.clear();
  restart();
  adapters().load_adapter("mine", "a1", false);
  adapters().load_adapter("mine", "a2", true);
  EXPECT_THAT(numbers("mine"), ElementsAre(2));
  EXPECT_EQ(message_of([&] { adapters().serve_version("mine", 2); }, Code::kNotFound),
            "adapters: version 2 of 'mine' is not kept");
  restart();
  EXPECT_EQ(process_->registry->find("mine"), nullptr);
}

}  // namespace
}  // namespace yiti::cli
