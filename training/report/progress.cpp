#include "training/report/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace yiti {
namespace {

constexpr std::string_view kClearLine = "\r\x1b[2K";

double fraction_done(const Progress& progress) {
  if (progress.total_steps <= 0) return 0;
  return std::clamp(static_cast<double>(progress.step) / static_cast<double>(progress.total_steps),
                    0.0, 1.0);
}

/// Seconds left if the steps to come take as long as those done; negative where none is done.
double seconds_left(const Progress& progress) {
  const int64_t done = progress.step - progress.first_step;
  if (done <= 0) return -1;
  const int64_t left = std::max<int64_t>(0, progress.total_steps - progress.step);
  return progress.elapsed_s * static_cast<double>(left) / static_cast<double>(done);
}

/// `cells` characters, the filled part in eighths of a cell.
std::string bar(double fraction, int cells) {
  constexpr std::array<std::string_view, 8> kEighths = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int eighths = static_cast<int>(fraction * cells * 8);
  std::string text;
  for (int i = 0; i < cells; ++i) {
    const int filled = std::clamp(eighths - i * 8, 0, 8);
    text += filled == 8 ? "█" : kEighths[static_cast<size_t>(filled)];
  }
  return text;
}

/// Characters of UTF-8 text, each one column wide here.
int columns_of(std::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string first_columns(std::string_view text, int columns) {
  size_t end = 0;
  for (int seen = 0; end < text.size(); ++end) {
    const bool begins = (static_cast<unsigned char>(text[end]) & 0xC0) != 0x80;
    if (begins && seen++ == columns) break;
  }
  return std::string(text.substr(0, end));
}

}  // namespace

std::string format_duration(double seconds) {
  constexpr double kLongest = 1e9;
  if (!(seconds >= 0) || seconds > kLongest) return "–:––";
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  const int64_t hours = whole / 3600, minutes = whole / 60 % 60, rest = whole % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, rest)
                   : fmt::format("{}:{:02}", minutes, rest);
}

std::string progress_numbers(const Progress& progress) {
  std::string text = fmt::format("loss {:.3f}", progress.loss);
  if (progress.eval_loss) text += fmt::format(" · eval {:.3f}", *progress.eval_loss);
  text += fmt::format(" · {:.0f} tokens/s", progress.tokens_per_second);
  if (progress.version) text += fmt::format(" · v{}", *progress.version);
  return text + fmt::format(" · {} left", format_duration(seconds_left(progress)));
}

std::string progress_line(const Progress& progress, int columns) {
  constexpr int kShortestBar = 8, kLongestBar = 40;
  const double fraction = fraction_done(progress);
  const std::string percent = fmt::format("{:3.0f}%", std::floor(fraction * 100));
  const std::string rest =
      fmt::format(" {}/{} · {}", progress.step, progress.total_steps, progress_numbers(progress));
  const int room = columns - columns_of(percent) - columns_of(rest) - 3;
  std::string line = percent;
  if (room >= kShortestBar) line += " ▕" + bar(fraction, std::min(room, kLongestBar)) + "▏";
  return first_columns(line + rest, columns);
}

ProgressBar::ProgressBar(Write write, const ProgressOptions& options)
    : write_(std::move(write)), options_(options) {}

void ProgressBar::update(const Progress& progress) {
  if (options_.terminal) {
    // One column less than there is: the last one would wrap on some terminals.
    line_ = progress_line(progress, std::max(1, options_.columns - 1));
    write_(std::string(kClearLine) + line_);
    return;
  }
  const bool last = progress.total_steps > 0 && progress.step >= progress.total_steps;
  if (any_plain_ && !last && progress.elapsed_s - last_plain_s_ < options_.plain_every_s) return;
  any_plain_ = true;
  last_plain_s_ = progress.elapsed_s;
  write_(fmt::format("step {}/{} · {}\n", progress.step, progress.total_steps,
                     progress_numbers(progress)));
}

void ProgressBar::message(std::string_view text) {
  if (line_.empty()) {
    write_(std::string(text) + "\n");
  } else {
    write_(std::string(kClearLine) + std::string(text) + "\n" + line_);
  }
}

void ProgressBar::finish() {
  if (!line_.empty()) write_("\n");
  line_.clear();
}

}  // namespace yiti
