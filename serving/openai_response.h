// Writes the answers of OpenAI's API. Pure functions; all return JSON text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serving/openai_request.h"
#include "serving/options.h"

namespace yiti::serving {

struct ReplyHead {
  Api api = Api::kChat;
  std::string id;
  int64_t created_unix_s = 0;
  std::string model;
};

struct TokenAlternative {
  int32_t token = -1;
  std::string piece;  ///< bytes
  double logprob = 0;
};

/// A generated token whose log-probability was asked for.
struct TokenDetail : TokenAlternative {
  std::vector<TokenAlternative> top = {};  ///< best first
  int64_t text_offset = 0;                 ///< characters of the choice's text before it
};

struct ReplyToolCall {
  int64_t index = 0;  ///< of the choice's calls
  std::string id;
  std::string name;
  std::string arguments;  ///< JSON
};

struct ReplyChoice {
  int64_t index = 0;
  std::string text = {};
  std::vector<TokenDetail> details = {};
  bool with_logprobs = false;
  std::string finish_reason = {};  ///< empty: not finished
  std::vector<ReplyToolCall> tool_calls = {};
  std::vector<int32_t> tokens = {};  ///< of the text
  std::string stop_string = {};      ///< that ended it
};

struct Usage {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  int64_t cached_tokens = 0;
};

/// The whole answer of a request that does not stream, with further members of its object.
std::string reply_json(const ReplyHead& head, const std::vector<ReplyChoice>& choices,
                       const Usage& usage, const std::string& fingerprint,
                       const nlohmann::ordered_json& more = nlohmann::ordered_json::object());

/// What every chunk of a stream shares.
struct ChunkOptions {
  std::string fingerprint;     ///< empty: not known yet
  bool include_usage = false;  ///< chunks then carry a null usage
  nlohmann::ordered_json more = nlohmann::ordered_json::object();  ///< further members
};

/// The chunk that begins a chat choice: its role. Completions have none.
std::string role_chunk_json(const ReplyHead& head, int64_t index, const ChunkOptions& options);
/// More text of a choice, or, with finish_reason, its end.
std::string chunk_json(const ReplyHead& head, const ReplyChoice& delta,
                       const ChunkOptions& options);
/// The last chunk of a stream with include_usage, with further members.
std::string usage_chunk_json(const ReplyHead& head, const Usage& usage,
                             const std::string& fingerprint,
                             const nlohmann::ordered_json& more = nlohmann::ordered_json::object());

nlohmann::ordered_json usage_json(const Usage& usage);

/// As llama.cpp writes them.
nlohmann::ordered_json timings_json(const Usage& usage, const GenerationTimes& times);
nlohmann::ordered_json progress_json(const PromptProgress& progress);

/// `status`: unloaded, loading or loaded, as llama.cpp's router has it.
std::string model_json(const ServedModel& model, std::string_view status);
std::string model_list_json(const std::vector<ServedModelPtr>& models, std::string_view status);

}  // namespace yiti::serving
