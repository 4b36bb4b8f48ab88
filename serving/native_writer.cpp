// The replies of llama.cpp's /completion.
#include <cmath>

#include "serving/json_text.h"
#include "serving/reply_writer.h"
#include "serving/sse.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

// A log-probability, or where the tokens' own were asked for, a probability.
Json token_json(const TokenAlternative& token, bool sampled) {
  Json json = {{"id", token.token}, {"token", token.piece}, {"bytes", bytes_json(token.piece)}};
  if (sampled) {
    json["prob"] = std::exp(token.logprob);
  } else {
    json["logprob"] = finite_logprob(token.logprob);
  }
  return json;
}

Json probabilities(const ReplyContext& context, const ReplyChoice& choice) {
  const bool sampled = context.request.native.sampled_probabilities;
  Json list = Json::array();
  for (const TokenDetail& detail : choice.details) {
    Json entry = token_json(detail, sampled);
    Json top = Json::array();
    for (const TokenAlternative& other : detail.top) top.push_back(token_json(other, sampled));
    entry[sampled ? "top_probs" : "top_logprobs"] = std::move(top);
    list.push_back(std::move(entry));
  }
  return list;
}

Json settings(const ReplyContext& context) {
  const Sampling& s = context.sampling;
  Json biases = Json::array();
  for (const TokenBias& bias : s.logit_bias) {
    const Json value = std::isfinite(bias.bias) ? Json(bias.bias) : Json(nullptr);
    biases.push_back({{"token", bias.token}, {"bias", value}});
  }
  return {{"n_predict", context.max_tokens},
          {"seed", s.seed},
          {"temperature", s.temperature},
          {"top_k", s.top_k},
          {"top_p", s.top_p},
          {"min_p", s.min_p},
          {"repeat_penalty", s.repetition_penalty},
          {"presence_penalty", s.presence_penalty},
          {"frequency_penalty", s.frequency_penalty},
          {"stop", context.request.stop},
          {"stream", context.request.stream},
          {"n_probs", std::max(context.request.top_logprobs, 0)},
          {"post_sampling_probs", context.request.native.sampled_probabilities},
          {"grammar", context.request.format.grammar},
          {"ignore_eos", context.request.sampling.ignore_eos},
          {"logit_bias", std::move(biases)}};
}

class NativeWriter final : public ReplyWriter {
 public:
  explicit NativeWriter(ReplyContext context) : context_(std::move(context)) {}

  std::string progress(int64_t choice, const PromptProgress& progress) override {
    return sse_event(json_text({{"index", choice},
                                {"content", ""},
                                {"tokens", Json::array()},
                                {"stop", false},
                                {"prompt_progress", progress_json(progress)}}));
  }

  std::string delta(const ReplyChoice& choice, const ReplyState& state) override {
    text_ += choice.text;
    finish_reason_ = choice.finish_reason;
    index_ = choice.index;
    if (choice.text.empty()) return {};
    Json json = {{"index", choice.index},
                 {"content", choice.text},
                 {"tokens", choice.tokens},
                 {"stop", false}};
    if (choice.with_logprobs) json["completion_probabilities"] = probabilities(context_, choice);
    json.update(timings_field(context_, state));
    return sse_event(json_text(json));
  }

  std::string end(const ReplyState& state) override {
    ReplyChoice last;
    last.index = index_;
    last.finish_reason = finish_reason_;
    Json json = native_reply_json(context_, last, state);
    json["content"] = "";
    json["has_new_line"] = text_.find('\n') != std::string::npos;
    return sse_event(json_text(json));
  }

  std::string whole(const std::vector<ReplyChoice>& choices, const ReplyState& state) override {
    Json list = Json::array();
    for (const ReplyChoice& choice : choices) {
      list.push_back(selected(native_reply_json(context_, choice, state)));
    }
    return json_text(choices.size() == 1 ? list[0] : list);
  }

 private:
  // Only the fields that were asked for; a slash leads into an object.
  Json selected(const Json& reply) const {
    const std::vector<std::string>& wanted = context_.request.native.response_fields;
    if (wanted.empty()) return reply;
    Json result = Json::object();
    for (const std::string& name : wanted) {
      const Json* at = &reply;
      size_t begin = 0;
      while (at != nullptr && begin <= name.size()) {
        const size_t end = std::min(name.find('/', begin), name.size());
        const auto found = at->is_object() ? at->find(name.substr(begin, end - begin)) : at->end();
        at = found == at->end() ? nullptr : &*found;
        begin = end + 1;
      }
      if (at != nullptr) result[name] = *at;
    }
    return result;
  }

  ReplyContext context_;
  std::string text_, finish_reason_;
  int64_t index_ = 0;
};

}  // namespace

Json native_reply_json(const ReplyContext& context, const ReplyChoice& choice,
                       const ReplyState& state) {
  const std::string stop_type = choice.finish_reason == "length" ? "limit"
                                : choice.stop_string.empty()     ? "eos"
                                                                 : "word";
  Json json = {{"index", choice.index},
               {"content", choice.text},
               {"tokens", Json::array()},
               {"stop", true},
               {"model", context.head.model},
               {"tokens_predicted", state.usage.completion_tokens},
               {"tokens_evaluated", state.usage.prompt_tokens},
               {"tokens_cached", state.usage.cached_tokens},
               {"generation_settings", settings(context)},
               {"prompt", context.prompt_text},
               {"has_new_line", choice.text.find('\n') != std::string::npos},
               {"truncated", false},
               {"stop_type", stop_type},
               {"stopping_word", choice.stop_string},
               {"system_fingerprint", state.fingerprint},
               {"timings", timings_json(state.usage, state.times)}};
  if (context.request.native.return_tokens) json["tokens"] = choice.tokens;
  if (choice.with_logprobs) json["completion_probabilities"] = probabilities(context, choice);
  return json;
}

std::unique_ptr<ReplyWriter> make_native_writer(ReplyContext context) {
  return std::make_unique<NativeWriter>(std::move(context));
}

}  // namespace yiti::serving
