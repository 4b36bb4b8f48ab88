// Hugging Face's config.json, in its old and its new spellings.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "models/config.h"

namespace yiti {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kWhere = "config.json";
constexpr int64_t kMaxSize = int64_t{1} << 24;  // any size past this is a broken file

// One object of the file, read key by key with errors that name the key.
class Reader {
 public:
  explicit Reader(const Json& json, std::string prefix = "")
      : json_(json), prefix_(std::move(prefix)) {
    check(json.is_object(), kWhere, "{}got {}; wants an object", prefix_, json.type_name());
  }

  bool has(const char* key) const { return json_.contains(key) && !json_[key].is_null(); }

  int64_t size(const char* key) const {
    check(has(key), kWhere, "{}{} is missing", prefix_, key);
    return size_or(key, 0);
  }
  int64_t size_or(const char* key, int64_t fallback) const {
    if (!has(key)) return fallback;
    const Json& value = json_[key];
    check(value.is_number_integer() && value.get<int64_t>() > 0 && value.get<int64_t>() <= kMaxSize,
          kWhere, "{}{} is {}; wants an integer from 1 to {}", prefix_, key, value.dump(),
          kMaxSize);
    return value.get<int64_t>();
  }
  double number_or(const char* key, double fallback) const {
    if (!has(key)) return fallback;
    check(json_[key].is_number(), kWhere, "{}{} is {}; wants a number", prefix_, key,
          json_[key].dump());
    return json_[key].get<double>();
  }
  bool flag_or(const char* key, bool fallback) const {
    if (!has(key)) return fallback;
    check(json_[key].is_boolean(), kWhere, "{}{} is {}; wants true or false", prefix_, key,
          json_[key].dump());
    return json_[key].get<bool>();
  }
  std::string text_or(const char* key, const std::string& fallback) const {
    if (!has(key)) return fallback;
    check(json_[key].is_string(), kWhere, "{}{} is {}; wants a string", prefix_, key,
          json_[key].dump());
    return json_[key].get<std::string>();
  }
  const Json& raw(const char* key) const { return json_[key]; }

 private:
  const Json& json_;
  std::string prefix_;
};

RopeScaling read_rope(const Reader& reader, int64_t context_length) {
  RopeScaling rope;
  rope.type = reader.text_or("rope_type", reader.text_or("type", "default"));
  rope.factor = reader.number_or("factor", 1);
  rope.low_freq_factor = reader.number_or("low_freq_factor", 1);
  rope.high_freq_factor = reader.number_or("high_freq_factor", 4);
  rope.beta_fast = reader.number_or("beta_fast", 32);
  rope.beta_slow = reader.number_or("beta_slow", 1);
  rope.attention_factor = reader.number_or("attention_factor", 0);
  rope.mscale = reader.number_or("mscale", 0);
  rope.mscale_all_dim = reader.number_or("mscale_all_dim", 0);
  rope.original_context = reader.size_or("original_max_position_embeddings", context_length);
  const bool known = rope.type == "default" || rope.type == "linear" || rope.type == "llama3" ||
                     rope.type == "yarn";
  if (!known) {
    fail(Code::kUnimplemented, kWhere, "rope type \"{}\"; yiti has default, linear, llama3, yarn",
         rope.type);
  }
  check(rope.factor >= 1, kWhere, "rope factor is {}; wants at least 1", rope.factor);
  return rope;
}

void read_windows(const Reader& reader, ModelConfig& config) {
  config.windows.assign(static_cast<size_t>(config.layers), 0);
  const bool qwen = config.architecture.starts_with("qwen");
  if (!reader.has("sliding_window") || (qwen && !reader.flag_or("use_sliding_window", false)))
    return;
  const int64_t window = reader.size("sliding_window");
  const int64_t first = qwen ? reader.size_or("max_window_layers", config.layers) : 0;
  for (int64_t layer = first; layer < config.layers; ++layer) {
    config.windows[static_cast<size_t>(layer)] = window;
  }
  if (!reader.has("layer_types")) return;
  const Json& types = reader.raw("layer_types");
  check(types.is_array() && types.size() == config.windows.size(), kWhere,
        "layer_types wants {} entries", config.layers);
  for (size_t layer = 0; layer < types.size(); ++layer) {
    config.windows[layer] = types[layer] == "sliding_attention" ? window : 0;
  }
}

}  // namespace

ModelConfig config_from_json(const Json& json) {
  const Reader reader(json);
  ModelConfig config;
  config.architecture = reader.text_or("model_type", "");
  config.vocab_size = reader.size("vocab_size");
  config.hidden_size = reader.size("hidden_size");
  config.intermediate_size = reader.size("intermediate_size");
  config.layers = reader.size("num_hidden_layers");
  config.heads = reader.size("num_attention_heads");
  config.kv_heads = reader.size_or("num_key_value_heads", config.heads);
  check(config.heads % config.kv_heads == 0, kWhere,
        "num_attention_heads {} is no multiple of num_key_value_heads {}", config.heads,
        config.kv_heads);
  check(reader.has("head_dim") || config.hidden_size % config.heads == 0, kWhere,
        "hidden_size {} is no multiple of num_attention_heads {}, and there is no head_dim",
        config.hidden_size, config.heads);
  config.head_dim = reader.size_or("head_dim", config.hidden_size / config.heads);
  check(config.head_dim % 2 == 0, kWhere, "head_dim {} is odd", config.head_dim);
  config.context_length = reader.size_or("max_position_embeddings", 2048);
  config.norm_eps = reader.number_or("rms_norm_eps", 1e-6);
  config.tied_embeddings = reader.flag_or("tie_word_embeddings", false);
  const std::string activation = reader.text_or("hidden_act", "silu");
  if (activation != "silu") {
    fail(Code::kUnimplemented, kWhere, "hidden_act \"{}\"; yiti has silu here", activation);
  }
  config.rope_theta = reader.number_or("rope_theta", 10000);
  const char* rope_key = reader.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (reader.has(rope_key)) {
    const Reader rope(reader.raw(rope_key), std::string(rope_key) + ".");
    config.rope_theta = rope.number_or("rope_theta", config.rope_theta);
    config.rope = read_rope(rope, config.context_length);
  }
  check(config.rope_theta > 0, kWhere, "rope_theta is {}; wants more than 0", config.rope_theta);
  read_windows(reader, config);
  return config;
}

}  // namespace yiti
