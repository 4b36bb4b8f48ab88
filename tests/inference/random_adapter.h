// A model under an adapter of random numbers.
#pragma once

#include "core/random.h"
#include "models/lora.h"

namespace yiti {

inline ModelPtr random_adapter(const ModelPtr& base, const LoraConfig& options) {
  ModelPtr model = with_lora(*base, options);
  std::vector<std::pair<Parameter, Tensor>> changes;
  for (const std::string& name : lora_parameters(*model->store())) {
    const Parameter p = model->store()->at(name);
    const Tensor value =
        Tensor::empty((*model->store()->current())[p].shape(), DType::kF32, model->device());
    fill_uniform(value, -0.3F, 0.3F, {.seed = options.seed, .stream = uint64_t(p.index)});
    changes.emplace_back(p, value);
  }
  model->store()->publish(changes);
  return model;
}

}  // namespace yiti
