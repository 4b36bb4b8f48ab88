// Device plug-ins as shared libraries: found, loaded and checked.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/plugin/yiti_device.h"

namespace yiti {

/// A loaded library whose table has the right version and size. The library stays in memory to the
/// end of the process: drivers leave threads and exit handlers behind.
class PluginLibrary {
 public:
  /// Throws kNotFound where there is no such file; kFailedPrecondition for a library that cannot be
  /// loaded, has no entry, another ABI version, a table that is too small, or misses a function.
  explicit PluginLibrary(const std::string& path);

  /// With nulls for what the plug-in's own table ends before.
  const yiti_device_plugin& table() const { return table_; }

 private:
  yiti_device_plugin table_{};
};

/// Where plug-ins are looked for: the folders of `path`, separated by ':'; if it is empty, those of
/// the environment's YITI_DEVICE_PATH, then lib/yiti/devices beside the program's folder, then the
/// folder that they were installed to.
std::vector<std::string> plugin_folders(const std::string& path);

/// The files yiti_device_*.so in these folders; of several with one name, the first.
std::vector<std::string> find_plugins(const std::vector<std::string>& folders);

/// The name by which a file yiti_device_NAME.so is opened.
std::string plugin_name(const std::string& file);

/// The file of the plug-in `name` ("NAME", or a path that contains '/'). Throws kNotFound with the
/// folders and what is in them.
std::string plugin_file(std::string_view name, const std::vector<std::string>& folders);

/// Throws "plugin: message" at `where` with the code of `status`.
[[noreturn]] void throw_status(yiti_status status, const yiti_message& message,
                               std::string_view where, std::string_view plugin);

/// Calls f(yiti_message*); throws Error at `where` unless it returns YITI_STATUS_OK.
template <class F>
void call_plugin(std::string_view where, std::string_view plugin, F&& f) {
  yiti_message message{};
  const yiti_status status = f(&message);
  if (status != YITI_STATUS_OK) throw_status(status, message, where, plugin);
}

}  // namespace yiti
