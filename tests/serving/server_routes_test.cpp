// What the server answers besides generating.
#include <gmock/gmock.h>

#include "serving/router.h"
#include "tests/serving/server_fixture.h"

namespace yiti::testing {
namespace {

using ::testing::HasSubstr;
using ServerRoutesTest = ServerTest;

TEST_F(ServerRoutesTest, TellsWhatIsHere) {
  start();
  const ClientResponse response = get("/");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body, HasSubstr("/v1/chat/completions"));
  EXPECT_THAT(response.body, HasSubstr("fake/model"));
  EXPECT_THAT(response.headers.at("content-type"), HasSubstr("text/plain"));
}

TEST_F(ServerRoutesTest, IsHealthy) {
  start();
  EXPECT_EQ(get("/health").body, R"({"status":"ok"})");
}

TEST_F(ServerRoutesTest, ListsItsModels) {
  start();
  const Json json = Json::parse(get("/v1/models").body);
  EXPECT_EQ(json["object"], "list");
  EXPECT_EQ(json["data"][0]["id"], "fake/model");
}

TEST_F(ServerRoutesTest, FindsAModelWithASlashInItsName) {
  start();
  for (const char* path : {"/v1/models/fake/model", "/v1/models/fake%2Fmodel"}) {
    EXPECT_EQ(Json::parse(get(path).body)["id"], "fake/model");
  }
  const ClientResponse response = get("/v1/models/other");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(Json::parse(response.body)["error"]["code"], "model_not_found");
}

TEST_F(ServerRoutesTest, DoesNotKnowOtherPaths) {
  start();
  for (const char* path : {"/v1", "/v1/models/", "/v1/embeddings", "//", "/health/", "/%00"}) {
    EXPECT_EQ(get(path).status, 404) << path;
  }
}

TEST_F(ServerRoutesTest, AsksForItsKey) {
  options.api_key = "secret";
  start();
  EXPECT_EQ(get("/health").status, 200);
  EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(get("/v1/models").status, 401);
  EXPECT_EQ(get("/v1/nothing").status, 401);
  EXPECT_EQ(get("/v1/models", "Authorization: Bearer secre\r\n").status, 401);
  EXPECT_EQ(get("/v1/models", "Authorization: Bearer secrets\r\n").status, 401);
  EXPECT_EQ(get("/v1/models", "Authorization: secret\r\n").status, 401);
  EXPECT_EQ(get("/v1/models", "Authorization: Bearer secret\r\n").status, 200);
  const ClientResponse response = post("/v1/completions", completion("hi"));
  EXPECT_EQ(response.status, 401);
  EXPECT_EQ(response.headers.at("www-authenticate"), "Bearer");
  EXPECT_EQ(Json::parse(response.body)["error"]["code"], "invalid_api_key");
}

TEST_F(ServerRoutesTest, LogsEachRequest) {
  start();
  get("/health");
  server->stop();
  EXPECT_THAT(log(), HasSubstr("GET /health: 200 in "));
}

TEST(PercentDecode, LeavesWhatIsNoEscape) {
  EXPECT_EQ(serving::percent_decode("a%2fb%2Fc"), "a/b/c");
  EXPECT_EQ(serving::percent_decode("%"), "%");
  EXPECT_EQ(serving::percent_decode("%2"), "%2");
  EXPECT_EQ(serving::percent_decode("%zz%2x%-1"), "%zz%2x%-1");
}

TEST(EqualInConstantTime, ComparesAllBytes) {
  EXPECT_TRUE(serving::equal_in_constant_time("abc", "abc"));
  EXPECT_FALSE(serving::equal_in_constant_time("abd", "abc"));
  EXPECT_FALSE(serving::equal_in_constant_time("abcabc", "abc"));
  EXPECT_FALSE(serving::equal_in_constant_time("", "abc"));
}

}  // namespace
}  // namespace yiti::testing
