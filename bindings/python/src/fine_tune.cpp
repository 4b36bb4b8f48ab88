// Fine-tuning runs in a thread of their own, which Python follows or leaves alone.
#include "training/fine_tune.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <thread>
#include <variant>

#include "bindings/model.h"
#include "bindings/python/src/bindings.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/run_jobs.h"
#include "bindings/python/src/waiting.h"

namespace yiti::python {
namespace {

using bindings::Model;

// The fields of a run that Python names, in one place: reading them and listing them.
template <class F>
void visit_options(FineTuneOptions& run, F&& field) {
  field("eval_fraction", run.eval_fraction);
  field("batch_tokens", run.batch_tokens);
  field("accumulate", run.accumulate);
  field("batch_examples", run.batch_examples);
  field("epochs", run.epochs);
  field("max_steps", run.max_steps);
  field("lr", run.schedule.lr);
  field("min_lr", run.schedule.min_lr);
  field("warmup_steps", run.schedule.warmup_steps);
  field("warmup_ratio", run.schedule.warmup_ratio);
  field("weight_decay", run.trainer.optimizer.weight_decay);
  field("max_grad_norm", run.trainer.max_grad_norm);
  field("recompute", run.trainer.recompute_layers);
  field("train_on_prompt", run.examples.train_on_prompt);
  field("max_tokens", run.examples.max_tokens);
  field("seed", run.seed);
  field("eval_every", run.eval_every);
  field("publish_every", run.publish_every);
  field("checkpoint_every", run.checkpoint_every);
  field("token_accuracy", run.token_accuracy);
  field("resume", run.resume);
  field("allow_memory_shortage", run.allow_memory_shortage);
}

FineTuneOptions options_from(const Model& model, nb::handle train, nb::handle eval,
                             nb::handle output, const nb::dict& config) {
  FineTuneOptions run;
  run.train_data = path_from(train);
  if (!eval.is_none()) run.eval_data = path_from(eval);
  if (!output.is_none()) run.output = path_from(output);
  run.base_name = model.engine().path();
  run.trainer.gate = model.engine().gate();
  std::vector<std::string> known = {"schedule"};
  visit_options(run, [&](const char* name, auto& target) {
    known.emplace_back(name);
    if (!config.contains(name)) return;
    const nb::object value = config[name];
    if (!nb::try_cast(value, target)) {
      fail_type(fmt::format("fine_tune: {} is a {}", name, class_name(value)));
    }
  });
  if (config.contains("schedule")) {
    run.schedule.kind =
        parse_schedule(value_from<std::string>(config["schedule"], "fine_tune: schedule", "a str"));
  }
  for (const auto& [key, value] : config) {
    const auto name = nb::cast<std::string>(key);
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      fail_type(fmt::format("fine_tune: there is no option {}; there are {}", name,
                            fmt::join(known, ", ")));
    }
  }
  return run;
}

nb::dict step_dict(const Progress& progress) {
  nb::dict event;
  event["step"] = progress.step;
  event["total_steps"] = progress.total_steps;
  event["loss"] = progress.loss;
  event["tokens"] = progress.tokens;
  event["tokens_per_second"] = progress.tokens_per_second;
  if (progress.evaluated) event["eval_loss"] = progress.eval_loss;
  if (progress.accuracy) event["accuracy"] = progress.accuracy;
  if (progress.eval_accuracy) event["eval_accuracy"] = progress.eval_accuracy;
  if (progress.version) event["version"] = progress.version;
  return event;
}

nb::dict result_dict(const FineTuneResult& result) {
  nb::dict dict;
  dict["steps"] = result.steps;
  dict["tokens"] = result.tokens;
  dict["seconds"] = result.seconds;
  dict["first_loss"] = result.first_loss;
  dict["last_loss"] = result.last_loss;
  dict["eval_before"] = result.eval_before;
  dict["eval_after"] = result.eval_after;
  dict["eval_accuracy"] = result.eval_accuracy;
  dict["version"] = result.version ? std::optional(result.version->number()) : std::nullopt;
  const auto path = [](const std::filesystem::path& file) {
    return file.empty() ? std::nullopt : std::optional(file.string());
  };
  dict["adapter"] = path(result.adapter);
  dict["curve"] = path(result.curve);
  dict["stopped"] = result.stopped;
  return dict;
}

class FineTuneRun {
 public:
  using Event = std::variant<Progress, std::string, Result<FineTuneResult>>;

  FineTuneRun(const Model& model, FineTuneOptions options)
      : model_(model),
        text_(model.text()),
        options_(std::move(options)),
        record_(std::make_shared<RunRecord>(options_)) {
    thread_ = std::thread([this] {
      FineTuneEvents events;
      events.note = [this](std::string_view line) { box_.put(std::string(line)); };
      events.step = [this](const Progress& progress) { box_.put(progress); };
      Result<FineTuneResult> result =
          fine_tune(model_.definition(), text_, options_, record_->watch(std::move(events)),
                    &record_->stopping());
      record_->end(result);
      box_.put(std::move(result));
    });
  }

  // Waits for the step under way.
  ~FineTuneRun() {
    stop();
    nb::gil_scoped_release release;
    thread_.join();
  }
  FineTuneRun(const FineTuneRun&) = delete;
  FineTuneRun& operator=(const FineTuneRun&) = delete;

  // A step's numbers, a note, or None at the end.
  nb::object next() {
    if (result_) return nb::none();
    Event event = box_.take();
    if (const auto* progress = std::get_if<Progress>(&event)) return step_dict(*progress);
    if (const auto* note = std::get_if<std::string>(&event)) {
      return nb::str(note->data(), note->size());
    }
    result_ = std::get<Result<FineTuneResult>>(std::move(event));
    return nb::none();
  }

  nb::dict result() {
    while (!next().is_none()) {
    }
    return result_dict(result_->value());
  }

  void stop() { record_->stop(); }
  const std::shared_ptr<RunRecord>& record() const { return record_; }

 private:
  const Model model_;
  const TextModel text_;
  const FineTuneOptions options_;
  const std::shared_ptr<RunRecord> record_;
  Mailbox<Event> box_;
  std::optional<Result<FineTuneResult>> result_;
  std::thread thread_;
};

}  // namespace

void add_fine_tune(nb::module_& module) {
  nb::class_<RunRecord>(module, "RunRecord");
  nb::class_<FineTuneRun>(module, "FineTuneRun")
      .def(
          "__init__",
          [](FineTuneRun* self, const Model& model, nb::handle train, nb::handle eval,
             nb::handle output, const nb::dict& config) {
            new (self) FineTuneRun(model, options_from(model, train, eval, output, config));
          },
          nb::arg("model"), nb::arg("train"), nb::arg("eval").none(), nb::arg("output").none(),
          nb::arg("config"))
      .def("next", &FineTuneRun::next)
      .def("result", &FineTuneRun::result)
      .def("stop", &FineTuneRun::stop)
      .def_prop_ro("record", &FineTuneRun::record);
}

}  // namespace yiti::python
