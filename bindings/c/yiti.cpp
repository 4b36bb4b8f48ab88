#include "bindings/c/yiti.h"

#include <atomic>
#include <cstring>
#include <nlohmann/json.hpp>

#include "bindings/model.h"
#include "models/text/text_stream.h"
#include "training/fine_tune.h"

struct yiti_model {
  yiti::bindings::Model model;
};

namespace yiti {
namespace {

static_assert(YITI_INTERNAL == static_cast<int>(Code::kInternal) + 1);

yiti_code code_of(const Error& error) {
  return static_cast<yiti_code>(static_cast<int>(error.code()) + 1);
}

// Calls f; what it throws goes to `error` and becomes the code.
template <class F>
yiti_code guarded(yiti_error* error, F&& f) noexcept {
  const auto done = capture_errors("yiti", [&] { f(); });
  if (done.ok()) return YITI_OK;
  const yiti_code code = code_of(done.error());
  if (error != nullptr) {
    error->code = code;
    std::strncpy(error->message, done.error().what(), sizeof(error->message) - 1);
    error->message[sizeof(error->message) - 1] = '\0';
  }
  return code;
}

void require(const void* argument, const char* where, const char* argument_name) {
  check(argument != nullptr, where, "{} is NULL", argument_name);
}

void generate(const yiti_model* model, std::vector<int32_t> prompt,
              const yiti_generate_options* options, yiti_on_text on_text, void* user) {
  const TextModel& text = model->model.text();
  GenerateRequest request{
      .prompt = std::move(prompt), .sampling = text.sampling, .stop_tokens = text.stop_tokens};
  if (options != nullptr) {
    if (options->max_tokens != 0) request.max_tokens = options->max_tokens;
    if (options->temperature >= 0) request.sampling.temperature = options->temperature;
    if (options->top_p != 0) request.sampling.top_p = options->top_p;
    request.sampling.seed = options->seed;
  }
  TextStream stream(text.tokenizer);
  const auto give = [&](const std::string& piece) {
    return on_text == nullptr || piece.empty() || on_text(piece.data(), piece.size(), user) == 0;
  };
  const Generation done =
      model->model.generator()
          .generate(std::move(request),
                    [&](const GeneratedToken& token) { return give(stream.push(token.token)); })
          .value();
  if (done.finish != Finish::kCancelled) give(stream.finish());
}

FineTuneOptions run_options(const yiti_model& model, const yiti_fine_tune_options& options) {
  FineTuneOptions run;
  run.train_data = options.train_data;
  if (options.output != nullptr) run.output = options.output;
  if (options.lr != 0) run.schedule.lr = options.lr;
  if (options.epochs != 0) run.epochs = options.epochs;
  if (options.batch_tokens != 0) run.batch_tokens = options.batch_tokens;
  run.max_steps = options.max_steps;
  run.publish_every = options.publish_every;
  run.base_name = model.model.engine().path();
  run.trainer.gate = model.model.engine().gate();
  return run;
}

}  // namespace
}  // namespace yiti

yiti_model* yiti_load(const char* path, const yiti_load_options* options, yiti_error* error) {
  yiti_model* loaded = nullptr;
  yiti::guarded(error, [&] {
    yiti::require(path, "load", "path");
    const yiti_load_options given = options == nullptr ? yiti_load_options{} : *options;
    yiti::LanguageSessionOptions session;
    if (given.max_tokens != 0) session.max_tokens = given.max_tokens;
    session.max_sequences = given.sequences != 0 ? given.sequences : 8;
    const yiti::DevicePtr device = yiti::make_cpu_device({.threads = given.threads});
    loaded = new yiti_model{yiti::bindings::Model::load(path, device, {}, session)};
  });
  return loaded;
}

yiti_model* yiti_add_adapter(const yiti_model* model, const char* folder, int64_t rank,
                             yiti_error* error) {
  yiti_model* made = nullptr;
  yiti::guarded(error, [&] {
    yiti::require(model, "add_adapter", "model");
    made = new yiti_model{folder != nullptr
                              ? model->model.with_adapter(std::string(folder))
                              : model->model.with_adapter(yiti::LoraConfig{.rank = rank})};
  });
  return made;
}

yiti_code yiti_save_adapter(const yiti_model* model, const char* folder, yiti_error* error) {
  return yiti::guarded(error, [&] {
    yiti::require(model, "save_adapter", "model");
    yiti::require(folder, "save_adapter", "folder");
    model->model.save_adapter(folder);
  });
}

void yiti_free(yiti_model* model) { delete model; }

uint64_t yiti_version(const yiti_model* model, char fingerprint[33]) {
  const yiti::VersionPtr version = model->model.version();
  if (fingerprint != nullptr) std::memcpy(fingerprint, version->fingerprint().c_str(), 33);
  return version->number();
}

yiti_code yiti_generate(const yiti_model* model, const char* prompt,
                        const yiti_generate_options* options, yiti_on_text on_text, void* user,
                        yiti_error* error) {
  return yiti::guarded(error, [&] {
    yiti::require(model, "generate", "model");
    yiti::require(prompt, "generate", "prompt");
    yiti::generate(model, model->model.text().tokenizer.encode(prompt), options, on_text, user);
  });
}

yiti_code yiti_chat(const yiti_model* model, const char* messages_json,
                    const yiti_generate_options* options, yiti_on_text on_text, void* user,
                    yiti_error* error) {
  return yiti::guarded(error, [&] {
    yiti::require(model, "chat", "model");
    yiti::require(messages_json, "chat", "messages_json");
    const auto messages = nlohmann::ordered_json::parse(messages_json, nullptr, false);
    yiti::check(!messages.is_discarded(), "chat", "messages_json is not JSON");
    yiti::generate(model, model->model.text().chat_prompt(messages), options, on_text, user);
  });
}

yiti_code yiti_fine_tune(const yiti_model* model, const yiti_fine_tune_options* options,
                         yiti_on_step on_step, void* user, yiti_error* error) {
  return yiti::guarded(error, [&] {
    yiti::require(model, "fine_tune", "model");
    yiti::require(options, "fine_tune", "options");
    yiti::require(options->train_data, "fine_tune", "train_data");
    std::atomic<bool> stop{false};
    yiti::FineTuneEvents events;
    events.step = [&](const yiti::Progress& progress) {
      const yiti_step step{progress.step, progress.total_steps, progress.loss};
      if (on_step != nullptr && on_step(&step, user) != 0) stop = true;
    };
    yiti::fine_tune(model->model.definition(), model->model.text(),
                    yiti::run_options(*model, *options), events, &stop)
        .value();
  });
}
