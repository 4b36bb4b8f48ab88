// The C table of a plug-in over C++ functions that throw.
#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "devices/common/failure.h"

namespace yiti::devices {

/// What a call on a device holds while it lasts, where that is nothing.
struct NoScope {
  explicit NoScope(const yiti_device* /*device*/) {}
};

template <class Scope, class First, class... Rest>
auto scope_of(First first, const Rest&... /*rest*/) {
  if constexpr (std::is_same_v<First, yiti_device*>) {
    return Scope(first);
  } else {
    return NoScope(nullptr);
  }
}

/// A function as the C table has it: what it throws becomes a status and a message. Where it is
/// given a device first, a Scope of that lives as long as the call.
template <class Scope, auto kFunction>
struct Entry;
template <class Scope, class... A, void (*kFunction)(A...)>
struct Entry<Scope, kFunction> {
  static yiti_status call(A... values, yiti_message* message) noexcept {
    return guarded(message, [&] {
      [[maybe_unused]] const auto here = scope_of<Scope>(values...);
      kFunction(values...);
    });
  }
  /// For functions that have no message.
  static void silent(A... values) noexcept {
    yiti_message unread;
    call(values..., &unread);
  }
};

/// Told of a device as far as the host knows the struct.
template <auto kInfo>
void query(yiti_device* device, yiti_device_info* info) {
  yiti_device_info told = kInfo(device);
  told.struct_size = std::min<uint32_t>(info->struct_size, sizeof(told));
  std::memcpy(info, &told, told.struct_size);
}

/// The table of F's functions, which have the table's names and arguments without the message, and
/// F::info instead of query; F::Scope is as in Entry. Optional tables are left out.
template <class F>
constexpr yiti_device_plugin plugin_table(const char* name) {
  using Scope = typename F::Scope;
  return {
      .abi_version = YITI_DEVICE_ABI_VERSION,
      .struct_size = sizeof(yiti_device_plugin),
      .name = name,
      .count = Entry<Scope, &F::count>::call,
      .open = Entry<Scope, &F::open>::call,
      .close = Entry<Scope, &F::close>::silent,
      .query = Entry<Scope, &query<&F::info>>::call,
      .allocate = Entry<Scope, &F::allocate>::call,
      .free = Entry<Scope, &F::free>::silent,
      .copy_to_device = Entry<Scope, &F::copy_to_device>::call,
      .copy_to_host = Entry<Scope, &F::copy_to_host>::call,
      .copy_on_device = Entry<Scope, &F::copy_on_device>::call,
      .clear = Entry<Scope, &F::clear>::call,
      .stream_create = Entry<Scope, &F::stream_create>::call,
      .stream_destroy = Entry<Scope, &F::stream_destroy>::silent,
      .stream_synchronise = Entry<Scope, &F::stream_synchronise>::call,
      .event_create = Entry<Scope, &F::event_create>::call,
      .event_destroy = Entry<Scope, &F::event_destroy>::silent,
      .event_record = Entry<Scope, &F::event_record>::call,
      .event_wait = Entry<Scope, &F::event_wait>::call,
      .event_synchronise = Entry<Scope, &F::event_synchronise>::call,
      .supports_op = Entry<Scope, &F::supports_op>::call,
      .run_op = Entry<Scope, &F::run_op>::call,
      .graphs = nullptr,
      .collectives = nullptr,
      .weights = nullptr,
  };
}

}  // namespace yiti::devices
