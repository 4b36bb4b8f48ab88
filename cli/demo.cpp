// yiti demo: the main job. Serves a model, asks it what it does not know, fine-tunes it in the same
// process while requests keep arriving, and asks again.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/command.h"
#include "cli/http_client.h"
#include "cli/local_jobs.h"
#include "cli/model_options.h"
#include "cli/terminal.h"
#include "cli/training_options.h"
#include "inference/scheduler.h"
#include "serving/server.h"
#include "training/report/sparkline.h"

namespace yiti::cli {
namespace {

using Json = nlohmann::json;
constexpr const char* kModelName = "smollm2";

struct DemoOptions {
  ModelOptions model;
  TrainingOptions training;
  std::filesystem::path data = "examples/data/yiti-qa";
  uint16_t port = 8080;
  int questions = 4;
};

struct Answer {
  std::string text;
  std::string fingerprint;
};

Answer ask(uint16_t port, const Json& messages) {
  const Json body = {
      {"model", kModelName}, {"messages", messages}, {"temperature", 0}, {"max_tokens", 64}};
  const HttpReply reply = post_json(port, "/v1/chat/completions", body.dump());
  if (reply.status != 200) fail(Code::kUnavailable, "demo", "the server said {}", reply.body);
  const Json json = Json::parse(reply.body);
  return {json["choices"][0]["message"]["content"].get<std::string>(),
          json["system_fingerprint"].get<std::string>()};
}

// The questions of held-out conversations, without their answers.
std::vector<Json> held_out_questions(const std::filesystem::path& file, int count) {
  std::vector<Json> questions;
  const std::vector<DataRow> rows = read_jsonl(file);
  const size_t stride = std::max<size_t>(1, rows.size() / static_cast<size_t>(count));
  for (size_t i = 0; i < rows.size() && questions.size() < static_cast<size_t>(count);
       i += stride) {
    Json messages = Json::array();
    for (const RowMessage& message : rows[i].messages) {
      if (message.role == "assistant") break;
      messages.push_back({{"role", message.role}, {"content", message.content}});
    }
    questions.push_back(messages);
  }
  return questions;
}

// Asks one question again and again until told to stop, and tells when the answer comes from
// another version.
class Traffic {
 public:
  Traffic(uint16_t port, Json question, std::function<void(const Answer&)> on_new_version)
      : thread_([=, this] {
          std::string last;
          while (!stop_) {
            const Answer answer = ask(port, question);
            ++replies_;
            if (answer.fingerprint != last) on_new_version(answer);
            last = answer.fingerprint;
            pause();
          }
        }) {}
  ~Traffic() {
    stop_ = true;
    thread_.join();
  }
  int replies() const { return replies_; }

 private:
  // Between two requests, so that training gets the processor too.
  void pause() const {
    for (int i = 0; i < 30 && !stop_; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }

  std::atomic<bool> stop_{false};
  std::atomic<int> replies_{0};
  std::thread thread_;
};

class Demo {
 public:
  explicit Demo(DemoOptions& options)
      : options_(options),
        run_(options.training.run),
        loaded_(load(options)),
        model_(with_lora(*loaded_.model, options.training.lora)),
        text_(text_of(loaded_)) {}

  int run() {
    const auto gate =
        std::make_shared<Gate>(GateOptions{.cores = loaded_.model->device()->threads().size()});
    run_.trainer.gate = gate;
    BatchScheduler scheduler(
        model_, {.session = {.max_tokens = 8192, .max_sequences = 8, .context_length = 2048},
                 .gate = gate});
    const auto registry = std::make_shared<ModelRegistry>();
    ServedModel served;
    served.name = kModelName;
    served.generator = &scheduler;
    served.text = &text_;
    AdapterModels models(loaded_, served, scheduler, registry);
    const LocalJobsOptions no_training;
    LocalJobs jobs(models, nullptr, no_training);
    ServerOptions wanted;
    wanted.port = options_.port;
    wanted.models = {served};
    wanted.registry = registry;
    wanted.jobs = &jobs;
    Server server(wanted);
    start(server, wanted);
    const std::vector<Json> questions = held_out_questions(run_.eval_data, options_.questions);
    note("\n== Before: what the model says about a subject that it does not know");
    const std::vector<Answer> before = ask_all(server.port(), questions);
    note("\n== Fine-tuning in this process, while requests keep arriving");
    const FineTuneResult result = train(jobs, server.port(), questions[0]);
    note("\n== After: the same questions, asked of the same server");
    ask_all(server.port(), questions);
    tell(result, server.port());
    server.stop();
    return 0;
  }

 private:
  static LoadedModel load(DemoOptions& options) {
    options.training.finish();
    return options.model.load();
  }

  void start(Server& server, const ServerOptions& wanted) {
    server.start().value();
    note(
        fmt::format("== Serving {} as \"{}\" at http://{}:{}; while this runs, try\n"
                    "   curl -s http://{}:{}/v1/chat/completions -H 'Content-Type: "
                    "application/json' -d '{{\"model\": \"{}\", "
                    "\"messages\": [{{\"role\": \"user\", \"content\": \"What is yiti?\"}}]}}'",
                    loaded_.name, kModelName, wanted.host, server.port(), wanted.host,
                    server.port(), kModelName));
  }

  static std::vector<Answer> ask_all(uint16_t port, const std::vector<Json>& questions) {
    std::vector<Answer> answers;
    for (const Json& question : questions) {
      answers.push_back(ask(port, question));
      note(fmt::format("Q: {}\nA: {}", question.back()["content"].get<std::string>(),
                       answers.back().text));
    }
    return answers;
  }

  FineTuneResult train(LocalJobs& jobs, uint16_t port, const Json& question) {
    std::mutex mutex;  // the bar is written from the job's and the traffic's thread
    ProgressBar bar([](std::string_view piece) { fmt::print(stderr, "{}", piece); },
                    {.terminal = err_is_terminal(), .columns = terminal_columns()});
    FineTuneEvents events = terminal_events(text_, bar);
    const auto step = events.step;
    events.step = [&, step](const Progress& progress) {
      const std::lock_guard lock(mutex);
      losses_.push_back(progress.loss);
      step(progress);
    };
    events.published = [&](const VersionPtr& version) {
      const std::lock_guard lock(mutex);
      published_.emplace_back(version->fingerprint(), version->number());
    };
    const auto on_new_version = [&](const Answer& answer) {
      const std::lock_guard lock(mutex);
      for (const auto& [fingerprint, number] : published_) {
        if (!answer.fingerprint.ends_with(fingerprint)) continue;
        bar.message(fmt::format("A request was answered by version {}: {}", number,
                                answer.text.substr(0, answer.text.find('\n'))));
      }
    };
    const std::string id = jobs.start(model_, run_, std::move(events));
    FineTuneResult result;
    {
      Traffic traffic(port, question, on_new_version);
      result = jobs.wait(id);
      replies_ = traffic.replies();
    }
    bar.finish();
    return result;
  }

  void tell(const FineTuneResult& result, uint16_t port) const {
    note(fmt::format("\n== Training loss {}  {:.3f} -> {:.3f}", sparkline(losses_, 40),
                     result.first_loss, result.last_loss));
    if (result.eval_before && result.eval_after) {
      note(fmt::format("   Held-out loss {:.3f} -> {:.3f}", *result.eval_before,
                       *result.eval_after));
    }
    note(fmt::format(
        "   {} steps in {:.0f} s, {} versions published, {} requests answered meanwhile",
        result.steps, result.seconds, published_.size(), replies_));
    note(
        fmt::format("\nThe adapter is in {}, the loss curve in {}. Go on with\n"
                    "  yiti run {} --adapter {}\n"
                    "  yiti serve {} --adapter {} --port {}\n"
                    "  yiti finetune {} YOUR.jsonl",
                    result.adapter.string(), result.curve.string(), options_.model.path,
                    result.adapter.string(), options_.model.path, result.adapter.string(), port,
                    options_.model.path));
  }

  DemoOptions& options_;
  FineTuneOptions& run_;
  LoadedModel loaded_;
  ModelPtr model_;
  const TextModel& text_;
  std::vector<double> losses_;
  std::vector<std::pair<std::string, uint64_t>> published_;
  int replies_ = 0;
};

}  // namespace

void add_demo(CLI::App& app, Action& action) {
  auto options = std::make_shared<DemoOptions>();
  FineTuneOptions& run = options->training.run;
  run.output = "build/demo";
  run.eval_fraction = 0;
  run.batch_tokens = 512;
  run.publish_every = 10;
  run.eval_every = 20;
  CLI::App* command = app.add_subcommand(
      "demo", "Serve a model, fine-tune it meanwhile, and compare its answers before and after");
  options->model.add(*command);
  command->add_option("--data", options->data, "A folder with train.jsonl and heldout.jsonl")
      ->check(CLI::ExistingDirectory)
      ->capture_default_str();
  command->add_option("-p,--port", options->port, "0: any free one")->capture_default_str();
  command->add_option("-o,--output", run.output, "Folder for adapter, log and curve")
      ->capture_default_str();
  command->add_option("--publish-every", run.publish_every, "Steps")->capture_default_str();
  command->add_option("--questions", options->questions, "How many held-out questions to ask")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  options->training.add(*command);
  command->callback([&action, options] {
    action = [options] {
      FineTuneOptions& wanted = options->training.run;
      wanted.train_data = options->data / "train.jsonl";
      wanted.eval_data = options->data / "heldout.jsonl";
      wanted.base_name = options->model.path;
      return Demo(*options).run();
    };
  });
}

}  // namespace yiti::cli
