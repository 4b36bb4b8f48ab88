#include "serving/text_routes.h"

#include <fmt/format.h>

#include "serving/chat_prompt.h"
#include "serving/json_text.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

// A piece is text where it is whole characters, else its bytes.
Json piece_json(std::string_view piece) {
  Json text = std::string(piece);
  if (Json::parse(text.dump(-1, ' ', false, Json::error_handler_t::replace)) == text) return text;
  return bytes_json(piece);
}

Json with_pieces(const std::vector<int32_t>& tokens, const Tokenizer& tokenizer) {
  Json list = Json::array();
  for (const int32_t token : tokens) {
    list.push_back({{"id", token}, {"piece", piece_json(tokenizer.token_piece(token))}});
  }
  return list;
}

// The prompt of a chat request whose other fields do not matter.
std::string chat_prompt_text(RequestFields& fields, const ServedModel& model) {
  ApiRequest request;
  read_conversation(fields, request);
  return chat_text(request, model);
}

}  // namespace

std::string tokenize(RequestFields& fields, const ServedModel& model) {
  const Tokenizer& tokenizer = model.text->tokenizer;
  if (const auto content = fields.string("content")) {
    const bool special = fields.boolean("add_special").value_or(false);
    const bool parse = fields.boolean("parse_special").value_or(true);
    const bool pieces = fields.boolean("with_pieces").value_or(false);
    fields.refuse_unknown();
    const std::vector<int32_t> tokens =
        tokenizer.encode(*content, {.add_special = special, .parse_special = parse});
    return json_text({{"tokens", pieces ? with_pieces(tokens, tokenizer) : Json(tokens)}});
  }
  const bool chat = fields.find("messages") != nullptr;
  const std::string text =
      chat ? chat_prompt_text(fields, model) : fields.string("prompt").value_or("");
  if (!chat && fields.find("prompt") == nullptr) {
    reject_field("prompt", "one of 'content', 'prompt' and 'messages' is wanted",
                 "missing_required_parameter");
  }
  const bool special = fields.boolean("add_special_tokens").value_or(!chat);
  const bool strings = fields.boolean("return_token_strs").value_or(false);
  fields.refuse_unknown();
  const std::vector<int32_t> tokens = tokenizer.encode(text, {.add_special = special});
  Json result = {{"count", tokens.size()},
                 {"max_model_len", model.generator->context_length()},
                 {"tokens", tokens},
                 {"token_strs", nullptr}};
  if (strings) {
    Json list = Json::array();
    for (const int32_t token : tokens) list.push_back(std::string(tokenizer.token_piece(token)));
    result["token_strs"] = std::move(list);
  }
  return json_text(result);
}

std::string detokenize(RequestFields& fields, const ServedModel& model) {
  const Json& given = fields.require("tokens");
  fields.refuse_unknown();
  if (!given.is_array()) reject_field("tokens", "'tokens' wants an array of tokens");
  std::string text;
  if (!given.empty()) {
    const std::vector<Prompt> prompts = read_prompts(given, "tokens");
    if (!std::holds_alternative<std::vector<int32_t>>(prompts[0])) {
      reject_field("tokens", "'tokens' wants an array of tokens");
    }
    text = model.text->tokenizer.decode(encode_prompt(prompts[0], model.text->tokenizer, "tokens"),
                                        false);
  }
  return json_text({{"content", text}, {"prompt", text}});
}

std::string apply_template(RequestFields& fields, const ServedModel& model) {
  return json_text({{"prompt", chat_prompt_text(fields, model)}});
}

std::string count_input(RequestFields& fields, const ServedModel& model) {
  const std::string text = chat_prompt_text(fields, model);
  const auto tokens = model.text->tokenizer.encode(text, {.add_special = false}).size();
  return json_text({{"object", "response.input_tokens"}, {"input_tokens", tokens}});
}

std::string props_json(const ServedModel& model) {
  const Sampling sampling = model.sampling.value_or(model.text->sampling);
  return json_text(
      {{"default_generation_settings",
        {{"n_ctx", model.generator->context_length()},
         {"params",
          {{"seed", sampling.seed},
           {"temperature", sampling.temperature},
           {"top_k", sampling.top_k},
           {"top_p", sampling.top_p},
           {"min_p", sampling.min_p}}}}},
       {"total_slots", model.generator->stats().slots},
       {"model_alias", model.name},
       {"model_path", model.path},
       {"modalities", {{"vision", false}, {"audio", false}}},
       {"chat_template", model.text->chat ? Json(model.text->chat->source()) : Json("")},
       {"bos_token",
        model.text->tokenizer.bos() < 0
            ? ""
            : std::string(model.text->tokenizer.token_piece(model.text->tokenizer.bos()))},
       {"eos_token",
        model.text->tokenizer.eos() < 0
            ? ""
            : std::string(model.text->tokenizer.token_piece(model.text->tokenizer.eos()))},
       {"build_info", "yiti"}});
}

std::string slots_json(const ServedModel& model) {
  const GeneratorStats stats = model.generator->stats();
  Json slots = Json::array();
  for (int64_t i = 0; i < stats.slots; ++i) {
    slots.push_back({{"id", i},
                     {"n_ctx", model.generator->context_length()},
                     {"is_processing", i < stats.slots_used}});
  }
  return json_text(slots);
}

}  // namespace yiti::serving
