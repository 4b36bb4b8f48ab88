// Adapters as Hugging Face's peft stores them: adapter_config.json and adapter_model.safetensors.
#pragma once

#include <string>

#include "models/lora.h"

namespace yiti {

/// `base` with the LoRA adapter of a peft folder. Throws kNotFound, kInvalidArgument for a file
/// that does not fit the model, kUnimplemented for a peft feature that yiti does not have, by name.
ModelPtr load_peft(const LanguageModel& base, const std::string& folder);

/// Writes `version`'s adapter as a peft folder (made if missing) that peft loads on the same model.
/// `base_name` is what its base_model_name_or_path says.
void save_peft(const LanguageModel& model, const ParameterVersion& version,
               const std::string& folder, const std::string& base_name);

}  // namespace yiti
