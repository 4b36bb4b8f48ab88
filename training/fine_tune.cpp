#include "training/fine_tune.h"

#include <chrono>
#include <cmath>

#include "core/error.h"
#include "core/io/files.h"
#include "core/io/hash.h"
#include "core/io/safetensors.h"
#include "models/lora.h"
#include "models/peft.h"
#include "training/data/jsonl.h"
#include "training/report/loss_curve.h"
#include "training/report/metrics_log.h"

namespace yiti {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// A fine-tuning run, phase by phase.
class Run {
 public:
  Run(const ModelPtr& model, const TextModel& text, const FineTuneOptions& options,
      const FineTuneEvents& events, const std::atomic<bool>* stop)
      : model_(model), text_(text), options_(options), events_(events), stop_(stop) {}

  FineTuneResult run() {
    load_data();
    prepare();
    if (!eval_.empty()) {
      result_.eval_before = evaluate();
      log({.step = trainer_->steps(), .eval_loss = result_.eval_before});
    }
    begin_ = Clock::now();
    while (trainer_->steps() < total_steps_ && !stopped()) step();
    result_.stopped = trainer_->steps() < total_steps_;
    finish();
    return std::move(result_);
  }

 private:
  void load_data() {
    std::vector<DataRow> rows = read_jsonl(options_.train_data);
    std::vector<DataRow> eval_rows;
    if (!options_.eval_data.empty()) {
      eval_rows = read_jsonl(options_.eval_data);
    } else if (options_.eval_fraction > 0) {
      Split split = split_rows(std::move(rows), options_.eval_fraction, options_.seed);
      rows = std::move(split.train);
      eval_rows = std::move(split.eval);
    }
    ExampleOptions wanted = options_.examples;
    wanted.context_tokens = model_->config().context_length;
    if (wanted.max_tokens == 0) {
      wanted.max_tokens = std::min(wanted.context_tokens, options_.batch_tokens);
    }
    ExampleSet set = make_examples(rows, text_, wanted);
    for (const std::string& text : set.notes) note(text);
    if (events_.first_example) events_.first_example(set.examples.front());
    data_hash_ = hash_examples(set.examples);
    const PackingOptions packing = plan_steps(set.examples);
    data_ = std::make_shared<PackedData>(std::move(set.examples), packing);
    if (eval_rows.empty()) return;
    ExampleSet eval_set = make_examples(eval_rows, text_, wanted);
    const PackedData packed(std::move(eval_set.examples),
                            {.batch_tokens = options_.batch_tokens, .shuffle = false});
    const EpochPlan plan = packed.plan(0);
    for (size_t i = 0; i < plan.size(); ++i) {
      eval_.push_back(packed.batch(plan, static_cast<int64_t>(i)));
    }
  }

  // How examples become micro-batches, and how many of those a step has.
  PackingOptions plan_steps(const std::vector<Example>& examples) {
    accumulate_ = options_.accumulate;
    check(accumulate_ > 0, "finetune", "accumulate is {}; wants at least 1", accumulate_);
    PackingOptions packing{.batch_tokens = options_.batch_tokens, .seed = options_.seed};
    if (options_.batch_examples == 0) return packing;
    check(options_.batch_examples > 0, "finetune", "batch_examples is {}; wants 0 or more",
          options_.batch_examples);
    size_t longest = 0;
    for (const Example& example : examples) longest = std::max(longest, example.tokens.size());
    int64_t together = std::max<int64_t>(1, options_.batch_tokens / static_cast<int64_t>(longest));
    // Parts of one size, so that each step has exactly the examples that were asked for.
    together = std::min(together, options_.batch_examples);
    while (options_.batch_examples % together != 0) --together;
    accumulate_ = options_.batch_examples / together;
    packing.max_documents = together;
    packing.window = std::max<int64_t>(1, packing.window / together) * together;
    return packing;
  }

  static std::string hash_examples(const std::vector<Example>& examples) {
    std::vector<int32_t> all;
    for (const Example& example : examples) {
      all.insert(all.end(), example.tokens.begin(), example.tokens.end());
      all.insert(all.end(), example.trained.begin(), example.trained.end());
    }
    return hash_bytes(std::as_bytes(std::span(all)));
  }

  void prepare() {
    trainer_ = std::make_unique<LanguageTrainer>(model_, options_.trainer);
    const MemoryPlanReport plan = plan_training_memory(*trainer_, options_.batch_tokens);
    if (events_.plan) events_.plan(plan);
    if (!plan.fits && !options_.allow_memory_shortage) {
      fail(Code::kResourceExhausted, "finetune", "not enough memory:\n{}", plan.text);
    }
    check(options_.epochs > 0, "finetune", "epochs is {}; wants more than 0", options_.epochs);
    const auto batches = static_cast<double>(data_->plan(0).size());
    total_steps_ = options_.max_steps > 0
                       ? options_.max_steps
                       : static_cast<int64_t>(std::ceil(batches * options_.epochs /
                                                        static_cast<double>(accumulate_)));
    ScheduleOptions schedule = options_.schedule;
    schedule.total_steps = total_steps_;
    schedule_.emplace(schedule);
    if (!options_.output.empty()) fs::create_directories(options_.output);
    bool resumed = false;
    if (options_.resume) resumed = resume();
    if (!options_.output.empty()) log_.emplace(options_.output / "log.jsonl", resumed);
    first_step_ = trainer_->steps();
    stream_ = std::make_unique<BatchStream>(data_, state_.position);
    state_.data_hash = data_hash_;
  }

  bool resume() {
    const fs::path folder = latest_checkpoint(options_.output);
    if (folder.empty()) {
      note(fmt::format("no checkpoint in {}; starting at the beginning", options_.output.string()));
      return false;
    }
    Resumed resumed = load_checkpoint(folder, *trainer_);
    check(resumed.state.data_hash == data_hash_, "finetune",
          "{} was made with other training data; the run cannot go on with the same bits",
          folder.string());
    for (const std::string& warning : resumed.warnings) note(warning);
    state_ = resumed.state;
    note(fmt::format("going on from {} at step {}", folder.string(), trainer_->steps()));
    return true;
  }

  void step() {
    std::vector<Batch> micro;
    for (int64_t i = 0; i < accumulate_; ++i) micro.push_back(stream_->next());
    const double lr = schedule_->at(trainer_->steps());
    accuracy_ = eval_accuracy_ = TokenAccuracy();
    const StepResult done =
        trainer_->step(micro, lr, options_.token_accuracy ? &accuracy_ : nullptr);
    state_.tokens_seen += done.tokens;
    run_tokens_ += done.tokens;
    state_.position = stream_->position();
    if (trainer_->steps() == first_step_ + 1) result_.first_loss = done.loss;
    result_.last_loss = done.loss;

    Metrics metrics{.step = trainer_->steps()};
    metrics.epoch =
        static_cast<double>(state_.position.epoch) +
        static_cast<double>(state_.position.index) / static_cast<double>(stream_->epoch_batches());
    metrics.loss = done.loss;
    metrics.learning_rate = lr;
    metrics.grad_norm = done.grad_norm;
    metrics.tokens = state_.tokens_seen;
    metrics.tokens_per_second = static_cast<double>(run_tokens_) / elapsed();
    if (due(options_.eval_every) && !eval_.empty()) last_eval_ = metrics.eval_loss = evaluate();
    if (due(options_.publish_every)) metrics.version = publish();
    log(metrics);
    tell_step(*metrics.tokens_per_second, metrics.eval_loss);
    if (due(options_.checkpoint_every) && !options_.output.empty()) {
      if (options_.keep_adapters) keep_adapter();
      save();
    }
  }

  void tell_step(double tokens_per_second, std::optional<double> eval_loss) const {
    if (!events_.step) return;
    Progress progress{
        .step = trainer_->steps(), .total_steps = total_steps_, .loss = result_.last_loss};
    progress.tokens = state_.tokens_seen;
    progress.tokens_per_second = tokens_per_second;
    progress.elapsed_s = elapsed();
    progress.first_step = first_step_;
    progress.eval_loss = last_eval_;
    progress.evaluated = eval_loss.has_value();
    progress.accuracy = accuracy_.mean();
    progress.eval_accuracy = eval_accuracy_.mean();
    if (result_.version) progress.version = result_.version->number();
    events_.step(progress);
  }

  bool due(int64_t every) const {
    return every > 0 && trainer_->steps() % every == 0 && trainer_->steps() < total_steps_;
  }

  uint64_t publish() {
    result_.version = trainer_->publish();
    if (events_.published) events_.published(result_.version);
    return result_.version->number();
  }

  // Written under another name first, so that the folder is whole or not there.
  void keep_adapter() {
    publish();
    const fs::path folder =
        options_.output / "adapters" / fmt::format("step-{}", trainer_->steps());
    const fs::path partial = folder.string() + ".partial";
    fs::remove_all(partial);
    save_peft(*model_, *result_.version, partial.string(), options_.base_name);
    fs::remove_all(folder);
    fs::rename(partial, folder);
    if (events_.kept) events_.kept({trainer_->steps(), folder});
  }

  void save() {
    save_checkpoint(options_.output / fmt::format("checkpoint-{}", trainer_->steps()), *trainer_,
                    state_);
  }

  double evaluate() {
    eval_accuracy_ = TokenAccuracy();
    const double loss =
        trainer_->evaluate(eval_, options_.token_accuracy ? &eval_accuracy_ : nullptr);
    if (state_.best_eval_loss == 0 || loss < state_.best_eval_loss) state_.best_eval_loss = loss;
    return loss;
  }

  void finish() {
    publish();
    Metrics metrics{.step = trainer_->steps()};
    metrics.version = result_.version->number();
    if (!eval_.empty() && !result_.stopped) metrics.eval_loss = result_.eval_after = evaluate();
    log(metrics);
    if (result_.eval_after) result_.eval_accuracy = eval_accuracy_.mean();
    result_.steps = trainer_->steps() - first_step_;
    result_.tokens = run_tokens_;
    result_.seconds = elapsed();
    if (options_.output.empty()) return;
    if (options_.checkpoint_every > 0) save();
    write_result();
    result_.curve = options_.output / "loss.svg";
    write_file_atomically(result_.curve.string(), loss_curve_svg(curve_));
  }

  void write_result() {
    if (!lora_parameters(*model_->store()).empty()) {
      result_.adapter = options_.output / "adapter";
      save_peft(*model_, *result_.version, result_.adapter.string(), options_.base_name);
      return;
    }
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (const std::string& name : trainer_->names()) {
      tensors.emplace_back(name, (*result_.version)[model_->store()->at(name)]);
    }
    result_.adapter = options_.output / "model.safetensors";
    write_safetensors(result_.adapter.string(), tensors, {{"format", "pt"}});
  }

  void log(const Metrics& metrics) {
    const auto step = static_cast<double>(metrics.step);
    if (metrics.loss) curve_.train.push_back({step, *metrics.loss});
    if (metrics.eval_loss) curve_.eval.push_back({step, *metrics.eval_loss});
    if (log_) log_->write(metrics);
  }

  void note(std::string_view text) const {
    if (events_.note) events_.note(text);
  }
  bool stopped() const { return stop_ != nullptr && stop_->load(); }
  double elapsed() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }

  const ModelPtr& model_;
  const TextModel& text_;
  const FineTuneOptions& options_;
  const FineTuneEvents& events_;
  const std::atomic<bool>* stop_;
  std::shared_ptr<const PackedData> data_;
  std::string data_hash_;
  std::vector<Batch> eval_;
  std::unique_ptr<LanguageTrainer> trainer_;
  std::optional<Schedule> schedule_;
  std::unique_ptr<BatchStream> stream_;
  std::optional<MetricsLog> log_;
  LossCurve curve_;
  std::optional<double> last_eval_;
  TokenAccuracy accuracy_, eval_accuracy_;  // of the last step, of the evaluation after it
  RunState state_;
  FineTuneResult result_;
  int64_t accumulate_ = 1, total_steps_ = 0, first_step_ = 0, run_tokens_ = 0;
  Clock::time_point begin_;
};

}  // namespace

Result<FineTuneResult> fine_tune(const ModelPtr& model, const TextModel& text,
                                 const FineTuneOptions& options, const FineTuneEvents& events,
                                 const std::atomic<bool>* stop) {
  return capture_errors("finetune", [&] { return Run(model, text, options, events, stop).run(); });
}

}  // namespace yiti
