// Sessions on a plug-in's device: inputs that are sent, copies that explain() shows, graphs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "core/plugin/device_plugin.h"
#include "inference/session.h"
#include "ops/elementwise/operators.h"
#include "ops/elementwise/unary.h"

namespace yiti {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kRows = 4, kColumns = 3;

DevicePtr device(const std::string& name, const char* folder) {
  DeviceOptions options;
  options.path = folder;
  options.cpu.threads = 1;
  return open_device(name, options);
}

// (x + x) * x, and exp of it where `lacking`, which the template does not have.
Session squares(const DevicePtr& on, bool lacking) {
  ProgramBuilder builder("squares", on);
  const Dim rows = builder.symbol("R", kRows);
  const Tensor x = builder.input("x", {rows, Dim{kColumns}}, DType::kF32);
  const Tensor y = (x + x) * x;
  builder.output(lacking ? ops::exp(y) : y);
  return Session(builder.finish());
}

std::vector<float> run(Session& session, int64_t rows, float first) {
  float* x = session.input(0).data<float>();
  for (int64_t i = 0; i < rows * kColumns; ++i) x[i] = first + static_cast<float>(i) / 8;
  session.run(std::array{rows}, nullptr);
  return session.output(0).to_vector<float>();
}

TEST(DeviceSession, GivesWhatTheCpuGives) {
  Session on_device = squares(device("template", YITI_DEVICES), true);
  Session on_cpu = squares(make_cpu_device(), true);
  for (const int64_t rows : {4, 1, 0, 3}) {
    EXPECT_EQ(run(on_device, rows, 0.5f), run(on_cpu, rows, 0.5f)) << rows;
  }
}

TEST(DeviceSession, ExplainsWhatRunsOnTheCpu) {
  const std::string with = squares(device("template", YITI_DEVICES), true).explain();
  EXPECT_THAT(with, HasSubstr("exp: cpu, with copies"));
  EXPECT_THAT(with, HasSubstr("add: template"));
  EXPECT_THAT(with, HasSubstr("1 of 3 nodes run on the CPU"));
  EXPECT_THAT(squares(device("template", YITI_DEVICES), false).explain(),
              Not(HasSubstr("run on the CPU")));
}

TEST(DeviceSession, RecordsWhatRunsASecondTime) {
  const DevicePtr recording = device("recording", YITI_BROKEN_DEVICES);
  Session session = squares(recording, false), on_cpu = squares(make_cpu_device(), false);
  for (int i = 0; i < 5; ++i) {
    const float first = static_cast<float>(i);
    EXPECT_EQ(run(session, 2, first), run(on_cpu, 2, first)) << i;
  }
  // One run of two ops, one that was recorded, and then graphs only.
  EXPECT_EQ(counters_of(*recording).ops, 4);
}

TEST(DeviceSession, DoesNotRecordCopiesToTheHost) {
  const DevicePtr recording = device("recording", YITI_BROKEN_DEVICES);
  Session session = squares(recording, true), on_cpu = squares(make_cpu_device(), true);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(run(session, 2, 1), run(on_cpu, 2, 1)) << i;
  EXPECT_EQ(counters_of(*recording).host_ops, 4);
}

TEST(DeviceSession, RecordsForEachSizeAlone) {
  const DevicePtr recording = device("recording", YITI_BROKEN_DEVICES);
  Session session = squares(recording, false), on_cpu = squares(make_cpu_device(), false);
  for (int i = 0; i < 8; ++i) {
    const int64_t rows = 1 + i % 2;
    const float first = static_cast<float>(i);
    EXPECT_EQ(run(session, rows, first), run(on_cpu, rows, first)) << i;
  }
  // Of each of two sizes, a run of two ops and one that was recorded.
  EXPECT_EQ(counters_of(*recording).ops, 8);
}

TEST(DeviceSession, SharesTheDeviceWithOthersThatRunMeanwhile) {
  const DevicePtr recording = device("recording", YITI_BROKEN_DEVICES);
  constexpr int kThreads = 3, kRuns = 40;
  std::vector<std::thread> threads;
  for (int number = 0; number < kThreads; ++number) {
    threads.emplace_back([&, number] {
      Session session = squares(recording, false), on_cpu = squares(make_cpu_device(), false);
      for (int i = 0; i < kRuns; ++i) {
        const int64_t rows = 1 + (i + number) % 3;
        const float first = static_cast<float>(100 * number + i);
        EXPECT_EQ(run(session, rows, first), run(on_cpu, rows, first));
      }
    });
  }
  // As a trainer does: ops whose memory comes and goes.
  threads.emplace_back([&] {
    for (int i = 0; i < kRuns; ++i) {
      const Tensor x = Tensor::full({64}, static_cast<float>(i), DType::kF32, recording);
      EXPECT_EQ(((x + x) * x).to_vector<float>(),
                std::vector<float>(64, static_cast<float>(2 * i * i)));
    }
  });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace yiti
