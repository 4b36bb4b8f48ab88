// The options of a fine-tuning run, shared by `finetune` and `demo`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "models/lora.h"
#include "training/fine_tune.h"

namespace yiti::cli {

struct TrainingOptions {
  FineTuneOptions run;
  LoraConfig lora;
  bool full = false;
  std::string schedule = "cosine";

  TrainingOptions();
  /// Adds everything but the data and the output. `seed` names the option of the run's seed.
  void add(CLI::App& command, const std::string& seed = "--seed");
  /// Takes over what was given as text. Throws Error.
  void finish();
};

/// Shows a run on the terminal: notes, plan, first example, progress bar.
FineTuneEvents terminal_events(const TextModel& text, ProgressBar& bar);

}  // namespace yiti::cli
