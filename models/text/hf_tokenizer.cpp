#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/io/json.h"
#include "models/text/hf_tokenizer_parts.h"
#include "models/text/tokenizer.h"

namespace yiti {
namespace {

using hf::flag_of;
using hf::id_of;
using hf::member;
using hf::text_of;
using hf::to_id;
using nlohmann::json;

constexpr std::string_view kWhere = "tokenizer.json";

void refuse_other_models(const json& model) {
  const json* type = member(model, "type");
  // Old files leave the type out; merges are what only BPE has.
  const std::string name = type != nullptr && type->is_string() ? type->get<std::string>()
                           : member(model, "merges") != nullptr ? "BPE"
                                                                : "(none)";
  if (name != "BPE") {
    fail(Code::kUnimplemented, kWhere,
         "tokenizer model \"{}\" is not supported; wants BPE on bytes", name);
  }
  if (flag_of(model, "byte_fallback", false)) {
    fail(Code::kUnimplemented, kWhere,
         "BPE with byte_fallback (a converted SentencePiece model) is not supported");
  }
  for (const std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const json* affix = member(model, key);
    if (affix != nullptr && *affix != json("")) {
      fail(Code::kUnimplemented, kWhere, "BPE with {} is not supported", key);
    }
  }
}

// Puts tokens at their ids. Ids may have holes, but not so many that a small file takes much
// memory.
class TokenPlacer {
 public:
  TokenPlacer(TokenizerSpec* spec, size_t count) : spec_(*spec), limit_(2 * count + 65536) {}

  void place(int32_t id, const std::string& text, TokenType type) {
    const auto at = static_cast<size_t>(id);
    check(at < limit_, kWhere, "token id {} for a vocabulary of {}", id, (limit_ - 65536) / 2);
    if (at >= spec_.tokens.size()) {
      spec_.tokens.resize(at + 1);
      spec_.types.resize(at + 1, TokenType::kUnused);
    }
    const bool fresh = spec_.types[at] == TokenType::kUnused;
    check(fresh || spec_.tokens[at] == text, kWhere, "token {} is \"{}\" and \"{}\"", id,
          spec_.tokens[at], text);
    spec_.tokens[at] = text;
    spec_.types[at] = type;
  }

 private:
  TokenizerSpec& spec_;
  size_t limit_;
};

std::pair<std::string, std::string> merge_from(const json& merge) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  }
  check(merge.is_string(), kWhere, "a merge that is no string and no pair of strings");
  const auto text = merge.get<std::string>();
  const size_t space = text.find(' ');
  check(space != std::string::npos && text.find(' ', space + 1) == std::string::npos, kWhere,
        "merge \"{}\"; wants two tokens and a space between them", text);
  return {text.substr(0, space), text.substr(space + 1)};
}

void read_vocabulary(const json& root, const json& model, TokenizerSpec* spec) {
  const json* vocab = member(model, "vocab");
  check(vocab != nullptr && vocab->is_object(), kWhere, "\"vocab\" is missing or not an object");
  const json* added = member(root, "added_tokens");
  check(added == nullptr || added->is_array(), kWhere, "\"added_tokens\" is not a list");
  TokenPlacer placer(spec, vocab->size() + (added == nullptr ? 0 : added->size()));
  for (const auto& [text, id] : vocab->items()) {
    placer.place(to_id(id, text), text, TokenType::kNormal);
  }
  if (added != nullptr) {
    for (const json& entry : *added) {
      const AddedToken token{id_of(entry, "id"), flag_of(entry, "lstrip", false),
                             flag_of(entry, "rstrip", false), flag_of(entry, "single_word", false),
                             flag_of(entry, "normalized", true)};
      const bool special = flag_of(entry, "special", false);
      placer.place(token.id, text_of(entry, "content"),
                   special ? TokenType::kControl : TokenType::kUserDefined);
      spec->added.push_back(token);
    }
  }
  const json* merges = member(model, "merges");
  check(merges != nullptr && merges->is_array(), kWhere, "\"merges\" is missing or not a list");
  for (const json& merge : *merges) spec->merges.push_back(merge_from(merge));
}

// A token's text in tokenizer_config.json: a string or an object with "content".
const json* token_text(const json& config, std::string_view key) {
  const json* value = member(config, key);
  if (value != nullptr && value->is_object()) value = member(*value, "content");
  return value != nullptr && value->is_string() ? value : nullptr;
}

// -1 where the configuration names no such token. One that is named is special, as in transformers.
int32_t named_token(const json& config, std::string_view key, TokenizerSpec* spec) {
  const json* text = token_text(config, key);
  if (text == nullptr) return -1;
  const auto it = std::find(spec->tokens.begin(), spec->tokens.end(), text->get<std::string>());
  if (it == spec->tokens.end()) return -1;
  const auto at = static_cast<size_t>(it - spec->tokens.begin());
  spec->types[at] = TokenType::kControl;
  return static_cast<int32_t>(at);
}

void read_config(const json& config, TokenizerSpec* spec) {
  spec->bos = named_token(config, "bos_token", spec);
  spec->eos = named_token(config, "eos_token", spec);
  spec->pad = named_token(config, "pad_token", spec);
  spec->unk = named_token(config, "unk_token", spec);
  const json* add_bos = member(config, "add_bos_token");
  const json* add_eos = member(config, "add_eos_token");
  const auto set = [](const json* flag) { return flag != nullptr && *flag == true; };
  // These flags, where they are given, replace the post-processor of tokenizer.json.
  if (add_bos == nullptr && add_eos == nullptr) return;
  spec->prefix.clear();
  spec->suffix.clear();
  if (set(add_bos) && spec->bos >= 0) spec->prefix.push_back(spec->bos);
  if (set(add_eos) && spec->eos >= 0) spec->suffix.push_back(spec->eos);
}

}  // namespace

TokenizerSpec parse_hf_tokenizer(std::string_view tokenizer_json,
                                 std::string_view tokenizer_config_json) {
  const json root = parse_json(tokenizer_json, kWhere);
  const json* model = member(root, "model");
  check(model != nullptr && model->is_object(), kWhere, "\"model\" is missing or not an object");
  refuse_other_models(*model);
  TokenizerSpec spec;
  hf::read_normalizer(root, &spec);
  hf::read_pre_tokenizer(root, &spec);
  hf::read_post_processor(root, &spec);
  read_vocabulary(root, *model, &spec);
  spec.ignore_merges = flag_of(*model, "ignore_merges", false);
  if (const json* unk = member(*model, "unk_token"); unk != nullptr && unk->is_string()) {
    const auto it = std::find(spec.tokens.begin(), spec.tokens.end(), unk->get<std::string>());
    if (it != spec.tokens.end()) {
      spec.missing_byte = static_cast<int32_t>(it - spec.tokens.begin());
    }
  }
  if (!tokenizer_config_json.empty()) {
    read_config(parse_json(tokenizer_config_json, "tokenizer_config.json"), &spec);
  }
  return spec;
}

}  // namespace yiti
