#include "models/text/hf_tokenizer_parts.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "models/text/pre_tokenizer.h"
#include "models/text/regex.h"

namespace yiti::hf {
namespace {

using nlohmann::json;
using Kind = PreTokenizerStep::Kind;

constexpr std::string_view kWhere = "tokenizer.json";

const json& array_of(const json& object, std::string_view key) {
  const json* array = member(object, key);
  check(array != nullptr && array->is_array(), kWhere, "\"{}\" is missing or not a list", key);
  return *array;
}

Kind behavior_from(const std::string& name) {
  if (name == "Isolated") return Kind::kIsolate;
  if (name == "Removed") return Kind::kRemove;
  if (name == "MergedWithPrevious") return Kind::kMergePrevious;
  if (name == "MergedWithNext") return Kind::kMergeNext;
  if (name == "Contiguous") return Kind::kContiguous;
  fail(Code::kInvalidArgument, kWhere, "split behavior \"{}\" is not known", name);
}

PreTokenizerStep split_step(const json& part) {
  const json* pattern = member(part, "pattern");
  check(pattern != nullptr, kWhere, "a Split without a pattern");
  const bool literal = member(*pattern, "String") != nullptr;
  return {behavior_from(text_of(part, "behavior")),
          literal ? regex_escape(text_of(*pattern, "String")) : text_of(*pattern, "Regex"),
          flag_of(part, "invert", false)};
}

// Reads the steps of a pre-tokenizer; `byte_level` becomes true at the step that spells bytes.
class PreTokenizerReader {
 public:
  explicit PreTokenizerReader(TokenizerSpec* spec) : spec_(*spec) {}

  void read(const json& part) {
    const std::string type = text_of(part, "type");
    if (type == "Sequence") {
      for (const json& inner : array_of(part, "pretokenizers")) read(inner);
      return;
    }
    check(!byte_level_, kWhere, "pre-tokenizer {} after ByteLevel", type);
    if (type == "Split") {
      spec_.steps.push_back(split_step(part));
    } else if (type == "Digits") {
      const bool each = flag_of(part, "individual_digits", false);
      spec_.steps.push_back({Kind::kIsolate, each ? R"(\p{N})" : R"(\p{N}+)", false});
    } else if (type == "ByteLevel") {
      read_byte_level(part);
    } else {
      fail(Code::kUnimplemented, kWhere, "pre-tokenizer \"{}\" is not supported", type);
    }
  }

  bool byte_level() const { return byte_level_; }

 private:
  void read_byte_level(const json& part) {
    byte_level_ = true;
    if (flag_of(part, "add_prefix_space", true)) {
      if (!spec_.steps.empty()) {
        fail(Code::kUnimplemented, kWhere, "ByteLevel with add_prefix_space after other splits");
      }
      spec_.add_prefix_space = true;
    }
    if (flag_of(part, "use_regex", true)) {
      spec_.steps.push_back({Kind::kIsolate, std::string(gpt2_pattern()), false});
    }
  }

  TokenizerSpec& spec_;
  bool byte_level_ = false;
};

void read_normalizer_part(const json& part, TokenizerSpec* spec) {
  const std::string type = text_of(part, "type");
  if (type == "Sequence") {
    for (const json& inner : array_of(part, "normalizers")) read_normalizer_part(inner, spec);
  } else if (type == "NFC") {
    spec->normalize_nfc = true;
  } else {
    fail(Code::kUnimplemented, kWhere, "normalizer \"{}\" is not supported", type);
  }
}

// "single": what stands before and after the text.
void read_template(const json& part, TokenizerSpec* spec) {
  const json* ids_by_name = member(part, "special_tokens");
  std::vector<int32_t>* side = &spec->prefix;
  for (const json& item : array_of(part, "single")) {
    if (member(item, "Sequence") != nullptr) {
      check(side == &spec->prefix, kWhere, "a template with the text twice");
      side = &spec->suffix;
      continue;
    }
    const json* special = member(item, "SpecialToken");
    check(special != nullptr, kWhere, "a template with a part that is no text and no token");
    const std::string name = text_of(*special, "id");
    const json* entry = ids_by_name == nullptr ? nullptr : member(*ids_by_name, name);
    check(entry != nullptr, kWhere, "the template's token \"{}\" is not in special_tokens", name);
    for (const json& id : array_of(*entry, "ids")) side->push_back(to_id(id, "a template's token"));
  }
  check(side == &spec->suffix, kWhere, "a template without the text");
}

void read_roberta(const json& part, TokenizerSpec* spec) {
  const auto second = [&part](std::string_view key) {
    const json& pair = array_of(part, key);
    check(pair.size() == 2, kWhere, "\"{}\" is no pair of text and token id", key);
    return to_id(pair[1], key);
  };
  spec->prefix.push_back(second("cls"));
  spec->suffix.push_back(second("sep"));
}

void read_post_processor_part(const json& part, TokenizerSpec* spec) {
  const std::string type = text_of(part, "type");
  if (type == "Sequence") {
    for (const json& inner : array_of(part, "processors")) read_post_processor_part(inner, spec);
  } else if (type == "TemplateProcessing") {
    read_template(part, spec);
  } else if (type == "RobertaProcessing" || type == "BertProcessing") {
    read_roberta(part, spec);
  } else if (type != "ByteLevel") {  // which only moves offsets
    fail(Code::kUnimplemented, kWhere, "post-processor \"{}\" is not supported", type);
  }
}

}  // namespace

const json* member(const json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

std::string text_of(const json& object, std::string_view key) {
  const json* value = member(object, key);
  check(value != nullptr && value->is_string(), kWhere, "\"{}\" is missing or no string", key);
  return value->get<std::string>();
}

bool flag_of(const json& object, std::string_view key, bool otherwise) {
  const json* value = member(object, key);
  if (value == nullptr) return otherwise;
  check(value->is_boolean(), kWhere, "\"{}\" is not true or false", key);
  return value->get<bool>();
}

int32_t to_id(const json& number, std::string_view what) {
  const bool ok = number.is_number_unsigned() &&
                  number.get<uint64_t>() <= uint64_t{std::numeric_limits<int32_t>::max()};
  check(ok, kWhere, "the id of {} is no number from 0 to 2147483647", what);
  return number.get<int32_t>();
}

int32_t id_of(const json& object, std::string_view key) {
  const json* value = member(object, key);
  check(value != nullptr, kWhere, "\"{}\" is missing", key);
  return to_id(*value, key);
}

void read_normalizer(const json& root, TokenizerSpec* spec) {
  if (const json* part = member(root, "normalizer")) read_normalizer_part(*part, spec);
}

void read_pre_tokenizer(const json& root, TokenizerSpec* spec) {
  PreTokenizerReader reader(spec);
  if (const json* part = member(root, "pre_tokenizer")) reader.read(*part);
  if (!reader.byte_level()) {
    fail(Code::kUnimplemented, kWhere, "BPE without a ByteLevel pre-tokenizer is not supported");
  }
}

void read_post_processor(const json& root, TokenizerSpec* spec) {
  if (const json* part = member(root, "post_processor")) read_post_processor_part(*part, spec);
}

}  // namespace yiti::hf
