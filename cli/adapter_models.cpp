#include "cli/adapter_models.h"

#include "models/peft.h"

namespace yiti::cli {

AdapterModels::AdapterModels(const LoadedModel& base, ServedModel served_base,
                             BatchScheduler& scheduler, std::shared_ptr<ModelRegistry> registry)
    : base_(base),
      served_base_(std::move(served_base)),
      scheduler_(scheduler),
      registry_(std::move(registry)) {}

ServedModel AdapterModels::make(const std::string& name, const std::filesystem::path& adapter,
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

void AdapterModels::serve(const std::string& name, const std::filesystem::path& adapter,
                          int64_t created_unix_s) {
  registry_->replace(make(name, adapter, created_unix_s));
}

void AdapterModels::serve(const std::string& name, const std::filesystem::path& adapter,
                          int64_t created_unix_s, bool may_replace,
                          const std::function<void()>& record) {
  ServedModel served = make(name, adapter, created_unix_s);
  const ServedModelPtr before = registry_->find(name);
  if (may_replace) {
    registry_->replace(std::move(served));
  } else {
    registry_->add(std::move(served));
  }
  const auto recorded = capture_errors("adapters", [&] { record(); });
  if (recorded) return;
  if (before != nullptr) {
    registry_->replace(*before);
  } else {
    registry_->remove(name);
  }
  throw Error(recorded.error());
}

}  // namespace yiti::cli
