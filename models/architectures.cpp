#include <fmt/ranges.h>

#include "core/error.h"
#include "models/language_model.h"
#include "models/llama.h"

namespace yiti {
namespace {

struct Architecture {
  std::string_view name;
  ModelPtr (*make)(const ModelConfig&, StorePtr, const NumericProfile&);
};

template <class Model>
ModelPtr make(const ModelConfig& config, StorePtr store, const NumericProfile& profile) {
  return std::make_shared<Model>(config, std::move(store), profile);
}

// One line an architecture.
constexpr Architecture kArchitectures[] = {
    {"llama", &make<Llama>},
    {"mistral", &make<Llama>},
    {"qwen2", &make<Llama>},
    {"qwen3", &make<Llama>},
};

}  // namespace

ModelPtr make_model(const ModelConfig& config, StorePtr store, const NumericProfile& profile) {
  std::vector<std::string_view> known;
  for (const Architecture& architecture : kArchitectures) {
    if (architecture.name == config.architecture) {
      return architecture.make(config, std::move(store), profile);
    }
    known.push_back(architecture.name);
  }
  fail(Code::kUnimplemented, "model", "architecture \"{}\"; yiti has {}", config.architecture,
       fmt::join(known, ", "));
}

}  // namespace yiti
