#include "bindings/model.h"

#include "models/peft.h"

namespace yiti::bindings {

BatchScheduler& Engine::scheduler() {
  std::call_once(once_, [&] {
    SchedulerOptions options;
    options.session = session_;
    options.gate = gate_;
    scheduler_ = std::make_unique<BatchScheduler>(loaded_.model, std::move(options));
  });
  return *scheduler_;
}

const TextModel& Engine::text() const {
  if (!loaded_.text) {
    fail(Code::kFailedPrecondition, "model", "{} has no tokenizer: {}", path_, loaded_.text_error);
  }
  return *loaded_.text;
}

Model Model::load(const std::string& path, const DevicePtr& device, const LoadOptions& options,
                  const LanguageSessionOptions& session) {
  return Model(std::make_shared<Engine>(load_model(path, device, options).value(), path, session));
}

Model Model::with_adapter(const std::string& folder) const {
  return {engine_, load_peft(*engine_->loaded().model, folder)};
}

Model Model::with_adapter(const LoraConfig& config) const {
  return {engine_, with_lora(*engine_->loaded().model, config)};
}

void Model::save_adapter(const std::string& folder) const {
  save_peft(*model_, *version(), folder, engine_->path());
}

}  // namespace yiti::bindings
