#include "cli/training_options.h"

#include "cli/terminal.h"
#include "training/report/example_view.h"

namespace yiti::cli {

TrainingOptions::TrainingOptions() {
  run.schedule = {.lr = 1e-3, .warmup_ratio = 0.05};
  run.eval_fraction = 0.1;
  run.epochs = 3;
}

void TrainingOptions::add(CLI::App& command, const std::string& seed) {
  command.add_option("--lr", run.schedule.lr, "Learning rate at its peak")->capture_default_str();
  command.add_option("--schedule", schedule, "constant, linear or cosine")->capture_default_str();
  command
      .add_option("--warmup-ratio", run.schedule.warmup_ratio, "Part of the steps that warms up")
      ->capture_default_str();
  command.add_option("--epochs", run.epochs, "Times through the data")->capture_default_str();
  command.add_option("--max-steps", run.max_steps, "Steps; 0: as many as the epochs have")
      ->capture_default_str();
  command.add_option("--batch-tokens", run.batch_tokens, "Tokens in a micro-batch")
      ->capture_default_str();
  command.add_option("--accumulate", run.accumulate, "Micro-batches in a step")
      ->capture_default_str();
  command.add_option("--optimizer", run.trainer.optimizer.name, "adamw or sgd")
      ->capture_default_str();
  command.add_option("--weight-decay", run.trainer.optimizer.weight_decay)->capture_default_str();
  command.add_option("--max-grad-norm", run.trainer.max_grad_norm, "0: no clipping")
      ->capture_default_str();
  command.add_flag("--recompute", run.trainer.recompute_layers,
                   "Keep less for the backward pass and compute it again");
  command.add_flag("--train-on-prompt", run.examples.train_on_prompt,
                   "The loss also counts what the assistant does not say");
  command.add_option(seed, run.seed, "Of the data's order and of a new adapter")
      ->capture_default_str();
  command.add_option("--eval-every", run.eval_every, "Steps; 0: before and after only")
      ->capture_default_str();
  command.add_option("--rank", lora.rank, "Of the adapter")->capture_default_str();
  command.add_option("--alpha", lora.alpha, "Scale of the adapter, divided by its rank")
      ->capture_default_str();
  command.add_flag("--rslora", lora.rslora, "Divide alpha by the rank's square root instead");
  command
      .add_option("--targets", lora.targets,
                  "Layers to adapt, such as q_proj or *.mlp.*; left out: all linear layers")
      ->delimiter(',');
}

void TrainingOptions::finish() {
  run.schedule.kind = parse_schedule(schedule);
  lora.seed = run.seed;
}

FineTuneEvents terminal_events(const TextModel& text, ProgressBar& bar) {
  FineTuneEvents events;
  events.note = [&bar](std::string_view line) { bar.message(line); };
  events.plan = [&bar](const MemoryPlanReport& plan) { bar.message("Memory:\n" + plan.text); };
  events.first_example = [&](const Example& example) {
    bar.message("The first example, and what the loss counts:\n" +
                view_example(example, text.tokenizer, {.colour = err_is_terminal()}));
  };
  events.step = [&bar](const Progress& progress) { bar.update(progress); };
  return events;
}

}  // namespace yiti::cli
