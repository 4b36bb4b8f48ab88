// The example models on scikit-learn's digits: trained, captured, saved and run as programs.
#include "examples/digits/digits.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "inference/program_file.h"
#include "inference/session.h"
#include "ops/shape/slice.h"

namespace yiti::digits {
namespace {

constexpr int64_t kMaxBatch = 64;

struct Case {
  Model (*make)(const DevicePtr& device, uint64_t seed);
  double lr;
  bool move;
  double accuracy;
};

// Each model is trained once for all of its tests.
class Digits : public testing::TestWithParam<Case> {
 protected:
  struct Trained {
    DevicePtr device = make_cpu_device({.threads = 2});
    Data data = load_data(YITI_TEST_DATA "/../../examples/data/digits/digits.safetensors", device);
    std::vector<double> losses;
    Model model;

    explicit Trained(const Case& c) : model(c.make(device, 1)) {
      train(model, data.train, {.lr = c.lr, .move = c.move, .progress = [&](int64_t, double loss) {
                                  losses.push_back(loss);
                                }});
    }
  };

  static const Trained& trained() {
    static std::map<Model (*)(const DevicePtr&, uint64_t), Trained> all;
    return all.try_emplace(GetParam().make, GetParam()).first->second;
  }

  static Tensor pictures(int64_t count) {
    return ops::slice(trained().data.test.images, 0, 0, count);
  }

  static std::vector<float> run(Session& session, int64_t count) {
    const Tensor images = pictures(count);
    images.copy_to_host(std::as_writable_bytes(
        std::span(session.input(0).data<float>(), static_cast<size_t>(images.numel()))));
    session.run({{count}}, trained().model.store->current().get());
    return session.output(0).to_vector<float>();
  }

  static Program captured() { return capture(trained().model, trained().device, kMaxBatch); }
};

TEST_P(Digits, AreLearned) {
  const Pictures& test = trained().data.test;
  EXPECT_EQ(test.labels.dim(0), 360);
  EXPECT_GE(accuracy(eager_logits(trained().model, test.images), test.labels), GetParam().accuracy);
  EXPECT_LT(trained().losses.back(), 0.1 * trained().losses.front());
}

TEST_P(Digits, ProgramGivesTheBitsOfTheTrainingForwardForAnyBatch) {
  Session session(captured());
  for (const int64_t count : {1, 7, 64}) {
    EXPECT_EQ(run(session, count),
              eager_logits(trained().model, pictures(count)).to_vector<float>())
        << count;
  }
}

TEST_P(Digits, ProgramKeepsNothingForTheBackwardPass) {
  const Program program = captured();
  EXPECT_GT(program.count("save_for_backward"), 0);
  EXPECT_EQ(Session(program).program().count("save_for_backward"), 0);
}

TEST_P(Digits, SavedProgramGivesTheSameBits) {
  const std::string path = testing::TempDir() + "yiti_digits_" + trained().model.name + ".program";
  save_program(path, captured());
  Session original(captured());
  Session loaded(load_program(path, trained().device, trained().model.store.get()));
  for (const int64_t count : {1, 7, 64}) {
    EXPECT_EQ(run(loaded, count), run(original, count)) << count;
  }
  std::filesystem::remove(path);
}

INSTANTIATE_TEST_SUITE_P(Models, Digits,
                         testing::Values(Case{make_mlp, 5e-3, false, 0.90},
                                         Case{make_conv, 3e-3, true, 0.95}),
                         [](const auto& c) { return c.param.make == make_mlp ? "mlp" : "conv"; });

TEST(DigitsMemory, OfTheConvolutionalProgramIsSharedByLifetime) {
  const DevicePtr device = make_cpu_device({.threads = 2});
  const Program program = capture(make_conv(device, 1), device, kMaxBatch);
  const Session session(program);
  const MemoryPlan& plan = session.plan();
  EXPECT_LE(static_cast<double>(plan.arena_bytes), 1.1 * static_cast<double>(plan.peak_live_bytes));
  EXPECT_LT(static_cast<double>(plan.arena_bytes), 0.55 * static_cast<double>(plan.naive_bytes));
  const Session training(program, {.strip_gradients = false});
  EXPECT_GT(training.plan().arena_bytes, plan.arena_bytes);
}

}  // namespace
}  // namespace yiti::digits
