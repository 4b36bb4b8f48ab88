// What every language model architecture offers, and the list of architectures.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/parameters.h"
#include "models/config.h"
#include "models/context.h"
#include "models/profile.h"

namespace yiti {

/// A model's definition over a parameter store. Immutable, so that a trainer and any number of
/// sessions share it; the values come from the version that their context pins.
class LanguageModel {
 public:
  LanguageModel(ModelConfig config, StorePtr store, NumericProfile profile)
      : config_(std::move(config)), store_(std::move(store)), profile_(profile) {}
  virtual ~LanguageModel() = default;
  LanguageModel(const LanguageModel&) = delete;
  LanguageModel& operator=(const LanguageModel&) = delete;

  /// tokens [T] i32 -> what ctx.predict gives
  virtual Tensor operator()(const Tensor& tokens, Context& ctx) const = 0;

  const ModelConfig& config() const { return config_; }
  const StorePtr& store() const { return store_; }
  const NumericProfile& profile() const { return profile_; }
  /// The device that the parameters live on.
  const DevicePtr& device() const { return store_->current()->tensors().front().device(); }

 private:
  ModelConfig config_;
  StorePtr store_;
  NumericProfile profile_;
};

using ModelPtr = std::shared_ptr<const LanguageModel>;

/// Builds the architecture that `config` names over `store`. Throws kUnimplemented listing the
/// known ones, kNotFound or kInvalidArgument for parameters that are missing or of another shape.
ModelPtr make_model(const ModelConfig& config, StorePtr store, const NumericProfile& profile);

}  // namespace yiti
