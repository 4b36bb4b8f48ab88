// Jobs from their making to what is served, across the end of a process.
#include "cli/local_jobs.h"

#include <gmock/gmock.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "core/io/files.h"
#include "tests/core/io/temporary_folder.h"

namespace yiti::cli {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

// What one process has, made again for the next.
struct Process {
  explicit Process(const LoadedModel& base, const std::string& data, LocalJobsOptions options)
      : scheduler(base.model, {.session = {.max_tokens = 512, .max_sequences = 4}}),
        models(base, {.name = "tiny", .generator = &scheduler, .text = &*base.text}, scheduler,
               registry),
        files({.folder = data + "/files"}) {
    options.folder = data + "/jobs";
    options.note = [this](std::string_view line) { notes += line; };
    jobs = std::make_unique<LocalJobs>(models, &files, std::move(options));
  }

  FineTuneJob wait_for(const std::string& id, std::vector<JobStatus> wanted) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (true) {
      FineTuneJob job = jobs->job(id);
      if (std::ranges::find(wanted, job.status) != wanted.end()) return job;
      if (std::chrono::steady_clock::now() > deadline) {
        ADD_FAILURE() << "the job is still " << status_name(job.status);
        return job;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  FineTuneJob wait_for_end(const std::string& id) const {
    return wait_for(id, {JobStatus::kSucceeded, JobStatus::kFailed, JobStatus::kCancelled});
  }
  void wait_for_step(const std::string& id, int64_t step) const {
    while (jobs->job(id).step < step && !is_final(jobs->job(id).status)) std::this_thread::yield();
  }
  Generation generate(const std::string& model) const {
    const ServedModelPtr served = registry->find(model);
    if (served == nullptr) return {};
    GenerateRequest request;
    request.prompt = served->text->chat_prompt({{{"role", "user"}, {"content", "What is 3?"}}});
    request.max_tokens = 8;
    return served->generator->generate(request).value();
  }
  std::vector<int32_t> answer(const std::string& model) const { return generate(model).tokens; }
  std::string fingerprint(const std::string& model) const { return generate(model).fingerprint; }

  std::shared_ptr<ModelRegistry> registry = std::make_shared<ModelRegistry>();
  BatchScheduler scheduler;
  AdapterModels models;
  FileStore files;
  std::string notes;
  std::unique_ptr<LocalJobs> jobs;
};

class LocalJobsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    base_ = new LoadedModel(
        load_model(YITI_TEST_DATA "/tiny_chat", make_cpu_device({.threads = 1})).value());
  }
  static void TearDownTestSuite() { delete std::exchange(base_, nullptr); }

  void SetUp() override {
    options_.training.checkpoint_every = 4;
    options_.training.schedule.lr = 1e-2;
    options_.lora = {.rank = 2, .targets = {"q_proj", "down_proj"}};
    start();
  }
  void start() { process_ = std::make_unique<Process>(*base_, folder_.path(), options_); }
  void restart() {
    process_.reset();
    start();
  }
  LocalJobs& jobs() { return *process_->jobs; }

  static std::string rows(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) {
      text += fmt::format(R"({{"messages": [{{"role": "user", "content": "What is {}?"}}, )"
                          R"({{"role": "assistant", "content": "It is {}."}}]}})"
                          "\n",
                          i, i + 1);
    }
    return text;
  }
  std::string upload(const std::string& contents) {
    return process_->files.add("train.jsonl", "fine-tune", contents).id;
  }
  JobRequest request(int64_t epochs, int count = 8) {
    JobRequest wanted;
    wanted.model = "tiny";
    wanted.training_file = upload(rows(count));
    wanted.seed = 5;
    wanted.hyperparameters = {.n_epochs = epochs, .batch_size = 2};
    return wanted;
  }
  std::string adapter_bytes(const std::string& id) const {
    return read_file(folder_ / ("jobs/" + id + "/run/adapter/adapter_model.safetensors"),
                     size_t{1} << 24);
  }
  Code code_of(const std::function<void()>& f) {
    try {
      f();
    } catch (const Error& error) {
      return error.code();
    }
    return Code::kInternal;
  }

  static LoadedModel* base_;
  TemporaryFolder folder_;
  LocalJobsOptions options_;
  std::unique_ptr<Process> process_;
};

LoadedModel* LocalJobsTest::base_ = nullptr;

TEST_F(LocalJobsTest, TrainsAndServesAcrossARestart) {
  const std::string id = jobs().create(request(3)).id;
  const FineTuneJob done = process_->wait_for_end(id);
  ASSERT_EQ(done.status, JobStatus::kSucceeded) << done.error.message;
  EXPECT_EQ(done.total_steps, 12);
  EXPECT_EQ(done.fine_tuned_model, "ft:tiny:yiti::" + id.substr(6, 8));
  EXPECT_LT(*done.loss, 6.5);
  EXPECT_EQ(process_->files.find(done.result_files.at(0))->purpose, "fine-tune-results");
  ASSERT_EQ(jobs().checkpoints(id).size(), 2U);  // the last step's is the result
  const std::string checkpoint = jobs().checkpoints(id)[1].model;
  EXPECT_EQ(checkpoint, done.fine_tuned_model + ":ckpt-step-8");
  const auto answer = process_->answer(done.fine_tuned_model);
  const auto checkpoint_answer = process_->answer(checkpoint);
  EXPECT_EQ(answer.size(), 8U);
  const auto events = jobs().events(id);
  restart();
  EXPECT_EQ(process_->answer(done.fine_tuned_model), answer);
  EXPECT_EQ(process_->answer(checkpoint), checkpoint_answer);
  EXPECT_EQ(jobs().job(id).status, JobStatus::kSucceeded);
  EXPECT_EQ(jobs().job(id).loss, done.loss);
  EXPECT_EQ(jobs().events(id).size(), events.size());
}

TEST_F(LocalJobsTest, GoesOnWithTheSameBitsInTheNextProcess) {
  const std::string whole = jobs().create(request(50)).id;
  ASSERT_EQ(process_->wait_for_end(whole).status, JobStatus::kSucceeded);
  const std::string parts = jobs().create(request(50)).id;
  for (const int64_t step : {3, 50, 120}) {
    process_->wait_for_step(parts, step);
    restart();
    EXPECT_NE(jobs().job(parts).status, JobStatus::kSucceeded);
  }
  ASSERT_EQ(process_->wait_for_end(parts).status, JobStatus::kSucceeded);
  EXPECT_EQ(adapter_bytes(parts), adapter_bytes(whole));
}

TEST_F(LocalJobsTest, PausesAndGoesOnWithTheSameBits) {
  const std::string whole = jobs().create(request(50)).id;
  process_->wait_for_end(whole);
  const std::string parts = jobs().create(request(50)).id;
  process_->wait_for_step(parts, 6);
  EXPECT_EQ(jobs().pause(parts).status, JobStatus::kPaused);
  restart();
  EXPECT_EQ(jobs().job(parts).status, JobStatus::kPaused);
  EXPECT_EQ(code_of([&] { jobs().pause(parts); }), Code::kFailedPrecondition);
  jobs().resume(parts);
  process_->wait_for_step(parts, 30);
  jobs().pause(parts);
  jobs().resume(parts);  // maybe before the step under way has ended
  ASSERT_EQ(process_->wait_for_end(parts).status, JobStatus::kSucceeded);
  EXPECT_EQ(adapter_bytes(parts), adapter_bytes(whole));
}

TEST_F(LocalJobsTest, OneJobRunsAfterTheOther) {
  const std::string first = jobs().create(request(200)).id;
  const std::string second = jobs().create(request(1)).id;
  const std::string third = jobs().create(request(1)).id;
  process_->wait_for(first, {JobStatus::kRunning});
  process_->wait_for(third, {JobStatus::kQueued});
  EXPECT_EQ(jobs().cancel(second).status, JobStatus::kCancelled);
  EXPECT_EQ(jobs().cancel(first).status, JobStatus::kCancelled);
  EXPECT_EQ(process_->wait_for_end(third).status, JobStatus::kSucceeded);
  EXPECT_EQ(jobs().job(second).step, 0);
  EXPECT_EQ(jobs().job(first).fine_tuned_model, "");
  EXPECT_EQ(code_of([&] { jobs().cancel(first); }), Code::kFailedPrecondition);
  EXPECT_EQ(code_of([&] { jobs().resume(first); }), Code::kFailedPrecondition);
  EXPECT_EQ(code_of([&] { jobs().cancel("ftjob-x"); }), Code::kNotFound);
}

TEST_F(LocalJobsTest, KeepsTheLatestCheckpointsOnly) {
  const std::string id = jobs().create(request(10)).id;
  process_->wait_for_end(id);
  std::vector<int64_t> steps;
  for (const JobCheckpoint& one : jobs().checkpoints(id)) {
    steps.push_back(one.metrics.step);
    EXPECT_NE(process_->registry->find(one.model), nullptr);
  }
  EXPECT_EQ(steps, (std::vector<int64_t>{24, 28, 32, 36}));
  EXPECT_EQ(process_->registry->list().size(), 5U);
  const fs::path run = folder_ / ("jobs/" + id + "/run");
  EXPECT_TRUE(fs::exists(run / "adapters/step-24"));
  EXPECT_FALSE(fs::exists(run / "adapters/step-20"));
  EXPECT_FALSE(fs::exists(run / "checkpoint-36"));
}

TEST_F(LocalJobsTest, DataThatCannotBeTrainedOnFailsTheJob) {
  JobRequest wanted = request(1);
  wanted.training_file = upload("{\"messages\": []}\n");
  const std::string id = jobs().create(wanted).id;
  const FineTuneJob failed = process_->wait_for_end(id);
  EXPECT_EQ(failed.status, JobStatus::kFailed);
  EXPECT_EQ(failed.error.code, "invalid_training_file");
  EXPECT_THAT(failed.error.message, HasSubstr("train.jsonl:1: "));
  EXPECT_EQ(jobs().events(id).back().level, "error");
}

TEST_F(LocalJobsTest, RefusesWhatThereIsNot) {
  JobRequest wanted = request(1);
  wanted.model = "other";
  EXPECT_EQ(code_of([&] { jobs().create(wanted); }), Code::kNotFound);
  wanted = request(1);
  wanted.validation_file = "../../etc/passwd";
  EXPECT_EQ(code_of([&] { jobs().create(wanted); }), Code::kNotFound);
  wanted = request(1);
  wanted.training_file = process_->files.add("a.csv", "fine-tune-results", "1,2").id;
  EXPECT_EQ(code_of([&] { jobs().create(wanted); }), Code::kNotFound);
  EXPECT_TRUE(fs::is_empty(folder_ / "jobs"));
  options_.max_waiting = 0;
  restart();
  EXPECT_EQ(code_of([&] { jobs().create(request(1)); }), Code::kResourceExhausted);
}

TEST_F(LocalJobsTest, AModelThatIsDeletedStaysGone) {
  const std::string id = jobs().create(request(3)).id;
  const std::string model = process_->wait_for_end(id).fine_tuned_model;
  const std::string checkpoint = jobs().checkpoints(id).front().model;
  EXPECT_TRUE(jobs().remove_model(model));
  EXPECT_TRUE(jobs().remove_model(checkpoint));
  EXPECT_FALSE(jobs().remove_model(model));
  EXPECT_FALSE(jobs().remove_model("tiny"));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(process_->registry->find(model), nullptr);
    EXPECT_EQ(process_->registry->find(checkpoint), nullptr);
    EXPECT_EQ(jobs().checkpoints(id).size(), 1U);
    restart();
  }
  EXPECT_EQ(process_->notes, "");
}

TEST_F(LocalJobsTest, TrainsTheServedModelItselfForItsOwnProcess) {
  const ModelPtr model = with_lora(*base_->model, options_.lora);
  write_file_atomically(folder_ / "own.jsonl", rows(8));
  FineTuneOptions run = options_.training;
  run.train_data = folder_ / "own.jsonl";
  run.checkpoint_every = 0;
  run.publish_every = 1;
  run.max_steps = 3;
  int steps = 0;
  FineTuneEvents events;
  events.step = [&](const Progress&) { ++steps; };
  const std::string id = jobs().start(model, run, events);
  EXPECT_EQ(jobs().wait(id).steps, 3);
  EXPECT_EQ(steps, 3);
  EXPECT_EQ(process_->wait_for_end(id).status, JobStatus::kSucceeded);
  EXPECT_EQ(jobs().job(id).fingerprint, model->store()->current()->fingerprint());
  EXPECT_EQ(code_of([&] { jobs().pause(id); }), Code::kFailedPrecondition);
  EXPECT_FALSE(jobs().remove_model("tiny"));
  restart();
  EXPECT_TRUE(jobs().jobs().empty());
}

TEST_F(LocalJobsTest, ATunedModelGoesBackToACheckpointAndForward) {
  const std::string id = jobs().create(request(3)).id;
  const std::string model = process_->wait_for_end(id).fine_tuned_model;
  const std::string checkpoint = model + ":ckpt-step-4";
  const auto answers = [&] {
    return std::pair(process_->fingerprint(model), process_->fingerprint(checkpoint));
  };
  const auto [result, early] = answers();
  EXPECT_NE(result, early);
  const auto served = [&] {
    std::vector<std::pair<int64_t, bool>> list;
    for (const ModelVersion& one : jobs().versions(model)) {
      list.emplace_back(one.number, one.is_served);
    }
    return list;
  };
  EXPECT_THAT(served(), ElementsAre(Pair(4, false), Pair(8, false), Pair(12, true)));
  const ServedModelPtr under_way = process_->registry->find(model);
  jobs().serve_version(model, 4);
  EXPECT_EQ(answers(), std::pair(early, early));
  EXPECT_NE(process_->registry->find(model), under_way);
  EXPECT_EQ(code_of([&] { jobs().remove_model(checkpoint); }), Code::kFailedPrecondition);
  restart();
  EXPECT_EQ(answers(), std::pair(early, early));
  EXPECT_THAT(served(), ElementsAre(Pair(4, true), Pair(8, false), Pair(12, false)));
  EXPECT_EQ(code_of([&] { jobs().serve_version(model, 5); }), Code::kNotFound);
  EXPECT_EQ(code_of([&] { jobs().serve_version("tiny", 4); }), Code::kNotFound);
  EXPECT_TRUE(jobs().versions(checkpoint).empty());
  jobs().serve_version(model, 12);
  EXPECT_EQ(answers(), std::pair(result, early));
  jobs().serve_version(model, 4);
  EXPECT_TRUE(jobs().remove_model(model));
  EXPECT_TRUE(jobs().versions(model).empty());
  EXPECT_EQ(process_->fingerprint(checkpoint), early);  // its files are its own
  EXPECT_FALSE(fs::exists(folder_ / ("jobs/" + id + "/run/adapter")));
}

}  // namespace
}  // namespace yiti::cli
