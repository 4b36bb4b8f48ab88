// A run's numbers as JSON lines, for people's scripts and for plotting.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

namespace yiti {

/// One line of the log. What is not set is left out of the line.
struct Metrics {
  int64_t step = 0;
  std::optional<double> epoch = {};  ///< with the part done, such as 1.25
  std::optional<double> loss = {};   ///< mean over the step's trained tokens, in nats
  std::optional<double> learning_rate = {};
  std::optional<double> grad_norm = {};  ///< before clipping
  std::optional<int64_t> tokens = {};    ///< seen since the run's beginning
  std::optional<double> tokens_per_second = {};
  std::optional<double> eval_loss = {};
  std::optional<uint64_t> version = {};  ///< published after the step
};

/// One JSON object without a line end; the keys are the members' names, as in transformers' log.
/// A number that is not finite becomes null.
std::string metrics_json(const Metrics& metrics);

/// Appends to a file and flushes each line, so that it can be followed. One thread at a time.
class MetricsLog {
 public:
  /// `append`: keep what the file has, as a resumed run does. Throws kNotFound where it cannot be
  /// opened.
  explicit MetricsLog(const std::filesystem::path& path, bool append = false);
  /// Throws kDataLoss where the line cannot be written.
  void write(const Metrics& metrics);

 private:
  std::string path_;
  std::ofstream file_;
};

}  // namespace yiti
