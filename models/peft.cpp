#include "models/peft.h"

#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/io/files.h"
#include "core/io/json.h"
#include "core/io/safetensors.h"
#include "core/shape_text.h"
#include "ops/shape/cast.h"

namespace yiti {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::string_view kWhere = "adapter_config.json";
constexpr std::string_view kPrefix = "base_model.model.";
constexpr size_t kMaxConfigBytes = size_t{1} << 20;

// A flag that may be left out or null.
bool is_true(const Json& json, const char* flag) {
  return json.contains(flag) && !json[flag].is_null() && json[flag].get<bool>();
}

// Features that would change what the adapter computes.
void refuse_features(const Json& json) {
  for (const char* flag : {"use_dora", "fan_in_fan_out", "lora_bias", "use_qalora", "use_bdlora"}) {
    if (is_true(json, flag)) fail(Code::kUnimplemented, kWhere, "{} is not supported", flag);
  }
  for (const char* key : {"modules_to_save", "layer_replication", "trainable_token_indices",
                          "target_parameters", "megatron_config"}) {
    if (json.contains(key) && !json[key].is_null() && !json[key].empty()) {
      fail(Code::kUnimplemented, kWhere, "{} is not supported", key);
    }
  }
  if (json.value("bias", "none") != "none") {
    fail(Code::kUnimplemented, kWhere, "bias \"{}\" is not supported; wants \"none\"",
         json["bias"].get<std::string>());
  }
  check(json.value("peft_type", "") == "LORA", kWhere, "peft_type is \"{}\"; wants \"LORA\"",
        json.value("peft_type", ""));
}

// The value of a pattern table ({"q_proj": 16, …}) for a layer, else the fallback.
double patterned(const Json& json, const char* key, const std::string& path, double fallback) {
  if (!json.contains(key) || !json[key].is_object()) return fallback;
  for (const auto& [pattern, value] : json[key].items()) {
    if (path == pattern || path.ends_with("." + pattern)) return value.get<double>();
  }
  return fallback;
}

Tensor as_float32(const Tensor& tensor) {
  return tensor.dtype() == DType::kF32 ? tensor : ops::cast(tensor, DType::kF32);
}

}  // namespace

ModelPtr load_peft(const LanguageModel& base, const std::string& folder) {
  const std::string config_path = (fs::path(folder) / "adapter_config.json").string();
  const Json json = parse_json(read_file(config_path, kMaxConfigBytes), config_path);
  check(json.is_object(), kWhere, "got {}; wants an object", json.type_name());
  std::vector<LoraLayer> layers;
  try {
    refuse_features(json);
    const auto file = SafetensorsFile::open(
        (fs::path(folder) / "adapter_model.safetensors").string(), base.device());
    std::map<std::string, std::map<std::string, Tensor>> found;
    for (const SafetensorsInfo& info : file->tensors()) {
      const std::string_view name = info.name;
      const size_t split = name.rfind(".lora_");
      const bool ours = name.starts_with(kPrefix) && split != std::string_view::npos &&
                        (name.ends_with(".lora_A.weight") || name.ends_with(".lora_B.weight"));
      check(ours, "adapter_model.safetensors", "{} is no LoRA weight that yiti knows", name);
      const std::string path(name.substr(kPrefix.size(), split - kPrefix.size()));
      found[path][name.ends_with(".lora_A.weight") ? "a" : "b"] = as_float32(file->tensor(name));
    }
    check(!found.empty(), "adapter_model.safetensors", "it holds no LoRA weights");
    for (auto& [path, pair] : found) {
      check(pair.size() == 2, "adapter_model.safetensors", "{} has only one of lora_A and lora_B",
            path);
      check(pair["a"].rank() == 2, "adapter_model.safetensors", "{}.lora_A is {}; wants a matrix",
            path, pair["a"].shape());
      const double rank = static_cast<double>(pair["a"].dim(0));
      const double alpha =
          patterned(json, "alpha_pattern", path, json.at("lora_alpha").get<double>());
      const double scale = alpha / (is_true(json, "use_rslora") ? std::sqrt(rank) : rank);
      layers.push_back({path, pair["a"], pair["b"], scale});
    }
  } catch (const Json::exception& error) {
    fail(Code::kInvalidArgument, kWhere, "{}", error.what());
  }
  return with_lora_layers(base, layers);
}

void save_peft(const LanguageModel& model, const ParameterVersion& version,
               const std::string& folder, const std::string& base_name) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  std::set<std::string> targets;
  Json rank_pattern = Json::object(), alpha_pattern = Json::object();
  const std::vector<LoraLayer> layers = lora_layers(*model.store(), version);
  const int64_t rank = layers.front().a.dim(0);
  const double alpha = layers.front().scale * static_cast<double>(rank);
  for (const LoraLayer& layer : layers) {
    tensors.emplace_back(std::string(kPrefix) + layer.path + ".lora_A.weight", layer.a);
    tensors.emplace_back(std::string(kPrefix) + layer.path + ".lora_B.weight", layer.b);
    targets.insert(layer.path);
    const int64_t layer_rank = layer.a.dim(0);
    const double layer_alpha = layer.scale * static_cast<double>(layer_rank);
    if (layer_rank != rank) rank_pattern[layer.path] = layer_rank;
    if (layer_alpha != alpha) alpha_pattern[layer.path] = layer_alpha;
  }
  const Json json = {{"peft_type", "LORA"},
                     {"task_type", "CAUSAL_LM"},
                     {"base_model_name_or_path", base_name},
                     {"r", rank},
                     {"lora_alpha", alpha},
                     {"lora_dropout", 0.0},
                     {"bias", "none"},
                     {"fan_in_fan_out", false},
                     {"inference_mode", true},
                     {"use_rslora", false},
                     {"target_modules", targets},
                     {"rank_pattern", rank_pattern},
                     {"alpha_pattern", alpha_pattern}};
  fs::create_directories(folder);
  write_safetensors((fs::path(folder) / "adapter_model.safetensors").string(), tensors,
                    {{"format", "pt"}});
  write_file_atomically((fs::path(folder) / "adapter_config.json").string(), json.dump(2) + "\n");
}

}  // namespace yiti
