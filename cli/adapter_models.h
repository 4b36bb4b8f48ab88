// The adapters of one base model, served beside it under names of their own.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "inference/scheduler.h"
#include "models/loader.h"
#include "serving/adapter_host.h"
#include "serving/model_registry.h"

namespace yiti::cli {

/// Thread-safe. What it is made with must outlive it.
class AdapterModels final : public AdapterHost {
 public:
  /// `base` (without an adapter) and `scheduler` serve all of them, with the text side and the
  /// defaults of `served_base`. Requests may load from `folder` and below; empty: from nowhere.
  AdapterModels(const LoadedModel& base, ServedModel served_base, BatchScheduler& scheduler,
                std::shared_ptr<ModelRegistry> registry, std::filesystem::path folder = {});

  /// Serves the peft folder `adapter` as `name`, in place of what has that name. Throws as
  /// load_peft.
  void serve(const std::string& name, const std::filesystem::path& adapter, int64_t created_unix_s);
  void withdraw(const std::string& name) { registry_->remove(name); }

  const LoadedModel& base() const { return base_; }
  const std::string& base_name() const { return served_base_.name; }

  void load_adapter(const std::string& name, const std::string& path, bool replace) override;
  void unload_adapter(const std::string& name) override;

 private:
  ServedModel make(const std::string& name, const std::filesystem::path& adapter,
                   int64_t created_unix_s) const;
  std::filesystem::path inside_folder(const std::string& path) const;

  const LoadedModel& base_;
  const ServedModel served_base_;
  BatchScheduler& scheduler_;
  const std::shared_ptr<ModelRegistry> registry_;
  const std::filesystem::path folder_;
  std::mutex mutex_;
  std::set<std::string> loaded_;  // by requests; with mutex_
};

/// Seconds since 1970.
int64_t now_unix_s();

}  // namespace yiti::cli
