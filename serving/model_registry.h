// The models that a server has at the moment: they may come and go while it runs.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/generator.h"
#include "models/text/text_model.h"

namespace yiti {

/// A model under the name that requests use.
struct ServedModel {
  std::string name;
  Generator* generator = nullptr;
  const TextModel* text = nullptr;
  /// What a request leaves out; unset: the text model's. In both, temperature 0 stands for "no
  /// recommendation", and requests without a temperature then get 1, as with OpenAI.
  std::optional<Sampling> sampling = {};
  /// Requests without a seed get `sampling`'s; otherwise one is drawn for each.
  bool fixed_seed = false;
  int64_t created_unix_s = 0;
  std::string owned_by = "yiti";
  std::string path = {};    ///< told in /props
  std::string parent = {};  ///< of an adapter: the model that it adapts
  /// Keeps generator and text alive as long as a request uses them. Null: they outlive the server.
  std::shared_ptr<const void> owner = {};
};

using ServedModelPtr = std::shared_ptr<const ServedModel>;

/// Names to models. A request keeps the model that it found, also when the name goes or means
/// another one meanwhile. Thread-safe.
class ModelRegistry {
 public:
  /// Throws kInvalidArgument for a model without name, generator or text, kAlreadyExists for a name
  /// that is taken.
  void add(ServedModel model);
  /// The same, but a model of that name makes way.
  void replace(ServedModel model);
  /// Whether there was one.
  bool remove(std::string_view name);
  /// Null where there is none.
  ServedModelPtr find(std::string_view name) const;
  /// In the order in which the names came.
  std::vector<ServedModelPtr> list() const;

 private:
  void put(ServedModel model, bool may_replace);

  mutable std::mutex mutex_;
  std::vector<ServedModelPtr> models_;
};

}  // namespace yiti
