#include "models/text/text_model.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/device.h"
#include "core/io/files.h"
#include "core/io/gguf.h"
#include "core/io/json.h"
#include "models/text/gguf_tokenizer.h"

namespace yiti {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kWhere = "text model";
constexpr size_t kMaxTokenizerBytes = size_t{256} << 20;
constexpr size_t kMaxConfigBytes = size_t{16} << 20;

// What ends a turn in popular templates.
constexpr std::string_view kTurnEnds[] = {"<|im_end|>",
                                          "<|eot_id|>",
                                          "<|eom_id|>",
                                          "<end_of_turn>",
                                          "<|end|>",
                                          "<|endoftext|>",
                                          "<|end_of_text|>",
                                          "</s>",
                                          "<|return|>",
                                          "<|call|>",
                                          "<end_of_utterance>",
                                          "<|end_of_turn|>",
                                          "<|eot|>",
                                          "<|END_OF_TURN_TOKEN|>",
                                          "<｜end▁of▁sentence｜>"};

std::string piece_or_empty(const Tokenizer& tokenizer, int32_t id) {
  return id < 0 ? std::string() : std::string(tokenizer.token_piece(id));
}

void attach_template(const std::string& source, int32_t unk, TextModel* model) {
  const Tokenizer& t = model->tokenizer;
  Result<ChatTemplate> parsed =
      ChatTemplate::parse(source, {piece_or_empty(t, t.bos()), piece_or_empty(t, t.eos()),
                                   piece_or_empty(t, t.pad()), piece_or_empty(t, unk)});
  if (parsed.ok()) {
    model->chat = std::move(parsed).value();
  } else {
    model->chat_error = parsed.error().what();
  }
}

void add_stop(int64_t id, TextModel* model) {
  if (id >= 0 && id < model->tokenizer.vocab_size()) {
    model->stop_tokens.push_back(static_cast<int32_t>(id));
  }
}

void finish_stops(TextModel* model) {
  add_stop(model->tokenizer.eos(), model);
  for (const std::string_view text : kTurnEnds) {
    const bool used = model->chat && model->chat->source().find(text) != std::string::npos;
    const int32_t id = used ? model->tokenizer.find(text) : -1;
    if (model->tokenizer.is_special(id)) add_stop(id, model);
  }
  std::vector<int32_t>& stops = model->stop_tokens;
  std::sort(stops.begin(), stops.end());
  stops.erase(std::unique(stops.begin(), stops.end()), stops.end());
}

void check_sampling(const Sampling& s) {
  // Written so that NaN fails, too.
  check(s.temperature >= 0 && s.temperature <= 100, kWhere, "temperature {}; wants 0 to 100",
        s.temperature);
  check(s.top_k >= 0, kWhere, "top_k {}; wants 0 or more", s.top_k);
  check(s.top_p > 0 && s.top_p <= 1, kWhere, "top_p {}; wants above 0 to 1", s.top_p);
  check(s.min_p >= 0 && s.min_p <= 1, kWhere, "min_p {}; wants 0 to 1", s.min_p);
  check(s.repetition_penalty > 0 && s.repetition_penalty <= 100, kWhere,
        "repetition_penalty {}; wants above 0 to 100", s.repetition_penalty);
}

Sampling gguf_sampling(const GgufMetadata& metadata) {
  Sampling s;
  bool any = false;
  const auto real = [&](std::string_view key, double otherwise) {
    any |= metadata.contains(key);
    return metadata.get_or<double>(key, otherwise);
  };
  s.top_p = real("general.sampling.top_p", 1);
  s.min_p = real("general.sampling.min_p", 0);
  s.repetition_penalty = real("general.sampling.penalty_repeat", 1);
  any |= metadata.contains("general.sampling.top_k");
  s.top_k = std::max<int64_t>(0, metadata.get_or<int64_t>("general.sampling.top_k", 0));
  const double temperature = real("general.sampling.temp", 1);
  s.temperature = any ? temperature : 0;
  check_sampling(s);
  return s;
}

const json* member(const json& object, std::string_view key) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

double real_of(const json& object, std::string_view key, double otherwise) {
  const json* value = member(object, key);
  if (value == nullptr) return otherwise;
  check(value->is_number(), kWhere, "generation_config.json: \"{}\" is no number", key);
  return value->get<double>();
}

// As transformers reads it: greedy unless do_sample is set, then with its default top_k of 50.
Sampling config_sampling(const json& config) {
  Sampling s;
  const json* sample = member(config, "do_sample");
  s.repetition_penalty = real_of(config, "repetition_penalty", 1);
  if (sample != nullptr && *sample == true) {
    s.temperature = real_of(config, "temperature", 1);
    const double top_k = real_of(config, "top_k", 50);
    check(top_k >= 0 && top_k < 1e9, kWhere, "top_k {}; wants 0 or more", top_k);
    s.top_k = static_cast<int64_t>(top_k);
    s.top_p = real_of(config, "top_p", 1);
    s.min_p = real_of(config, "min_p", 0);
  }
  check_sampling(s);
  return s;
}

void read_generation_config(const json& config, TextModel* model) {
  if (const json* eos = member(config, "eos_token_id")) {
    for (const json& id : eos->is_array() ? *eos : json::array({*eos})) {
      check(id.is_number_integer(), kWhere, "generation_config.json: an EOS id is no integer");
      add_stop(id.get<int64_t>(), model);
    }
  }
  model->sampling = config_sampling(config);
}

// "" where the file is not there.
std::string read_if_there(const std::filesystem::path& path, size_t max_bytes) {
  std::error_code error;
  return std::filesystem::exists(path, error) ? read_file(path.string(), max_bytes) : std::string();
}

// The template's source, or "": a string, or a list of named ones.
std::string template_in(const json& config) {
  const json* source = member(config, "chat_template");
  if (source == nullptr) return "";
  if (source->is_string()) return source->get<std::string>();
  check(source->is_array(), kWhere, "chat_template is neither text nor a list");
  for (const json& entry : *source) {
    const json* name = member(entry, "name");
    const json* text = member(entry, "template");
    if (name != nullptr && *name == "default" && text != nullptr && text->is_string()) {
      return text->get<std::string>();
    }
  }
  return "";
}

json parsed_or_empty(const std::string& text, std::string_view where) {
  return text.empty() ? json::object() : parse_json(text, where);
}

std::string folder_template(const std::filesystem::path& folder, const json& config) {
  std::string source = read_if_there(folder / "chat_template.jinja", kMaxConfigBytes);
  if (!source.empty()) return source;
  const std::string own = read_if_there(folder / "chat_template.json", kMaxConfigBytes);
  source = template_in(parsed_or_empty(own, "chat_template.json"));
  return source.empty() ? template_in(config) : source;
}

TextModel text_model_from_folder(const std::filesystem::path& folder) {
  const std::string config_text = read_if_there(folder / "tokenizer_config.json", kMaxConfigBytes);
  TokenizerSpec spec = parse_hf_tokenizer(
      read_file((folder / "tokenizer.json").string(), kMaxTokenizerBytes), config_text);
  const int32_t unk = spec.unk;
  TextModel model{Tokenizer(std::move(spec)), {}, {}, {}, {}};
  const json config = parsed_or_empty(config_text, "tokenizer_config.json");
  const std::string source = folder_template(folder, config);
  if (!source.empty()) attach_template(source, unk, &model);
  const std::string generation = read_if_there(folder / "generation_config.json", kMaxConfigBytes);
  read_generation_config(parsed_or_empty(generation, "generation_config.json"), &model);
  finish_stops(&model);
  return model;
}

const ChatTemplate& chat_of(const TextModel& model) {
  if (model.chat) return *model.chat;
  fail(Code::kFailedPrecondition, kWhere, "the model has no chat template{}{}",
       model.chat_error.empty() ? "" : " that can be used: ", model.chat_error);
}

}  // namespace

std::vector<int32_t> TextModel::chat_prompt(const ordered_json& messages,
                                            const ordered_json* variables) const {
  const std::string text = chat_of(*this).render(
      messages, {.add_generation_prompt = true, .variables = variables, .now_unix_s = {}});
  return tokenizer.encode(text, {.add_special = false});
}

TokenizedChat TextModel::tokenize_chat(const ordered_json& messages,
                                       const ordered_json* variables) const {
  const RenderedChat rendered =
      chat_of(*this).render_with_spans(messages, {.variables = variables, .now_unix_s = {}});
  TokenizedChat out;
  auto span = rendered.assistant.begin();
  for (const TokenSpan& token :
       tokenizer.encode_with_spans(rendered.text, {.add_special = false})) {
    while (span != rendered.assistant.end() && span->end <= token.begin) ++span;
    const bool said = span != rendered.assistant.end() && token.end > span->begin;
    out.ids.push_back(token.id);
    out.assistant.push_back(said ? 1 : 0);
  }
  return out;
}

Result<TextModel> text_model_from_gguf(const GgufMetadata& metadata) {
  return capture_errors(kWhere, [&] {
    TokenizerSpec spec = parse_gguf_tokenizer(metadata);
    const int32_t unk = spec.unk;
    TextModel model{Tokenizer(std::move(spec)), {}, {}, {}, {}};
    const auto source = metadata.get_or<std::string>("tokenizer.chat_template", "");
    if (!source.empty()) attach_template(source, unk, &model);
    for (const std::string_view key :
         {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
      add_stop(metadata.get_or<int64_t>(key, -1), &model);
    }
    model.sampling = gguf_sampling(metadata);
    finish_stops(&model);
    return model;
  });
}

Result<TextModel> load_text_model(const std::filesystem::path& path) {
  return capture_errors(kWhere, [&] {
    if (std::filesystem::is_directory(path)) return text_model_from_folder(path);
    const auto file = GgufFile::open(path.string(), make_cpu_device());
    return text_model_from_gguf(file->metadata()).value();
  });
}

}  // namespace yiti
