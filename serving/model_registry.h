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

/// What becomes of a conversation beside what the request says.
struct ChatDefaults {
  /// Further variables of the chat template, as a JSON object, or empty. A request's own
  /// (chat_template_kwargs) come before them.
  std::string variables_json = {};
  /// Tells the template today's date, as llama.cpp does: `date_string` (25 Dec 2025) and `datetime`
  /// (Dec 25 2025).
  bool dates = false;
  /// A last message of the assistant is what the answer goes on with.
  bool prefill_assistant = false;
};

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
  ChatDefaults chat = {};
  int64_t created_unix_s = 0;
  std::string owned_by = "yiti";
  std::vector<std::string> aliases = {};  ///< other names that requests may use
  std::vector<std::string> tags = {};     ///< told in /v1/models
  std::string path = {};                  ///< told in /props
  /// Stands before the version's own in `system_fingerprint`: names what else decides the bits of
  /// an answer, such as how keys are kept and positions stretched. Empty: nothing.
  std::string numerics = {};
  std::string parent = {};  ///< of an adapter: the model that it adapts
  /// Keeps generator and text alive as long as a request uses them. Null: they outlive the server.
  std::shared_ptr<const void> owner = {};
};

using ServedModelPtr = std::shared_ptr<const ServedModel>;

/// Names to models. A request keeps the model that it found, also when the name goes or means
/// another one meanwhile. Thread-safe.
class ModelRegistry {
 public:
  /// Throws kInvalidArgument for a model without name, generator or text, or whose
  /// `variables_json` is no object, kAlreadyExists for a name that is taken.
  void add(ServedModel model);
  /// The same, but a model of that name makes way.
  void replace(ServedModel model);
  /// Whether there was one.
  bool remove(std::string_view name);
  /// By its name, or else an alias; null where there is none.
  ServedModelPtr find(std::string_view name) const;
  /// In the order in which the names came.
  std::vector<ServedModelPtr> list() const;

 private:
  void put(ServedModel model, bool may_replace);

  mutable std::mutex mutex_;
  std::vector<ServedModelPtr> models_;
};

}  // namespace yiti
