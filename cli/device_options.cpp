#include "cli/device_options.h"

namespace yiti::cli {

void add_device_path(CLI::App& command, std::string& path) {
  command
      .add_option("--device-path", path,
                  "Folders with device plug-ins, separated by ':'; otherwise YITI_DEVICE_PATH and "
                  "where they were installed")
      ->group("Device");
}

void DeviceChoice::add(CLI::App& command) {
  command
      .add_option(
          "--device", name,
          "Where the model runs: cpu, or a plug-in's NAME or NAME:INDEX (yiti devices lists "
          "them)")
      ->capture_default_str()
      ->group("Device");
  command
      .add_option("--fallback", fallback,
                  "What happens with an op that the device lacks: cpu runs it there with copies, "
                  "refuse is an error")
      ->check(CLI::IsMember({"cpu", "refuse"}))
      ->capture_default_str()
      ->group("Device");
  add_device_path(command, path);
}

DevicePtr DeviceChoice::open(int threads) const {
  DeviceOptions options;
  options.path = path;
  options.fallback = fallback == "cpu" ? DeviceFallback::kCpu : DeviceFallback::kRefuse;
  options.cpu.threads = threads;
  return open_device(name, options);
}

}  // namespace yiti::cli
