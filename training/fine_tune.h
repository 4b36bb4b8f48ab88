// Fine-tuning from files to an adapter: data, checks, steps, evaluation, checkpoints, reports.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "models/text/text_model.h"
#include "training/checkpoint.h"
#include "training/data/examples.h"
#include "training/language_trainer.h"
#include "training/memory_plan.h"
#include "training/report/progress.h"
#include "training/schedule.h"

namespace yiti {

struct FineTuneOptions {
  std::filesystem::path train_data;  ///< JSONL, see training/data/jsonl.h
  std::filesystem::path eval_data;   ///< its own file, or else
  double eval_fraction = 0;          ///< this part of the training data
  ExampleOptions examples;
  int64_t batch_tokens = 1024;  ///< in a micro-batch
  int64_t accumulate = 1;       ///< micro-batches in a step
  /// Examples in a step, cut into micro-batches of at most batch_tokens; 0: as many as fill
  /// `accumulate` micro-batches.
  int64_t batch_examples = 0;
  double epochs = 1;
  int64_t max_steps = 0;     ///< 0: as many as the epochs have
  ScheduleOptions schedule;  ///< total_steps is worked out
  LanguageTrainerOptions trainer;
  uint64_t seed = 0;
  int64_t eval_every = 0;        ///< steps; 0: at the beginning and the end only
  int64_t publish_every = 0;     ///< steps; 0: at the end only
  int64_t checkpoint_every = 0;  ///< steps; 0: none
  bool token_accuracy = false;   ///< count right tokens; costs the head's product once more
  bool keep_adapters = false;    ///< at each checkpoint, in `output`/adapters/step-N
  std::filesystem::path output;  ///< folder for adapter, log, curve, checkpoints; empty: none
  std::string base_name;         ///< what the adapter says it belongs to
  bool resume = false;           ///< from the latest checkpoint in `output`
  bool allow_memory_shortage = false;
};

/// An adapter that was kept on the way.
struct KeptAdapter {
  int64_t step = 0;
  std::filesystem::path folder;
};

/// What a run tells while it goes; all may be empty. Called from the run's thread.
struct FineTuneEvents {
  std::function<void(std::string_view)> note;  ///< something that a person should know
  std::function<void(const MemoryPlanReport&)> plan;
  std::function<void(const Example&)> first_example;
  std::function<void(const Progress&)> step;  ///< after each step
  std::function<void(const VersionPtr&)> published;
  /// After its step was told, and before the checkpoint from which a run goes on behind it: where
  /// the process dies in between, the step is done and told again.
  std::function<void(const KeptAdapter&)> kept;
};

struct FineTuneResult {
  int64_t steps = 0;
  int64_t tokens = 0;
  double seconds = 0;
  double first_loss = 0, last_loss = 0;  ///< of training steps
  std::optional<double> eval_before, eval_after;
  std::optional<double> eval_accuracy;  ///< after
  VersionPtr version;                   ///< the last one published
  std::filesystem::path adapter;  ///< a peft folder, or a model.safetensors; empty: none written
  std::filesystem::path curve;    ///< SVG
  bool stopped = false;           ///< before its end, on request
};

/// Trains `model` (its adapter where it has one, else everything). Everything is checked before
/// the first step. `stop` ends the run after the step under way, with what was learnt kept but not
/// evaluated. Safe beside sessions of the same model in other threads.
Result<FineTuneResult> fine_tune(const ModelPtr& model, const TextModel& text,
                                 const FineTuneOptions& options, const FineTuneEvents& events = {},
                                 const std::atomic<bool>* stop = nullptr);

}  // namespace yiti
