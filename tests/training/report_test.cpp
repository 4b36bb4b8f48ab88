#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "core/error.h"
#include "training/report/loss_curve.h"
#include "training/report/metrics_log.h"
#include "training/report/progress.h"
#include "training/report/sparkline.h"

namespace yiti {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Progress half_done() {
  return {.step = 21,
          .total_steps = 50,
          .loss = 1.2344,
          .tokens_per_second = 512.4,
          .elapsed_s = 21,
          .first_step = 0,
          .eval_loss = std::nullopt,
          .version = std::nullopt};
}

TEST(ProgressLine, ShowsPercentBarAndNumbers) {
  EXPECT_EQ(progress_line(half_done(), 80),
            " 42% ▕███████████▎               ▏ 21/50 · loss 1.234 · 512 tokens/s · 0:29 left");
}

TEST(ProgressLine, LeavesTheBarOutOfANarrowTerminal) {
  EXPECT_EQ(progress_line(half_done(), 60), " 42% 21/50 · loss 1.234 · 512 tokens/s · 0:29 left");
  EXPECT_EQ(progress_line(half_done(), 10), " 42% 21/50");
}

TEST(ProgressLine, ShowsEvaluationAndVersion) {
  Progress progress = half_done();
  progress.eval_loss = 1.5;
  progress.version = 12;
  EXPECT_EQ(progress_numbers(progress), "loss 1.234 · eval 1.500 · 512 tokens/s · v12 · 0:29 left");
}

TEST(ProgressLine, JudgesTimeLeftByTheStepsOfThisProcess) {
  Progress progress = half_done();
  progress.first_step = 20;
  EXPECT_THAT(progress_numbers(progress), HasSubstr("10:09 left"));
  progress.first_step = 21;
  EXPECT_THAT(progress_numbers(progress), HasSubstr("–:–– left"));
}

TEST(Duration, HasHoursOnlyWhereNeeded) {
  EXPECT_EQ(format_duration(6.6), "0:07");
  EXPECT_EQ(format_duration(3723), "1:02:03");
  EXPECT_EQ(format_duration(kNan), "–:––");
}

class ProgressBarTest : public testing::Test {
 protected:
  ProgressBar::Write write() {
    return [this](std::string_view text) { written_ += text; };
  }
  std::string written_;
};

TEST_F(ProgressBarTest, RedrawsOneLineOnATerminal) {
  ProgressBar bar(write(), {.terminal = true, .columns = 60});
  bar.update(half_done());
  bar.message("published v1");
  bar.finish();
  const std::string line = " 42% 21/50 · loss 1.234 · 512 tokens/s · 0:29 left";
  EXPECT_EQ(written_, "\r\x1b[2K" + line + "\r\x1b[2Kpublished v1\n" + line + "\n");
}

TEST_F(ProgressBarTest, WritesAPlainLineNowAndThenElsewhere) {
  ProgressBar bar(write(), {.plain_every_s = 10});
  Progress progress = half_done();
  for (progress.step = 1; progress.step <= 50; ++progress.step) {
    progress.elapsed_s = static_cast<double>(progress.step);
    bar.update(progress);
  }
  bar.finish();
  EXPECT_EQ(std::count(written_.begin(), written_.end(), '\n'), 6);
  EXPECT_THAT(written_, HasSubstr("step 11/50 · loss"));
  EXPECT_THAT(written_, HasSubstr("step 50/50 · loss"));
  EXPECT_THAT(written_, Not(HasSubstr("\x1b")));
}

TEST(Sparkline, GoesFromLowestToHighest) {
  const std::vector<double> values = {8, 7, 6, 5, 4, 3, 2, 1};
  EXPECT_EQ(sparkline(values, 80), "█▇▆▅▄▃▂▁");
  EXPECT_EQ(sparkline(values, 2), "█▁");
  EXPECT_EQ(sparkline(values, 8, false), "#*=~-,._");
}

TEST(Sparkline, LeavesOutWhatIsNotFinite) {
  EXPECT_EQ(sparkline(std::vector<double>{1, kNan, 2}, 9), "▁█");
  EXPECT_EQ(sparkline(std::vector<double>{kNan}, 9), "");
  EXPECT_EQ(sparkline(std::vector<double>{3, 3}, 9), "▁▁");
}

TEST(MetricsLog, LeavesOutWhatIsNotSetAndWritesNullForNan) {
  EXPECT_EQ(metrics_json({.step = 3}), R"({"step":3})");
  EXPECT_EQ(metrics_json({.step = 3, .loss = kNan, .learning_rate = 0.5, .version = 2}),
            R"({"step":3,"loss":null,"learning_rate":0.5,"version":2})");
}

TEST(MetricsLog, FlushesEachLineAndAppends) {
  const auto path = std::filesystem::temp_directory_path() / "yiti_metrics_log_test.jsonl";
  const auto read = [&] {
    std::ifstream file(path);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  MetricsLog first(path);
  first.write({.step = 1});
  EXPECT_EQ(read(), "{\"step\":1}\n");
  MetricsLog second(path, true);
  second.write({.step = 2});
  EXPECT_EQ(read(), "{\"step\":1}\n{\"step\":2}\n");
  std::filesystem::remove(path);
  EXPECT_THROW(MetricsLog(path / "nowhere"), Error);
}

TEST(LossCurve, SmoothingTakesTheStartsBiasOut) {
  const std::vector<CurvePoint> points = {{1, 4}, {2, kNan}, {3, 2}};
  const auto smooth = smoothed(points, 0.5);
  ASSERT_EQ(smooth.size(), 2u);
  EXPECT_DOUBLE_EQ(smooth[0].value, 4);
  EXPECT_DOUBLE_EQ(smooth[1].value, (0.5 * 2 + 2 * 0.5) / 0.75);
}

TEST(LossCurve, TicksAreRoundNumbersWithinTheRange) {
  EXPECT_THAT(axis_ticks(0.3, 2.2, 4), ElementsAre(0.5, 1, 1.5, 2));
  EXPECT_THAT(axis_ticks(0, 100, 5), ElementsAre(0, 20, 40, 60, 80, 100));
  EXPECT_TRUE(axis_ticks(1, 1, 5).empty());
  EXPECT_TRUE(axis_ticks(0, kNan, 5).empty());
}

TEST(LossCurve, HasTitleCurvesAndLegend) {
  LossCurve curve{.title = "a < b", .train = {{1, 3}, {2, 2}, {3, 1}}, .eval = {{1, 3}, {3, 1.5}}};
  const std::string svg = loss_curve_svg(curve);
  for (const char* part : {"a &lt; b", "polyline class=\"train\"", "polyline class=\"smooth\"",
                           "polyline class=\"eval\"", "eval 1.500", "prefers-color-scheme: dark"}) {
    EXPECT_THAT(svg, HasSubstr(part));
  }
}

TEST(LossCurve, ThinsLongCurves) {
  LossCurve curve;
  for (int i = 0; i < 200000; ++i) curve.train.push_back({double(i), std::exp(-i / 50000.0)});
  EXPECT_LT(loss_curve_svg(curve).size(), 50000u);
}

TEST(LossCurve, SurvivesEmptyAndConstantCurves) {
  EXPECT_THAT(loss_curve_svg({}), HasSubstr("no steps yet"));
  EXPECT_THAT(loss_curve_svg({.train = {{1, kNan}}, .eval = {}}), HasSubstr("no steps yet"));
  for (const double value : {0.0, 2.0, -1.0}) {
    const std::string svg = loss_curve_svg({.train = {{5, value}}, .eval = {{5, value}}});
    EXPECT_THAT(svg, Not(HasSubstr("nan")));
    EXPECT_THAT(svg, Not(HasSubstr("inf")));
  }
}

}  // namespace
}  // namespace yiti
