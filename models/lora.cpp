#include "models/lora.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/random.h"

namespace yiti {
namespace {

constexpr std::string_view kWeight = ".weight";
constexpr std::string_view kA = ".lora_A.weight";
constexpr std::string_view kB = ".lora_B.weight";
constexpr std::string_view kScale = ".lora_scale";

std::string_view without(std::string_view text, std::string_view suffix) {
  return text.substr(0, text.size() - suffix.size());
}

std::string_view last_part(std::string_view path) { return path.substr(path.rfind('.') + 1); }

// Whether `pattern`, in which '*' stands for any run of characters, is all of `text`.
bool matches(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p, ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

// Paths of matrices that are linear layers: neither the embedding nor an adapter's own.
std::vector<std::string> linear_paths(const LanguageModel& model) {
  std::vector<std::string> paths;
  const VersionPtr version = model.store()->current();
  for (size_t i = 0; i < model.store()->names().size(); ++i) {
    const std::string& name = model.store()->names()[i];
    const bool matrix = version->tensors()[i].rank() == 2 && name.ends_with(kWeight);
    if (!matrix || name.ends_with(kA) || name.ends_with(kB)) continue;
    const std::string_view path = without(name, kWeight);
    if (last_part(path) != "embed_tokens") paths.emplace_back(path);
  }
  return paths;
}

}  // namespace

double LoraConfig::scale() const {
  const double r = static_cast<double>(rank);
  return alpha / (rslora ? std::sqrt(r) : r);
}

std::vector<std::string> lora_parameters(const ParameterStore& store) {
  std::vector<std::string> names;
  for (const std::string& name : store.names()) {
    if (name.ends_with(kA) || name.ends_with(kB)) names.push_back(name);
  }
  return names;
}

std::vector<std::string> lora_target_paths(const LanguageModel& model,
                                           const std::vector<std::string>& targets) {
  const std::vector<std::string> all = linear_paths(model);
  std::vector<std::string> found;
  if (targets.empty()) {
    std::copy_if(all.begin(), all.end(), std::back_inserter(found),
                 [](const std::string& path) { return path != "lm_head"; });
    return found;
  }
  std::set<std::string> unused(targets.begin(), targets.end());
  for (const std::string& path : all) {
    bool wanted = false;
    for (const std::string& target : targets) {
      if (!matches(target, path) && !matches(target, last_part(path))) continue;
      unused.erase(target);
      wanted = true;
    }
    if (wanted) found.push_back(path);
  }
  if (!unused.empty()) {
    std::set<std::string_view> kinds;
    for (const std::string& path : all) kinds.insert(last_part(path));
    fail(Code::kNotFound, "lora", "target \"{}\" names no linear layer; there are {}",
         *unused.begin(), fmt::join(kinds, ", "));
  }
  return found;
}

ModelPtr with_lora(const LanguageModel& base, const LoraConfig& config) {
  check(config.rank > 0 && config.rank <= 4096, "lora", "rank is {}; wants 1 to 4096", config.rank);
  check(config.alpha > 0, "lora", "alpha is {}; wants more than 0", config.alpha);
  std::vector<LoraLayer> layers;
  uint64_t stream = 0;
  const VersionPtr version = base.store()->current();
  for (const std::string& path : lora_target_paths(base, config.targets)) {
    const Tensor& weight = (*version)[base.store()->at(path + std::string(kWeight))];
    // Kaiming's bound for a leaky slope of sqrt(5), which is 1 / sqrt(in).
    const float bound = 1 / std::sqrt(static_cast<float>(weight.dim(1)));
    const Tensor a = Tensor::empty({config.rank, weight.dim(1)}, DType::kF32, weight.device());
    fill_uniform(a, -bound, bound, {.seed = config.seed, .stream = stream++});
    const Tensor b = Tensor::zeros({weight.dim(0), config.rank}, DType::kF32, weight.device());
    layers.push_back({path, a, b, config.scale()});
  }
  return with_lora_layers(base, layers);
}

ModelPtr with_lora_layers(const LanguageModel& base, const std::vector<LoraLayer>& layers) {
  const std::vector<std::string> linear = linear_paths(base);
  std::vector<ParameterStore::Named> more;
  for (const LoraLayer& layer : layers) {
    if (std::ranges::find(linear, layer.path) == linear.end()) {
      fail(Code::kNotFound, "lora", "{} is no linear layer of this model", layer.path);
    }
    const DevicePtr& device = layer.a.device();
    more.push_back({layer.path + std::string(kA), layer.a});
    more.push_back({layer.path + std::string(kB), layer.b});
    more.push_back(
        {layer.path + std::string(kScale), Tensor::full({1}, layer.scale, DType::kF64, device)});
  }
  return make_model(base.config(), ParameterStore::extend(*base.store(), std::move(more)),
                    base.profile());
}

std::vector<LoraLayer> lora_layers(const ParameterStore& store, const ParameterVersion& version) {
  std::vector<LoraLayer> layers;
  for (const std::string& name : store.names()) {
    if (!name.ends_with(kA)) continue;
    const std::string path(without(name, kA));
    layers.push_back({path, version[store.at(name)], version[store.at(path + std::string(kB))],
                      version[store.at(path + std::string(kScale))].item()});
  }
  if (layers.empty()) fail(Code::kFailedPrecondition, "lora", "the model has no adapter");
  return layers;
}

bool run_the_same_program(const LanguageModel& a, const LanguageModel& b) {
  if (a.store() == b.store()) return true;
  if (a.store()->names() != b.store()->names()) return false;
  const VersionPtr left = a.store()->current(), right = b.store()->current();
  for (size_t i = 0; i < left->tensors().size(); ++i) {
    const Tensor& x = left->tensors()[i];
    const Tensor& y = right->tensors()[i];
    if (x.shape() != y.shape() || x.dtype() != y.dtype() || x.layout() != y.layout()) return false;
    // A scale is part of the program, not one of its parameters.
    if (a.store()->names()[i].ends_with(kScale) && x.item() != y.item()) return false;
  }
  return true;
}

}  // namespace yiti
