// yiti serve: an OpenAI-compatible server, which can fine-tune beside it.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <thread>

#include "cli/adapter_models.h"
#include "cli/command.h"
#include "cli/data_folder.h"
#include "cli/draft_options.h"
#include "cli/loaded_adapters.h"
#include "cli/local_jobs.h"
#include "cli/model_options.h"
#include "cli/request_options.h"
#include "cli/terminal.h"
#include "cli/training_options.h"
#include "core/io/hash.h"
#include "core/unix_time.h"
#include "inference/scheduler.h"
#include "models/lora.h"
#include "serving/server.h"
#include "training/data/jsonl.h"

namespace yiti::cli {
namespace {

struct ServeOptions {
  ModelOptions model;
  ContextOptions context;
  DraftOptions drafts;
  TrainingOptions training;
  std::vector<std::string> hosts = {"127.0.0.1"};
  uint16_t port = 8080;
  std::string name;
  RequestOptions requests;
  std::string data_dir;
  std::string adapter_dir;
  std::string organization = "yiti";
  int64_t max_file_mb = 64;
  std::string cache_dir;
  int64_t cache_gb = 8;
  double train_share = GateOptions().train_share;
  bool quiet = false;
  bool on_demand = false;
};

// A model, its adapters and its jobs, which one server offers.
class Service {
 public:
  Service(ServeOptions& options, std::shared_ptr<ModelRegistry> registry)
      : options_(options),
        registry_(std::move(registry)),
        base_(load(options)),
        gate_(std::make_shared<Gate>(GateOptions{
            .train_share = options.train_share, .cores = base_.model->device()->threads().size()})),
        model_(model_to_serve()),
        scheduler_(model_, scheduler_options()),
        served_base_(base_as_served()) {
    FineTuneOptions& run = options_.training.run;
    run.trainer.gate = gate_;
    run.base_name = options_.model.path;
    if (!options_.data_dir.empty()) open_data();
    registry_->add(served_base_);
    models_.emplace(base_, served_base_, scheduler_, registry_);
    if (!options_.adapter_dir.empty()) adapters_.emplace(*models_, adapter_options());
    if (trains() || folder_) jobs_.emplace(*models_, files_ ? &*files_ : nullptr, job_options());
  }

  const ServedModel& base() const { return served_base_; }

  void offer(ServerOptions& server) {
    if (jobs_) server.jobs = &*jobs_;
    if (files_) server.files = &*files_;
    if (adapters_) server.adapters = &*adapters_;
  }

  // What --train asks for.
  void start_training() {
    if (!trains()) return;
    FineTuneEvents events;
    events.published = [](const VersionPtr& version) {
      note(fmt::format("Published version {}", version->number()));
    };
    FineTuneOptions own = options_.training.run;
    own.checkpoint_every = 0;
    jobs_->start(model_, std::move(own), std::move(events));
  }

  void stop() {
    if (jobs_) jobs_->stop();
  }

 private:
  bool trains() const { return !options_.training.run.train_data.empty(); }

  static LoadedModel load(const ServeOptions& options) {
    LoadedModel loaded = options.model.load();
    loaded.text = options.requests.with_template(text_of(loaded));
    return loaded;
  }

  // With --train it is the served model itself that learns.
  ModelPtr model_to_serve() const {
    if (!trains() || !options_.model.adapter.empty()) return base_.model;
    return with_lora(*base_.model, options_.training.lora);
  }

  LanguageSessionOptions session_options() const {
    LanguageSessionOptions session = options_.context.session();
    if (!options_.cache_dir.empty()) {
      session.block_store = std::make_shared<BlockStore>(
          BlockStoreOptions{.folder = options_.cache_dir, .max_bytes = options_.cache_gb << 30});
    }
    return session;
  }

  SchedulerOptions scheduler_options() const {
    SchedulerOptions wanted{.session = session_options(), .gate = gate_};
    options_.drafts.apply(options_.model, base_, wanted);
    return wanted;
  }

  ServedModel base_as_served() {
    ServedModel served;
    served.name = options_.name.empty() ? base_.name : options_.name;
    served.generator = &scheduler_;
    served.text = &text_of(base_);
    served.created_unix_s = now_unix_s();
    served.path = options_.model.path;
    served.numerics = numerics(*base_.model);
    options_.requests.apply(served);
    return served;
  }

  static std::string numerics(const LanguageModel& model) {
    Hasher hasher;
    hasher.add(model.profile().str());
    hasher.add(model.config().str());
    return hasher.digits().substr(0, 8) + "-";
  }

  void open_data() {
    check(options_.model.adapter.empty(), "serve",
          "jobs make adapters of their own: wants --data-dir without --adapter");
    folder_.emplace(options_.data_dir);
    FileStoreOptions wanted;
    wanted.folder = folder_->files();
    wanted.max_file_bytes = options_.max_file_mb << 20;
    wanted.check_training_data = [](std::string_view name, std::string_view contents) {
      parse_jsonl(contents, name);
    };
    files_.emplace(std::move(wanted));
  }

  LocalJobsOptions job_options() const {
    LocalJobsOptions wanted;
    wanted.training = options_.training.run;
    wanted.lora = options_.training.lora;
    if (folder_) wanted.folder = folder_->jobs();
    wanted.organization = options_.organization;
    wanted.note = [](std::string_view line) { note(line); };
    return wanted;
  }

  LoadedAdaptersOptions adapter_options() const {
    LoadedAdaptersOptions wanted;
    wanted.source = options_.adapter_dir;
    if (folder_) wanted.kept = folder_->adapters();
    wanted.note = [](std::string_view line) { note(line); };
    return wanted;
  }

  ServeOptions& options_;
  const std::shared_ptr<ModelRegistry> registry_;
  const LoadedModel base_;
  const std::shared_ptr<Gate> gate_;
  const ModelPtr model_;
  BatchScheduler scheduler_;
  const ServedModel served_base_;
  std::optional<DataFolder> folder_;
  std::optional<FileStore> files_;
  std::optional<AdapterModels> models_;
  std::optional<LoadedAdapters> adapters_;
  std::optional<LocalJobs> jobs_;
};

ServerOptions server_options(const ServeOptions& options) {
  ServerOptions wanted;
  wanted.host = options.hosts[0];
  wanted.more_hosts.assign(options.hosts.begin() + 1, options.hosts.end());
  wanted.port = options.port;
  options.requests.apply(wanted);
  wanted.registry = std::make_shared<ModelRegistry>();
  if (!options.quiet) wanted.log = [](std::string_view line) { note(line); };
  return wanted;
}

// The model has a name before its file is read.
ModelOnDemand on_demand(ServeOptions& options) {
  if (options.name.empty()) {
    options.name = std::filesystem::weakly_canonical(options.model.path).stem().string();
  }
  ServedModel promise;
  promise.name = options.name;
  promise.created_unix_s = now_unix_s();
  promise.path = options.model.path;
  promise.aliases = options.requests.aliases;
  promise.tags = options.requests.tags;
  return {.promise = std::move(promise), .load = [&options] {
            const EndsAtOnce ends_at_once;
            const auto service =
                std::make_shared<Service>(options, std::make_shared<ModelRegistry>());
            ServedModel loaded = service->base();
            loaded.owner = service;
            return loaded;
          }};
}

int serve(ServeOptions& options) {
  options.training.finish();
  ServerOptions wanted = server_options(options);
  std::optional<Service> service;
  if (options.on_demand) {
    wanted.on_demand = on_demand(options);
  } else {
    wanted.load = [&](ServerOptions& server) {
      service.emplace(options, server.registry).offer(server);
    };
  }
  Server server(wanted);
  server.start().value();
  note(fmt::format("Serving {} at {}://{}:{} (Ctrl-C stops)",
                   service ? service->base().name : options.name,
                   wanted.tls_key.empty() ? "http" : "https", wanted.host, server.port()));
  if (service) service->start_training();
  while (!interrupt_flag()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  note("Stopping");
  if (service) service->stop();
  server.stop();
  return 0;
}

void add_cache(CLI::App& command, ServeOptions& options) {
  command
      .add_option("--cache-dir", options.cache_dir,
                  "Folder for keys and values of prompts, which a restart then finds again")
      ->group("Cache");
  command.add_option("--cache-gb", options.cache_gb, "Of the cache's folder, at most")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str()
      ->group("Cache");
}

void add_client_jobs(CLI::App& command, ServeOptions& options) {
  constexpr const char* kGroup = "Fine-tuning API";
  command
      .add_option("--data-dir", options.data_dir,
                  "Folder for files and fine-tuning jobs that clients make; without it they cannot")
      ->group(kGroup);
  command.add_option("--max-file-mb", options.max_file_mb, "Of a file that a client uploads")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str()
      ->group(kGroup);
  command.add_option("--organization", options.organization, "In ft:MODEL:ORGANIZATION:SUFFIX:ID")
      ->capture_default_str()
      ->group(kGroup);
  command
      .add_option("--adapter-dir", options.adapter_dir,
                  "Folder from which clients may load adapters; without it they cannot")
      ->check(CLI::ExistingDirectory)
      ->group(kGroup);
  options.training.run.checkpoint_every = 10;
  command
      .add_option("--checkpoint-every", options.training.run.checkpoint_every,
                  "Steps of a client's job")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->group(kGroup);
}

void add_training(CLI::App& command, ServeOptions& options) {
  constexpr const char* kGroup = "Training";
  FineTuneOptions& run = options.training.run;
  command.add_option("--train", run.train_data, "Fine-tune on this JSONL while serving")
      ->check(CLI::ExistingFile)
      ->group(kGroup);
  command.add_option("--eval", run.eval_data, "JSONL to evaluate on")
      ->check(CLI::ExistingFile)
      ->group(kGroup);
  command.add_option("-o,--output", run.output, "Folder for adapter, log and curve")->group(kGroup);
  command.add_option("--publish-every", run.publish_every, "Steps; 0: at the end only")
      ->capture_default_str()
      ->group(kGroup);
  command
      .add_option("--train-share", options.train_share,
                  "Of the cores' time while requests wait or run, at most")
      ->check(CLI::Range(0.01, 1.0))
      ->capture_default_str()
      ->group(kGroup);
  options.training.add(*command.add_option_group(kGroup), "--train-seed");
}

}  // namespace

void add_serve(CLI::App& app, Action& action) {
  auto options = std::make_shared<ServeOptions>();
  options->context.sequences = 8;
  CLI::App* command = app.add_subcommand(
      "serve", "Serve a model over OpenAI-compatible HTTP, and fine-tune it meanwhile");
  options->model.add(*command);
  command->add_option("--host", options->hosts, "May be given several times")
      ->allow_extra_args(false)
      ->capture_default_str();
  command->add_option("-p,--port", options->port, "0: any free one")->capture_default_str();
  command->add_option("--name", options->name, "The model's name in requests");
  options->requests.add(*command);
  command->add_flag("-q,--quiet", options->quiet, "Do not log requests");
  options->context.add(*command);
  command->add_option("--sequences", options->context.sequences, "Requests that run at once")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  options->drafts.add(*command);
  add_cache(*command, *options);
  add_client_jobs(*command, *options);
  add_training(*command, *options);
  command
      ->add_flag("--on-demand", options->on_demand,
                 "Load the model when a request first wants it, which waits until it is there")
      ->excludes("--data-dir")
      ->excludes("--adapter-dir")
      ->excludes("--train");
  command->callback([&action, options] { action = [options] { return serve(*options); }; });
}

}  // namespace yiti::cli
