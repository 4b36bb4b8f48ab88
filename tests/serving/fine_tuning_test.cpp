#include "serving/fine_tuning.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "serving/api_error.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::json;

JobEvent event(const char* id, std::optional<JobMetrics> metrics = {}) {
  return {.id = id, .created_unix_s = 1, .message = id, .metrics = metrics};
}

std::vector<JobEvent> three_events() {
  return {event("e1"), event("e2", JobMetrics{.step = 1, .total_steps = 9, .train_loss = 2.5}),
          event("e3")};
}

JobRequest parse(const Json& body) { return parse_job_request(body.dump()); }

Json minimal() { return {{"model", "m"}, {"training_file", "file-1"}}; }

TEST(FineTuningJson, DescribesAJob) {
  FineTuneJob job;
  job.id = "ftjob-1";
  job.status = JobStatus::kRunning;
  job.step = 3;
  job.loss = 0.5;
  const Json json = Json::parse(job_json(job));
  EXPECT_EQ(json["object"], "fine_tuning.job");
  EXPECT_EQ(json["status"], "running");
  EXPECT_TRUE(json["finished_at"].is_null());
  EXPECT_TRUE(json["error"].is_null());
  EXPECT_EQ(json["yiti"]["step"], 3);
  EXPECT_EQ(json["yiti"]["loss"], 0.5);
  EXPECT_TRUE(json["yiti"]["held_out_loss"].is_null());
}

TEST(FineTuningJson, TellsWhyAJobFailed) {
  FineTuneJob job;
  job.status = JobStatus::kFailed;
  job.error = {.code = "invalid_training_file", .message = "no data", .param = "training_file"};
  const Json json = Json::parse(job_json(job));
  EXPECT_EQ(json["error"]["message"], "no data");
  EXPECT_EQ(json["error"]["param"], "training_file");
}

TEST(FineTuningJson, ListsEventsNewestFirst) {
  const Json json = Json::parse(event_list_json(three_events(), ""));
  ASSERT_EQ(json["data"].size(), 3U);
  EXPECT_EQ(json["data"][0]["id"], "e3");
  EXPECT_EQ(json["data"][1]["type"], "metrics");
  EXPECT_EQ(json["data"][1]["data"]["train_loss"], 2.5);
  EXPECT_EQ(json["data"][1]["data"]["total_steps"], 9);
  EXPECT_FALSE(json["data"][1]["data"].contains("valid_loss"));
  EXPECT_EQ(json["has_more"], false);
}

TEST(FineTuningJson, GivesPages) {
  const Json first = Json::parse(event_list_json(three_events(), "limit=2"));
  EXPECT_EQ(first["data"].size(), 2U);
  EXPECT_EQ(first["has_more"], true);
  const Json second = Json::parse(event_list_json(three_events(), "limit=2&after=e2"));
  ASSERT_EQ(second["data"].size(), 1U);
  EXPECT_EQ(second["data"][0]["id"], "e1");
  EXPECT_EQ(second["has_more"], false);
}

TEST(FineTuningJson, RejectsPagesThatMakeNoSense) {
  for (const char* query : {"limit=0", "limit=1001", "limit=x", "after=nothing", "order=up"}) {
    EXPECT_THROW(event_list_json(three_events(), query), ApiException) << query;
  }
}

TEST(FineTuningJson, TellsTheTokensOnlyAtTheEnd) {
  FineTuneJob job;
  job.trained_tokens = 12;
  EXPECT_TRUE(Json::parse(job_json(job))["trained_tokens"].is_null());
  job.status = JobStatus::kSucceeded;
  EXPECT_EQ(Json::parse(job_json(job))["trained_tokens"], 12);
}

TEST(FineTuningJson, ShowsWhatWasLeftToTheServerAsAuto) {
  FineTuneJob job;
  job.hyperparameters.n_epochs = 2;
  const Json json = Json::parse(job_json(job));
  EXPECT_EQ(json["hyperparameters"]["n_epochs"], 2);
  EXPECT_EQ(json["hyperparameters"]["batch_size"], "auto");
  EXPECT_EQ(json["method"]["supervised"]["hyperparameters"], json["hyperparameters"]);
}

TEST(FineTuningJson, ListsCheckpointsWithTheirIds) {
  const std::vector<JobCheckpoint> checkpoints = {
      {.id = "a", .model = "ft:1", .metrics = {.step = 5, .train_loss = 1}},
      {.id = "b", .model = "ft:2", .metrics = {.step = 10, .valid_loss = 3}}};
  const Json json = Json::parse(checkpoint_list_json(checkpoints, "ftjob-1", ""));
  EXPECT_EQ(json["first_id"], "b");
  EXPECT_EQ(json["last_id"], "a");
  EXPECT_EQ(json["data"][0]["step_number"], 10);
  EXPECT_EQ(json["data"][0]["fine_tuned_model_checkpoint"], "ft:2");
  EXPECT_EQ(json["data"][0]["metrics"]["valid_loss"], 3);
  EXPECT_EQ(json["data"][0]["fine_tuning_job_id"], "ftjob-1");
}

TEST(JobRequestTest, ReadsHyperparametersAtTheTopOrUnderMethod) {
  const Json values = {{"n_epochs", 2}, {"batch_size", "auto"}, {"learning_rate_multiplier", 0.5}};
  Json top = minimal(), method = minimal();
  top["hyperparameters"] = values;
  method["method"] = {{"type", "supervised"}, {"supervised", {{"hyperparameters", values}}}};
  for (const Json& body : {top, method}) {
    const JobRequest request = parse(body);
    EXPECT_EQ(request.model, "m");
    EXPECT_EQ(request.training_file, "file-1");
    EXPECT_EQ(request.hyperparameters.n_epochs, 2);
    EXPECT_FALSE(request.hyperparameters.batch_size);
    EXPECT_EQ(request.hyperparameters.learning_rate_multiplier, 0.5);
  }
  EXPECT_FALSE(parse(minimal()).seed);
}

TEST(JobRequestTest, NamesTheFieldThatItRefuses) {
  const std::vector<std::pair<std::string, Json>> cases = {
      {"suffix", "a/b"},
      {"suffix", std::string(65, 'a')},
      {"seed", -1},
      {"method.type", {{"method", {{"type", "dpo"}}}}},
      {"integrations", Json::array({{{"type", "wandb"}}})},
      {"metadata", {{"a", 1}}},
      {"n_epochs", {{"hyperparameters", {{"n_epochs", 0}}}}},
      {"n_epochs", {{"hyperparameters", {{"n_epochs", "many"}}}}},
      {"beta", {{"hyperparameters", {{"beta", 1}}}}},
      {"learning_rate_multiplier", {{"hyperparameters", {{"learning_rate_multiplier", 0}}}}},
      {"hyperparameters",
       {{"hyperparameters", Json::object()},
        {"method", {{"supervised", {{"hyperparameters", Json::object()}}}}}}},
      {"surprise", true},
  };
  for (const auto& [field, value] : cases) {
    Json body = minimal();
    if (value.is_object() && field != "metadata") {
      body.update(value);
    } else {
      body[field] = value;
    }
    try {
      parse(body);
      ADD_FAILURE() << body.dump();
    } catch (const ApiException& refused) {
      EXPECT_EQ(refused.error().param, field) << refused.what();
      EXPECT_EQ(refused.error().status, 400);
    }
  }
  for (const char* missing : {"model", "training_file"}) {
    Json body = minimal();
    body.erase(missing);
    EXPECT_THROW(parse(body), ApiException);
  }
}

}  // namespace
}  // namespace yiti::serving
