// Reads the requests that generate: OpenAI's chat, completion and response endpoints (reference of
// 2025), with the extensions that local servers share. Pure functions of the body.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serving/prompt.h"
#include "serving/sampling_fields.h"
#include "serving/tool_request.h"

namespace yiti::serving {

/// kNative is llama.cpp's /completion.
enum class Api : uint8_t {
  kChat,
  kCompletion,
  kResponses,
  kNativeResponses,  ///< llama.cpp's: what a limit cut is completed, too
  kNative,
};

/// What only llama.cpp's /completion has.
struct NativeWishes {
  bool return_tokens = false;
  bool sampled_probabilities = false;        ///< those that tokens were drawn by
  std::vector<std::string> response_fields;  ///< empty: all
};

struct ApiRequest {
  Api api = Api::kChat;
  std::chrono::steady_clock::time_point received = std::chrono::steady_clock::now();
  std::string model;                ///< empty: left out
  nlohmann::ordered_json messages;  ///< a conversation, as read_messages gives it; else null
  std::vector<Prompt> prompts;      ///< without a conversation: at least one
  int n = 1;                        ///< choices for each prompt
  bool stream = false;
  bool include_usage = false;
  bool continuous_usage = false;  ///< every chunk says how many tokens there are so far
  bool timings = false;           ///< llama.cpp's timings in what streams
  bool progress = false;          ///< llama.cpp's events that tell how a prompt is read
  bool verbose = false;           ///< llama.cpp's own form of a whole reply beside OpenAI's
  bool echo = false;              ///< the prompt comes before the answer
  bool generation_prompt = true;  ///< the conversation ends with the beginning of an answer
  bool continue_message = false;  ///< the answer goes on with the last message
  /// What the chat template gets beside the conversation.
  nlohmann::ordered_json template_variables = nlohmann::ordered_json::object();
  std::optional<int64_t> max_tokens;
  std::vector<std::string> stop;
  SamplingWishes sampling;
  int top_logprobs = -1;  ///< -1: no log-probabilities; n: and the n best tokens
  ToolRequest tools;
  OutputFormat format;
  NativeWishes native;
};

/// Throws ApiException (400) for what is malformed, out of range, or would change the answer but
/// is not supported; Error for bad JSON.
ApiRequest parse_api_request(Api api, std::string_view body);

/// The parts that parse_api_request() is made of. The body's fields are read into `request`.
void read_conversation(RequestFields& fields, ApiRequest& request);
void read_chat_request(RequestFields& fields, ApiRequest& request);
void read_completion_request(RequestFields& fields, ApiRequest& request);
void read_responses_request(RequestFields& fields, ApiRequest& request);
void read_native_request(RequestFields& fields, ApiRequest& request);

/// Choices of one request, at most.
inline constexpr int64_t kMaxChoices = 128;

}  // namespace yiti::serving
