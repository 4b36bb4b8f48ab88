// Low-rank adapters (Hu et al. 2021): which layers get one, and the model that has them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/language_model.h"

namespace yiti {

struct LoraConfig {
  int64_t rank = 8;
  double alpha = 16;
  /// scale = alpha / sqrt(rank) instead of alpha / rank (Kalajdzievski 2023).
  bool rslora = false;
  /// A linear layer is adapted when the last part of its path, or its whole path, is one of these;
  /// '*' stands for any run of characters. Empty: all linear layers but the output head.
  std::vector<std::string> targets = {};
  uint64_t seed = 0;

  double scale() const;
};

/// Parameters that an adapter trains, of a model with one: names "….lora_A.weight" and
/// "….lora_B.weight", sorted as in the store.
std::vector<std::string> lora_parameters(const ParameterStore& store);

/// The paths of the linear layers of `model` that `targets` names, such as
/// "model.layers.0.self_attn.q_proj". Throws kNotFound for a target that names none, listing what
/// there is.
std::vector<std::string> lora_target_paths(const LanguageModel& model,
                                           const std::vector<std::string>& targets);

/// `base` with a fresh adapter: A uniform as in Kaiming's (as peft initialises it), B zero, so that
/// its outputs are those of `base`. The base's tensors are shared, not copied.
ModelPtr with_lora(const LanguageModel& base, const LoraConfig& config);

/// One adapted layer's tensors: a [rank, in], b [out, rank].
struct LoraLayer {
  std::string path;
  Tensor a, b;
  double scale;
};

/// `base` with these adapters. Throws kNotFound for a path that is no linear layer,
/// kInvalidArgument for shapes that do not fit, kAlreadyExists where it has one.
ModelPtr with_lora_layers(const LanguageModel& base, const std::vector<LoraLayer>& layers);

/// The adapters of `version` of a model. Throws kFailedPrecondition when it has none.
std::vector<LoraLayer> lora_layers(const ParameterStore& store, const ParameterVersion& version);

/// Whether one program runs both models, given either's parameters: the same names, shapes, dtypes
/// and adapter scales, in the same order.
bool run_the_same_program(const LanguageModel& a, const LanguageModel& b);

}  // namespace yiti
