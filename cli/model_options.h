// The options that name a model and how it runs, shared by the commands.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/device_options.h"
#include "inference/language_session.h"
#include "models/loader.h"

namespace yiti::cli {

struct ModelOptions {
  std::string path;
  std::string adapter;  ///< a peft folder; empty: none
  int threads = 0;
  std::string kv;  ///< "f32", "f16", "bf16", "i8"; empty: the default
  bool exact = false;
  RopeFactor rope;
  DeviceChoice device;

  /// Adds MODEL, --adapter, --threads, --kv, --exact-activations, --rope-scaling, --rope-scale and
  /// those of the device.
  void add(CLI::App& command);
  /// How its numbers are kept; a draft model runs alike.
  LoadOptions load_options() const;
  /// Loads it, with its adapter. Throws Error.
  LoadedModel load(bool dequantise = false) const;
};

/// Options of what a session may hold.
struct ContextOptions {
  int64_t context = 4096;
  int64_t sequences = 1;
  void add(CLI::App& command);
  LanguageSessionOptions session() const;
};

/// Sampling by option, over the model's own defaults.
struct SamplingOptions {
  std::optional<double> temperature, top_p, min_p, repetition_penalty;
  std::optional<int64_t> top_k;
  uint64_t seed = 0;
  int64_t max_tokens = 512;
  void add(CLI::App& command);
  Sampling over(Sampling defaults) const;
};

/// The model's tokenizer and template. Throws kFailedPrecondition saying why there is none.
const TextModel& text_of(const LoadedModel& loaded);

}  // namespace yiti::cli
