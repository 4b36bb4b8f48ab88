// Reads the requests of OpenAI's API (reference of the chat and completion endpoints, 2025) with
// the sampling extensions that local servers share. Pure functions of the body.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "models/generator.h"

namespace yiti::serving {

enum class Api : uint8_t { kChat, kCompletion };

/// What a request says on sampling; what it leaves out comes from the model.
struct SamplingWishes {
  std::optional<double> temperature = {};
  std::optional<double> top_p = {};
  std::optional<double> min_p = {};
  std::optional<double> repetition_penalty = {};
  std::optional<double> frequency_penalty = {};
  std::optional<double> presence_penalty = {};
  std::optional<int64_t> top_k = {};
  std::optional<uint64_t> seed = {};
};

using Prompt = std::variant<std::string, std::vector<int32_t>>;

struct ApiRequest {
  Api api = Api::kChat;
  std::string model;
  nlohmann::ordered_json messages;  ///< chat: role and content, both strings, and maybe name
  std::vector<Prompt> prompts;      ///< completion: at least one
  int n = 1;                        ///< choices for each prompt
  bool stream = false;
  bool include_usage = false;
  std::optional<int64_t> max_tokens;
  std::vector<std::string> stop;
  SamplingWishes sampling;
  int top_logprobs = -1;  ///< -1: no log-probabilities; n: and the n best tokens
};

/// Throws ApiException (400) for what is malformed, out of range, or would change the answer but
/// is not supported; Error for bad JSON.
ApiRequest parse_api_request(Api api, std::string_view body);

/// `defaults` with the wishes put over it. Temperature 0 in the defaults becomes 1.
Sampling merge_sampling(const Sampling& defaults, const SamplingWishes& wishes);

}  // namespace yiti::serving
