#include "cli/model_options.h"

#include "core/error.h"
#include "models/peft.h"
#include "ops/attention/kv_types.h"

namespace yiti::cli {

void ModelOptions::add(CLI::App& command) {
  command.add_option("MODEL,--model", path, "A GGUF file, or a Hugging Face folder")
      ->required()
      ->check(CLI::ExistingPath);
  command.add_option("--adapter", adapter, "A LoRA adapter as peft stores it (a folder)")
      ->check(CLI::ExistingDirectory);
  command.add_option("-t,--threads", threads, "Threads; 0: one per processor")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--kv", kv, "Type of cached keys and values: f32, f16, bf16 or i8")
      ->check(CLI::IsMember({"f32", "f16", "bf16", "i8"}));
  command
      .add_option("--rope-scaling", rope.type,
                  "How --rope-scale stretches positions: linear or yarn")
      ->check(CLI::IsMember({"linear", "yarn"}))
      ->capture_default_str();
  command.add_option("--rope-scale", rope.factor,
                     "For contexts this many times as long as the model's; 1: as its files say");
  command.add_flag(
      "--exact-activations", exact,
      "Multiply quantised and bf16 weights by float32 activations: slower, more exact");
  device.add(command);
}

LoadOptions ModelOptions::load_options() const {
  LoadOptions options;
  options.exact_activations = exact;
  if (!kv.empty()) options.kv = kv_type(kv, "--kv");
  if (rope.factor != 1) options.rope = rope;
  return options;
}

LoadedModel ModelOptions::load(bool dequantise) const {
  LoadOptions options = load_options();
  options.dequantise = dequantise;
  LoadedModel loaded = load_model(path, device.open(threads), options).value();
  if (!adapter.empty()) loaded.model = load_peft(*loaded.model, adapter);
  return loaded;
}

void ContextOptions::add(CLI::App& command) {
  command.add_option("-c,--context", context, "Tokens that a conversation may have")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

LanguageSessionOptions ContextOptions::session() const {
  return {.max_tokens = context * sequences, .max_sequences = sequences, .context_length = context};
}

void SamplingOptions::add(CLI::App& command) {
  command.add_option("--temperature", temperature, "0: the most likely token");
  command.add_option("--top-k", top_k, "Choose among this many tokens; 0: all");
  command.add_option("--top-p", top_p, "Choose among the most likely tokens of this total");
  command.add_option("--min-p", min_p, "Leave out tokens below this part of the best one");
  command.add_option("--repetition-penalty", repetition_penalty, "Above 1: repeat less");
  command.add_option("--seed", seed, "The same seed gives the same text")->capture_default_str();
  command.add_option("-n,--max-tokens", max_tokens, "Tokens of an answer, at most")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

Sampling SamplingOptions::over(Sampling defaults) const {
  defaults.temperature = temperature.value_or(defaults.temperature);
  defaults.top_k = top_k.value_or(defaults.top_k);
  defaults.top_p = top_p.value_or(defaults.top_p);
  defaults.min_p = min_p.value_or(defaults.min_p);
  defaults.repetition_penalty = repetition_penalty.value_or(defaults.repetition_penalty);
  defaults.seed = seed;
  return defaults;
}

const TextModel& text_of(const LoadedModel& loaded) {
  if (!loaded.text) {
    fail(Code::kFailedPrecondition, "model", "it has no usable tokenizer: {}", loaded.text_error);
  }
  return *loaded.text;
}

}  // namespace yiti::cli
