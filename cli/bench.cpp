// yiti bench: how fast a model runs and trains here.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/draft_options.h"
#include "cli/model_options.h"
#include "cli/terminal.h"
#include "core/io/files.h"
#include "models/lora.h"
#include "training/language_trainer.h"

namespace yiti::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchOptions {
  ModelOptions model;
  DraftOptions drafts;
  std::string question;
  int64_t prefill = 512;
  int64_t decode = 128;
  int64_t depth = 0;
  int64_t batch = 1;
  int repeats = 3;
  bool json = false;
  bool lora = false, full = false, recompute = false;
  int64_t rows = 4, row_tokens = 256;
};

template <class F>
double seconds(F&& f) {
  const Clock::time_point begin = Clock::now();
  f();
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// The median of what `repeats` runs took, after one that warms up; f gives its own seconds.
template <class F>
double median_of(int repeats, F&& f) {
  f();
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) times.push_back(f());
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// Tokens that no kernel can take a short cut for.
std::vector<int32_t> some_tokens(int64_t count, int64_t vocab) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) {
    tokens.push_back(static_cast<int32_t>((i * 7919 + 13) % vocab));
  }
  return tokens;
}

Batch some_batch(const BenchOptions& options, int64_t vocab) {
  Batch batch;
  for (int64_t row = 0; row < options.rows; ++row) {
    for (int64_t i = 0; i < options.row_tokens; ++i) {
      const auto token = static_cast<int32_t>((row * 104729 + i * 7919) % vocab);
      batch.tokens.push_back(token);
      batch.positions.push_back(static_cast<int32_t>(i));
      const bool last = i + 1 == options.row_tokens;
      batch.labels.push_back(last ? kIgnoredLabel
                                  : static_cast<int32_t>((row * 104729 + (i + 1) * 7919) % vocab));
      batch.trained_tokens += last ? 0 : 1;
    }
  }
  batch.documents = options.rows;
  return batch;
}

void bench_prefill(const BenchOptions& options, LanguageSession& session,
                   nlohmann::ordered_json& out) {
  const std::vector<int32_t> prompt = some_tokens(options.prefill, session.vocab_size());
  const double taken = median_of(options.repeats, [&] {
    const SequenceId sequence = session.open();
    const double one = seconds([&] { session.prefill(sequence, prompt); });
    session.close(sequence);
    return one;
  });
  out[fmt::format("prefill_{}", options.prefill)] = static_cast<double>(options.prefill) / taken;
}

void bench_decode(const BenchOptions& options, LanguageSession& session,
                  nlohmann::ordered_json& out) {
  const std::vector<int32_t> past = some_tokens(options.depth, session.vocab_size());
  const std::vector<int32_t> next = some_tokens(1, session.vocab_size());
  const double taken = median_of(options.repeats, [&] {
    std::vector<Feed> feeds;
    for (int64_t i = 0; i < options.batch; ++i) {
      feeds.push_back({.sequence = session.open(), .tokens = next});
      if (!past.empty()) session.prefill(feeds.back().sequence, past);
    }
    const double one = seconds([&] {
      for (int64_t i = 0; i < options.decode; ++i) session.step(feeds);
    });
    for (const Feed& feed : feeds) session.close(feed.sequence);
    return one;
  });
  std::string name = fmt::format("decode_{}", options.decode);
  if (options.batch > 1) name += fmt::format("_batch_{}", options.batch);
  if (options.depth > 0) name += fmt::format("_depth_{}", options.depth);
  out[name] = static_cast<double>(options.decode * options.batch) / taken;
}

void bench_inference(const BenchOptions& options, const ModelPtr& model,
                     nlohmann::ordered_json& out) {
  const int64_t generated =
      options.decode > 0 ? options.batch * (options.depth + options.decode + 64) : 0;
  LanguageSession session(model, {.max_tokens = std::max(options.prefill, generated) + 64,
                                  .max_sequences = options.batch,
                                  .max_batch_tokens = 512});
  if (options.prefill > 0) bench_prefill(options, session, out);
  if (options.decode > 0) bench_decode(options, session, out);
}

// What a scheduler's only request gets, with its guesses.
void bench_answer(const BenchOptions& options, const LoadedModel& loaded,
                  nlohmann::ordered_json& out) {
  constexpr size_t kMostBytes = 1 << 20;
  const TextModel& text = text_of(loaded);
  const std::string question = read_file(options.question, kMostBytes);
  GenerateRequest request;
  request.max_tokens = options.decode;
  request.stop_tokens = text.stop_tokens;
  request.prompt = text.chat ? text.chat_prompt({{{"role", "user"}, {"content", question}}})
                             : text.tokenizer.encode(question);
  const auto prompt_tokens = static_cast<int64_t>(request.prompt.size());
  SchedulerOptions wanted{.session = {.max_tokens = prompt_tokens + options.decode + 64}};
  options.drafts.apply(options.model, loaded, wanted);
  BatchScheduler scheduler(loaded.model, wanted);
  Generation last;
  const double taken = median_of(options.repeats, [&] {
    last = scheduler.generate(request).value();
    return last.times.decode_s;
  });
  const std::string name = fmt::format("answer_{}", last.tokens.size());
  out[name] = static_cast<double>(last.tokens.size()) / taken;
  out[name + "_guesses"] = last.drafts.tokens;
  out[name + "_right"] = last.drafts.accepted;
}

void bench_training(const BenchOptions& options, const ModelPtr& model, const std::string& kind,
                    nlohmann::ordered_json& out) {
  LanguageTrainer trainer(model, {{}, options.recompute});
  const Batch batch = some_batch(options, model->config().vocab_size);
  const double step = median_of(options.repeats, [&] {
    return seconds([&] { trainer.step({&batch, 1}, 1e-4); });
  });
  out[fmt::format("{}_step_{}x{}", kind, options.rows, options.row_tokens)] =
      static_cast<double>(batch.tokens.size()) / step;
}

// The most memory that this process ever had resident.
int64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

int bench(const BenchOptions& options) {
  nlohmann::ordered_json out;
  const auto load = [&](bool dequantise) {
    LoadedModel loaded = options.model.load(dequantise);
    out["threads"] = loaded.model->device()->threads().size();
    out["isa"] = name(loaded.model->device()->isa());
    return loaded;
  };
  const bool inference = options.prefill > 0 || options.decode > 0;
  if (inference || options.lora) {
    const LoadedModel loaded = load(false);
    const ModelPtr& model = loaded.model;
    if (inference) bench_inference(options, model, out);
    if (!options.question.empty()) bench_answer(options, loaded, out);
    if (options.lora) bench_training(options, with_lora(*model, {}), "lora", out);
  }
  if (options.full) bench_training(options, load(true).model, "full", out);
  if (options.json) {
    out["peak_rss_bytes"] = peak_rss_bytes();
    print(out.dump() + "\n");
    return 0;
  }
  for (const auto& [key, value] : out.items()) {
    print(fmt::format("{:<20} {}\n", key,
                      value.is_number_float() ? fmt::format("{:.1f} tokens/s", value.get<double>())
                                              : value.dump()));
  }
  return 0;
}

}  // namespace

void add_bench(CLI::App& app, Action& action) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command = app.add_subcommand("bench", "Measure a model's speed on this machine");
  options->model.add(*command);
  command->add_option("--prefill", options->prefill, "Tokens of the prompt; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--decode", options->decode, "Tokens to generate; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--depth", options->depth, "Tokens in the cache when generation begins")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--batch", options->batch, "Sequences that generate at once")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--repeats", options->repeats, "Runs, of which the median counts")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--question", options->question, "Also the answer to the text of this file")
      ->check(CLI::ExistingFile);
  options->drafts.add(*command);
  command->add_flag("--lora", options->lora, "Also a LoRA training step");
  command->add_flag("--full", options->full, "Also a full training step, dequantised");
  command->add_flag("--recompute", options->recompute,
                    "Keep only each layer's input for the backward pass");
  command->add_option("--rows", options->rows, "Documents in a training step")
      ->capture_default_str();
  command->add_option("--row-tokens", options->row_tokens, "Tokens of each document")
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([&action, options] { action = [options] { return bench(*options); }; });
}

}  // namespace yiti::cli
