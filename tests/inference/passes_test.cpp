// What each pass does to captured programs, and that every part of it shows.
#include <gmock/gmock.h>

#include "inference/language_session.h"
#include "models/loader.h"
#include "models/lora.h"
#include "models/peft.h"
#include "tests/smollm2.h"

namespace yiti {
namespace {

using ::testing::HasSubstr;

struct Case {
  std::string name;
  std::string path;
  bool quantised;  ///< all weights of the layers
};

void PrintTo(const Case& test, std::ostream* out) { *out << test.name; }

const LanguageSessionOptions kOptions{
    .max_tokens = 512, .max_sequences = 2, .max_batch_tokens = 64};

bool has_saved_outputs(const Program& program) {
  for (const ProgramNode& node : program.nodes) {
    for (size_t i = 0; i < node.out.size(); ++i) {
      if (node.op->outputs[i].saved && node.out[i] >= 0) return true;
    }
  }
  return false;
}

class Passes : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (GetParam().path.empty()) GTEST_SKIP() << "set YITI_SMOLLM2 to the GGUF's path";
    model_ = load_model(GetParam().path, make_cpu_device({.threads = 2})).value().model;
  }

  Program captured() const {
    const KvCache cache(model_->config(), model_->profile().kv, 8, model_->device());
    return capture_session(*model_, cache, kOptions, 512);
  }
  Session prepared(const PassOptions& passes) const { return Session(captured(), passes); }
  int layers() const { return static_cast<int>(model_->config().layers); }

  ModelPtr model_;
};

TEST_P(Passes, StrippingRemovesAllThatOnlyABackwardPassReads) {
  Program program = captured();
  EXPECT_GT(program.count("save_for_backward"), layers());
  EXPECT_TRUE(has_saved_outputs(program));
  const int products = program.count("linear");
  strip_gradients(program);
  EXPECT_EQ(program.count("save_for_backward"), 0);
  EXPECT_FALSE(has_saved_outputs(program));
  EXPECT_EQ(program.count("linear"), products);
}

TEST_P(Passes, EachFusionFiresInEveryLayer) {
  Program program = captured();
  strip_gradients(program);
  fuse(program, all_fusions());
  const bool quantised = GetParam().quantised;
  EXPECT_EQ(program.count("linear_swiglu"), layers());
  EXPECT_EQ(program.count("swiglu"), 0);
  EXPECT_EQ(program.count("linear3"), quantised ? layers() : 0);
  // What is left: o and down of each layer, the head, and q, k, v where they stay apart.
  EXPECT_EQ(program.count("linear"), (quantised ? 2 : 5) * layers() + 1);
  // Each residual sum is normed by what follows; the first norm has no sum before it.
  EXPECT_EQ(program.count("add_rms_norm"), 2 * layers());
  EXPECT_EQ(program.count("add"), 0);
}

TEST_P(Passes, NothingFusesWhileGradientsNeedWhatLiesBetween) {
  Program program = captured();
  fuse(program, all_fusions());
  EXPECT_EQ(program.count("linear_swiglu"), 0);
}

TEST_P(Passes, MemoryIsPlannedTightly) {
  const MemoryPlan plan = prepared({}).plan();
  EXPECT_LE(static_cast<double>(plan.arena_bytes), 1.1 * static_cast<double>(plan.peak_live_bytes));
  EXPECT_LT(static_cast<double>(plan.arena_bytes), 0.5 * static_cast<double>(plan.naive_bytes));
}

TEST_P(Passes, LeavingAPassOutShows) {
  const Session all = prepared({});
  EXPECT_GT(prepared({.strip_gradients = false}).plan().arena_bytes, all.plan().arena_bytes);
  EXPECT_GT(prepared({.plan_memory = false}).plan().arena_bytes, all.plan().arena_bytes);
  EXPECT_GT(prepared({.fuse = false}).program().nodes.size(), all.program().nodes.size());
}

TEST_P(Passes, ExplanationsNameEveryPassAndKernel) {
  const Session session = prepared({});
  const std::string text = session.explain();
  for (const char* part : {"strip_gradients: ", "fuse: ", "select_kernels: ", "plan_memory: ",
                           "arena ", "naive ", "linear_swiglu x", "add_rms_norm x"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  const Program& program = session.program();
  for (size_t n = 0; n < program.nodes.size(); ++n) {
    const bool view = static_cast<bool>(program.nodes[n].op->view);
    EXPECT_THAT(text, HasSubstr(fmt::format("  {:4} {}: {}", n, program.nodes[n].op->name,
                                            view ? "view" : "cpu")));
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Passes,
                         testing::Values(Case{"tiny_llama", YITI_TEST_DATA "/tiny/llama-gqa-tied",
                                              false},
                                         Case{"smollm2", smollm2_path(), true}),
                         [](const auto& test) { return test.param.name; });

TEST(Fusions, LeaveAnAdaptersSumsAlone) {
  const std::string folder = YITI_TEST_DATA "/tiny/llama-gqa-tied";
  const ModelPtr base = load_model(folder, make_cpu_device({.threads = 1})).value().model;
  const ModelPtr model = load_peft(*base, folder + "/adapter");
  const LanguageSession session(model, kOptions);
  const Program& program = session.program_session().program();
  EXPECT_EQ(program.count("linear_swiglu") + program.count("swiglu"), model->config().layers);
  EXPECT_EQ(program.count("add_rms_norm"), 2 * model->config().layers);
}

TEST(Fusions, FindQuantisedProductsAmongAnAdapters) {
  YITI_SKIP_WITHOUT_SMOLLM2();
  const ModelPtr base = load_model(smollm2_path(), make_cpu_device({.threads = 2})).value().model;
  const ModelPtr model = with_lora(*base, {.rank = 4, .seed = 3});
  LanguageSession fused(model, kOptions);
  LanguageSessionOptions options = kOptions;
  options.passes.fuse = false;
  LanguageSession plain(model, options);
  EXPECT_EQ(fused.program_session().program().count("linear3"), model->config().layers);
  EXPECT_EQ(plain.program_session().program().count("linear3"), 0);
  const std::vector<int32_t> tokens{1, 2, 3, 4, 5, 6, 7};
  const std::span<const float> got = fused.prefill(fused.open(), tokens);
  const std::span<const float> wanted = plain.prefill(plain.open(), tokens);
  EXPECT_TRUE(std::equal(got.begin(), got.end(), wanted.begin(), wanted.end()));
}

}  // namespace
}  // namespace yiti
