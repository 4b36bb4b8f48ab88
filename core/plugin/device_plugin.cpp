#include "core/plugin/device_plugin.h"

#include <charconv>

#include "core/error.h"
#include "core/plugin/plugin_device.h"

namespace yiti {
namespace {

int32_t device_count(const yiti_device_plugin& table) {
  int32_t count = 0;
  call_plugin("device", table.name,
              [&](yiti_message* message) { return table.count(&count, message); });
  return count;
}

// "NAME:1" -> "NAME" and 1.
std::pair<std::string, int32_t> split_index(const std::string& name) {
  const size_t colon = name.rfind(':');
  if (colon == std::string::npos) return {name, 0};
  int32_t index = 0;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + colon + 1, end, index);
  check(error == std::errc() && stop == end && index >= 0, "device",
        "got {}; wants NAME or NAME:INDEX", name);
  return {name.substr(0, colon), index};
}

DeviceListing describe(const PluginDevice& device) {
  const yiti_device_info info = device.info();
  DeviceListing listing;
  listing.title = info.name;
  listing.driver = info.driver;
  listing.memory_bytes = info.memory_bytes;
  listing.free_memory_bytes = info.free_memory_bytes;
  listing.compute_units = info.compute_units;
  listing.row_contract = (info.flags & YITI_DEVICE_ROW_CONTRACT) != 0;
  return listing;
}

}  // namespace

DevicePtr open_device(const std::string& name, const DeviceOptions& options) {
  if (name == "cpu") return make_cpu_device(options.cpu);
  const auto [plugin, index] = split_index(name);
  auto library =
      std::make_shared<const PluginLibrary>(plugin_file(plugin, plugin_folders(options.path)));
  const int32_t count = device_count(library->table());
  if (index >= count) {
    fail(Code::kUnavailable, "device", "{} has {} devices; there is no number {}",
         library->table().name, count, index);
  }
  return std::make_shared<PluginDevice>(std::move(library), index, options);
}

std::vector<DeviceListing> list_devices(const std::string& path) {
  std::vector<DeviceListing> all;
  for (const std::string& file : find_plugins(plugin_folders(path))) {
    std::string name = file;
    try {
      const auto library = std::make_shared<const PluginLibrary>(file);
      const int32_t count = device_count(library->table());
      if (count == 0) fail(Code::kUnavailable, "device", "it has no device");
      DeviceOptions options;
      options.cpu.threads = 1;
      for (int32_t index = 0; index < count; ++index) {
        name = fmt::format("{}:{}", plugin_name(file), index);
        all.push_back(describe(PluginDevice(library, index, options)));
        all.back().name = name;
      }
    } catch (const Error& error) {
      DeviceListing& listing = all.emplace_back();
      listing.name = name;
      listing.problem = error.what();
    }
  }
  return all;
}

Tensor packed_weight(const Tensor& rows) {
  auto* plugin = dynamic_cast<PluginDevice*>(rows.device().get());
  return plugin == nullptr ? rows : plugin->packed(rows);
}

bool keeps_rows(const Device& device) {
  const auto* plugin = dynamic_cast<const PluginDevice*>(&device);
  return plugin == nullptr || (plugin->info().flags & YITI_DEVICE_ROW_CONTRACT) != 0;
}

std::string check_streams(const Device& device) {
  const auto* plugin = dynamic_cast<const PluginDevice*>(&device);
  return plugin == nullptr ? "" : plugin->check_streams();
}

DeviceCounters counters_of(const Device& device) {
  const auto* plugin = dynamic_cast<const PluginDevice*>(&device);
  return plugin == nullptr ? DeviceCounters{} : plugin->counters();
}

}  // namespace yiti
