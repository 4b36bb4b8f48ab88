// The options that choose a device.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "core/plugin/device_plugin.h"

namespace yiti::cli {

struct DeviceChoice {
  std::string name = "cpu";
  std::string path;
  std::string fallback = "cpu";

  /// Adds --device, --device-path and --fallback.
  void add(CLI::App& command);
  /// Throws Error where it is not there.
  DevicePtr open(int threads) const;
};

/// --device-path alone, for commands that look at devices.
void add_device_path(CLI::App& command, std::string& path);

}  // namespace yiti::cli
