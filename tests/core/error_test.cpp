#include "core/error.h"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

namespace yiti {
namespace {

TEST(CaptureErrors, KeepsWhatIsReturned) {
  const auto result = capture_errors("test", [] { return 7; });
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(Result(result).value(), 7);
}

TEST(CaptureErrors, TakesFunctionsThatReturnNothing) {
  bool ran = false;
  const Result<std::monostate> done = capture_errors("test", [&] { ran = true; });
  EXPECT_TRUE(done.ok());
  EXPECT_TRUE(ran);
  const auto failed = capture_errors("test", [] { fail(Code::kNotFound, "here", "no {}", 3); });
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code(), Code::kNotFound);
  EXPECT_STREQ(failed.error().what(), "here: no 3");
}

TEST(CaptureErrors, NamesThePlaceOfForeignExceptions) {
  const auto memory = capture_errors("test", [] { throw std::bad_alloc(); });
  EXPECT_EQ(memory.error().code(), Code::kResourceExhausted);
  EXPECT_EQ(memory.error().where(), "test");
  const auto other = capture_errors("test", []() -> int { throw std::runtime_error("broken"); });
  EXPECT_EQ(other.error().code(), Code::kInternal);
  EXPECT_STREQ(other.error().what(), "test: broken");
}

}  // namespace
}  // namespace yiti
