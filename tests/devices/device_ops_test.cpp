// Every op on the device that YITI_TEST_DEVICE names, against its reference.
#include <gtest/gtest.h>

#include <iostream>

#include "core/plugin/device_plugin.h"
#include "ops/derived/device_check.h"
#include "ops/op_list.h"
#include "tests/test_device.h"

namespace yiti::derived {
namespace {

class DeviceOps : public testing::TestWithParam<const Op*> {};

TEST_P(DeviceOps, AgreeWithTheirReferences) {
  if (test_device_name().empty()) GTEST_SKIP() << "set YITI_TEST_DEVICE to a plug-in's name";
  const DevicePtr device = test_device(2);
  const auto results = check_on_device(*GetParam(), device, {.rows = keeps_rows(*device)});
  int passed = 0, unsupported = 0;
  for (const DeviceResult& result : results) {
    const std::string label =
        fmt::format("{} of {} in {}", GetParam()->name, result.shapes, name(result.dtype));
    passed += result.verdict == DeviceResult::Verdict::kPass ? 1 : 0;
    unsupported += result.verdict == DeviceResult::Verdict::kUnsupported ? 1 : 0;
    if (result.verdict == DeviceResult::Verdict::kFail)
      ADD_FAILURE() << label << ": " << result.text;
  }
  std::cout << GetParam()->name << ": " << passed << " samples pass, the device lacks "
            << unsupported << "\n";
}

TEST(DeviceStreams, KeepOrder) {
  if (test_device_name().empty()) GTEST_SKIP() << "set YITI_TEST_DEVICE to a plug-in's name";
  EXPECT_EQ(check_streams(*test_device(1)), "");
}

INSTANTIATE_TEST_SUITE_P(Derived, DeviceOps, testing::ValuesIn(all_ops().begin(), all_ops().end()),
                         [](const auto& parameter) { return parameter.param->name; });

}  // namespace
}  // namespace yiti::derived
