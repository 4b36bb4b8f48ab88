// How values read as text: Python's str, repr and json.dumps.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "models/text/chat_template/value.h"
#include "models/text/utf8.h"

namespace yiti::jinja {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";

std::string_view escape_of(char c) {
  switch (c) {
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    case '\\': return "\\\\";
    default: return {};
  }
}

std::string quoted(const std::string& text) {
  const bool single = text.find('\'') == std::string::npos || text.find('"') != std::string::npos;
  const char quote = single ? '\'' : '"';
  std::string out(1, quote);
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (const std::string_view escape = escape_of(c); !escape.empty()) {
      out += escape;
    } else if (c == quote) {
      out += {'\\', c};
    } else if (byte < 0x20 || byte == 0x7F) {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      out.push_back(c);
    }
  }
  out.push_back(quote);
  return out;
}

void append_u16(char32_t unit, std::string* out) {
  *out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out->push_back(kHex[(unit >> shift) & 15]);
}

std::string json_string(const std::string& text, bool ensure_ascii) {
  std::string out = "\"";
  for (size_t at = 0; at < text.size();) {
    const utf8::Char c = utf8::read(text, at);
    const auto size = static_cast<size_t>(std::max(1, c.size));
    const std::string_view escape = c.size == 1 ? escape_of(text[at]) : std::string_view{};
    if (!escape.empty()) {
      out += escape;
    } else if (text[at] == '"') {
      out += "\\\"";
    } else if (text[at] == '\b' || text[at] == '\f') {
      out += text[at] == '\b' ? "\\b" : "\\f";
    } else if (ensure_ascii && c.code >= 0x10000) {
      append_u16(0xD800 + ((c.code - 0x10000) >> 10), &out);
      append_u16(0xDC00 + ((c.code - 0x10000) & 0x3FF), &out);
    } else if ((c.size == 1 && c.code < 0x20) || (ensure_ascii && c.code >= 0x7F)) {
      append_u16(c.code, &out);
    } else {
      out.append(text, at, size);
    }
    at += size;
  }
  return out + '"';
}

std::string_view constant_text(const Value& value, bool json) {
  if (value.is_none()) return json ? "null" : "None";
  const bool yes = *value.get<bool>();
  return json ? (yes ? "true" : "false") : (yes ? "True" : "False");
}

// Puts the parts of a list or mapping after each other; every byte is charged.
class Writer {
 public:
  explicit Writer(Budget* budget) : budget_(*budget) {}

  void put(std::string_view text) {
    budget_.create(static_cast<int64_t>(text.size()));
    out_ += text;
  }
  std::string take() { return std::move(out_); }
  Budget* budget() { return &budget_; }

 private:
  Budget& budget_;
  std::string out_;
};

void write_repr(const Value& value, Writer* w);

void write_list(const List& list, Writer* w) {
  w->put(list.tuple ? "(" : "[");
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (i > 0) w->put(", ");
    write_repr(list.items[i], w);
  }
  w->put(list.tuple ? (list.items.size() == 1 ? ",)" : ")") : "]");
}

void write_dict(const Dict& dict, Writer* w) {
  w->put("{");
  for (size_t i = 0; i < dict.entries().size(); ++i) {
    if (i > 0) w->put(", ");
    write_repr(dict.entries()[i].first, w);
    w->put(": ");
    write_repr(dict.entries()[i].second, w);
  }
  w->put("}");
}

void write_repr(const Value& value, Writer* w) {
  w->budget()->step();
  if (value.string() != nullptr) {
    w->put(quoted(*value.string()));
  } else if (value.list() != nullptr) {
    write_list(*value.list(), w);
  } else if (value.dict() != nullptr) {
    write_dict(*value.dict(), w);
  } else if (value.is_none() || value.get<bool>()) {
    w->put(constant_text(value, false));
  } else if (value.is_integer()) {
    w->put(std::to_string(value.integer()));
  } else if (value.get<double>()) {
    w->put(float_text(*value.get<double>()));
  } else if (value.is_undefined()) {
    w->put("Undefined");
  } else {
    w->put(fmt::format("<{}>", value.type_name()));
  }
}

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, Budget* budget) : style_(style), w_(budget) {}

  void write(const Value& value) {
    w_.budget()->step();
    if (value.string() != nullptr) {
      w_.put(json_string(*value.string(), style_.ensure_ascii));
    } else if (value.list() != nullptr) {
      write_list(*value.list());
    } else if (value.dict() != nullptr) {
      write_dict(*value.dict());
    } else {
      w_.put(scalar(value));
    }
  }
  std::string take() { return w_.take(); }

 private:
  static std::string scalar(const Value& value) {
    if (value.is_none() || value.get<bool>()) return std::string(constant_text(value, true));
    if (value.is_integer()) return std::to_string(value.integer());
    check(value.get<double>() != nullptr, kWhere, "a {} has no JSON form", value.type_name());
    const double number = *value.get<double>();
    if (std::isnan(number)) return "NaN";
    if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
    return float_text(number);
  }

  void new_line() {
    if (style_.indent < 0) return;
    w_.put("\n");
    w_.put(std::string(static_cast<size_t>(style_.indent) * static_cast<size_t>(level_), ' '));
  }

  // Writes an item after what separates it from the one before.
  void begin_item(bool first) {
    if (!first) w_.put(style_.item_separator);
    new_line();
  }

  void write_list(const List& list) {
    if (list.items.empty()) return w_.put("[]");
    w_.put("[");
    ++level_;
    for (size_t i = 0; i < list.items.size(); ++i) {
      begin_item(i == 0);
      write(list.items[i]);
    }
    --level_;
    new_line();
    w_.put("]");
  }

  void write_dict(const Dict& dict) {
    if (dict.entries().empty()) return w_.put("{}");
    std::vector<const Dict::Entry*> entries;
    for (const Dict::Entry& entry : dict.entries()) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(), [this](const auto* a, const auto* b) {
        return less(a->first, b->first, w_.budget());
      });
    }
    w_.put("{");
    ++level_;
    for (size_t i = 0; i < entries.size(); ++i) {
      begin_item(i == 0);
      const Value& key = entries[i]->first;
      w_.put(
          json_string(key.string() != nullptr ? *key.string() : scalar(key), style_.ensure_ascii));
      w_.put(style_.key_separator);
      write(entries[i]->second);
    }
    --level_;
    new_line();
    w_.put("}");
  }

  const JsonStyle& style_;
  Writer w_;
  int level_ = 0;
};

}  // namespace

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[40];
  const auto scientific =
      std::to_chars(std::begin(buffer), std::end(buffer), value, std::chars_format::scientific);
  std::string text(buffer, scientific.ptr);
  const int exponent = std::stoi(text.substr(text.find('e') + 1));
  if (value != 0 && (exponent < -4 || exponent >= 16)) return text;
  const auto fixed =
      std::to_chars(std::begin(buffer), std::end(buffer), value, std::chars_format::fixed);
  text.assign(buffer, fixed.ptr);
  return text.find('.') == std::string::npos ? text + ".0" : text;
}

std::string repr_of(const Value& value, Budget* budget) {
  Writer writer(budget);
  write_repr(value, &writer);
  return writer.take();
}

std::string text_of(const Value& value, Budget* budget) {
  if (value.is_undefined()) return "";
  if (value.string() == nullptr) return repr_of(value, budget);
  budget->create(static_cast<int64_t>(value.string()->size()));
  return *value.string();
}

std::string to_json(const Value& value, const JsonStyle& style, Budget* budget) {
  JsonWriter writer(style, budget);
  writer.write(value);
  return writer.take();
}

}  // namespace yiti::jinja
