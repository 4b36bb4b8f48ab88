#include "core/io/gguf_metadata.h"

#include <array>

#include "core/error.h"
#include "core/io/printable.h"

namespace yiti {
namespace {

constexpr std::array<std::string_view, 13> kTypeNames = {
    "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};

constexpr std::string_view kWhere = "GGUF metadata";

}  // namespace

size_t GgufArray::size() const {
  return std::visit([](const auto& vector) { return vector.size(); }, items);
}

std::string gguf_type_name(const GgufValue& value) {
  std::string name(kTypeNames[value.index()]);
  const auto* array = std::get_if<GgufArray>(&value);
  if (!array) return name;
  return fmt::format("array of {} {}", array->size(), kTypeNames[array->items.index()]);
}

const GgufValue* GgufMetadata::find(std::string_view key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &entries_[found->second].second;
}

const GgufValue& GgufMetadata::at(std::string_view key) const {
  const GgufValue* value = find(key);
  if (!value) fail(Code::kNotFound, kWhere, "no key {}", printable(key));
  return *value;
}

void GgufMetadata::set(std::string_view key, GgufValue value) {
  const auto [place, is_new] = index_.emplace(std::string(key), entries_.size());
  if (is_new) {
    entries_.emplace_back(std::string(key), std::move(value));
  } else {
    entries_[place->second].second = std::move(value);
  }
}

void GgufMetadata::wrong_type(std::string_view key, std::string_view wanted) const {
  fail(Code::kInvalidArgument, kWhere, "{} is {}; wants {}", printable(key),
       gguf_type_name(at(key)), wanted);
}

}  // namespace yiti
