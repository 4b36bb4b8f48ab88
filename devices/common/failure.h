// What goes wrong inside a plug-in: thrown here, and told through the C table as a status.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "core/plugin/yiti_device.h"

namespace yiti::devices {

struct Failure {
  yiti_status status;
  std::string message;
};

template <class... A>
[[noreturn]] void fail(yiti_status status, fmt::format_string<A...> text, A&&... values) {
  throw Failure{status, fmt::format(text, std::forward<A>(values)...)};
}

/// Throws what `refused` says: the device does not run this call.
template <class... A>
void require(bool holds, fmt::format_string<A...> refused, A&&... values) {
  if (!holds) fail(YITI_STATUS_UNIMPLEMENTED, refused, std::forward<A>(values)...);
}

/// `text`, cut where there is no room for it, and a zero.
template <size_t kSize>
void put_text(char (&target)[kSize], std::string_view text) {
  const size_t length = std::min(text.size(), kSize - 1);
  std::memcpy(target, text.data(), length);
  target[length] = '\0';
}

/// Runs f and turns what it throws into a status.
template <class F>
yiti_status guarded(yiti_message* message, F f) noexcept {
  try {
    f();
    return YITI_STATUS_OK;
  } catch (const Failure& failure) {
    put_text(message->text, failure.message);
    return failure.status;
  } catch (const std::bad_alloc&) {
    put_text(message->text, "no memory on the host");
    return YITI_STATUS_RESOURCE_EXHAUSTED;
  } catch (const std::exception& error) {
    put_text(message->text, error.what());
    return YITI_STATUS_INTERNAL;
  }
}

}  // namespace yiti::devices
