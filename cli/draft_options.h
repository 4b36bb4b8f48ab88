// The options of guessing tokens ahead, shared by the commands that generate.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/model_options.h"
#include "inference/scheduler.h"
#include "models/loader.h"

namespace yiti::cli {

struct DraftOptions {
  std::string source;  ///< "prompt", or a model's path; empty: no guesses
  int64_t rows = SchedulerOptions().draft_rows;

  /// Adds --speculate and --draft-rows.
  void add(CLI::App& command);
  /// Completes `options`, whose session is set, for a scheduler of `loaded`, which was loaded as
  /// `model` says; so is a draft model. Throws Error, also for one whose tokens are not those of
  /// `loaded`.
  void apply(const ModelOptions& model, const LoadedModel& loaded, SchedulerOptions& options) const;
};

}  // namespace yiti::cli
