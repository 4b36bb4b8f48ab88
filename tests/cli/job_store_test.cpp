#include "cli/job_store.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/io/files.h"
#include "tests/core/io/temporary_folder.h"

namespace yiti::cli {
namespace {

namespace fs = std::filesystem;

JobRecord full_record() {
  JobRecord record;
  record.number = 3;
  record.model_deleted = true;
  record.checkpoints = {{.id = "ftckpt_1",
                         .created_unix_s = 5,
                         .model = "ft:a:ckpt-step-2",
                         .metrics = {.step = 2, .total_steps = 9, .train_loss = 1.0 / 3}}};
  FineTuneJob& job = record.job;
  job.id = "ftjob-1";
  job.model = "base";
  job.fine_tuned_model = "ft:a";
  job.training_file = "file-1";
  job.validation_file = "file-2";
  job.suffix = "s";
  job.organization = "o";
  job.result_files = {"file-3"};
  job.status = JobStatus::kPaused;
  job.error = {.code = "c", .message = "m", .param = "p"};
  job.created_unix_s = 1;
  job.finished_unix_s = 2;
  job.seed = 7;
  job.hyperparameters.learning_rate_multiplier = 0.1;
  job.metadata = {{"k", "v"}};
  job.trained_tokens = 11;
  job.total_steps = 9;
  job.held_out_loss = 2.5;
  return record;
}

class JobStoreTest : public testing::Test {
 protected:
  std::vector<JobRecord> load() {
    return JobStore(folder_ / "jobs").load([this](std::string_view line) { notes_ += line; });
  }
  TemporaryFolder folder_;
  std::string notes_;
};

TEST_F(JobStoreTest, ReadsWhatItWrote) {
  const JobRecord record = full_record();
  const JobEvent event = {.id = "e",
                          .created_unix_s = 4,
                          .level = "warn",
                          .message = "odd \"text\"\n",
                          .metrics = JobMetrics{.step = 1, .valid_loss = 0.1}};
  {
    JobStore store(folder_ / "jobs");
    store.save(record);
    store.append("ftjob-1", event);
    store.append("ftjob-1", {.id = "f"});
  }
  const auto loaded = load();
  ASSERT_EQ(loaded.size(), 1U);
  const JobRecord& read = loaded[0];
  EXPECT_EQ(read.number, 3);
  EXPECT_TRUE(read.model_deleted);
  ASSERT_EQ(read.checkpoints.size(), 1U);
  EXPECT_EQ(read.checkpoints[0].model, "ft:a:ckpt-step-2");
  EXPECT_EQ(read.checkpoints[0].metrics.train_loss, 1.0 / 3);
  EXPECT_EQ(read.job.status, JobStatus::kPaused);
  EXPECT_EQ(read.job.error.message, "m");
  EXPECT_EQ(read.job.result_files, record.job.result_files);
  EXPECT_FALSE(read.job.hyperparameters.n_epochs);
  EXPECT_EQ(read.job.hyperparameters.learning_rate_multiplier, 0.1);
  EXPECT_EQ(read.job.metadata, record.job.metadata);
  EXPECT_EQ(read.job.seed, 7);
  EXPECT_EQ(read.job.held_out_loss, 2.5);
  ASSERT_EQ(read.events.size(), 2U);
  EXPECT_EQ(read.events[0].message, event.message);
  EXPECT_EQ(read.events[0].level, "warn");
  EXPECT_EQ(read.events[0].metrics->valid_loss, 0.1);
  EXPECT_FALSE(read.events[0].metrics->train_loss);
  EXPECT_FALSE(read.events[1].metrics);
}

TEST_F(JobStoreTest, LosesOnlyTheLineThatACrashCutOff) {
  JobStore store(folder_ / "jobs");
  store.save(full_record());
  store.append("ftjob-1", {.id = "a"});
  std::ofstream(store.folder("ftjob-1") / "events.jsonl", std::ios::app) << "{\"id\": \"b\", ";
  ASSERT_EQ(load()[0].events.size(), 1U);
  store.append("ftjob-1", {.id = "c"});
  const auto loaded = load();
  ASSERT_EQ(loaded[0].events.size(), 2U);
  EXPECT_EQ(loaded[0].events[1].id, "c");
}

TEST_F(JobStoreTest, TellsOfJobsThatItCannotRead) {
  JobStore store(folder_ / "jobs");
  for (const char* id : {"ftjob-1", "ftjob-2", "ftjob-3"}) {
    JobRecord record = full_record();
    record.job.id = id;
    store.save(record);
  }
  std::ofstream(store.folder("ftjob-1") / "job.json") << "{\"number\": 1}";
  fs::rename(store.folder("ftjob-3"), store.folder("ftjob-4"));
  fs::create_directories(store.folder("ftjob-5"));
  const auto loaded = load();
  ASSERT_EQ(loaded.size(), 1U);
  EXPECT_EQ(loaded[0].job.id, "ftjob-2");
  EXPECT_NE(notes_.find("ftjob-1"), std::string::npos);
  EXPECT_NE(notes_.find("is of job ftjob-3"), std::string::npos);
}

TEST_F(JobStoreTest, ComesInTheOrderOfNumbers) {
  JobStore store(folder_ / "jobs");
  for (const int number : {2, 0, 1}) {
    JobRecord record = full_record();
    record.number = number;
    record.job.id = fmt::format("ftjob-{}", 9 - number);
    store.save(record);
  }
  const auto loaded = load();
  ASSERT_EQ(loaded.size(), 3U);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(loaded[static_cast<size_t>(i)].number, i);
}

}  // namespace
}  // namespace yiti::cli
