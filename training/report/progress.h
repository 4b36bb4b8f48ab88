// Progress of a training run on a terminal, or as plain lines in a log.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace yiti {

/// A run's state after a step.
struct Progress {
  int64_t step = 0;  ///< done so far
  int64_t total_steps = 0;
  double loss = 0;
  int64_t tokens = 0;  ///< seen since the run's beginning
  double tokens_per_second = 0;
  double elapsed_s = 0;    ///< since this process began with `first_step`
  int64_t first_step = 0;  ///< above 0 in a resumed run, so that time left is judged right
  std::optional<double> eval_loss = {};  ///< the last one
  bool evaluated = false;                ///< eval_loss is this step's
  // With FineTuneOptions::token_accuracy: the part of trained tokens predicted right.
  std::optional<double> accuracy = {}, eval_accuracy = {};
  std::optional<uint64_t> version = {};  ///< the last one published
};

/// "0:07", "12:30", "1:02:03"; "–:––" where it is not known (negative or not finite).
std::string format_duration(double seconds);

/// Such as "loss 1.234 · eval 1.301 · 512 tokens/s · v12 · 0:31 left".
std::string progress_numbers(const Progress& progress);

/// One line of at most `columns`: per cent, a bar of block characters in what room is left, the
/// step and the numbers; without the bar where it is too narrow for one.
std::string progress_line(const Progress& progress, int columns);

struct ProgressOptions {
  bool terminal = false;      ///< redraw one line; false: whole lines
  int columns = 80;           ///< of the terminal
  double plain_every_s = 10;  ///< not on a terminal: at most one line in this time, and the last
};

/// Writes through `write`, which gets whole pieces of text. One thread at a time.
class ProgressBar {
 public:
  using Write = std::function<void(std::string_view)>;
  ProgressBar(Write write, const ProgressOptions& options);

  void update(const Progress& progress);
  /// A line of its own above the bar.
  void message(std::string_view text);
  /// Leaves the bar's last state standing and ends its line.
  void finish();

 private:
  Write write_;
  ProgressOptions options_;
  std::string line_;  ///< what the terminal shows now
  double last_plain_s_ = 0;
  bool any_plain_ = false;
};

}  // namespace yiti
