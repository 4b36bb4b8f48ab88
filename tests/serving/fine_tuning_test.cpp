#include "serving/fine_tuning.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "serving/api_error.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::json;

std::vector<JobEvent> three_events() {
  return {{"e1", 1, "started", {}, {}}, {"e2", 2, "step 1", 1, 2.5}, {"e3", 3, "done", {}, {}}};
}

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
  job.error = "no data";
  EXPECT_EQ(Json::parse(job_json(job))["error"]["message"], "no data");
}

TEST(FineTuningJson, ListsEventsNewestFirst) {
  const Json json = Json::parse(event_list_json(three_events(), ""));
  ASSERT_EQ(json["data"].size(), 3U);
  EXPECT_EQ(json["data"][0]["id"], "e3");
  EXPECT_EQ(json["data"][1]["type"], "metrics");
  EXPECT_EQ(json["data"][1]["data"]["train_loss"], 2.5);
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
  for (const char* query : {"limit=0", "limit=101", "limit=x", "after=nothing"}) {
    EXPECT_THROW(event_list_json(three_events(), query), ApiException) << query;
  }
}

}  // namespace
}  // namespace yiti::serving
