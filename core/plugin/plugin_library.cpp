#include "core/plugin/plugin_library.h"

#include <dlfcn.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace yiti {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "yiti_device_", kSuffix = ".so";

Code code_of(yiti_status status) {
  switch (status) {
    case YITI_STATUS_CANCELLED: return Code::kCancelled;
    case YITI_STATUS_INVALID_ARGUMENT: return Code::kInvalidArgument;
    case YITI_STATUS_NOT_FOUND: return Code::kNotFound;
    case YITI_STATUS_ALREADY_EXISTS: return Code::kAlreadyExists;
    case YITI_STATUS_OUT_OF_RANGE: return Code::kOutOfRange;
    case YITI_STATUS_FAILED_PRECONDITION: return Code::kFailedPrecondition;
    case YITI_STATUS_RESOURCE_EXHAUSTED: return Code::kResourceExhausted;
    case YITI_STATUS_UNIMPLEMENTED: return Code::kUnimplemented;
    case YITI_STATUS_UNAVAILABLE: return Code::kUnavailable;
    case YITI_STATUS_DATA_LOSS: return Code::kDataLoss;
    default: return Code::kInternal;
  }
}

std::string dl_message() {
  const char* text = dlerror();
  return text == nullptr ? "unknown error" : text;
}

// The table's first bytes, as many as the plug-in and the host know.
yiti_device_plugin known_part(const yiti_device_plugin* table) {
  yiti_device_plugin known{};
  std::memcpy(&known, table, std::min<size_t>(table->struct_size, sizeof(known)));
  return known;
}

// Why the host cannot use an optional part of a table; empty: it can, or there is none.
template <class Part>
std::string flaw_of_part(const char* name, const Part* part) {
  if (part == nullptr || part->struct_size >= sizeof(Part)) return "";
  return fmt::format("its table of {} has {} bytes; wants {} or more", name, part->struct_size,
                     sizeof(Part));
}

// Why the host cannot use a table; empty: it can.
std::string flaw_of(const yiti_device_plugin* table) {
  if (table == nullptr) return "its entry returned no table";
  if (table->abi_version != YITI_DEVICE_ABI_VERSION) {
    return fmt::format("it has ABI version {}; wants {}", table->abi_version,
                       YITI_DEVICE_ABI_VERSION);
  }
  constexpr size_t kLeast = offsetof(yiti_device_plugin, weights);
  if (table->struct_size < kLeast) {
    return fmt::format("its table has {} bytes; wants {} or more", table->struct_size, kLeast);
  }
  if (table->name == nullptr) return "it has no name";
  const auto& t = *table;
  const std::pair<const char*, bool> functions[] = {
      {"count", t.count != nullptr},
      {"open", t.open != nullptr},
      {"close", t.close != nullptr},
      {"query", t.query != nullptr},
      {"allocate", t.allocate != nullptr},
      {"free", t.free != nullptr},
      {"copy_to_device", t.copy_to_device != nullptr},
      {"copy_to_host", t.copy_to_host != nullptr},
      {"copy_on_device", t.copy_on_device != nullptr},
      {"clear", t.clear != nullptr},
      {"stream_create", t.stream_create != nullptr},
      {"stream_destroy", t.stream_destroy != nullptr},
      {"stream_synchronise", t.stream_synchronise != nullptr},
      {"event_create", t.event_create != nullptr},
      {"event_destroy", t.event_destroy != nullptr},
      {"event_record", t.event_record != nullptr},
      {"event_wait", t.event_wait != nullptr},
      {"event_synchronise", t.event_synchronise != nullptr},
      {"supports_op", t.supports_op != nullptr},
      {"run_op", t.run_op != nullptr},
  };
  for (const auto& [name, given] : functions) {
    if (!given) return fmt::format("its function {} is missing", name);
  }
  const yiti_device_plugin known = known_part(table);
  std::string flaw = flaw_of_part("graphs", known.graphs);
  if (flaw.empty()) flaw = flaw_of_part("collectives", known.collectives);
  if (flaw.empty()) flaw = flaw_of_part("weights", known.weights);
  const yiti_weights* weights = flaw.empty() ? known.weights : nullptr;
  if (weights != nullptr && (weights->packed_bytes == nullptr || weights->pack == nullptr ||
                             weights->unpack == nullptr)) {
    flaw = "a function of its table of weights is missing";
  }
  return flaw;
}

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> folders;
  while (!path.empty()) {
    const size_t end = std::min(path.find(':'), path.size());
    if (end > 0) folders.emplace_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return folders;
}

std::string listed(const std::vector<std::string>& parts) {
  return parts.empty() ? "none" : fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

void throw_status(yiti_status status, const yiti_message& message, std::string_view where,
                  std::string_view plugin) {
  std::string_view text(message.text, sizeof(message.text));
  text = text.substr(0, text.find('\0'));
  throw Error(code_of(status), where,
              fmt::format("{}: {}", plugin,
                          text.empty() ? code_name(code_of(status)) : std::string_view(text)));
}

PluginLibrary::PluginLibrary(const std::string& path) {
  if (!fs::exists(path)) fail(Code::kNotFound, "device", "there is no file {}", path);
  const auto refuse = [&](const std::string& why) {
    fail(Code::kFailedPrecondition, "device", "{} is no plug-in that works: {}", path, why);
  };
  void* library = dlopen(fs::absolute(path).c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) refuse(dl_message());
  const auto entry =
      reinterpret_cast<yiti_device_plugin_entry_function>(dlsym(library, YITI_DEVICE_ENTRY));
  if (entry == nullptr) refuse(fmt::format("it exports no {}", YITI_DEVICE_ENTRY));
  const yiti_device_plugin* table = entry();
  if (const std::string flaw = flaw_of(table); !flaw.empty()) refuse(flaw);
  table_ = known_part(table);
}

std::vector<std::string> plugin_folders(const std::string& path) {
  if (!path.empty()) return split(path);
  std::vector<std::string> folders;
  if (const char* environment = std::getenv("YITI_DEVICE_PATH")) folders = split(environment);
  std::error_code none;
  const fs::path program = fs::read_symlink("/proc/self/exe", none);
  if (!none) folders.push_back((program.parent_path().parent_path() / "lib/yiti/devices").string());
  folders.emplace_back(YITI_DEVICE_FOLDER);
  return folders;
}

std::string plugin_name(const std::string& file) {
  const std::string name = fs::path(file).filename().string();
  return name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
}

std::vector<std::string> find_plugins(const std::vector<std::string>& folders) {
  std::vector<std::string> files;
  for (const std::string& folder : folders) {
    std::vector<std::string> found;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(folder, none)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with(kPrefix) && name.ends_with(kSuffix)) {
        found.push_back(entry.path().string());
      }
    }
    std::sort(found.begin(), found.end());
    for (std::string& file : found) {
      const bool known = std::any_of(files.begin(), files.end(), [&](const std::string& other) {
        return plugin_name(other) == plugin_name(file);
      });
      if (!known) files.push_back(std::move(file));
    }
  }
  return files;
}

std::string plugin_file(std::string_view name, const std::vector<std::string>& folders) {
  if (name.find('/') != std::string_view::npos) return std::string(name);
  std::vector<std::string> names;
  for (const std::string& file : find_plugins(folders)) {
    if (plugin_name(file) == name) return file;
    names.push_back(plugin_name(file));
  }
  fail(Code::kNotFound, "device", "no plug-in {} in {}; there are: {}", name, listed(folders),
       listed(names));
}

}  // namespace yiti
