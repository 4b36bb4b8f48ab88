#include "cli/job_run.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "models/peft.h"
#include "training/data/jsonl.h"

namespace yiti::cli {

namespace fs = std::filesystem;

JobFiles::JobFiles(const fs::path& folder)
    : train(folder / "train.jsonl"),
      validation(folder / "validation.jsonl"),
      start(folder / "start"),
      run(folder / "run"),
      adapter(run / "adapter") {}

fs::path JobFiles::kept(int64_t step) const {
  return run / "adapters" / fmt::format("step-{}", step);
}

FineTuneOptions run_options(const FineTuneOptions& defaults, const FineTuneJob& job,
                            const JobFiles& files) {
  FineTuneOptions options = defaults;
  options.train_data = files.train;
  options.eval_data = fs::exists(files.validation) ? files.validation : fs::path();
  options.eval_fraction = 0;
  options.max_steps = 0;
  options.publish_every = 0;
  options.eval_every = options.checkpoint_every;
  options.keep_adapters = true;
  options.token_accuracy = true;
  options.seed = static_cast<uint64_t>(job.seed);
  const Hyperparameters& wanted = job.hyperparameters;
  if (wanted.n_epochs) options.epochs = static_cast<double>(*wanted.n_epochs);
  options.batch_examples = wanted.batch_size.value_or(0);
  options.schedule.lr *= wanted.learning_rate_multiplier.value_or(1);
  options.base_name = job.model;
  options.output = files.run;
  options.resume = !latest_checkpoint(files.run).empty();
  return options;
}

ModelPtr model_to_train(const LanguageModel& base, LoraConfig lora, const FineTuneJob& job,
                        const JobFiles& files) {
  if (fs::exists(files.start)) return load_peft(base, files.start.string());
  lora.seed = static_cast<uint64_t>(job.seed);
  return with_lora(base, lora);
}

void check_data(const JobFiles& files, const TextModel& text, const FineTuneOptions& options,
                int64_t context_tokens) {
  ExampleOptions wanted = options.examples;
  wanted.context_tokens = context_tokens;
  wanted.max_tokens = std::min(context_tokens, options.batch_tokens);
  make_examples(read_jsonl(files.train), text, wanted);
  if (fs::exists(files.validation)) make_examples(read_jsonl(files.validation), text, wanted);
}

void remove_checkpoints(const fs::path& run, size_t kept) {
  constexpr std::string_view kPrefix = "checkpoint-";
  std::map<int64_t, fs::path> found;
  if (!fs::exists(run)) return;
  for (const fs::directory_entry& entry : fs::directory_iterator(run)) {
    const std::string name = entry.path().filename().string();
    int64_t step = 0;
    const char* digits = name.data() + std::min(kPrefix.size(), name.size());
    const bool ours = name.starts_with(kPrefix) &&
                      std::from_chars(digits, name.data() + name.size(), step).ec == std::errc();
    if (ours) found[step] = entry.path();
  }
  while (found.size() > kept) {
    fs::remove_all(found.begin()->second);
    found.erase(found.begin());
  }
}

std::string metrics_csv(const std::vector<JobEvent>& events) {
  std::map<int64_t, JobMetrics> rows;
  for (const JobEvent& event : events) {
    if (!event.metrics) continue;
    JobMetrics& row = rows[event.metrics->step];
    const auto take = [](std::optional<double>& into, const std::optional<double>& value) {
      if (value) into = value;
    };
    take(row.train_loss, event.metrics->train_loss);
    take(row.train_accuracy, event.metrics->train_accuracy);
    take(row.valid_loss, event.metrics->valid_loss);
    take(row.valid_accuracy, event.metrics->valid_accuracy);
  }
  const auto cell = [](const std::optional<double>& value) {
    return value ? fmt::format("{}", *value) : std::string();
  };
  std::string csv = "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n";
  for (const auto& [step, row] : rows) {
    csv += fmt::format("{},{},{},{},{}\n", step, cell(row.train_loss), cell(row.train_accuracy),
                       cell(row.valid_loss), cell(row.valid_accuracy));
  }
  return csv;
}

}  // namespace yiti::cli
