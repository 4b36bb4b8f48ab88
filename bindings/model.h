// A language model in another language's hands: definition, text side, and a scheduler that its
// adapters share.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "inference/scheduler.h"
#include "models/loader.h"
#include "models/lora.h"

namespace yiti::bindings {

/// The loaded file and what generates with it. Thread-safe.
class Engine {
 public:
  Engine(LoadedModel loaded, std::string path, LanguageSessionOptions session)
      : loaded_(std::move(loaded)),
        path_(std::move(path)),
        session_(std::move(session)),
        gate_(std::make_shared<Gate>(
            GateOptions{.cores = loaded_.model->device()->threads().size()})) {}

  const LoadedModel& loaded() const { return loaded_; }
  const std::string& path() const { return path_; }
  const std::shared_ptr<Gate>& gate() const { return gate_; }
  /// Made at the first call.
  BatchScheduler& scheduler();
  /// Throws kFailedPrecondition where the file has no tokenizer.
  const TextModel& text() const;

 private:
  const LoadedModel loaded_;
  const std::string path_;
  const LanguageSessionOptions session_;
  const std::shared_ptr<Gate> gate_;
  std::once_flag once_;
  std::unique_ptr<BatchScheduler> scheduler_;
};

/// The base model or one with an adapter. Copies share everything. Thread-safe.
class Model {
 public:
  /// Throws as load_model.
  static Model load(const std::string& path, const DevicePtr& device, const LoadOptions& options,
                    const LanguageSessionOptions& session);
  /// The base with the adapter of a peft folder, or with a fresh one. Throw as load_peft and
  /// with_lora.
  Model with_adapter(const std::string& folder) const;
  Model with_adapter(const LoraConfig& config) const;
  /// Writes the newest version of the adapter as a peft folder. Throws as save_peft.
  void save_adapter(const std::string& folder) const;

  Engine& engine() const { return *engine_; }
  const TextModel& text() const { return engine_->text(); }
  const ModelPtr& definition() const { return model_; }
  Generator& generator() const { return added_ ? *added_ : engine_->scheduler(); }
  /// The newest version of the parameters.
  VersionPtr version() const { return model_->store()->current(); }

 private:
  explicit Model(std::shared_ptr<Engine> engine)
      : engine_(std::move(engine)), model_(engine_->loaded().model) {}
  Model(std::shared_ptr<Engine> engine, ModelPtr model)
      : engine_(std::move(engine)),
        model_(std::move(model)),
        added_(engine_->scheduler().add_model(model_)) {}

  std::shared_ptr<Engine> engine_;
  ModelPtr model_;
  std::shared_ptr<Generator> added_;  // null for the base
};

}  // namespace yiti::bindings
