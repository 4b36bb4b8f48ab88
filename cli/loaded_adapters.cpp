#include "cli/loaded_adapters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>

#include "core/error.h"
#include "core/io/files.h"
#include "core/io/json.h"
#include "core/unix_time.h"

namespace yiti::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kWhere = "adapters";
constexpr const char* kList = "adapters.json";
constexpr size_t kMaxListBytes = size_t{1} << 20;
constexpr std::array<const char*, 2> kFiles = {"adapter_config.json", "adapter_model.safetensors"};

void copy_durably(const fs::path& from, const fs::path& to) {
  std::ifstream in(from, std::ios::binary);
  if (!in) fail(Code::kNotFound, kWhere, "{} cannot be read", from.string());
  write_file_atomically(to.string(), [&](const WriteBytes& write) {
    std::vector<char> piece(size_t{1} << 20);
    while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())) || in.gcount() > 0) {
      write(std::as_bytes(std::span(piece).first(static_cast<size_t>(in.gcount()))));
    }
    if (!in.eof()) fail(Code::kDataLoss, kWhere, "{} cannot be read to its end", from.string());
  });
}

ModelVersion version_of(const Json& json) {
  return {.number = json.at("version").get<int64_t>(),
          .created_unix_s = json.at("created_at").get<int64_t>(),
          .is_served = json.at("served").get<bool>()};
}

}  // namespace

LoadedAdapters::LoadedAdapters(AdapterModels& models, LoadedAdaptersOptions options)
    : models_(models), options_([&] {
        options.source = fs::canonical(options.source);
        return std::move(options);
      }()) {
  if (!keeps()) return;
  fs::create_directories(options_.kept);
  loaded_ = read();
  for (const auto& one : loaded_) {
    const auto served = std::ranges::find(one.second, true, &ModelVersion::is_served);
    const auto done = capture_errors(kWhere, [&] {
      models_.serve(one.first, folder_of(served->number), served->created_unix_s);
    });
    if (!done && options_.note) {
      options_.note(
          fmt::format("the adapter {} is not served: {}", one.first, done.error().what()));
    }
  }
}

fs::path LoadedAdapters::folder_of(int64_t number) const {
  return options_.kept / std::to_string(number);
}

// Links are followed first: what counts is where a path really leads.
fs::path LoadedAdapters::inside_source(const std::string& path) const {
  std::error_code missing;
  fs::path real = fs::canonical(options_.source / path, missing);
  const auto [end, unused] = std::ranges::mismatch(options_.source, real);
  if (missing || end != options_.source.end()) {
    fail(Code::kNotFound, kWhere, "there is no adapter '{}' in the folder for adapters",
         path.substr(0, 256));
  }
  return real;
}

LoadedAdapters::Versions LoadedAdapters::find(std::string_view name) {
  const std::lock_guard lock(mutex_);
  const auto found = loaded_.find(std::string(name));
  return found == loaded_.end() ? Versions() : found->second;
}

int64_t LoadedAdapters::next_number() {
  const std::lock_guard lock(mutex_);
  int64_t last = 0;
  for (const auto& [name, versions] : loaded_) last = std::max(last, versions.back().number);
  return last + 1;
}

void LoadedAdapters::check_name(const std::string& name, bool replace) {
  const std::lock_guard lock(mutex_);
  const bool ours = loaded_.contains(name);
  if (ours && !replace) {
    fail(Code::kAlreadyExists, kWhere, "'{}' is loaded already; wants load_inplace to replace it",
         name);
  }
  if (!ours && loaded_.size() >= options_.max_names) {
    fail(Code::kResourceExhausted, kWhere, "{} adapters are loaded, the most that may be",
         options_.max_names);
  }
}

// What lies in the folder belongs to no adapter of the list: a crash left it.
void LoadedAdapters::keep(const fs::path& adapter, int64_t number) const {
  const fs::path folder = folder_of(number);
  fs::remove_all(folder);
  fs::create_directories(folder);
  for (const char* file : kFiles) copy_durably(adapter / file, folder / file);
}

void LoadedAdapters::forget(const Versions& versions) const {
  if (!keeps()) return;
  std::error_code ignored;
  for (const ModelVersion& one : versions) fs::remove_all(folder_of(one.number), ignored);
}

void LoadedAdapters::load_adapter(const std::string& name, const std::string& path, bool replace) {
  const std::lock_guard change(changing_);
  const fs::path source = inside_source(path);
  check_name(name, replace);
  const ModelVersion added = {
      .number = next_number(), .created_unix_s = now_unix_s(), .is_served = true};
  Versions versions = find(name), old;
  for (ModelVersion& one : versions) one.is_served = false;
  versions.push_back(added);
  while (versions.size() > (keeps() ? options_.versions_kept : 1)) {
    old.push_back(versions.front());
    versions.erase(versions.begin());
  }
  const auto done = capture_errors(kWhere, [&] {
    if (keeps()) keep(source, added.number);
    serve(name, keeps() ? folder_of(added.number) : source, std::move(versions));
  });
  forget(done ? old : Versions{added});
  if (!done) throw Error(done.error());
}

void LoadedAdapters::unload_adapter(const std::string& name) {
  const std::lock_guard change(changing_);
  const Versions versions = find(name);
  if (versions.empty()) fail(Code::kNotFound, kWhere, "the adapter '{}' was not loaded", name);
  set(name, {});
  models_.withdraw(name);
  forget(versions);
}

std::vector<ModelVersion> LoadedAdapters::versions(std::string_view name) { return find(name); }

void LoadedAdapters::serve_version(std::string_view name, int64_t number) {
  const std::lock_guard change(changing_);
  Versions versions = find(name);
  if (!keeps() || std::ranges::count(versions, number, &ModelVersion::number) == 0) {
    fail(Code::kNotFound, kWhere, "version {} of '{}' is not kept", number, name.substr(0, 256));
  }
  for (ModelVersion& one : versions) one.is_served = one.number == number;
  serve(std::string(name), folder_of(number), std::move(versions));
}

void LoadedAdapters::serve(const std::string& name, const fs::path& folder, Versions versions) {
  const bool ours = !find(name).empty();
  const auto served = std::ranges::find(versions, true, &ModelVersion::is_served);
  models_.serve(name, folder, served->created_unix_s, ours,
                [&] { set(name, std::move(versions)); });
}

// No versions: the name goes.
void LoadedAdapters::set(const std::string& name, Versions versions) {
  const std::lock_guard lock(mutex_);
  std::map<std::string, Versions> changed = loaded_;
  if (versions.empty()) {
    changed.erase(name);
  } else {
    changed[name] = std::move(versions);
  }
  if (keeps()) save(changed);
  loaded_ = std::move(changed);
}

std::map<std::string, LoadedAdapters::Versions> LoadedAdapters::read() const {
  std::map<std::string, Versions> loaded;
  const std::string path = (options_.kept / kList).string();
  if (!fs::exists(path)) return loaded;
  const Json json = parse_json(read_file(path, kMaxListBytes), path);
  try {
    for (const auto& [name, versions] : json.items()) {
      for (const Json& one : versions) loaded[name].push_back(version_of(one));
      if (std::ranges::count(loaded[name], true, &ModelVersion::is_served) != 1) {
        fail(Code::kDataLoss, kWhere, "{} is damaged: {} has not one version that is served", path,
             name);
      }
    }
  } catch (const Json::exception& error) {
    fail(Code::kDataLoss, kWhere, "{} is damaged: {}", path, error.what());
  }
  return loaded;
}

void LoadedAdapters::save(const std::map<std::string, Versions>& loaded) const {
  Json json = Json::object();
  for (const auto& [name, versions] : loaded) {
    for (const ModelVersion& one : versions) {
      json[name].push_back(
          {{"version", one.number}, {"created_at", one.created_unix_s}, {"served", one.is_served}});
    }
  }
  const std::string text = json.dump(1, ' ', false, Json::error_handler_t::replace);
  write_file_atomically((options_.kept / kList).string(), text + "\n");
}

}  // namespace yiti::cli
