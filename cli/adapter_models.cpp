#include "cli/adapter_models.h"

#include <algorithm>
#include <chrono>

#include "models/peft.h"

namespace yiti::cli {
namespace {

namespace fs = std::filesystem;
constexpr const char* kWhere = "adapters";
constexpr size_t kMostLoaded = 64;

}  // namespace

int64_t now_unix_s() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

AdapterModels::AdapterModels(const LoadedModel& base, ServedModel served_base,
                             BatchScheduler& scheduler, std::shared_ptr<ModelRegistry> registry,
                             fs::path folder)
    : base_(base),
      served_base_(std::move(served_base)),
      scheduler_(scheduler),
      registry_(std::move(registry)),
      folder_(folder.empty() ? folder : fs::canonical(folder)) {}

ServedModel AdapterModels::make(const std::string& name, const fs::path& adapter,
                                int64_t created_unix_s) const {
  const std::shared_ptr<Generator> generator =
      scheduler_.add_model(load_peft(*base_.model, adapter.string()));
  ServedModel served = served_base_;
  served.name = name;
  served.aliases.clear();
  served.tags.clear();
  served.generator = generator.get();
  served.created_unix_s = created_unix_s;
  served.path = adapter.string();
  served.parent = served_base_.name;
  served.owner = generator;
  return served;
}

void AdapterModels::serve(const std::string& name, const fs::path& adapter,
                          int64_t created_unix_s) {
  registry_->replace(make(name, adapter, created_unix_s));
}

// Links are followed first: what counts is where a path really leads.
fs::path AdapterModels::inside_folder(const std::string& path) const {
  if (folder_.empty()) {
    fail(Code::kFailedPrecondition, kWhere, "no folder was given to load adapters from");
  }
  std::error_code missing;
  const fs::path real = fs::canonical(folder_ / path, missing);
  const auto [end, unused] = std::ranges::mismatch(folder_, real);
  if (missing || end != folder_.end()) {
    fail(Code::kNotFound, kWhere, "there is no adapter '{}' in the folder for adapters",
         path.substr(0, 256));
  }
  return real;
}

void AdapterModels::load_adapter(const std::string& name, const std::string& path, bool replace) {
  const fs::path adapter = inside_folder(path);
  ServedModel served = make(name, adapter, now_unix_s());
  const std::lock_guard lock(mutex_);
  const bool ours = loaded_.contains(name);
  if (ours && !replace) {
    fail(Code::kAlreadyExists, kWhere, "'{}' is loaded already; wants load_inplace to replace it",
         name);
  }
  if (!ours && loaded_.size() >= kMostLoaded) {
    fail(Code::kResourceExhausted, kWhere, "{} adapters are loaded, the most that may be",
         kMostLoaded);
  }
  if (ours) {
    registry_->replace(std::move(served));
  } else {
    registry_->add(std::move(served));
  }
  loaded_.insert(name);
}

void AdapterModels::unload_adapter(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (loaded_.erase(name) == 0) {
    fail(Code::kNotFound, kWhere, "the adapter '{}' was not loaded", name);
  }
  registry_->remove(name);
}

}  // namespace yiti::cli
