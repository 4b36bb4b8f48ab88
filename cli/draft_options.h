// The options of guessing tokens ahead, shared by the commands that generate.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "inference/scheduler.h"
#include "models/loader.h"

namespace yiti::cli {

struct DraftOptions {
  std::string source;  ///< "prompt", or a model's path; empty: no guesses
  int64_t rows = SchedulerOptions().draft_rows;

  /// Adds --speculate and --draft-rows.
  void add(CLI::App& command);
  /// Completes `options`, whose session is set, for a scheduler of `loaded`. Throws Error, also for
  /// a model whose tokens are not those of `loaded`.
  void apply(const LoadedModel& loaded, SchedulerOptions& options) const;
};

}  // namespace yiti::cli
