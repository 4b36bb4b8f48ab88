// A language model's hyperparameters, from a Hugging Face config.json or a GGUF's metadata.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace yiti {

class GgufFile;

/// How rotary frequencies are stretched for longer contexts.
struct RopeScaling {
  std::string type = "default";  ///< default, linear, llama3 or yarn
  double factor = 1;
  double low_freq_factor = 1, high_freq_factor = 4;  ///< llama3
  double beta_fast = 32, beta_slow = 1;              ///< yarn
  double attention_factor = 0;                       ///< yarn; 0: from the factor
  double mscale = 0, mscale_all_dim = 0;             ///< yarn, as DeepSeek gives it
  int64_t original_context = 0;                      ///< llama3, yarn
  /// What each pair's frequency is divided by, where a file gives it as a table (a GGUF of Llama
  /// 3).
  std::vector<float> divisors;
};

struct ModelConfig {
  std::string architecture;  ///< llama, mistral, qwen2, qwen3
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t context_length = 0;
  double norm_eps = 1e-5;
  double rope_theta = 10000;
  RopeScaling rope;
  /// Per layer: a token sees this many tokens, itself among them; 0: all.
  std::vector<int64_t> windows;
  bool tied_embeddings = false;

  /// All of it that decides the bits of keys and values, as a text.
  std::string str() const;
};

/// A configuration for contexts `factor` times as long as those that the model was trained on, by
/// scaling of type linear or yarn, in place of what it has. Throws kInvalidArgument for another
/// type, a factor below 1, or a context above 2^24.
ModelConfig with_rope_scaling(ModelConfig config, const std::string& type, double factor);

/// Reads a config.json. Throws kInvalidArgument naming the key, what it is and what is wanted;
/// kUnimplemented for an architecture or feature that yiti does not have, by name.
ModelConfig config_from_json(const nlohmann::json& json);

/// Reads the metadata of a GGUF. Throws as above.
ModelConfig config_from_gguf(const GgufFile& file);

/// The rotary frequencies [head_dim / 2] of a configuration.
std::vector<float> rope_frequencies(const ModelConfig& config);
/// What cosines and sines are multiplied by (yarn), else 1.
double rope_attention_factor(const ModelConfig& config);

}  // namespace yiti
