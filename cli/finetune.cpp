// yiti finetune: from a model and JSONL to an adapter.
#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/terminal.h"
#include "cli/training_options.h"

namespace yiti::cli {
namespace {

struct FinetuneOptions {
  ModelOptions model;
  TrainingOptions training;
};

std::string loss_change(const FineTuneResult& result) {
  if (result.eval_before && result.eval_after) {
    return fmt::format("Held-out loss {:.4f} -> {:.4f}", *result.eval_before, *result.eval_after);
  }
  return fmt::format("Training loss {:.4f} -> {:.4f}", result.first_loss, result.last_loss);
}

int finetune(FinetuneOptions& options) {
  options.training.finish();
  FineTuneOptions& run = options.training.run;
  LoadedModel loaded = options.model.load(options.training.full);
  const TextModel& text = text_of(loaded);
  if (options.training.full) {
    note("Full fine-tuning: the weights were dequantised to float32.");
  } else if (options.model.adapter.empty()) {
    loaded.model = with_lora(*loaded.model, options.training.lora);
  }
  run.base_name = options.model.path;
  ProgressBar bar([](std::string_view piece) { fmt::print(stderr, "{}", piece); },
                  {.terminal = err_is_terminal(), .columns = terminal_columns()});
  Result<FineTuneResult> done =
      fine_tune(loaded.model, text, run, terminal_events(text, bar), &interrupt_flag());
  bar.finish();
  const FineTuneResult& result = done.value();
  note(fmt::format("{} steps, {} tokens in {:.0f} s ({:.0f} tokens/s){}", result.steps,
                   result.tokens, result.seconds,
                   static_cast<double>(result.tokens) / result.seconds,
                   result.stopped ? ", stopped before the end" : ""));
  note(loss_change(result));
  if (!result.curve.empty()) note("Loss curve: " + result.curve.string());
  if (!result.adapter.empty()) {
    print(result.adapter.string() + "\n");
    if (!options.training.full) {
      note(fmt::format("Try it: yiti run {} --adapter {}", options.model.path,
                       result.adapter.string()));
    }
  }
  return 0;
}

}  // namespace

void add_finetune(CLI::App& app, Action& action) {
  auto options = std::make_shared<FinetuneOptions>();
  CLI::App* command = app.add_subcommand("finetune", "Train an adapter (or all weights) on JSONL");
  options->model.add(*command);
  FineTuneOptions& run = options->training.run;
  run.output = "finetuned";
  command
      ->add_option("DATA", run.train_data,
                   "JSONL with messages, prompt and completion, or text in each line")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_option("--eval", run.eval_data, "JSONL to evaluate on")->check(CLI::ExistingFile);
  command->add_option("--eval-fraction", run.eval_fraction, "Or this part of DATA")
      ->capture_default_str();
  command->add_option("-o,--output", run.output, "Folder for adapter, log, curve, checkpoints")
      ->capture_default_str();
  command->add_option("--checkpoint-every", run.checkpoint_every, "Steps; 0: no checkpoints")
      ->capture_default_str();
  command->add_flag("--resume", run.resume,
                    "Go on from the latest checkpoint in the output folder");
  command->add_flag("--ignore-memory", run.allow_memory_shortage,
                    "Start even when the plan does not fit");
  command->add_flag("--full", options->training.full,
                    "Train all weights, dequantised, instead of an adapter");
  options->training.add(*command);
  command->callback([&action, options] { action = [options] { return finetune(*options); }; });
}

}  // namespace yiti::cli
