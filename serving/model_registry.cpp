#include "serving/model_registry.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace yiti {
namespace {

constexpr const char* kWhere = "models";

auto named(std::string_view name) {
  return [name](const ServedModelPtr& model) { return model->name == name; };
}

}  // namespace

void ModelRegistry::add(ServedModel model) { put(std::move(model), false); }
void ModelRegistry::replace(ServedModel model) { put(std::move(model), true); }

void ModelRegistry::put(ServedModel model, bool may_replace) {
  check(!model.name.empty(), kWhere, "a model has no name");
  check(model.generator != nullptr && model.text != nullptr, kWhere,
        "model '{}' wants a generator and a text model", model.name);
  check(model.chat.variables_json.empty() ||
            nlohmann::json::parse(model.chat.variables_json, nullptr, false).is_object(),
        kWhere, "the template variables of '{}' are no JSON object", model.name);
  auto fresh = std::make_shared<const ServedModel>(std::move(model));
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find_if(models_, named(fresh->name));
  if (found == models_.end()) {
    models_.push_back(std::move(fresh));
  } else if (may_replace) {
    found->swap(fresh);
  } else {
    fail(Code::kAlreadyExists, kWhere, "there is a model '{}' already", fresh->name);
  }
}

bool ModelRegistry::remove(std::string_view name) {
  ServedModelPtr removed;  // let go without the lock: it may be the last reference
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find_if(models_, named(name));
  if (found == models_.end()) return false;
  removed = std::move(*found);
  models_.erase(found);
  return true;
}

ServedModelPtr ModelRegistry::find(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  auto found = std::ranges::find_if(models_, named(name));
  if (found == models_.end()) {
    found = std::ranges::find_if(models_, [name](const ServedModelPtr& model) {
      return std::ranges::find(model->aliases, name) != model->aliases.end();
    });
  }
  return found == models_.end() ? nullptr : *found;
}

std::vector<ServedModelPtr> ModelRegistry::list() const {
  const std::lock_guard lock(mutex_);
  return models_;
}

}  // namespace yiti
