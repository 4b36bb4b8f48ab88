#include "inference/grammar/json_schema.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "core/error.h"

namespace yiti {
namespace {

using Json = nlohmann::ordered_json;
using Id = GrammarBuilder::Id;

constexpr const char* kWhere = "json schema";
constexpr int kMaxDepth = 64;
constexpr int64_t kMaxCount = 10'000;
constexpr int64_t kAny = GrammarBuilder::kAnyNumber;

// What a schema may hold besides the keywords that say what its values are.
constexpr std::array<std::string_view, 14> kAnnotations = {
    "title",   "description", "default",  "examples", "deprecated",  "readOnly", "writeOnly",
    "$schema", "$id",         "$comment", "$defs",    "definitions", "$anchor",  "strict"};

bool is_annotation(std::string_view keyword) {
  return std::find(kAnnotations.begin(), kAnnotations.end(), keyword) != kAnnotations.end();
}

const Json* member(const Json& object, std::string_view name) {
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

[[noreturn]] void malformed(std::string_view keyword, std::string_view wanted) {
  fail(Code::kInvalidArgument, kWhere, "'{}' wants {}", keyword, wanted);
}

int64_t count_of(const Json& schema, std::string_view keyword, int64_t fallback) {
  const Json* given = member(schema, keyword);
  if (given == nullptr) return fallback;
  if (!given->is_number_unsigned() || given->get<uint64_t>() > uint64_t{kMaxCount}) {
    malformed(keyword, fmt::format("an integer from 0 to {}", kMaxCount));
  }
  return given->get<int64_t>();
}

class SchemaCompiler {
 public:
  SchemaCompiler(GrammarBuilder& builder, JsonGrammar& json, const Json& root,
                 std::string_view prefix)
      : builder_(builder), json_(json), root_(root), prefix_(prefix) {}

  Id compile(const Json& schema, int depth) {
    if (depth > kMaxDepth) {
      fail(Code::kResourceExhausted, kWhere, "it is deeper than {}", kMaxDepth);
    }
    if (schema == true) return json_.value();
    if (schema == false) malformed("false", "to be a schema that allows some value");
    if (!schema.is_object()) malformed("schema", "an object or a boolean");
    if (const Json* ref = only(schema, "$ref")) return reference(*ref, depth);
    for (const char* keyword : {"anyOf", "oneOf", "allOf"}) {
      if (const Json* list = only(schema, keyword)) return combined(keyword, *list, depth);
    }
    if (const Json* value = only(schema, "const")) return builder_.literal(value->dump());
    if (const Json* values = only(schema, "enum")) return enumerated(*values);
    return typed(schema, depth);
  }

 private:
  // The keyword's value where the schema has it; then it has nothing else but its type and
  // annotations.
  const Json* only(const Json& schema, std::string_view keyword) const {
    const Json* found = member(schema, keyword);
    if (found == nullptr) return nullptr;
    for (const auto& [name, value] : schema.items()) {
      if (name == keyword || name == "type" || is_annotation(name)) continue;
      fail(Code::kUnimplemented, kWhere, "the keyword '{}' beside '{}' is not supported",
           name.substr(0, 64), keyword);
    }
    return found;
  }

  static void allow_only(const Json& schema, std::initializer_list<std::string_view> keywords) {
    for (const auto& [name, value] : schema.items()) {
      if (std::find(keywords.begin(), keywords.end(), name) != keywords.end()) continue;
      if (is_annotation(name)) continue;
      fail(Code::kUnimplemented, kWhere, "the keyword '{}' is not supported", name.substr(0, 64));
    }
  }

  Id reference(const Json& ref, int depth) {
    if (!ref.is_string()) malformed("$ref", "a string");
    const auto& text = ref.get_ref<const std::string&>();
    if (!text.starts_with("#")) {
      fail(Code::kUnimplemented, kWhere,
           "'$ref' is '{}'; only references that begin with # are "
           "supported",
           text.substr(0, 128));
    }
    const std::string name = prefix_ + text;
    if (!referred_.insert(text).second) return builder_.rule(name);
    const Json* target = nullptr;
    try {
      const Json::json_pointer pointer(text.substr(1));
      if (root_.contains(pointer)) target = &root_.at(pointer);
    } catch (const Json::exception&) {
      target = nullptr;
    }
    if (target == nullptr) {
      fail(Code::kInvalidArgument, kWhere, "'$ref' is '{}', which is not there",
           text.substr(0, 128));
    }
    builder_.define(name, compile(*target, depth + 1));
    return builder_.rule(name);
  }

  Id combined(std::string_view keyword, const Json& list, int depth) {
    if (!list.is_array() || list.empty()) malformed(keyword, "a list of schemas");
    if (keyword == "allOf" && list.size() > 1) {
      fail(Code::kUnimplemented, kWhere, "'allOf' of several schemas is not supported");
    }
    std::vector<Id> ways;
    for (const Json& one : list) ways.push_back(compile(one, depth + 1));
    return builder_.choice(std::move(ways));
  }

  Id enumerated(const Json& values) {
    if (!values.is_array() || values.empty()) malformed("enum", "a list of values");
    std::vector<Id> ways;
    for (const Json& value : values) ways.push_back(builder_.literal(value.dump()));
    return builder_.choice(std::move(ways));
  }

  Id typed(const Json& schema, int depth) {
    const Json* type = member(schema, "type");
    if (type == nullptr) {
      if (member(schema, "properties") != nullptr ||
          member(schema, "additionalProperties") != nullptr) {
        return object(schema, depth);
      }
      if (member(schema, "items") != nullptr || member(schema, "prefixItems") != nullptr) {
        return array(schema, depth);
      }
      allow_only(schema, {});
      return json_.value();
    }
    if (type->is_string()) return of_type(type->get<std::string>(), schema, depth);
    if (!type->is_array() || type->empty()) malformed("type", "a type's name, or several");
    std::vector<Id> ways;
    for (const Json& one : *type) {
      if (!one.is_string()) malformed("type", "a type's name, or several");
      // Each type reads the keywords that are its own.
      Json narrowed =
          one == "object" || one == "array" || one == "string" ? schema : Json::object();
      for (const char* other : {"properties", "required", "additionalProperties"}) {
        if (one != "object") narrowed.erase(other);
      }
      for (const char* other : {"items", "prefixItems", "minItems", "maxItems"}) {
        if (one != "array") narrowed.erase(other);
      }
      for (const char* other : {"minLength", "maxLength"}) {
        if (one != "string") narrowed.erase(other);
      }
      ways.push_back(of_type(one.get<std::string>(), narrowed, depth));
    }
    return builder_.choice(std::move(ways));
  }

  Id of_type(const std::string& type, const Json& schema, int depth) {
    if (type == "object") return object(schema, depth);
    if (type == "array") return array(schema, depth);
    if (type == "string") return string(schema);
    allow_only(schema, {"type"});
    if (type == "integer") return json_.integer();
    if (type == "number") return json_.number();
    if (type == "boolean") return json_.boolean();
    if (type == "null") return json_.null();
    fail(Code::kInvalidArgument, kWhere,
         "'type' is '{}'; wants object, array, string, integer, "
         "number, boolean or null",
         type.substr(0, 64));
  }

  Id string(const Json& schema) {
    allow_only(schema, {"type", "minLength", "maxLength"});
    const int64_t least = count_of(schema, "minLength", 0);
    const int64_t most = count_of(schema, "maxLength", kAny);
    if (least == 0 && most == kAny) return json_.string();
    if (most != kAny && most < least) malformed("maxLength", "to be at least minLength");
    return json_.string(least, most);
  }

  Id comma() { return builder_.sequence({json_.space(), builder_.literal(","), json_.space()}); }

  Id array(const Json& schema, int depth) {
    allow_only(schema, {"type", "items", "prefixItems", "minItems", "maxItems"});
    const Json* items = member(schema, "items");
    const Json* prefix = member(schema, "prefixItems");
    if (items != nullptr && items->is_array()) prefix = std::exchange(items, nullptr);
    const Id body = prefix != nullptr ? tuple(schema, *prefix, depth) : list(schema, items, depth);
    return builder_.sequence({builder_.literal("["), json_.space(), body, builder_.literal("]")});
  }

  Id tuple(const Json& schema, const Json& prefix, int depth) {
    if (!prefix.is_array()) malformed("prefixItems", "a list of schemas");
    const auto count = static_cast<int64_t>(prefix.size());
    if (count_of(schema, "minItems", count) != count ||
        count_of(schema, "maxItems", count) != count) {
      fail(Code::kUnimplemented, kWhere,
           "'minItems' and 'maxItems' beside 'prefixItems' want to be its length");
    }
    std::vector<Id> parts;
    for (const Json& one : prefix) {
      if (!parts.empty()) parts.push_back(comma());
      parts.push_back(compile(one, depth + 1));
    }
    parts.push_back(json_.space());
    return builder_.sequence(std::move(parts));
  }

  Id list(const Json& schema, const Json* items, int depth) {
    const int64_t least = count_of(schema, "minItems", 0);
    const int64_t most = count_of(schema, "maxItems", kAny);
    if (most != kAny && most < least) malformed("maxItems", "to be at least minItems");
    if (most == 0) return builder_.sequence({});
    const Id item = items == nullptr ? json_.value() : compile(*items, depth + 1);
    const Id more =
        builder_.repeat(builder_.sequence({comma(), item}), std::max<int64_t>(least - 1, 0),
                        most == kAny ? kAny : most - 1);
    const Id filled = builder_.sequence({item, more, json_.space()});
    return least == 0 ? builder_.optional(filled) : filled;
  }

  Id object(const Json& schema, int depth) {
    allow_only(schema, {"type", "properties", "required", "additionalProperties"});
    static const Json kNone = Json::object();
    const Json* given = member(schema, "properties");
    if (given != nullptr && !given->is_object()) malformed("properties", "an object of schemas");
    const Json& properties = given == nullptr ? kNone : *given;
    const std::set<std::string> required = required_names(schema, properties);
    const Json* other = member(schema, "additionalProperties");
    if (given == nullptr && other == nullptr) return json_.object();
    // Behind the last property: others, where they are allowed.
    Id empty = builder_.sequence({json_.space()});
    Id after_none = builder_.sequence({});
    Id after_some = empty;
    if (other != nullptr && *other != false) {
      const Id pair = builder_.sequence(
          {json_.string(), builder_.literal(":"), json_.space(), compile(*other, depth + 1)});
      const Id more = builder_.repeat(builder_.sequence({comma(), pair}), 0, kAny);
      after_some = builder_.sequence({more, json_.space()});
      after_none = builder_.optional(builder_.sequence({pair, more, json_.space()}));
    }
    for (auto it = properties.rbegin(); it != properties.rend(); ++it) {
      const Id pair = builder_.sequence({builder_.literal(Json(it.key()).dump() + ":"),
                                         json_.space(), compile(it.value(), depth + 1)});
      const Id first = builder_.sequence({pair, after_some});
      const Id next = builder_.sequence({comma(), pair, after_some});
      const bool needed = required.contains(it.key());
      // Rules of their own, since both are used twice in what comes before them.
      after_none = named(needed ? first : builder_.choice({first, after_none}));
      after_some = named(needed ? next : builder_.choice({next, after_some}));
    }
    return builder_.sequence(
        {builder_.literal("{"), json_.space(), after_none, builder_.literal("}")});
  }

  static std::set<std::string> required_names(const Json& schema, const Json& properties) {
    std::set<std::string> names;
    const Json* given = member(schema, "required");
    if (given == nullptr) return names;
    if (!given->is_array()) malformed("required", "a list of names");
    for (const Json& name : *given) {
      if (!name.is_string()) malformed("required", "a list of names");
      if (!properties.contains(name.get<std::string>())) {
        fail(Code::kUnimplemented, kWhere, "'required' names '{}', which is not in 'properties'",
             name.get<std::string>().substr(0, 64));
      }
      names.insert(name.get<std::string>());
    }
    return names;
  }

  Id named(Id expression) {
    const std::string name = fmt::format("{}${}", prefix_, named_++);
    builder_.define(name, expression);
    return builder_.rule(name);
  }

  GrammarBuilder& builder_;
  JsonGrammar& json_;
  const Json& root_;
  const std::string prefix_;
  std::set<std::string> referred_;
  int64_t named_ = 0;
};

}  // namespace

Id json_schema_expression(GrammarBuilder& builder, JsonGrammar& json, const Json& schema,
                          std::string_view prefix) {
  return SchemaCompiler(builder, json, schema, prefix).compile(schema, 0);
}

Grammar json_schema_grammar(const Json& schema) {
  GrammarBuilder builder;
  JsonGrammar json(builder);
  builder.define("root", json_schema_expression(builder, json, schema, "$schema"));
  return builder.build("root");
}

}  // namespace yiti
