// From a file or folder to a model that runs.
#pragma once

#include <optional>
#include <string>

#include "core/error.h"
#include "models/language_model.h"
#include "models/text/text_model.h"

namespace yiti {

/// For contexts `factor` times as long as the model's: see with_rope_scaling.
struct RopeFactor {
  std::string type = "yarn";
  double factor = 1;
};

struct LoadOptions {
  /// Quantised and 16-bit weights become float32, so that all of them can be trained.
  bool dequantise = false;
  /// See NumericProfile.
  bool exact_activations = false;
  /// The KV type; unset: f32 for float32 weights, else f16.
  std::optional<DType> kv = {};
  /// Unset: as the files say.
  std::optional<RopeFactor> rope = {};
};

struct LoadedModel {
  ModelPtr model;
  std::optional<TextModel> text;  ///< nullopt where the files hold no tokenizer
  std::string text_error;         ///< why
  std::string name;               ///< what the file calls itself, else the file's name
};

/// Loads a GGUF file or a Hugging Face folder (config.json, *.safetensors, tokenizer.json). Float
/// weights stay in the mapped file; quantised ones are repacked once for the kernels, and the
/// file's pages let go. GGUF's permutation of q and k rows is undone, and its names become
/// Hugging Face's.
Result<LoadedModel> load_model(const std::string& path, const DevicePtr& device,
                               const LoadOptions& options = {});

}  // namespace yiti
