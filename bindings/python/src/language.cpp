// yiti.load and what a loaded model does: generate, stream, embed, score, adapters.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <variant>

#include "bindings/model.h"
#include "bindings/python/src/bindings.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/devices.h"
#include "bindings/python/src/waiting.h"
#include "models/text/text_stream.h"
#include "ops/norm/softmax.h"

namespace yiti::python {
namespace {

using bindings::Model;

// What generating takes beside the prompt; unset: the model's own.
struct GenerateOptions {
  int64_t max_tokens = 256;
  std::optional<double> temperature, top_p, min_p, repetition_penalty;
  std::optional<int64_t> top_k;
  std::optional<uint64_t> seed;
  std::vector<std::string> stop;
  int top_logprobs = -1;
};

GenerateOptions options_from(const nb::kwargs& kwargs) {
  GenerateOptions options;
  const auto read = [&](const char* name, auto& target) {
    if (!kwargs.contains(name)) return;
    const nb::object value = kwargs[name];
    if (!nb::try_cast(value, target)) {
      fail_type(fmt::format("generate: {} is a {}", name, class_name(value)));
    }
  };
  read("max_tokens", options.max_tokens);
  read("temperature", options.temperature);
  read("top_p", options.top_p);
  read("top_k", options.top_k);
  read("min_p", options.min_p);
  read("repetition_penalty", options.repetition_penalty);
  read("seed", options.seed);
  read("stop", options.stop);
  read("top_logprobs", options.top_logprobs);
  static constexpr const char* kKnown[] = {"max_tokens", "temperature", "top_p",
                                           "top_k",      "min_p",       "repetition_penalty",
                                           "seed",       "stop",        "top_logprobs"};
  for (const auto& [key, value] : kwargs) {
    const auto name = nb::cast<std::string>(key);
    if (std::find(std::begin(kKnown), std::end(kKnown), name) == std::end(kKnown)) {
      fail_type(fmt::format("generate: there is no option {}; there are {}", name,
                            fmt::join(kKnown, ", ")));
    }
  }
  return options;
}

Sampling sampling_of(const GenerateOptions& options, const Model& model) {
  const auto& text = model.engine().loaded().text;
  Sampling sampling = text ? text->sampling : Sampling{};
  sampling.temperature = options.temperature.value_or(sampling.temperature);
  sampling.top_p = options.top_p.value_or(sampling.top_p);
  sampling.top_k = options.top_k.value_or(sampling.top_k);
  sampling.min_p = options.min_p.value_or(sampling.min_p);
  sampling.repetition_penalty = options.repetition_penalty.value_or(sampling.repetition_penalty);
  sampling.seed = options.seed.value_or(sampling.seed);
  return sampling;
}

std::vector<int32_t> prompt_from(const Model& model, nb::handle prompt) {
  std::vector<int32_t> ids;
  if (nb::isinstance<nb::str>(prompt)) {
    return model.text().tokenizer.encode(
        value_from<std::string>(prompt, "prompt", "a str of whole Unicode"));
  }
  if (!nb::try_cast(prompt, ids)) {
    fail_type("prompt is a " + class_name(prompt) + "; wants a str or token ids");
  }
  return ids;
}

// One generation: an iterator over its text, then its result.
class Stream {
 public:
  using Event = std::variant<GeneratedToken, Result<Generation>>;

  Stream(Model model, std::vector<int32_t> prompt, const GenerateOptions& options)
      : model_(std::move(model)) {
    GenerateRequest request{.prompt = std::move(prompt),
                            .max_tokens = options.max_tokens,
                            .sampling = sampling_of(options, model_),
                            .stop_tokens = {},
                            .top_logprobs = options.top_logprobs};
    if (const auto& text = model_.engine().loaded().text) {
      request.stop_tokens = text->stop_tokens;
      text_.emplace(text->tokenizer, options.stop);
    } else {
      check(options.stop.empty(), "generate", "stop strings need a tokenizer");
    }
    nb::gil_scoped_release release;
    handle_ = model_.generator().submit(
        std::move(request),
        [box = box_](const GeneratedToken& token) {
          box->put(token);
          return true;
        },
        [box = box_](Result<Generation> result) { box->put(std::move(result)); });
  }

  ~Stream() { cancel(); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // The next piece of text that is not empty; nullopt at the end.
  std::optional<std::string> next() {
    while (!result_) {
      Event event = take();
      if (const auto* token = std::get_if<GeneratedToken>(&event)) {
        tokens_.push_back(*token);
        if (!text_ || text_->stopped()) continue;
        std::string piece = text_->push(token->token);
        if (text_->stopped()) cancel();
        all_ += piece;
        if (!piece.empty()) return piece;
      } else {
        result_ = std::get<Result<Generation>>(std::move(event));
        if (!result_->ok()) throw result_->error();
        if (!text_ || text_->stopped()) continue;
        std::string rest = text_->finish();
        all_ += rest;
        if (!rest.empty()) return rest;
      }
    }
    return std::nullopt;
  }

  void finish() {
    while (next()) {
    }
  }

  void cancel() {
    if (handle_ && !result_) handle_->cancel();
  }

  nb::dict result() {
    finish();
    const Generation& done = result_->value();
    nb::dict dict;
    dict["text"] = all_;
    dict["tokens"] = done.tokens;
    const bool stopped = text_ && text_->stopped();
    dict["finish_reason"] = done.finish == Finish::kLength            ? "length"
                            : done.finish == Finish::kStop || stopped ? "stop"
                                                                      : "cancelled";
    dict["prompt_tokens"] = done.prompt_tokens;
    dict["cached_tokens"] = done.cached_tokens;
    dict["version"] = done.version;
    dict["fingerprint"] = done.fingerprint;
    nb::list logprobs;
    for (const GeneratedToken& token : tokens_) logprobs.append(token.logprob);
    dict["logprobs"] = logprobs;
    return dict;
  }

 private:
  // A signal ends the generation, too.
  Event take() {
    try {
      return box_->take();
    } catch (...) {
      cancel();
      throw;
    }
  }

  const Model model_;
  const std::shared_ptr<Mailbox<Event>> box_ = std::make_shared<Mailbox<Event>>();
  std::shared_ptr<GenerationHandle> handle_;
  std::optional<TextStream> text_;
  std::string all_;
  std::vector<GeneratedToken> tokens_;
  std::optional<Result<Generation>> result_;
};

std::shared_ptr<Stream> stream(const Model& model, nb::handle prompt, const nb::kwargs& kwargs) {
  return std::make_shared<Stream>(model, prompt_from(model, prompt), options_from(kwargs));
}

Tensor embed(const Model& model, nb::handle prompt, const std::string& pooling) {
  check(pooling == "mean" || pooling == "last", "embed", "pooling is \"{}\"; wants mean or last",
        pooling);
  const auto box = std::make_shared<Mailbox<Result<std::vector<float>>>>();
  const std::vector<int32_t> tokens = prompt_from(model, prompt);
  std::shared_ptr<GenerationHandle> handle;
  {
    nb::gil_scoped_release release;
    handle = model.generator().embed(
        {.tokens = tokens, .pooling = pooling == "last" ? Pooling::kLast : Pooling::kMean},
        [box](Result<std::vector<float>> result) { box->put(std::move(result)); });
  }
  try {
    const std::vector<float> values = box->take().value();
    return Tensor::from(values, {static_cast<int64_t>(values.size())},
                        model.definition()->device());
  } catch (...) {
    handle->cancel();
    throw;
  }
}

// log P(token | those before it) of each token but the first; of the first of them when stopped.
Tensor scores_of(const Model& model, const std::vector<int32_t>& tokens,
                 const std::stop_token& stop) {
  const auto count = static_cast<int64_t>(tokens.size());
  LanguageSession session(model.definition(), {.max_tokens = count + 64,
                                               .max_sequences = 1,
                                               .max_batch_tokens = std::min<int64_t>(count, 128),
                                               .prefix_cache = false});
  const DevicePtr& device = model.definition()->device();
  const SequenceId sequence = session.open(count);
  const auto vocab = static_cast<size_t>(session.vocab_size());
  std::vector<float> scores;
  const std::span<const int32_t> all(tokens);
  for (size_t at = 0; at + 1 < all.size() && !stop.stop_requested();) {
    const size_t size = std::min<size_t>(128, all.size() - 1 - at);
    const Feed feed{.sequence = sequence, .tokens = all.subspan(at, size), .all_logits = true};
    const std::span<const float> logits = session.step(std::span(&feed, 1));
    const Tensor rows = ops::log_softmax(
        Tensor::from(logits, {static_cast<int64_t>(size), session.vocab_size()}, device));
    const std::vector<float> row = rows.to_vector<float>();
    for (size_t i = 0; i < size; ++i) {
      scores.push_back(row[i * vocab + static_cast<size_t>(all[at + i + 1])]);
    }
    at += size;
  }
  return Tensor::from(scores, {static_cast<int64_t>(scores.size())}, device);
}

Tensor logprobs(const Model& model, nb::handle prompt) {
  const std::vector<int32_t> tokens = prompt_from(model, prompt);
  check(tokens.size() >= 2, "logprobs", "got {} tokens; wants 2 or more", tokens.size());
  const int64_t known = model.definition()->config().vocab_size;
  for (const int32_t token : tokens) {
    check(token >= 0 && token < known, "logprobs", "token {} of a vocabulary of {}", token, known);
  }
  return interruptible(
      [model, tokens](const std::stop_token& stop) { return scores_of(model, tokens, stop); });
}

Model load(nb::handle path, nb::handle device, nb::handle kv, bool exact_activations,
           bool dequantise, int64_t max_tokens, int64_t sequences) {
  const auto name = path_from(path);
  LoadOptions options{.dequantise = dequantise, .exact_activations = exact_activations, .kv = {}};
  if (!kv.is_none()) options.kv = dtype_from(kv);
  const DevicePtr where = device_from(device);
  LanguageSessionOptions session;
  session.max_tokens = max_tokens;
  session.max_sequences = sequences;
  return interruptible(
      [=](const std::stop_token&) { return Model::load(name, where, options, session); });
}

Model add_adapter(const Model& model, nb::handle folder, int64_t rank, double alpha,
                  const std::vector<std::string>& targets, uint64_t seed) {
  std::optional<std::string> from;
  if (!folder.is_none()) {
    from = path_from(folder);
  }
  nb::gil_scoped_release release;
  if (from) return model.with_adapter(*from);
  return model.with_adapter(
      LoraConfig{.rank = rank, .alpha = alpha, .targets = targets, .seed = seed});
}

void save_adapter(const Model& model, nb::handle folder) {
  const auto name = path_from(folder);
  nb::gil_scoped_release release;
  model.save_adapter(name);
}

}  // namespace

void add_language(nb::module_& module) {
  nb::class_<Stream>(module, "TextStream",
                     "A generation under way: iterate over it for the text as it comes.")
      .def("__iter__", [](nb::handle self) { return nb::borrow(self); })
      .def("__next__",
           [](Stream& self) {
             std::optional<std::string> piece = self.next();
             if (!piece) throw nb::stop_iteration();
             return *piece;
           })
      .def("cancel", &Stream::cancel, "Ends the generation; its result is what there is.")
      .def("result", &Stream::result,
           "Waits for the end: text, tokens, finish_reason, logprobs, version, fingerprint, ...");
  nb::class_<Model>(module, "Model",
                    "A language model, or an adapter over one. Safe from several threads; requests "
                    "of all of them share the steps of one session.")
      .def("stream", &stream, nb::arg("prompt"), nb::arg("options"),
           nb::sig("def stream(self, prompt: str | list[int], **options: object) -> TextStream"),
           "Begins to continue a text (or token ids). Options: max_tokens, temperature, top_p, "
           "top_k, min_p, repetition_penalty, seed, stop, top_logprobs.")
      .def("embed", &embed, nb::arg("prompt"), nb::arg("pooling") = "mean",
           nb::sig("def embed(self, prompt: str | list[int], pooling: str = 'mean') -> Tensor"),
           "The last hidden states, pooled over the tokens: [hidden_size].")
      .def("logprobs", &logprobs, nb::arg("prompt"),
           nb::sig("def logprobs(self, prompt: str | list[int]) -> Tensor"),
           "The log-probability of each token but the first, given those before it: [N - 1].")
      .def("add_adapter", &add_adapter, nb::arg("folder") = nb::none(), nb::arg("rank") = 8,
           nb::arg("alpha") = 16.0, nb::arg("targets") = std::vector<std::string>{},
           nb::arg("seed") = 0,
           nb::sig("def add_adapter(self, folder: object = None, rank: int = 8, alpha: float = 16, "
                   "targets: list[str] = [], seed: int = 0) -> Model"),
           "The base model with the adapter of a PEFT folder, or with a fresh one to train. Shares "
           "the base's weights, session and cache.")
      .def("save_adapter", &save_adapter, nb::arg("folder"),
           nb::sig("def save_adapter(self, folder: object) -> None"),
           "Writes the adapter's newest version as a PEFT folder.")
      .def_prop_ro(
          "tokenizer", [](const Model& model) { return model.text(); },
          "Tokenizer and chat template.")
      .def_prop_ro("name", [](const Model& model) { return model.engine().loaded().name; })
      .def_prop_ro("path", [](const Model& model) { return model.engine().path(); })
      .def_prop_ro("context_length",
                   [](const Model& model) {
                     nb::gil_scoped_release release;
                     return model.generator().context_length();
                   })
      .def_prop_ro(
          "version", [](const Model& model) { return model.version()->number(); },
          "The number of the newest version of the parameters.")
      .def_prop_ro(
          "fingerprint", [](const Model& model) { return model.version()->fingerprint(); },
          "Of the newest version of the parameters.")
      .def(
          "parameters",
          [](const Model& model) {
            const StorePtr& store = model.definition()->store();
            const VersionPtr version = model.version();
            nb::dict tensors;
            for (const std::string& name : store->names()) {
              tensors[name.c_str()] = (*version)[store->at(name)];
            }
            return tensors;
          },
          "The newest version's tensors by name, over the model's memory: do not write to them.");
  module.def("load_model", &load, nb::arg("path"), nb::arg("device") = nb::none(),
             nb::arg("kv") = nb::none(), nb::arg("exact_activations") = false,
             nb::arg("dequantise") = false, nb::arg("max_tokens") = 8192, nb::arg("sequences") = 8);
}

}  // namespace yiti::python
