// Errors: one exception type with a canonical code, and a Result for the boundaries.
#pragma once

#include <fmt/format.h>

#include <exception>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace yiti {

/// The canonical RPC codes that yiti uses. One table maps them to HTTP statuses and Python classes.
enum class Code {
  kCancelled,
  kInvalidArgument,
  kNotFound,
  kAlreadyExists,
  kOutOfRange,
  kFailedPrecondition,
  kResourceExhausted,
  kUnimplemented,
  kUnavailable,
  kDataLoss,
  kInternal,
};

std::string_view code_name(Code code);

/// What went wrong: a code, the op or component that noticed, and "got …; wanted …".
class Error : public std::exception {
 public:
  Error(Code code, std::string_view where, std::string_view message);

  Code code() const noexcept { return code_; }
  const std::string& where() const noexcept { return where_; }
  /// "where: message"
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  Code code_;
  std::string where_;
  std::string text_;
};

/// Throws Error(code, where, format(args…)).
template <class... Args>
[[noreturn]] void fail(Code code, std::string_view where, fmt::format_string<Args...> format,
                       Args&&... args) {
  throw Error(code, where, fmt::format(format, std::forward<Args>(args)...));
}

/// Throws kInvalidArgument unless `ok`: for callers' mistakes.
template <class... Args>
void check(bool ok, std::string_view where, fmt::format_string<Args...> format, Args&&... args) {
  if (!ok) fail(Code::kInvalidArgument, where, format, std::forward<Args>(args)...);
}

/// A value or the Error that kept it from being made.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Error error) : value_(std::move(error)) {}

  bool ok() const noexcept { return std::holds_alternative<T>(value_); }
  explicit operator bool() const noexcept { return ok(); }
  /// The value; throws the error where there is none.
  T& value() & {
    if (!ok()) throw std::get<Error>(value_);
    return std::get<T>(value_);
  }
  T&& value() && { return std::move(this->value()); }
  const Error& error() const { return std::get<Error>(value_); }

 private:
  std::variant<T, Error> value_;
};

/// Runs `f` and turns what it returns (std::monostate: nothing) or throws into a Result. Foreign
/// exceptions become kInternal, std::bad_alloc kResourceExhausted.
template <class F>
auto capture_errors(std::string_view where, F&& f) noexcept {
  using Value = std::invoke_result_t<F&>;
  constexpr bool kNothing = std::is_void_v<Value>;
  using Outcome = Result<std::conditional_t<kNothing, std::monostate, Value>>;
  try {
    if constexpr (kNothing) {
      f();
      return Outcome(std::monostate());
    } else {
      return Outcome(f());
    }
  } catch (const Error& error) {
    return Outcome(error);
  } catch (const std::bad_alloc&) {
    return Outcome(Error(Code::kResourceExhausted, where, "out of memory"));
  } catch (const std::exception& error) {
    return Outcome(Error(Code::kInternal, where, error.what()));
  }
}

}  // namespace yiti
