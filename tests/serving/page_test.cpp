// The page for people at `/`.
#include "serving/page.h"

#include <gmock/gmock.h>

#include "tests/serving/server_fixture.h"

namespace yiti::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using PageTest = ServerTest;

constexpr const char* kBrowser =
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n";

TEST_F(PageTest, ShowsBrowsersThePageAndProgramsTheIndex) {
  start();
  const ClientResponse page = get("/", kBrowser);
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.headers.at("content-type"), "text/html; charset=utf-8");
  EXPECT_EQ(page.headers.at("vary"), "Accept");
  EXPECT_THAT(page.body, HasSubstr("<!doctype html>"));
  for (const char* accept : {"Accept: application/json\r\n", "Accept: */*\r\n", ""}) {
    const ClientResponse index = get("/", accept);
    EXPECT_THAT(index.headers.at("content-type"), HasSubstr("text/plain"));
    EXPECT_EQ(index.headers.at("vary"), "Accept");
    EXPECT_THAT(index.body, HasSubstr("/v1/chat/completions"));
  }
}

TEST_F(PageTest, ServesEachFileWithItsTypeAndAStrictPolicy) {
  start();
  EXPECT_GE(serving::page_files().size(), 10U);
  for (const serving::PageFile& file : serving::page_files()) {
    const ClientResponse response = get("/page/" + std::string(file.name));
    EXPECT_EQ(response.status, 200) << file.name;
    EXPECT_EQ(response.body, file.bytes) << file.name;
    EXPECT_EQ(response.headers.at("x-content-type-options"), "nosniff");
    EXPECT_THAT(response.headers.at("content-security-policy"), HasSubstr("default-src 'self'"));
    EXPECT_THAT(response.headers.at("content-security-policy"), Not(HasSubstr("unsafe")));
    EXPECT_THAT(response.headers.at("content-security-policy"),
                HasSubstr("frame-ancestors 'none'"));
  }
  EXPECT_EQ(get("/page/style.css").headers.at("content-type"), "text/css; charset=utf-8");
  EXPECT_EQ(get("/page/app.js").headers.at("content-type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(get("/page/icon.svg").headers.at("content-type"), "image/svg+xml");
}

TEST_F(PageTest, NeedsNoKeyWhereTheApiDoes) {
  options.api_keys = {"secret"};
  start();
  EXPECT_EQ(get("/", kBrowser).status, 200);
  EXPECT_EQ(get("/page/app.js").status, 200);
  EXPECT_EQ(get("/v1/models", kBrowser).status, 401);
}

TEST_F(PageTest, HasNoOtherFiles) {
  start();
  for (const char* path : {"/page/", "/page/none.js", "/page/../page.h", "/page/%2e%2e/page.h",
                           "/page/index.html%00"}) {
    EXPECT_EQ(get(path).status, 404) << path;
  }
}

TEST_F(PageTest, HoldsNothingThatItsPolicyOrAHostileAnswerWouldBreak) {
  for (const serving::PageFile& file : serving::page_files()) {
    for (const char* word : {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write",
                             "eval(", "style=", "onclick=\"", "https://"}) {
      EXPECT_THAT(std::string(file.bytes), Not(HasSubstr(word))) << file.name;
    }
  }
}

}  // namespace
}  // namespace yiti::testing
