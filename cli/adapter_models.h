// The adapters of one base model, served beside it under names of their own.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "inference/scheduler.h"
#include "models/loader.h"
#include "serving/model_registry.h"

namespace yiti::cli {

/// Thread-safe. What it is made with must outlive it.
class AdapterModels {
 public:
  /// `base` (without an adapter) and `scheduler` serve all of them, with the text side and the
  /// defaults of `served_base`.
  AdapterModels(const LoadedModel& base, ServedModel served_base, BatchScheduler& scheduler,
                std::shared_ptr<ModelRegistry> registry);

  /// Serves the peft folder `adapter` as `name`, in place of what has that name. Throws as
  /// load_peft.
  void serve(const std::string& name, const std::filesystem::path& adapter, int64_t created_unix_s);
  /// The same, written down by `record`: where that throws, what was served before is again. Throws
  /// kAlreadyExists for a name that is taken where it may not replace.
  void serve(const std::string& name, const std::filesystem::path& adapter, int64_t created_unix_s,
             bool may_replace, const std::function<void()>& record);
  void withdraw(const std::string& name) { registry_->remove(name); }

  const LoadedModel& base() const { return base_; }
  const std::string& base_name() const { return served_base_.name; }

 private:
  ServedModel make(const std::string& name, const std::filesystem::path& adapter,
                   int64_t created_unix_s) const;

  const LoadedModel& base_;
  const ServedModel served_base_;
  BatchScheduler& scheduler_;
  const std::shared_ptr<ModelRegistry> registry_;
};

}  // namespace yiti::cli
