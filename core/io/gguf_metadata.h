// The typed key-value pairs of a GGUF file.
#pragma once

#include <fmt/format.h>

#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace yiti {

/// A homogeneous array. The alternative is the element type, in the order of GGUF's type numbers.
struct GgufArray {
  using Items = std::variant<std::vector<uint8_t>, std::vector<int8_t>, std::vector<uint16_t>,
                             std::vector<int16_t>, std::vector<uint32_t>, std::vector<int32_t>,
                             std::vector<float>, std::vector<bool>, std::vector<std::string>,
                             std::vector<GgufArray>, std::vector<uint64_t>, std::vector<int64_t>,
                             std::vector<double>>;
  Items items;
  size_t size() const;
  friend bool operator==(const GgufArray&, const GgufArray&) = default;
};

/// A value; index() is GGUF's type number.
using GgufValue = std::variant<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, float, bool,
                               std::string, GgufArray, uint64_t, int64_t, double>;

/// "u32", "string", "array of f32", …
std::string gguf_type_name(const GgufValue& value);

/// Keys and values in the order of the file. Const members are thread-safe.
class GgufMetadata {
 public:
  using Entry = std::pair<std::string, GgufValue>;

  const std::vector<Entry>& entries() const { return entries_; }
  bool contains(std::string_view key) const { return index_.contains(key); }
  /// Null when there is no such key.
  const GgufValue* find(std::string_view key) const;
  /// Replaces the value of a key, or appends it.
  void set(std::string_view key, GgufValue value);

  /// The value as T: bool, std::string, an integer type (from any integer that fits), float or
  /// double (from f32 and f64), or a std::vector of those. Throws kNotFound for a missing key and
  /// kInvalidArgument naming key, type found and type wanted.
  template <class T>
  T get(std::string_view key) const;
  /// The same; nullopt for a missing key.
  template <class T>
  std::optional<T> get_optional(std::string_view key) const {
    if (!contains(key)) return std::nullopt;
    return get<T>(key);
  }
  template <class T>
  T get_or(std::string_view key, T otherwise) const {
    return contains(key) ? get<T>(key) : std::move(otherwise);
  }
  /// An array in place, without a copy: T is one of GgufArray's element types.
  template <class T>
  const std::vector<T>& array(std::string_view key) const {
    const auto* value = std::get_if<GgufArray>(&at(key));
    const auto* items = value ? std::get_if<std::vector<T>>(&value->items) : nullptr;
    if (!items) wrong_type(key, "an array of another element type");
    return *items;
  }

 private:
  const GgufValue& at(std::string_view key) const;
  [[noreturn]] void wrong_type(std::string_view key, std::string_view wanted) const;

  std::vector<Entry> entries_;
  std::map<std::string, size_t, std::less<>> index_;
};

namespace gguf_detail {

template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;

template <class T>
std::string wanted_name() {
  if constexpr (is_vector<T>) {
    return fmt::format("array of {}", wanted_name<typename T::value_type>());
  }
  if constexpr (std::same_as<T, bool>) return "bool";
  if constexpr (std::same_as<T, std::string>) return "string";
  if constexpr (std::floating_point<T>) return "float";
  if constexpr (std::integral<T>) {
    return (std::is_signed_v<T> ? "i" : "u") + std::to_string(8 * sizeof(T));
  }
}

/// One stored scalar as To; nullopt where the kinds differ or the number does not fit.
template <class To, class From>
std::optional<To> convert(const From& from) {
  constexpr bool kBool = std::same_as<To, bool> || std::same_as<From, bool>;
  if constexpr (std::same_as<To, From>) {
    return from;
  } else if constexpr (std::integral<To> && std::integral<From> && !kBool) {
    if (!std::in_range<To>(from)) return std::nullopt;
    return static_cast<To>(from);
  } else if constexpr (std::floating_point<To> && std::floating_point<From>) {
    return static_cast<To>(from);
  } else {
    return std::nullopt;
  }
}

template <class To, class From>
std::optional<std::vector<To>> convert_items(const std::vector<From>& from) {
  std::vector<To> result;
  result.reserve(from.size());
  for (const auto& item : from) {
    const std::optional<To> value = convert<To, From>(item);
    if (!value) return std::nullopt;
    result.push_back(*value);
  }
  return result;
}

}  // namespace gguf_detail

template <class T>
T GgufMetadata::get(std::string_view key) const {
  const GgufValue& value = at(key);
  std::optional<T> result;
  if constexpr (gguf_detail::is_vector<T>) {
    if (const auto* array = std::get_if<GgufArray>(&value)) {
      result = std::visit(
          [](const auto& items) {
            using From = typename std::remove_cvref_t<decltype(items)>::value_type;
            return gguf_detail::convert_items<typename T::value_type, From>(items);
          },
          array->items);
    }
  } else {
    result = std::visit(
        [](const auto& item) {
          return gguf_detail::convert<T, std::remove_cvref_t<decltype(item)>>(item);
        },
        value);
  }
  if (!result) wrong_type(key, gguf_detail::wanted_name<T>());
  return *std::move(result);
}

}  // namespace yiti
