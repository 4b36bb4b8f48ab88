// Every op on the device that YITI_TEST_DEVICE names, against its reference.
#include <gtest/gtest.h>

#include <iostream>

#include "core/plugin/device_plugin.h"
#include "ops/derived/comparison.h"
#include "ops/derived/device_check.h"
#include "ops/op_list.h"
#include "ops/optim/adamw.h"
#include "ops/optim/sgd.h"
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

std::vector<std::vector<Tensor>> copies(const std::vector<std::vector<Tensor>>& lists) {
  std::vector<std::vector<Tensor>> made;
  for (const std::vector<Tensor>& list : lists) {
    std::vector<Tensor>& own = made.emplace_back();
    for (const Tensor& tensor : list) own.push_back(tensor.copy());
  }
  return made;
}

// More tensors than a device may take at once, and a gradient that is strided.
TEST(DeviceUpdates, OfManyTensorsHaveTheBitsOfOneByOne) {
  if (test_device_name().empty()) GTEST_SKIP() << "set YITI_TEST_DEVICE to a plug-in's name";
  const DevicePtr device = test_device(1);
  const std::pair<const Op*, Attrs> steps[] = {
      {&adamw_step_op(), AdamwAttrs{.lr = 0.1, .step = 3, .grad_scale = 0.5}},
      {&sgd_step_op(), SgdAttrs{.lr = 0.1, .weight_decay = 0.01}},
      {&sgd_momentum_step_op(), SgdAttrs{.lr = 0.1, .momentum = 0.9, .nesterov = true}}};
  for (const auto& [op, attrs] : steps) {
    std::vector<std::vector<Tensor>> together;
    for (int64_t i = 0; i < 90; ++i) {
      const int64_t count = i % 7 == 3 ? 0 : i * i;
      std::vector<Tensor>& list = together.emplace_back();
      for (size_t input = 0; input < op->inputs.size(); ++input) {
        std::vector<float> values;
        for (int64_t at = 0; at < count; ++at) {
          values.push_back(0.001f * static_cast<float>((at * 37 + i) % 1000 + 1));
        }
        list.push_back(Tensor::from(values, {count}, device));
      }
    }
    together[4][1] = together[8][1].as_strided({16}, {4}, 0);
    const auto apart = copies(together);
    const int64_t before = counters_of(*device).ops;
    op->update_each(together, attrs);
    const int64_t given = counters_of(*device).ops - before;
    for (const std::vector<Tensor>& list : apart) (*op)(list, attrs);
    const bool at_once = op->choose_kernel(apart[0], attrs, *device)->takes_lists;
    // The strided one is made contiguous and runs alone.
    EXPECT_TRUE(!at_once || given <= 3) << op->name << ": " << given;
    for (size_t i = 0; i < apart.size(); ++i) {
      for (size_t input = 0; input < op->inputs.size(); ++input) {
        ASSERT_TRUE(same_bits(together[i][input], apart[i][input])) << op->name << " " << i;
      }
    }
  }
}

TEST(DeviceStreams, KeepOrder) {
  if (test_device_name().empty()) GTEST_SKIP() << "set YITI_TEST_DEVICE to a plug-in's name";
  EXPECT_EQ(check_streams(*test_device(1)), "");
}

INSTANTIATE_TEST_SUITE_P(Derived, DeviceOps, testing::ValuesIn(all_ops().begin(), all_ops().end()),
                         [](const auto& parameter) { return parameter.param->name; });

}  // namespace
}  // namespace yiti::derived
