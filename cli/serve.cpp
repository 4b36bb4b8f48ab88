// yiti serve: an OpenAI-compatible server, which can fine-tune beside it.
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <thread>

#include "cli/command.h"
#include "cli/local_jobs.h"
#include "cli/model_options.h"
#include "cli/request_options.h"
#include "cli/terminal.h"
#include "cli/training_options.h"
#include "inference/scheduler.h"
#include "serving/server.h"

namespace yiti::cli {
namespace {

struct ServeOptions {
  ModelOptions model;
  ContextOptions context;
  TrainingOptions training;
  std::string host = "127.0.0.1";
  uint16_t port = 8080;
  std::string name;
  RequestOptions requests;
  bool quiet = false;
};

int serve(ServeOptions& options) {
  options.training.finish();
  LoadedModel loaded = options.model.load();
  const TextModel text = options.requests.with_template(text_of(loaded));
  FineTuneOptions& run = options.training.run;
  const bool trains = !run.train_data.empty();
  if (trains && options.model.adapter.empty()) {
    loaded.model = with_lora(*loaded.model, options.training.lora);
  }
  const auto gate = std::make_shared<Gate>();
  run.trainer.gate = gate;
  run.base_name = options.model.path;
  BatchScheduler scheduler(loaded.model, {.session = options.context.session(), .gate = gate});
  const std::string name = options.name.empty() ? loaded.name : options.name;
  LocalJob job(loaded.model, text, run, name);

  ServerOptions wanted;
  wanted.host = options.host;
  wanted.port = options.port;
  options.requests.apply(wanted);
  wanted.models = {
      {.name = name, .generator = &scheduler, .text = &text, .path = options.model.path}};
  options.requests.apply(wanted.models[0]);
  if (trains) wanted.jobs = &job;
  if (!options.quiet) wanted.log = [](std::string_view line) { note(line); };
  Server server(wanted);
  server.start().value();
  note(fmt::format("Serving {} at http://{}:{} (Ctrl-C stops)", name, options.host, server.port()));
  if (trains) {
    FineTuneEvents events;
    events.published = [](const VersionPtr& version) {
      note(fmt::format("Published version {}", version->number()));
    };
    job.start(std::move(events));
  }
  while (!interrupt_flag()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  note("Stopping");
  job.stop();
  server.stop();
  return 0;
}

}  // namespace

void add_serve(CLI::App& app, Action& action) {
  auto options = std::make_shared<ServeOptions>();
  options->context.sequences = 8;
  CLI::App* command = app.add_subcommand(
      "serve", "Serve a model over OpenAI-compatible HTTP, and fine-tune it meanwhile");
  options->model.add(*command);
  command->add_option("--host", options->host)->capture_default_str();
  command->add_option("-p,--port", options->port, "0: any free one")->capture_default_str();
  command->add_option("--name", options->name, "The model's name in requests");
  options->requests.add(*command);
  command->add_flag("-q,--quiet", options->quiet, "Do not log requests");
  options->context.add(*command);
  command->add_option("--sequences", options->context.sequences, "Requests that run at once")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  FineTuneOptions& run = options->training.run;
  command->add_option("--train", run.train_data, "Fine-tune on this JSONL while serving")
      ->check(CLI::ExistingFile)
      ->group("Training");
  command->add_option("--eval", run.eval_data, "JSONL to evaluate on")
      ->check(CLI::ExistingFile)
      ->group("Training");
  command->add_option("-o,--output", run.output, "Folder for adapter, log and curve")
      ->group("Training");
  command->add_option("--publish-every", run.publish_every, "Steps; 0: at the end only")
      ->capture_default_str()
      ->group("Training");
  options->training.add(*command->add_option_group("Training"));
  command->callback([&action, options] { action = [options] { return serve(*options); }; });
}

}  // namespace yiti::cli
